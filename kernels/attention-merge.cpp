// Whole rows from groups of parts: out = sum_i exp(lse_i - lse) out_i with lse = log sum_i exp(lse_i), in float or double. The
// same weights make each part's backward exact when it is given the whole row's out and lse.
//
// The forward of a bf16 policy reads its queries, keys and values as f16, which has three bits more and holds theirs: flash
// attention rounds each part's result to its inputs' type, and the sampler's parts are not the trainer's (bench/LOG.md has
// figures). Beyond 65504 they would overflow. Gradients would vanish in f16, so the backward stays in bf16.
#include <ATen/ATen.h>

#include "attention-varlen.h"
#include "kernels.h"

namespace icrl {
namespace {

constexpr int64_t kMergedBytes = int64_t(256) << 20;  // of partial results that are gathered at once
constexpr double kNone = -1e30;

// [T, H, D] -> [R, H, D], or with fold [R fold, K, D]
Tensor gather(const Tensor& x, const DeviceGroup& g) {
  const Tensor rows = g.identity ? x : x.index_select(0, g.rows);
  if (g.fold == 1) return rows;
  const int64_t n = rows.size(0), heads = rows.size(1) / g.fold;
  return rows.view({n, heads, g.fold, -1}).transpose(1, 2).reshape({n * g.fold, heads, -1});
}
// [R fold, K, D] -> [R, K fold, D]
Tensor unfold(const Tensor& x, const DeviceGroup& g) {
  if (g.fold == 1) return x;
  const int64_t n = x.size(0) / g.fold, heads = x.size(1);
  return x.reshape({n, g.fold, heads, -1}).transpose(1, 2).reshape({n, heads * g.fold, -1});
}

// A group's partial results of batch rows [first, first + n): [R, ...] -> [n, P, ...]
Tensor partials_of(const Tensor& x, const DeviceGroup& g, int64_t first, int64_t n) {
  if (g.identity) return x.narrow(0, first, n).unsqueeze(1);
  const Tensor index = g.partials.narrow(0, first, n);
  std::vector<int64_t> shape{n, index.size(1)};
  shape.insert(shape.end(), x.sizes().begin() + 1, x.sizes().end());
  return x.index_select(0, index.flatten()).view(shape);
}

// sum_i weights_i x_i of each batch row over all groups, as `type`. xs: [R, H, D] a group; weights: [T, P, H] a group.
Tensor weighted_sum(const std::vector<Tensor>& xs, const std::vector<Tensor>& weights, const AttentionParts& parts,
                    at::ScalarType type) {
  const int64_t row_elements = xs[0].size(1) * xs[0].size(2);
  int64_t partials = 1;
  for (const Tensor& w : weights) partials += w.size(1);
  const int64_t step = std::max<int64_t>(1, kMergedBytes / (row_elements * partials * int64_t(weights[0].element_size())));
  const Tensor out = at::empty({parts.num_rows, xs[0].size(1), xs[0].size(2)}, xs[0].options().dtype(type));
  for (int64_t first = 0; first < parts.num_rows; first += step) {
    const int64_t n = std::min(step, parts.num_rows - first);
    Tensor sum;
    for (size_t i = 0; i < xs.size(); i++) {
      const Tensor weight = weights[i].narrow(0, first, n).unsqueeze(3);
      const Tensor part = (partials_of(xs[i], parts.groups[i], first, n) * weight).sum(1);
      sum = sum.defined() ? sum.add_(part) : part;
    }
    out.narrow(0, first, n).copy_(sum);
  }
  return out;
}

}  // namespace

at::ScalarType parts_type(at::ScalarType policy) { return policy == at::kBFloat16 ? at::kHalf : policy; }

void slotted_write(const SlottedKeys& cache, const Tensor& k, const Tensor& v, const Tensor& slots) {
  Tensor(cache.keys).index_copy_(0, slots, k.to(cache.keys.scalar_type()));
  Tensor(cache.values).index_copy_(0, slots, v.to(cache.values.scalar_type()));
}

std::pair<Tensor, Tensor> parts_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParts& parts,
                                          double scale, bool wants_lse) {
  const auto type = parts_type(q.scalar_type());
  const Tensor queries = q.to(type), keys = k.to(type), values = v.to(type);
  std::vector<Tensor> outs, sums;
  for (const DeviceGroup& g : parts.groups) {
    const auto [out, lse] = varlen_attention(gather(queries, g), keys, values, g, scale);
    outs.push_back(unfold(out, g));
    sums.push_back(unfold(lse.unsqueeze(2), g).squeeze(2));
  }
  if (parts.groups.size() == 1 && parts.groups[0].identity) return {outs[0].to(q.scalar_type()).contiguous(), sums[0].contiguous()};
  std::vector<Tensor> weights;
  for (size_t i = 0; i < sums.size(); i++) {
    const DeviceGroup& g = parts.groups[i];
    weights.push_back(partials_of(sums[i], g, 0, parts.num_rows).masked_fill(g.missing.unsqueeze(2), kNone));
  }
  const Tensor all = at::cat(weights, 1), lse = wants_lse || all.is_cpu() ? all.logsumexp({1}, /*keepdim=*/true) : Tensor();
  const Tensor shares = lse.defined() ? (all - lse).exp_() : all.softmax(1);  // a logsumexp takes nine launches
  int64_t first = 0;
  for (Tensor& w : weights) {
    const int64_t partials = w.size(1);
    w = shares.narrow(1, first, partials);
    first += partials;
  }
  return {weighted_sum(outs, weights, parts, q.scalar_type()), lse.defined() ? lse.squeeze(1) : lse};
}

void parts_attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParts& parts, double scale,
                              const Tensor& out, const Tensor& lse, const Tensor& d_out, const Tensor& d_q, const Tensor& d_k,
                              const Tensor& d_v) {
  const Tensor sum_k = at::zeros(k.sizes(), k.options().dtype(lse.scalar_type())), sum_v = at::zeros_like(sum_k);
  std::vector<Tensor> d_qs, weights;
  for (const DeviceGroup& g : parts.groups) {
    const Tensor group_lse = g.identity ? lse : lse.index_select(0, g.rows);
    d_qs.push_back(varlen_attention_backward(gather(q, g), k, v, gather(out, g), group_lse, gather(d_out, g), g, scale, sum_k,
                                             sum_v));
    weights.push_back(g.missing.logical_not().unsqueeze(2).to(lse.scalar_type()));
  }
  d_q.copy_(parts.groups.size() == 1 && parts.groups[0].identity ? d_qs[0] : weighted_sum(d_qs, weights, parts, d_q.scalar_type()));
  d_k.copy_(sum_k);
  d_v.copy_(sum_v);
}

}  // namespace icrl
