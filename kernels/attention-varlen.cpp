// One group of parts in one call. The flash calls were never run: they need a CUDA device. Their signatures compile against
// libtorch 2.11, 2.13 and 2.14, and what goes in and comes out is what the padded blocks take and give, which tests run.
#include "attention-varlen.h"

#include <ATen/ATen.h>

#include <cstring>

#include "cuda.h"

namespace icrl {

void IntUpload::add(const int32_t* data, int64_t n, Tensor* out) {
  views_.push_back({static_cast<int64_t>(values_.size()), n, at::kInt, out});
  values_.insert(values_.end(), data, data + n);
}

void IntUpload::add(const std::vector<double>& data, Tensor* out) {
  add(reinterpret_cast<const int32_t*>(data.data()), 2 * static_cast<int64_t>(data.size()), out);
  views_.back().type = at::kDouble;
}

void IntUpload::copy_to(at::Device device, Tensor* all) {
  const auto size = static_cast<int64_t>(values_.size());
  if (!all->defined()) *all = at::empty({size}, at::TensorOptions().dtype(at::kInt).device(device));
  TORCH_CHECK(all->size(0) == size, "a step's integers are not as many as before");
  const bool pinned = !device.is_cpu();
  const Tensor host = pinned ? at::empty({size}, at::TensorOptions().dtype(at::kInt).pinned_memory(true)) : *all;
  if (size > 0) std::memcpy(host.data_ptr<int32_t>(), values_.data(), size * sizeof(int32_t));
  if (pinned) all->copy_(host, /*non_blocking=*/true);
  for (const View& v : views_) *v.out = all->narrow(0, v.first, v.count).view(v.type);
  values_.clear();
  views_.clear();
}

// Heads narrower than 64 belong to policies so small that launches are their cost; the blocks' fp32 keeps their sampler closer
// to their trainer.
static bool takes_flash(at::Device device, at::ScalarType dtype, int64_t head_dim) {
  const bool narrow = dtype == at::kBFloat16 || dtype == at::kHalf;
  return device.is_cuda() && narrow && head_dim % 8 == 0 && head_dim >= 64 && head_dim <= 256;
}

constexpr int64_t kBlockScores = int64_t(1) << 25;  // of all heads of a padded block; several arrays of that size exist at once

PartsOptions parts_options(at::Device device, at::ScalarType dtype, int64_t heads, int64_t head_dim) {
  if (takes_flash(device, dtype, head_dim)) return {/*pack_keys=*/true, 0};
  return {false, std::max<int64_t>(1, kBlockScores / heads)};
}

AttentionParts upload_parts(const std::vector<PartGroup>& groups, int64_t num_rows, const PartsOptions& options,
                            IntUpload& upload) {
  AttentionParts parts{num_rows, std::vector<DeviceGroup>(groups.size())};
  for (size_t i = 0; i < groups.size(); i++) {
    const PartGroup& from = groups[i];
    DeviceGroup& to = parts.groups[i];
    to.causal = from.causal, to.identity = from.identity, to.fold = from.fold;
    to.max_rows = from.max_rows, to.max_keys = from.max_keys;
    upload.add(from.rows, &to.rows);
    upload.add(from.row_starts, &to.row_starts);
    upload.add(from.key_starts, &to.key_starts);
    upload.add(from.key_counts, &to.key_counts);
    upload.add(from.partials, &to.partials);
    if (options.pack_keys && !from.identity) {
      const PackedKeys packed = pack_keys(from);
      upload.add(packed.keys, &to.packed_keys);
      upload.add(packed.starts, &to.packed_starts);
    }
    if (options.max_scores == 0) continue;
    const PaddedGroup padded = pad_group(from, options.max_scores);
    to.blocks = padded.blocks;
    upload.add(padded.row_starts, &to.piece_rows);
    upload.add(padded.row_counts, &to.piece_row_counts);
    upload.add(padded.key_starts, &to.piece_keys);
    upload.add(padded.key_counts, &to.piece_key_counts);
    upload.add(padded.locations, &to.locations);
  }
  return parts;
}

void finish_parts(AttentionParts& parts) {
  for (DeviceGroup& g : parts.groups) {
    g.partials = g.partials.view({parts.num_rows, -1});
    g.missing = g.partials < 0;
    g.partials = g.partials.clamp_min(0);
  }
}

namespace {

at::ScalarType wide_of(const Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }
bool takes_flash(const Tensor& q) { return icrl::takes_flash(q.device(), q.scalar_type(), q.size(2)); }

// ---- flash ----------------------------------------------------------------------------------------------------------

// The keys stay where they are: the starts stand for the cumulative lengths, and the true lengths go beside them.
std::pair<Tensor, Tensor> flash(const Tensor& q, const Tensor& k, const Tensor& v, const DeviceGroup& g, double scale) {
  const auto result = at::_flash_attention_forward(q, k, v, g.row_starts, g.key_starts, g.max_rows, g.max_keys,
                                                   /*dropout_p=*/0.0, g.causal, /*return_debug_mask=*/false,
                                                   std::optional<double>(scale), std::nullopt, std::nullopt, g.key_counts);
  const Tensor& lse = std::get<1>(result);
  TORCH_CHECK(lse.dim() == 2 && lse.size(0) == q.size(1), "this libtorch's flash attention lays its logsumexp out otherwise");
  return {std::get<0>(result), lse.transpose(0, 1)};
}

Tensor flash_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out, const Tensor& lse,
                      const Tensor& d_out, const DeviceGroup& g, double scale, const Tensor& sum_k, const Tensor& sum_v) {
  const Tensor keys = g.identity ? k : k.index_select(0, g.packed_keys), values = g.identity ? v : v.index_select(0, g.packed_keys);
  const Tensor no_dropout = at::empty({2}, q.options().dtype(at::kUInt64));
  const auto [d_q, d_keys, d_values] = at::_flash_attention_backward(
      d_out, q, keys, values, out, lse.transpose(0, 1).contiguous(), g.row_starts, g.identity ? g.row_starts : g.packed_starts,
      g.max_rows, g.max_keys, /*dropout_p=*/0.0, g.causal, no_dropout, no_dropout, std::optional<double>(scale));
  const auto add = [&](const Tensor& sum, const Tensor& d) {
    if (g.identity) sum.add_(d);
    else sum.index_add_(0, g.packed_keys, d.to(sum.scalar_type()));
  };
  add(sum_k, d_keys), add(sum_v, d_values);
  return d_q;
}

// ---- padded blocks --------------------------------------------------------------------------------------------------

constexpr double kHidden = -1e30;  // finite, so that a row which sees nothing gives no NaN

// B pieces of at most r rows and n keys; K key heads, G query heads each. Beyond a piece's own rows and keys the gathers
// repeat what lies there, and no score is visible.
struct Block {
  int64_t pieces, rows, keys, kv_heads, group, dim;
  Tensor row_index, key_index;  // [B r], [B n]
  Tensor visible;               // [B, 1, 1, r, n]

  Block(const PaddedBlock& b, const DeviceGroup& g, int64_t heads, const Tensor& k, int64_t num_rows)
      : pieces(b.end_piece - b.first_piece), rows(b.rows), keys(std::max(b.keys, 1)), kv_heads(k.size(1)),
        group(heads / k.size(1)), dim(k.size(2)) {
    const auto of = [&](const Tensor& t) { return t.narrow(0, b.first_piece, pieces).unsqueeze(1); };
    const auto options = g.piece_rows.options();
    const Tensor i = at::arange(rows, options), j = at::arange(keys, options);
    row_index = (of(g.piece_rows) + i).clamp_max(num_rows - 1).flatten();
    key_index = (of(g.piece_keys) + j).clamp_max(k.size(0) - 1).flatten();
    const Tensor num_keys = of(g.piece_key_counts).unsqueeze(1), num_rows_of = of(g.piece_row_counts).unsqueeze(1);
    visible = (i.unsqueeze(1) < num_rows_of).logical_and(j < num_keys);
    if (g.causal) visible = visible.logical_and(j - i.unsqueeze(1) <= num_keys - num_rows_of);
    visible = visible.unsqueeze(1).unsqueeze(1);
  }
  // x[R, H, *] -> [B, K, G, r, *]
  Tensor of_rows(const Tensor& x) const {
    const Tensor picked = x.index_select(0, row_index).view({pieces, rows, kv_heads, group, -1});
    return picked.permute({0, 2, 3, 1, 4}).to(wide_of(x));
  }
  // [B, K, G, r, *] -> [B, K, G r, *]
  Tensor joined(const Tensor& x) const { return x.reshape({pieces, kv_heads, group * rows, -1}); }
  Tensor split(const Tensor& x) const { return x.view({pieces, kv_heads, group, rows, -1}); }
  // [B, K, G, r, *] -> [B r, H, *]
  Tensor to_rows(const Tensor& x) const { return x.permute({0, 3, 1, 2, 4}).reshape({pieces * rows, kv_heads * group, -1}); }
  // [N, K, D] -> [B, K, n, D]
  Tensor of_keys(const Tensor& x) const {
    return x.index_select(0, key_index).view({pieces, keys, kv_heads, dim}).transpose(1, 2).to(wide_of(x));
  }
  // [B, K, n, D] -> added to sum[N, K, D]
  void add_keys(const Tensor& sum, const Tensor& x) const {
    sum.index_add_(0, key_index, x.transpose(1, 2).reshape({pieces * keys, kv_heads, dim}));
  }
  // [B, K, G, r, n]
  Tensor scores(const Tensor& q, const Tensor& k, double scale) const {
    return split(at::matmul(q, k.transpose(2, 3)).mul_(scale)).masked_fill_(visible.logical_not(), kHidden);
  }
};

std::pair<Tensor, Tensor> padded(const Tensor& q, const Tensor& k, const Tensor& v, const DeviceGroup& g, double scale) {
  std::vector<Tensor> outs, sums;
  for (const PaddedBlock& piece : g.blocks) {
    const Block b(piece, g, q.size(1), k, q.size(0));
    const Tensor scores = b.scores(b.joined(b.of_rows(q)), b.of_keys(k), scale), lse = scores.logsumexp({4}, /*keepdim=*/true);
    const Tensor p = b.joined((scores - lse).exp_());
    outs.push_back(b.to_rows(b.split(at::matmul(p, b.of_keys(v)))));
    sums.push_back(b.to_rows(lse));
  }
  return {at::cat(outs).index_select(0, g.locations), at::cat(sums).index_select(0, g.locations).squeeze(2)};
}

Tensor padded_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out, const Tensor& lse,
                       const Tensor& d_out, const DeviceGroup& g, double scale, const Tensor& sum_k, const Tensor& sum_v) {
  const auto wide = wide_of(q);
  const Tensor delta = (d_out.to(wide) * out.to(wide)).sum(2, /*keepdim=*/true);  // [R, H, 1]
  std::vector<Tensor> d_qs;
  for (const PaddedBlock& piece : g.blocks) {
    const Block b(piece, g, q.size(1), k, q.size(0));
    const Tensor query = b.joined(b.of_rows(q)), keys = b.of_keys(k), d = b.joined(b.of_rows(d_out));
    const Tensor p = b.scores(query, keys, scale).sub_(b.of_rows(lse.unsqueeze(2))).exp_();
    const Tensor d_p = b.split(at::matmul(d, b.of_keys(v).transpose(2, 3)));
    const Tensor d_s = b.joined(d_p.sub_(b.of_rows(delta)).mul_(p).mul_(scale));
    d_qs.push_back(b.to_rows(b.split(at::matmul(d_s, keys))));
    b.add_keys(sum_k, at::matmul(d_s.transpose(2, 3), query));
    b.add_keys(sum_v, at::matmul(b.joined(p).transpose(2, 3), d));
  }
  return at::cat(d_qs).index_select(0, g.locations);
}

}  // namespace

std::pair<Tensor, Tensor> varlen_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DeviceGroup& group,
                                           double scale) {
  const bool ours_is_slow = takes_flash(q) && !cuda::attends_on_cores(q.size(2));
  if (!ours_is_slow && cuda::uses(q, cuda::Kernel::attention)) return cuda::varlen_attention(q, k, v, group, scale);
  return takes_flash(q) ? flash(q, k, v, group, scale) : padded(q, k, v, group, scale);
}

Tensor varlen_attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out, const Tensor& lse,
                                 const Tensor& d_out, const DeviceGroup& group, double scale, const Tensor& sum_k,
                                 const Tensor& sum_v) {
  return takes_flash(q) ? flash_backward(q, k, v, out, lse, d_out, group, scale, sum_k, sum_v)
                        : padded_backward(q, k, v, out, lse, d_out, group, scale, sum_k, sum_v);
}

}  // namespace icrl
