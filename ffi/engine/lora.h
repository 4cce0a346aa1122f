// Low-rank adapters (Hu et al. 2021) of the layers' matrices: y = x W^T with W = W_base + s B A, s = alpha / rank. The policy
// always holds the merged W, so sampling and training read the same weights and a forward costs nothing more; only B and A have
// gradients, moments and (in the wide dtype) master weights. A step merges anew from the base, so that rounding never adds up.
// Departures from PEFT: no dropout (sampler and trainer would differ); adapters of matrices that share an input lie together.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "policy.h"

namespace icrl {

// a[P r, K] and b[N, r] of the P adapters of one stored matrix. K inputs, r rank, N outputs of the adapted modules together.
struct Factors {
  Tensor a, b;
};
// One module by its Hugging Face name, "model.layers.0.self_attn.q_proj".
struct AdaptedModule {
  std::string name;
  int64_t first, rows;  // of the stored matrix
  int64_t b_first;      // its first row in b; its rows in a are [p r, (p + 1) r)
};
struct AdaptedMatrix {
  Tensor weight, base;  // stored matrices of the policy and of the base
  std::vector<AdaptedModule> modules;
  Factors master, gradient, first, second;
};
// By Matrix; without modules where a matrix is frozen.
using LayerAdapters = std::array<AdaptedMatrix, kMatrices>;

class Adapters {
 public:
  // Fresh ones: A uniform in +-1 / sqrt(K) (PEFT's Kaiming uniform with a = sqrt 5) from config.seed, the same on any device; B
  // zero. The policy becomes a copy of the base. Throws where base, rank, alpha or targets are wrong.
  Adapters(icrl_policy& policy, const icrl_policy& base, const icrl_trainer_config& config);

  // Adds to the gradients of a matrix's adapters. d_y[T, N'] is the gradient of y = x W^T for the whole stored matrix; x[T, K].
  void add_gradient(int32_t layer, Matrix matrix, const Tensor& d_y, const Tensor& x);
  bool learns(int32_t layer, Matrix matrix) const { return !layers_[layer][size_t(matrix)].modules.empty(); }
  void zero_gradients();
  // Clips, AdamW, merges, starts a new policy version; returns the norm before clipping. Throws, with nothing changed, when
  // that is not finite.
  double step(double learning_rate, double max_norm);
  int32_t steps() const { return steps_; }
  void set_steps(int32_t steps) { steps_ = steps; }

  // A view of "<module>.lora_A.weight"[r, K] or "<module>.lora_B.weight"[rows, r]; which: icrl_trainer_tensor.
  Tensor tensor(int32_t which, const std::string& name);
  // To be called when a master of this name was written.
  void merge(const std::string& name);

 private:
  struct Found {
    AdaptedMatrix* matrix;
    size_t module;
    bool is_a;
  };
  Found find(const std::string& name);
  std::vector<Tensor> all(Factors AdaptedMatrix::* kind) const;
  void merge(const AdaptedMatrix& matrix);

  icrl_policy* policy_;
  icrl_trainer_config config_;
  double scale_;
  std::vector<LayerAdapters> layers_;
  int32_t steps_ = 0;
};

}  // namespace icrl
