// The policy's weights: a decoder of the Qwen2, Qwen3 and Llama 3 families. Products that share an input are stored as one
// matrix (q, k, v; gate, up); the Hugging Face names are views into them.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "../../kernels/attention-varlen.h"
#include "memory.h"
#include "status.h"

struct icrl_device {
  at::Device device;
  bool in_parts;  // attention as CUDA computes it; see kernels/attention-varlen.h
  icrl::Counted counted{icrl::Handle::device};
};

namespace icrl {

using at::Tensor;

// The matrices of a layer as they are stored.
enum class Matrix { qkv, o, gate_up, down };
constexpr size_t kMatrices = 4;

struct LayerWeights {
  Tensor input_norm;      // [hidden]
  Tensor qkv;             // [(heads + 2 kv_heads) head_dim, hidden]
  Tensor qkv_bias;        // [(heads + 2 kv_heads) head_dim] or undefined
  Tensor q_norm, k_norm;  // [head_dim] or undefined
  Tensor o;               // [hidden, heads head_dim]
  Tensor post_norm;       // [hidden]
  Tensor gate_up;         // [2 ffn, hidden]
  Tensor down;            // [hidden, ffn]

  const Tensor& matrix(Matrix m) const {
    return m == Matrix::qkv ? qkv : m == Matrix::o ? o : m == Matrix::gate_up ? gate_up : down;
  }
};

// The same structure holds weights, gradients and moments.
struct Weights {
  Tensor embedding;  // [vocab, hidden]
  std::vector<LayerWeights> layers;
  Tensor final_norm;  // [hidden]
  Tensor head;        // [vocab, hidden]; the embedding itself when tied

  // Every stored tensor once, in a fixed order.
  std::vector<Tensor> stored() const;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;      // a view
  bool layer_matrix;  // Muon's kind
};

// Uninitialised tensors of a config; zeros when zero is true.
Weights make_weights(const icrl_policy_config& config, at::TensorOptions options, bool zero);
std::vector<NamedTensor> named_tensors(const icrl_policy_config& config, const Weights& weights);
Tensor find_tensor(const std::vector<NamedTensor>& tensors, const char* name);

at::ScalarType scalar_type(int32_t dtype);
void require_numel(const Tensor& tensor, int64_t numel);
// Host memory of the C API <-> a tensor on the device.
void write_tensor(const Tensor& to, int32_t dtype, const void* data, int64_t numel);
void read_tensor(const Tensor& from, int32_t dtype, void* data, int64_t numel);

}  // namespace icrl

struct icrl_policy {
  icrl_policy(const icrl_policy_config& c, at::Device d, at::ScalarType t) : config(c), device(d), dtype(t) {}

  icrl_policy_config config;
  at::Device device;
  at::ScalarType dtype;
  icrl::Weights weights;
  std::vector<icrl::NamedTensor> named;
  std::vector<double> inv_freq;
  at::Tensor rope_table;  // [positions, head_dim]: cos then sin; grows on demand
  int32_t version = 0;
  bool in_parts = false;  // attention, and the cache laid out for it; the fused CPU attention otherwise
  icrl::Counted counted{icrl::Handle::policy};

  // float, or double for a double policy: norms, rotations and statistics.
  at::ScalarType wide() const { return dtype == at::kDouble ? at::kDouble : at::kFloat; }
  at::TensorOptions options() const { return at::TensorOptions().dtype(dtype).device(device); }
  icrl::PartsOptions parts_options() const { return icrl::parts_options(device, dtype, config.heads, config.head_dim); }
  int64_t q_width() const { return int64_t(config.heads) * config.head_dim; }
  int64_t kv_width() const { return int64_t(config.kv_heads) * config.head_dim; }
  // The table with at least this many positions.
  const at::Tensor& rope(int64_t positions);
  // A small weight in the order in which the CPU product reads it, kept until the next version; undefined for the rest.
  at::Tensor packed(const at::Tensor& weight);
  // Packs all of them now, so that threads may ask for them; false where a layer has a weight that is not small.
  bool pack_layers();

 private:
  std::unordered_map<const void*, at::Tensor> panels_;
  int32_t panels_version_ = -1;
};
