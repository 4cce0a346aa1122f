// Attention in variable-length parts (attention-parts.h) as tensor operations of any device: the parts on the device, the call
// that computes one group of them, and the merge of what the groups give. This is what CUDA runs, with libtorch's flash
// attention for bf16 and f16; everything else takes batched products over padded blocks.
#pragma once
#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "attention-parts.h"

namespace icrl {

using at::Tensor;

// Integers of a call, gathered on the host and copied to the device at once: from pinned memory, without waiting, where the
// device is not the host.
class IntUpload {
 public:
  // *out is a view of the copy after copy_to. It must stay where it is until then.
  void add(const int32_t* data, int64_t n, Tensor* out);
  // As doubles. First of all, so that they lie aligned.
  void add(const std::vector<double>& data, Tensor* out);
  void add(const std::vector<int32_t>& data, Tensor* out) { add(data.data(), static_cast<int64_t>(data.size()), out); }
  void copy_to(at::Device device) { Tensor all; copy_to(device, &all); }
  // Into *all, which is made if it is undefined, and else has room for just as many.
  void copy_to(at::Device device, Tensor* all);

 private:
  struct View {
    int64_t first, count;
    at::ScalarType type;
    Tensor* out;
  };
  std::vector<int32_t> values_;
  std::vector<View> views_;
};

// A PartGroup on the device. All integers are int32.
struct DeviceGroup {
  bool causal, identity;
  int32_t fold, max_rows, max_keys;
  Tensor rows, row_starts, key_starts, key_counts;
  Tensor partials;  // [batch rows, P]; -1: none
  Tensor missing;   // [batch rows, P] bool
  Tensor packed_keys, packed_starts;                             // with PartsOptions::pack_keys
  std::vector<PaddedBlock> blocks;                               // with PartsOptions::max_scores
  Tensor piece_rows, piece_row_counts, piece_keys, piece_key_counts, locations;
};
struct AttentionParts {
  int64_t num_rows = 0;
  std::vector<DeviceGroup> groups;
};
struct PartsOptions {
  bool pack_keys = false;  // for the backward of the flash call
  int64_t max_scores = 0;  // of a padded block and a head; 0: no padded blocks
};
// What varlen_attention and its backward need.
PartsOptions parts_options(at::Device device, at::ScalarType dtype, int64_t heads, int64_t head_dim);
// The views are there after upload.copy_to; then finish_parts.
AttentionParts upload_parts(const std::vector<PartGroup>& groups, int64_t num_rows, const PartsOptions& options,
                            IntUpload& upload);
void finish_parts(AttentionParts& parts);

// q[R, H, D] packed (and folded) rows of a group, k and v [N, K, D] -> out[R, H, D], lse[R, H]. Both are of wide type, but for
// flash attention's out, which is rounded to q's.
std::pair<Tensor, Tensor> varlen_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DeviceGroup& group,
                                           double scale);
// out, lse: of the whole rows, so that each part's share of the softmax is exact. Returns d_q[R, H, D]; adds to sum_k and
// sum_v [N, K, D] of wide type.
Tensor varlen_attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out, const Tensor& lse,
                                 const Tensor& d_out, const DeviceGroup& group, double scale, const Tensor& sum_k,
                                 const Tensor& sum_v);

// What the forward of a policy computes its parts in, and the cache's keys and values lie in.
at::ScalarType parts_type(at::ScalarType policy);
// q[T, H, D], k and v [N, K, D] -> out[T, H, D], lse[T, H]. A row without parts gives numbers without meaning. Only a backward
// reads lse; without wants_lse it may be undefined.
std::pair<Tensor, Tensor> parts_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParts& parts,
                                          double scale, bool wants_lse = true);
// d_q, d_k, d_v are written. Groups are not folded.
void parts_attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParts& parts, double scale,
                              const Tensor& out, const Tensor& lse, const Tensor& d_out, const Tensor& d_q, const Tensor& d_k,
                              const Tensor& d_v);

}  // namespace icrl
