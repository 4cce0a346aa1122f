// AdamW (Loshchilov and Hutter 2019, torch's fused kernel) with global-norm clipping; optionally Muon (Jordan et al. 2024) on
// the layers' matrices. A step computes in fp32 (fp64 for a double policy), whatever the policy's dtype, tensor by tensor and
// in stretches of large ones, so that no other copy of the model in fp32 ever exists. What is kept in between:
//   moments  in fp32, or in 8 bits (codes.h)
//   weights  beside a narrower policy's in fp32, or only the policy's own in bf16, rounded stochastically (rounding.h)
// and on the device or, with offload, in the host's memory. Never run on a GPU: pinned memory and its queued copies.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "policy.h"
#include "state.h"

namespace icrl {

class OptimizerState {
 public:
  OptimizerState() = default;
  // grads is shared with the trainer. Throws where the config's options do not go together.
  OptimizerState(icrl_policy& policy, const icrl_trainer_config& config, const Weights& grads);

  // Clips, applies, starts a new policy version, and returns the global norm before clipping. Throws, with nothing changed,
  // when that is not finite.
  double step(double learning_rate, double muon_learning_rate, double max_norm);
  int32_t steps() const { return steps_; }
  void set_steps(int32_t steps) { steps_ = steps; }

  // Moments and master weights by the tensor's name, which is of icrl_trainer_tensor; numel is the tensor's. What was read from
  // 8 bits and is written again gives the same 8 bits' values.
  void read(int32_t which, const char* name, int32_t dtype, void* data, int64_t numel);
  void write(int32_t which, const char* name, int32_t dtype, const void* data, int64_t numel);

 private:
  // What is kept of one named tensor. All views are flat.
  struct Slot {
    std::string name;
    Tensor weight, grad;  // of the policy, of the trainer
    at::DimVector shape;
    bool by_muon, decays;
    State first, second;
    State master;  // the policy's own where that is wide; none where the policy's is rounded stochastically
  };
  double clip(double max_norm);
  void adamw(size_t index, double learning_rate);
  bool adamw_in_one_pass(size_t index, double learning_rate);
  void muon(Slot& slot, double learning_rate);
  Tensor load_weight(const Slot& slot, int64_t first, int64_t count) const;
  void store_weight(Slot& slot, int64_t first, const Tensor& values, const Tensor& bits);
  Slot& slot_of(const char* name, int64_t numel);
  bool rounds_stochastically() const;

  icrl_policy* policy_ = nullptr;
  icrl_trainer_config config_{};
  Weights grads_;
  std::unique_ptr<Coder> first_coder_, second_coder_;
  std::vector<Slot> slots_;
  int32_t steps_ = 0;
};

}  // namespace icrl
