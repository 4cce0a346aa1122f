#include "optimizer.h"

#include <ATen/ATen.h>

#include <cmath>

namespace icrl {
namespace {

// Five steps of the quintic Newton-Schulz iteration towards the nearest orthogonal matrix.
Tensor orthogonalise(const Tensor& g) {
  const bool tall = g.size(0) > g.size(1);
  Tensor x = tall ? g.t().contiguous() : g.clone();
  x.div_(x.norm() + 1e-7);
  for (int i = 0; i < 5; i++) {
    const Tensor a = at::mm(x, x.t());
    const Tensor b = at::addmm(a, a, a, -4.7750, 2.0315);
    x = at::addmm(x, b, x, 3.4445, 1);
  }
  return tall ? x.t() : x;
}

}  // namespace

OptimizerState::OptimizerState(icrl_policy& policy, const icrl_trainer_config& config, const Weights& grads)
    : policy_(&policy), config_(config), grads_(grads) {
  const auto options = policy.options().dtype(policy.wide());
  first = make_weights(policy.config, options, true);
  second = make_weights(policy.config, options, true);
  master = policy.weights;
  if (policy.dtype == policy.wide()) return;
  master = make_weights(policy.config, options, false);
  const auto to = master.stored(), from = policy.weights.stored();
  for (size_t i = 0; i < to.size(); i++) to[i].copy_(from[i]);
}

void OptimizerState::copy_master_to_policy() {
  if (policy_->dtype != policy_->wide()) {
    const auto to = policy_->weights.stored(), from = master.stored();
    for (size_t i = 0; i < to.size(); i++) to[i].copy_(from[i]);
  }
  policy_->version++;
}

double OptimizerState::step(double learning_rate, double muon_learning_rate, double max_norm) {
  const std::vector<Tensor> grads = grads_.stored();
  const Tensor norms = at::stack(at::_foreach_norm(grads)).to(at::kDouble);
  const double norm = norms.norm().item<double>();
  require(std::isfinite(norm), "the gradient norm is not finite; nothing was changed");
  if (max_norm > 0 && norm > max_norm) at::_foreach_mul_(grads, max_norm / (norm + 1e-6));
  steps_++;

  const bool with_muon = config_.muon_momentum > 0;
  const auto weights = master.stored(), firsts = first.stored(), seconds = second.stored();
  Group decayed, plain;
  for (size_t i = 0; i < weights.size(); i++) {
    const bool matrix = weights[i].dim() == 2;
    const bool in_layer = matrix && !weights[i].is_same(master.embedding) && !weights[i].is_same(master.head);
    if (with_muon && in_layer) continue;
    Group& group = matrix || !config_.decay_matrices_only ? decayed : plain;
    group.weights.push_back(weights[i]);
    group.grads.push_back(grads[i]);
    group.first.push_back(firsts[i]);
    group.second.push_back(seconds[i]);
  }
  adamw(decayed, learning_rate, config_.weight_decay);
  adamw(plain, learning_rate, 0);
  if (with_muon) muon(muon_learning_rate);
  copy_master_to_policy();
  return norm;
}

void OptimizerState::adamw(const Group& g, double learning_rate, double weight_decay) {
  if (g.weights.empty()) return;
  const Tensor count = at::scalar_tensor(steps_, at::TensorOptions().dtype(at::kFloat).device(policy_->device));
  const std::vector<Tensor> counts(g.weights.size(), count);
  at::_fused_adamw_(g.weights, g.grads, g.first, g.second, {}, counts, learning_rate, config_.beta1, config_.beta2,
                    weight_decay, config_.eps, /*amsgrad=*/false, /*maximize=*/false);
}

void OptimizerState::muon(double learning_rate) {
  const auto weights = named_tensors(policy_->config, master), grads = named_tensors(policy_->config, grads_),
             moments = named_tensors(policy_->config, first);
  for (size_t i = 0; i < weights.size(); i++) {
    if (!weights[i].layer_matrix) continue;
    const Tensor &w = weights[i].tensor, &g = grads[i].tensor, &m = moments[i].tensor;
    m.lerp_(g, 1 - config_.muon_momentum);
    const Tensor update = orthogonalise(g.lerp(m, config_.muon_momentum));
    const double scale = std::sqrt(std::max(1.0, double(w.size(0)) / double(w.size(1))));
    if (config_.weight_decay > 0) w.mul_(1 - learning_rate * config_.weight_decay);
    w.add_(update, -learning_rate * scale);
  }
}

}  // namespace icrl
