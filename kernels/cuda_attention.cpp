// The launcher of attention.cu: which of its kernels for this type, head size, alignment and number of queries.
#include <ATen/ATen.h>

#include <stdexcept>

#include "attention-varlen.h"
#include "cuda.h"

namespace icrl::cuda {
namespace {

// As attention.cu has it.
struct AttentionCall {
  const void *q, *k, *v;
  int64_t k_stride, v_stride;
  const void *row_starts, *key_starts, *key_counts;
  void *out, *lse;
  float scale;
  int num_parts, heads, kv_heads, dim, causal, fold;
};

// Heads side by side, rows at any distance.
Tensor with_dense_heads(const Tensor& x) {
  return x.stride(2) == 1 && x.stride(1) == x.size(2) ? x : x.contiguous();
}
// Rows that copies of 16 bytes may read.
bool in_vectors(const Tensor& x) {
  return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0 && x.stride(0) * x.element_size() % 16 == 0;
}

}  // namespace

std::pair<Tensor, Tensor> varlen_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DeviceGroup& group,
                                           double scale) {
  if (q.scalar_type() != at::kFloat && q.scalar_type() != at::kHalf)
    throw std::invalid_argument("the CUDA kernel attention is for float and f16");
  const Tensor queries = q.contiguous(), keys = with_dense_heads(k), values = with_dense_heads(v);
  const int64_t heads = q.size(1), kv_heads = k.size(1), dim = q.size(2), num_parts = group.key_counts.size(0);
  const int64_t of_a_key_head = int64_t(group.max_rows) * (heads / kv_heads);
  const auto options = q.options().dtype(at::kFloat);
  const Tensor out = at::empty(q.sizes(), options), lse = at::empty({q.size(0), heads}, options);
  if (q.size(0) == 0 || num_parts == 0) return {out, lse};
  const bool on_cores = q.scalar_type() == at::kHalf && attends_on_cores(dim) && in_vectors(queries) && in_vectors(keys) &&
                        in_vectors(values);
  const Geometry g = on_cores ? core_attention_geometry(of_a_key_head, kv_heads, num_parts, dim)
                              : plain_attention_geometry(of_a_key_head, kv_heads, num_parts, dim);
  const std::string function = on_cores ? "attention_half_" + std::to_string(dim) + (shares_keys(of_a_key_head) ? "_rows" : "_tiles")
                                        : q.scalar_type() == at::kHalf ? "attention_half" : "attention_float";
  const AttentionCall call{queries.const_data_ptr(), keys.const_data_ptr(), values.const_data_ptr(), keys.stride(0),
                           values.stride(0), group.row_starts.const_data_ptr(), group.key_starts.const_data_ptr(),
                           group.key_counts.const_data_ptr(), out.data_ptr(), lse.data_ptr(), float(scale), int(num_parts),
                           int(heads), int(kv_heads), int(dim), group.causal ? 1 : 0, group.fold};
  launch(q, Kernel::attention, function, g, call);
  return {out, lse};
}

}  // namespace icrl::cuda
