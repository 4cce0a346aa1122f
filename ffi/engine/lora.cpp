#include "lora.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <cstring>

#include "../../kernels/kernels.h"

namespace icrl {
namespace {

struct Part {
  int32_t target;
  const char* name;
  int64_t rows;
};

// The modules of a stored matrix, in the order of its rows.
std::vector<AdaptedModule> modules_of(const icrl_policy& p, const std::string& layer, Matrix matrix, int32_t targets) {
  const int64_t q = p.q_width(), kv = p.kv_width(), ffn = p.config.ffn, hidden = p.config.hidden;
  const std::vector<Part> parts[kMatrices] = {
      {{ICRL_LORA_Q, "self_attn.q_proj", q}, {ICRL_LORA_K, "self_attn.k_proj", kv}, {ICRL_LORA_V, "self_attn.v_proj", kv}},
      {{ICRL_LORA_O, "self_attn.o_proj", hidden}},
      {{ICRL_LORA_GATE, "mlp.gate_proj", ffn}, {ICRL_LORA_UP, "mlp.up_proj", ffn}},
      {{ICRL_LORA_DOWN, "mlp.down_proj", hidden}}};
  std::vector<AdaptedModule> modules;
  int64_t first = 0, b_first = 0;
  for (const Part& part : parts[size_t(matrix)]) {
    if (targets & part.target) {
      modules.push_back({layer + part.name, first, part.rows, b_first});
      b_first += part.rows;
    }
    first += part.rows;
  }
  return modules;
}

Factors zero_factors(const AdaptedMatrix& m, int64_t rank, at::TensorOptions options) {
  const int64_t rows = m.modules.back().b_first + m.modules.back().rows;
  return {at::zeros({int64_t(m.modules.size()) * rank, m.base.size(1)}, options), at::zeros({rows, rank}, options)};
}

void check(const icrl_policy& policy, const icrl_policy& base, const icrl_trainer_config& config) {
  require(&policy != &base, "the base of adapters must be another policy than the one that is trained");
  require(std::memcmp(&policy.config, &base.config, sizeof policy.config) == 0, "policy and base differ in their config");
  require(policy.dtype == base.dtype && policy.device == base.device, "policy and base differ in dtype or device");
  require(config.lora_alpha > 0 && std::isfinite(config.lora_alpha), "lora_alpha is not positive");
  require(config.lora_targets > 0 && config.lora_targets < 2 * ICRL_LORA_DOWN, "lora_targets names no matrix");
  require(config.muon_momentum == 0, "Muon trains whole matrices, not adapters");
}

constexpr int64_t kMergedElements = int64_t(1) << 22;  // of a wide temporary

}  // namespace

Adapters::Adapters(icrl_policy& policy, const icrl_policy& base, const icrl_trainer_config& config)
    : policy_(&policy), config_(config), scale_(config.lora_alpha / config.lora_rank) {
  check(policy, base, config);
  at::Generator generator = at::detail::createCPUGenerator(config.seed);
  const auto options = policy.options().dtype(policy.wide());
  layers_.resize(policy.config.layers);
  for (int32_t i = 0; i < policy.config.layers; i++) {
    for (const Matrix matrix : {Matrix::qkv, Matrix::o, Matrix::gate_up, Matrix::down}) {
      AdaptedMatrix& m = layers_[i][size_t(matrix)];
      m.modules = modules_of(policy, "model.layers." + std::to_string(i) + ".", matrix, config.lora_targets);
      if (m.modules.empty()) continue;
      m.weight = policy.weights.layers[i].matrix(matrix);
      m.base = base.weights.layers[i].matrix(matrix);
      for (Factors* kind : {&m.master, &m.gradient, &m.first, &m.second}) *kind = zero_factors(m, config.lora_rank, options);
      const double bound = 1 / std::sqrt(double(m.base.size(1)));
      m.master.a.copy_(at::rand(m.master.a.sizes(), generator, at::kFloat).mul_(2 * bound).sub_(bound));
    }
  }
  for (size_t i = 0; i < policy.named.size(); i++) policy.named[i].tensor.copy_(base.named[i].tensor);
  policy.version++;
}

void Adapters::add_gradient(int32_t layer, Matrix matrix, const Tensor& d_y, const Tensor& x) {
  const AdaptedMatrix& m = layers_[layer][size_t(matrix)];
  const int64_t rank = config_.lora_rank;
  const Tensor u = at::mm(x, m.master.a.to(x.scalar_type()).t()).mul_(scale_);  // [T, P r]
  const Tensor v = at::empty_like(u);                                           // gradient of x A^T
  for (size_t p = 0; p < m.modules.size(); p++) {
    const auto& [name, first, rows, b_first] = m.modules[p];
    const Tensor d = d_y.narrow(1, first, rows), b = m.master.b.narrow(0, b_first, rows).to(x.scalar_type());
    linear_weight_grad(d, u.narrow(1, int64_t(p) * rank, rank), m.gradient.b.narrow(0, b_first, rows));
    v.narrow(1, int64_t(p) * rank, rank).copy_(at::mm(d, b));
  }
  linear_weight_grad(v.mul_(scale_), x, m.gradient.a);
}

std::vector<Tensor> Adapters::all(Factors AdaptedMatrix::* kind) const {
  std::vector<Tensor> tensors;
  for (const LayerAdapters& layer : layers_)
    for (const AdaptedMatrix& m : layer)
      if (!m.modules.empty()) tensors.insert(tensors.end(), {(m.*kind).a, (m.*kind).b});
  return tensors;
}

void Adapters::zero_gradients() { at::_foreach_zero_(all(&AdaptedMatrix::gradient)); }

double Adapters::step(double learning_rate, double max_norm) {
  const std::vector<Tensor> grads = all(&AdaptedMatrix::gradient);
  const double norm = at::stack(at::_foreach_norm(grads)).to(at::kDouble).norm().item<double>();
  require(std::isfinite(norm), "the gradient norm is not finite; nothing was changed");
  if (max_norm > 0 && norm > max_norm) at::_foreach_mul_(grads, max_norm / (norm + 1e-6));
  steps_++;
  const Tensor count = at::scalar_tensor(steps_, at::TensorOptions().dtype(at::kFloat).device(policy_->device));
  at::_fused_adamw_(all(&AdaptedMatrix::master), grads, all(&AdaptedMatrix::first), all(&AdaptedMatrix::second), {},
                    std::vector<Tensor>(grads.size(), count), learning_rate, config_.beta1, config_.beta2,
                    config_.weight_decay, config_.eps, /*amsgrad=*/false, /*maximize=*/false);
  for (const LayerAdapters& layer : layers_)
    for (const AdaptedMatrix& m : layer) merge(m);
  policy_->version++;
  return norm;
}

void Adapters::merge(const AdaptedMatrix& m) {
  const auto wide = policy_->wide();
  for (size_t p = 0; p < m.modules.size(); p++) {
    const AdaptedModule& module = m.modules[p];
    const Tensor a = m.master.a.narrow(0, int64_t(p) * config_.lora_rank, config_.lora_rank);
    const int64_t most = std::max<int64_t>(1, kMergedElements / a.size(1));
    for (int64_t done = 0; done < module.rows; done += most) {
      const int64_t rows = std::min(most, module.rows - done);
      const Tensor base = m.base.narrow(0, module.first + done, rows), b = m.master.b.narrow(0, module.b_first + done, rows);
      m.weight.narrow(0, module.first + done, rows).copy_(at::addmm(base.to(wide), b, a, 1, scale_));
    }
  }
}

Adapters::Found Adapters::find(const std::string& name) {
  for (LayerAdapters& layer : layers_)
    for (AdaptedMatrix& m : layer)
      for (size_t p = 0; p < m.modules.size(); p++)
        for (const bool is_a : {true, false})
          if (name == m.modules[p].name + (is_a ? ".lora_A.weight" : ".lora_B.weight")) return {&m, p, is_a};
  throw InvalidArgument("no adapter has a tensor " + name);
}

Tensor Adapters::tensor(int32_t which, const std::string& name) {
  const auto [m, p, is_a] = find(name);
  const auto view = [&, m = m, p = p, is_a = is_a](const Factors& f) {
    return is_a ? f.a.narrow(0, int64_t(p) * config_.lora_rank, config_.lora_rank)
                : f.b.narrow(0, m->modules[p].b_first, m->modules[p].rows);
  };
  switch (which) {
    case ICRL_TRAINER_GRADIENT: return view(m->gradient);
    case ICRL_TRAINER_FIRST_MOMENT: return view(m->first);
    case ICRL_TRAINER_SECOND_MOMENT: return view(m->second);
    case ICRL_TRAINER_MASTER: return view(m->master);
  }
  throw InvalidArgument("unknown kind of trainer tensor");
}

void Adapters::merge(const std::string& name) {
  merge(*find(name).matrix);
  policy_->version++;
}

}  // namespace icrl
