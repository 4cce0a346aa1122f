// AdamW (Loshchilov and Hutter 2019, torch's fused kernel) with global-norm clipping; optionally Muon (Jordan et al. 2024) on
// the layers' matrices. Moments and master weights are in fp32 (fp64 for a double policy), whatever the policy computes in.
#pragma once
#include <vector>

#include "policy.h"

namespace icrl {

class OptimizerState {
 public:
  OptimizerState() = default;
  // grads is shared with the trainer.
  OptimizerState(icrl_policy& policy, const icrl_trainer_config& config, const Weights& grads);

  // Clips, applies, starts a new policy version, and returns the global norm before clipping. Throws, with nothing changed,
  // when that is not finite.
  double step(double learning_rate, double muon_learning_rate, double max_norm);
  int32_t steps() const { return steps_; }
  void set_steps(int32_t steps) { steps_ = steps; }
  void copy_master_to_policy();

  Weights first, second, master;

 private:
  struct Group {
    std::vector<Tensor> weights, grads, first, second;
  };
  void adamw(const Group& group, double learning_rate, double weight_decay);
  void muon(double learning_rate);

  icrl_policy* policy_ = nullptr;
  icrl_trainer_config config_{};
  Weights grads_;
  int32_t steps_ = 0;
};

}  // namespace icrl
