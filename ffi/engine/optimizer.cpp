#include "optimizer.h"

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>

#include <cmath>

#include "../../kernels/cuda.h"
#include "rounding.h"

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

// body(first, count)
template <typename F> void in_stretches(int64_t elements, F body) {
  for (int64_t first = 0; first < elements; first += kStretch) body(first, std::min(kStretch, elements - first));
}

void check_options(const icrl_policy& policy, const icrl_trainer_config& c) {
  const bool is_mixed = policy.dtype != policy.wide();
  require(c.state_bits == 32 || c.state_bits == 8, "state_bits is neither 32 nor 8");
  require(c.state_bits == 32 || policy.dtype != at::kDouble, "a double policy's moments are not kept in 8 bits");
  require(c.master == 1 || (c.master == 0 && (!is_mixed || policy.dtype == at::kBFloat16)),
          "without master weights the policy's are rounded stochastically, and those are in bf16");
  require(c.master == 1 || is_mixed, "an f32 policy is its own master");
  const bool is_plain = c.state_bits == 32 && c.master == 1 && c.offload == 0;
  require(c.muon_momentum <= 0 || is_plain, "Muon keeps its state in fp32 on the device");
}

}  // namespace

OptimizerState::OptimizerState(icrl_policy& policy, const icrl_trainer_config& config, const Weights& grads)
    : policy_(&policy), config_(config), grads_(grads) {
  check_options(policy, config);
  if (config.state_bits == 8) {
    first_coder_ = std::make_unique<Coder>(Code::first, policy.device);
    second_coder_ = std::make_unique<Coder>(Code::second, policy.device);
  }
  const at::TensorOptions wide = policy.options().dtype(policy.wide());
  const bool on_host = config.offload == 1;
  const std::vector<NamedTensor> named = named_tensors(policy.config, grads);
  for (size_t i = 0; i < named.size(); i++) {
    const auto& [name, weight, layer_matrix] = policy.named[i];
    const int64_t n = weight.numel();
    Slot slot{name, weight.view({-1}), named[i].tensor.view({-1}), at::DimVector(weight.sizes()),
              config.muon_momentum > 0 && layer_matrix, weight.dim() == 2 || !config.decay_matrices_only, {}, {}, {}};
    slot.first = State(n, {wide, on_host, first_coder_.get(), Code::first});
    slot.second = State(n, {wide, on_host, second_coder_.get(), Code::second});
    if (policy.dtype == policy.wide()) slot.master = State(slot.weight);
    else if (config.master) slot.master = State(n, {wide, on_host, nullptr, Code::first});
    slots_.push_back(std::move(slot));
    if (config.master && policy.dtype != policy.wide())
      in_stretches(n, [&](int64_t first, int64_t count) {
        slots_.back().master.store(first, slots_.back().weight.narrow(0, first, count).to(policy.wide()), {});
      });
  }
}

bool OptimizerState::rounds_stochastically() const { return config_.master == 0; }

Tensor OptimizerState::load_weight(const Slot& slot, int64_t first, int64_t count) const {
  return rounds_stochastically() ? slot.weight.narrow(0, first, count).to(policy_->wide()) : slot.master.load(first, count);
}

// Without bits to the nearest.
void OptimizerState::store_weight(Slot& slot, int64_t first, const Tensor& values, const Tensor& bits) {
  const Tensor own = slot.weight.narrow(0, first, values.numel());
  if (!rounds_stochastically()) slot.master.store(first, values, {});
  if (policy_->dtype == policy_->wide()) return;
  own.copy_(rounds_stochastically() && bits.defined() ? to_bf16_stochastically(values, bits) : values);
}

// Throws, with nothing changed, when the norm is not finite. The one place where a step waits for the device.
double OptimizerState::clip(double max_norm) {
  const std::vector<Tensor> grads = grads_.stored();
  const Tensor norms = at::stack(at::_foreach_norm(grads)).to(at::kDouble);
  const double norm = norms.norm().item<double>();
  require(std::isfinite(norm), "the gradient norm is not finite; nothing was changed");
  if (max_norm > 0 && norm > max_norm) at::_foreach_mul_(grads, max_norm / (norm + 1e-6));
  return norm;
}

double OptimizerState::step(double learning_rate, double muon_learning_rate, double max_norm) {
  const double norm = clip(max_norm);
  steps_++;
  for (size_t i = 0; i < slots_.size(); i++) {
    if (slots_[i].by_muon) muon(slots_[i], muon_learning_rate);
    else adamw(i, learning_rate);
  }
  policy_->version++;
  return norm;
}

// Our CUDA kernel, where it is in use and all of the state is on the device as it is.
bool OptimizerState::adamw_in_one_pass(size_t index, double learning_rate) {
  Slot& slot = slots_[index];
  if (config_.state_bits != 32 || config_.offload == 1 || !cuda::uses(slot.weight, cuda::Kernel::adamw)) return false;
  cuda::AdamW options = cuda::adamw_options(learning_rate, slot.decays ? config_.weight_decay : 0, config_.beta1, config_.beta2,
                                            config_.eps, steps_);
  const NoiseName noise = name_of({config_.seed, steps_, static_cast<int32_t>(index)});
  options.noise = noise.first, options.noise_next = noise.second;
  const bool has_master = policy_->dtype != policy_->wide() && !rounds_stochastically();
  cuda::adamw(has_master ? slot.master.in_place() : Tensor(), slot.weight, slot.grad, slot.first.in_place(),
              slot.second.in_place(), options);
  return true;
}

void OptimizerState::adamw(size_t index, double learning_rate) {
  if (adamw_in_one_pass(index, learning_rate)) return;
  Slot& slot = slots_[index];
  const Tensor count = at::scalar_tensor(steps_, at::TensorOptions().dtype(at::kFloat).device(policy_->device));
  const bool is_rounded = rounds_stochastically() || slot.first.is_coded();
  in_stretches(slot.weight.numel(), [&](int64_t first, int64_t n) {
    const Tensor w = load_weight(slot, first, n), m = slot.first.load(first, n), v = slot.second.load(first, n);
    at::_fused_adamw_({w}, {slot.grad.narrow(0, first, n)}, {m}, {v}, {}, {count}, learning_rate, config_.beta1, config_.beta2,
                      slot.decays ? config_.weight_decay : 0, config_.eps, /*amsgrad=*/false, /*maximize=*/false);
    const NoiseKey key{config_.seed, steps_, static_cast<int32_t>(index)};
    const Tensor bits = is_rounded ? random_bits(key, first, n, policy_->device) : Tensor();
    slot.first.store(first, m, slot.first.is_coded() ? upper_uniform(bits) : Tensor());
    slot.second.store(first, v, slot.second.is_coded() ? mixed_uniform(bits) : Tensor());
    store_weight(slot, first, w, bits);
  });
}

// All of its state is on the device as it is.
void OptimizerState::muon(Slot& slot, double learning_rate) {
  const Tensor w = slot.master.in_place().view(slot.shape), g = slot.grad.view(slot.shape),
               m = slot.first.in_place().view(slot.shape);
  m.lerp_(g, 1 - config_.muon_momentum);
  const Tensor update = orthogonalise(g.lerp(m, config_.muon_momentum));
  const double scale = std::sqrt(std::max(1.0, double(w.size(0)) / double(w.size(1))));
  if (config_.weight_decay > 0) w.mul_(1 - learning_rate * config_.weight_decay);
  w.add_(update, -learning_rate * scale);
  if (policy_->dtype != policy_->wide()) slot.weight.copy_(slot.master.in_place());
}

OptimizerState::Slot& OptimizerState::slot_of(const char* name, int64_t numel) {
  // What a step left behind may still be on its way to the host.
  if (policy_->device.is_cuda() && config_.offload == 1) at::accelerator::synchronizeDevice(policy_->device.index());
  for (Slot& slot : slots_)
    if (slot.name == name) {
      require_numel(slot.weight, numel);
      return slot;
    }
  throw InvalidArgument("the policy has no tensor " + std::string(name));
}

void OptimizerState::read(int32_t which, const char* name, int32_t dtype, void* data, int64_t numel) {
  const Slot& slot = slot_of(name, numel);
  const Tensor out = at::from_blob(data, {numel}, scalar_type(dtype));
  in_stretches(numel, [&](int64_t first, int64_t count) {
    const Tensor values = which == ICRL_TRAINER_FIRST_MOMENT    ? slot.first.load(first, count)
                          : which == ICRL_TRAINER_SECOND_MOMENT ? slot.second.load(first, count)
                                                                : load_weight(slot, first, count);
    out.narrow(0, first, count).copy_(values);
  });
}

void OptimizerState::write(int32_t which, const char* name, int32_t dtype, const void* data, int64_t numel) {
  Slot& slot = slot_of(name, numel);
  const Tensor in = at::from_blob(const_cast<void*>(data), {numel}, scalar_type(dtype));
  in_stretches(numel, [&](int64_t first, int64_t count) {
    const Tensor values = in.narrow(0, first, count).to(policy_->device, policy_->wide());
    if (which == ICRL_TRAINER_FIRST_MOMENT) slot.first.store(first, values, {});
    else if (which == ICRL_TRAINER_SECOND_MOMENT) slot.second.store(first, values, {});
    else store_weight(slot, first, values, {});
  });
  if (which == ICRL_TRAINER_MASTER) policy_->version++;
}

}  // namespace icrl
