#include "policy.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cstring>

#include "../../kernels/kernels.h"

namespace icrl {

std::vector<Tensor> Weights::stored() const {
  std::vector<Tensor> all{embedding};
  const auto add = [&](const Tensor& t) {
    if (t.defined()) all.push_back(t);
  };
  for (const LayerWeights& l : layers)
    for (const Tensor& t : {l.input_norm, l.qkv, l.qkv_bias, l.q_norm, l.k_norm, l.o, l.post_norm, l.gate_up, l.down}) add(t);
  add(final_norm);
  if (!head.is_same(embedding)) add(head);
  return all;
}

Weights make_weights(const icrl_policy_config& c, at::TensorOptions options, bool zero) {
  const auto make = [&](at::IntArrayRef shape) { return zero ? at::zeros(shape, options) : at::empty(shape, options); };
  const int64_t q = int64_t(c.heads) * c.head_dim, qkv = q + 2 * int64_t(c.kv_heads) * c.head_dim;
  Weights w;
  w.embedding = make({c.vocab, c.hidden});
  for (int32_t i = 0; i < c.layers; i++) {
    LayerWeights l;
    l.input_norm = make({c.hidden});
    l.qkv = make({qkv, c.hidden});
    if (c.qkv_bias) l.qkv_bias = make({qkv});
    if (c.qk_norm) l.q_norm = make({c.head_dim}), l.k_norm = make({c.head_dim});
    l.o = make({c.hidden, q});
    l.post_norm = make({c.hidden});
    l.gate_up = make({2 * int64_t(c.ffn), c.hidden});
    l.down = make({c.hidden, c.ffn});
    w.layers.push_back(std::move(l));
  }
  w.final_norm = make({c.hidden});
  w.head = c.tied ? w.embedding : make({c.vocab, c.hidden});
  return w;
}

std::vector<NamedTensor> named_tensors(const icrl_policy_config& c, const Weights& w) {
  std::vector<NamedTensor> all{{"model.embed_tokens.weight", w.embedding, false}};
  const int64_t q = int64_t(c.heads) * c.head_dim, kv = int64_t(c.kv_heads) * c.head_dim;
  for (size_t i = 0; i < w.layers.size(); i++) {
    const LayerWeights& l = w.layers[i];
    const std::string layer = "model.layers." + std::to_string(i) + ".", attention = layer + "self_attn.";
    const auto add = [&](const std::string& name, const Tensor& t) { all.push_back({name, t, t.dim() == 2}); };
    const auto qkv = [&](const std::string& kind, const Tensor& t) {
      add(attention + "q_proj." + kind, t.narrow(0, 0, q));
      add(attention + "k_proj." + kind, t.narrow(0, q, kv));
      add(attention + "v_proj." + kind, t.narrow(0, q + kv, kv));
    };
    add(layer + "input_layernorm.weight", l.input_norm);
    qkv("weight", l.qkv);
    if (l.qkv_bias.defined()) qkv("bias", l.qkv_bias);
    if (l.q_norm.defined()) add(attention + "q_norm.weight", l.q_norm), add(attention + "k_norm.weight", l.k_norm);
    add(attention + "o_proj.weight", l.o);
    add(layer + "post_attention_layernorm.weight", l.post_norm);
    add(layer + "mlp.gate_proj.weight", l.gate_up.narrow(0, 0, c.ffn));
    add(layer + "mlp.up_proj.weight", l.gate_up.narrow(0, c.ffn, c.ffn));
    add(layer + "mlp.down_proj.weight", l.down);
  }
  all.push_back({"model.norm.weight", w.final_norm, false});
  if (!c.tied) all.push_back({"lm_head.weight", w.head, false});
  return all;
}

Tensor find_tensor(const std::vector<NamedTensor>& tensors, const char* name) {
  require(name != nullptr, "a tensor name is null");
  for (const NamedTensor& t : tensors)
    if (t.name == name) return t.tensor;
  throw InvalidArgument("the policy has no tensor " + std::string(name));
}

at::ScalarType scalar_type(int32_t dtype) {
  switch (dtype) {
    case ICRL_DTYPE_F32: return at::kFloat;
    case ICRL_DTYPE_F64: return at::kDouble;
    case ICRL_DTYPE_BF16: return at::kBFloat16;
    case ICRL_DTYPE_F16: return at::kHalf;
  }
  throw InvalidArgument("unknown dtype " + std::to_string(dtype));
}

void require_numel(const Tensor& tensor, int64_t numel) {
  if (tensor.numel() != numel)
    throw InvalidArgument("the tensor has " + std::to_string(tensor.numel()) + " elements, not " + std::to_string(numel));
}
void write_tensor(const Tensor& to, int32_t dtype, const void* data, int64_t numel) {
  require_numel(to, numel);
  to.copy_(at::from_blob(const_cast<void*>(data), to.sizes(), scalar_type(dtype)));
}
void read_tensor(const Tensor& from, int32_t dtype, void* data, int64_t numel) {
  require_numel(from, numel);
  at::from_blob(data, from.sizes(), scalar_type(dtype)).copy_(from);
}

}  // namespace icrl

const at::Tensor& icrl_policy::rope(int64_t positions) {
  if (rope_table.defined() && rope_table.size(0) >= positions) return rope_table;
  int64_t size = 256;
  while (size < positions) size *= 2;
  const at::Tensor frequencies = at::from_blob(inv_freq.data(), {1, config.head_dim / 2}, at::kDouble);
  const at::Tensor angles = at::arange(size, at::kDouble).unsqueeze(1) * frequencies;
  rope_table = (at::cat({angles.cos(), angles.sin()}, 1) * config.rope_attention_scale).to(device, wide());
  return rope_table;
}

// Packing a larger weight for every call costs little beside its product.
constexpr int64_t kPackedElements = int64_t(1) << 20;

at::Tensor icrl_policy::packed(const at::Tensor& weight) {
  if (!device.is_cpu() || dtype != wide() || weight.numel() > kPackedElements) return {};
  if (panels_version_ != version) {
    panels_.clear();
    panels_version_ = version;
  }
  const auto known = panels_.find(weight.const_data_ptr());
  if (known != panels_.end()) return known->second;
  return panels_[weight.const_data_ptr()] = icrl::pack_linear(weight);
}

bool icrl_policy::pack_layers() {
  bool all = true;
  for (const icrl::LayerWeights& l : weights.layers)
    for (const at::Tensor& w : {l.qkv, l.o, l.gate_up, l.down}) all = packed(w).defined() && all;
  return all;
}

using namespace icrl;

static void check_config(const icrl_policy_config& c) {
  for (int32_t x : {c.hidden, c.layers, c.heads, c.kv_heads, c.head_dim, c.ffn, c.vocab})
    require(x > 0, "a size in the policy config is not positive");
  require(c.heads % c.kv_heads == 0, "heads is not a multiple of kv_heads");
  require(c.head_dim % 2 == 0, "head_dim is odd");
}

int32_t icrl_policy_open(icrl_device* device, const icrl_policy_config* config, const double* inv_freq, int32_t dtype,
                         icrl_policy** policy) {
  return guard([&] {
    require(device && config && inv_freq && policy, "a pointer is null");
    check_config(*config);
    const at::ScalarType type = scalar_type(dtype);
    if (device->device.is_cpu() && type == at::kHalf) throw InvalidArgument("the CPU computes in f32, f64 or bf16");
    auto p = std::unique_ptr<icrl_policy>(new icrl_policy(*config, device->device, type));
    p->in_parts = device->in_parts || (type != at::kFloat && type != at::kDouble);
    p->inv_freq.assign(inv_freq, inv_freq + config->head_dim / 2);
    p->weights = make_weights(*config, p->options(), false);
    p->named = named_tensors(*config, p->weights);
    *policy = p.release();
  });
}

void icrl_policy_close(icrl_policy* policy) { delete policy; }

int32_t icrl_policy_randomize(icrl_policy* policy, uint32_t seed, double std) {
  return guard([&] {
    require(policy, "the policy is null");
    at::Generator generator = at::detail::createCPUGenerator(seed);
    for (const NamedTensor& t : policy->named) {
      if (t.tensor.dim() == 2) t.tensor.copy_(at::randn(t.tensor.sizes(), generator, at::kFloat) * std);
      else t.tensor.fill_(t.name.size() > 5 && t.name.compare(t.name.size() - 5, 5, ".bias") == 0 ? 0.0 : 1.0);
    }
    policy->version++;
  });
}

int32_t icrl_policy_tensor_count(icrl_policy* policy, int32_t* count) {
  return guard([&] {
    require(policy && count, "a pointer is null");
    *count = static_cast<int32_t>(policy->named.size());
  });
}

int32_t icrl_policy_tensor_describe(icrl_policy* policy, int32_t index, char* name, int32_t capacity, int64_t* shape,
                                    int32_t* dims) {
  return guard([&] {
    require(policy && name && shape && dims, "a pointer is null");
    require(index >= 0 && index < static_cast<int32_t>(policy->named.size()), "no tensor has this index");
    const NamedTensor& t = policy->named[index];
    require(static_cast<int32_t>(t.name.size()) < capacity, "the name does not fit");
    std::memcpy(name, t.name.c_str(), t.name.size() + 1);
    *dims = static_cast<int32_t>(t.tensor.dim());
    shape[0] = t.tensor.size(0);
    shape[1] = *dims == 2 ? t.tensor.size(1) : 1;
  });
}

int32_t icrl_policy_tensor_write(icrl_policy* policy, const char* name, int32_t dtype, const void* data, int64_t numel) {
  return guard([&] {
    require(policy && data, "a pointer is null");
    write_tensor(find_tensor(policy->named, name), dtype, data, numel);
    policy->version++;
  });
}

int32_t icrl_policy_tensor_read(icrl_policy* policy, const char* name, int32_t dtype, void* data, int64_t numel) {
  return guard([&] {
    require(policy && data, "a pointer is null");
    read_tensor(find_tensor(policy->named, name), dtype, data, numel);
  });
}

int32_t icrl_policy_copy(icrl_policy* to, icrl_policy* from) {
  return guard([&] {
    require(to && from, "a policy is null");
    require(std::memcmp(&to->config, &from->config, sizeof to->config) == 0, "the policies differ in their config");
    for (size_t i = 0; i < to->named.size(); i++) to->named[i].tensor.copy_(from->named[i].tensor);
    to->version++;
  });
}

int32_t icrl_policy_version(icrl_policy* policy, int32_t* version) {
  return guard([&] {
    require(policy && version, "a pointer is null");
    *version = policy->version;
  });
}
