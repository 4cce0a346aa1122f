// The decoder over new tokens whose keys and values go into the cache.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "../../kernels/cuda.h"
#include "cache.h"
#include "head.h"

namespace icrl {
namespace {

// What every layer of a step shares.
struct StepBuffers {
  Tensor slots;      // [T] int64, with attention in parts
  Tensor attention;  // [T, H, D], with the fused attention
  Tensor activated;  // [T, F]
  Tensor rstd;       // [T, H] with head norm

  StepBuffers(const icrl_policy& p, const CacheBatch& b, const Tensor& x) {
    const int64_t rows = x.size(0);
    if (p.in_parts) slots = b.slots.to(at::kLong);
    else attention = at::empty({rows, p.config.heads, p.config.head_dim}, p.options());
    activated = at::empty({rows, p.config.ffn}, p.options());
    if (p.config.qk_norm) rstd = at::empty({rows, p.config.heads}, p.options().dtype(p.wide()));
  }
  Tensor rstd_of(int64_t heads) const { return rstd.defined() ? rstd.narrow(1, 0, heads) : Tensor(); }
};

// Normalises and rotates the new queries (in place) and keys, and writes the keys and values to the cache. h: the views of qkv.
void rotate_and_write(icrl_cache& cache, size_t layer, const Tensor& qkv, const QkvViews& h, const Tensor& table,
                      const CacheBatch& b, const StepBuffers& buffers) {
  const icrl_policy& p = *cache.policy;
  const LayerWeights& w = p.weights.layers[layer];
  const double eps = p.config.rms_eps;
  if (p.in_parts && cuda::uses(qkv, cuda::Kernel::rope)) {
    const SlottedKeys& slotted = cache.slotted[layer];
    cuda::rope_cache(qkv, p.config.heads, w.q_norm, w.k_norm, eps, table, b.positions, b.slots, slotted.keys, slotted.values);
    return;
  }
  if (w.q_norm.defined()) {
    rope(h.q, h.q, w.q_norm, eps, buffers.rstd_of(p.config.heads), table, b.positions);
    rope(h.k, h.k, w.k_norm, eps, buffers.rstd_of(p.config.kv_heads), table, b.positions);
  } else {
    rope(h.qk, h.qk, {}, eps, {}, table, b.positions);
  }
  if (p.in_parts) slotted_write(cache.slotted[layer], h.k, h.v, buffers.slots);
  else cache_write(cache.paged[layer], h.k, h.v, b.slots);
}

// [T, H D] of what the new tokens read.
Tensor attend(icrl_cache& cache, size_t layer, const Tensor& q, const CacheBatch& b, const StepBuffers& buffers) {
  const icrl_policy& p = *cache.policy;
  const double scale = 1 / std::sqrt(double(p.config.head_dim));
  const int64_t rows = q.size(0);
  if (p.in_parts) {
    const SlottedKeys& keys = cache.slotted[layer];
    return parts_attention(q, keys.keys, keys.values, b.parts, scale, /*wants_lse=*/false).first.view({rows, p.q_width()});
  }
  cache_attention(q, cache.paged[layer], b.positions, b.segments, b.pages, scale, buffers.attention);
  return buffers.attention.view({rows, p.q_width()});
}

Tensor forward(icrl_cache& cache, const CacheBatch& b) {
  icrl_policy& p = *cache.policy;
  const double eps = p.config.rms_eps;
  const Tensor& table = p.rope(b.max_position + 1);
  Tensor x = p.weights.embedding.index_select(0, b.tokens).to(p.wide());
  const StepBuffers buffers(p, b, x);
  for (size_t i = 0; i < p.weights.layers.size(); i++) {
    const LayerWeights& w = p.weights.layers[i];
    const Tensor qkv = project(p, norm(x, w.input_norm, eps, nullptr), w.qkv, w.qkv_bias);
    const QkvViews h = split_heads(p, qkv);
    rotate_and_write(cache, i, qkv, h, table, b, buffers);
    const Tensor attended = attend(cache, i, h.q, b, buffers);
    const Tensor normed = add_and_norm(p, x, attended, w.o, w.post_norm, x, nullptr);
    swiglu(project(p, normed, w.gate_up), buffers.activated);
    linear(buffers.activated, w.down, p.packed(w.down), x, true);
  }
  return x;
}

// Where the rows may be cut so that no row reads a key which a row of another share writes. A node's own new tokens come first
// among its rows, so a segment is being written when its first row lies in it.
std::vector<int64_t> cut_rows(const CacheBatch& b, int64_t shares) {
  const int64_t rows = b.tokens.size(0);
  const int32_t* position = b.positions.const_data_ptr<int32_t>();
  std::vector<int64_t> cuts{0};
  for (int64_t i = 1; i < shares; i++) {
    int64_t cut = rows * i / shares;
    for (const AttentionSegment& s : b.segments) {
      const bool written = position[s.first_row] < s.start_position + s.num_keys;
      if (written && s.first_row < cut && cut < s.end_row) cut = s.end_row;
    }
    if (cut > cuts.back() && cut < rows) cuts.push_back(cut);
  }
  cuts.push_back(rows);
  return cuts;
}

CacheBatch slice(const CacheBatch& b, int64_t begin, int64_t end) {
  const auto cut = [&](const Tensor& t) { return t.narrow(0, begin, end - begin); };
  CacheBatch part{cut(b.tokens), cut(b.positions), cut(b.slots), b.pages, {}, {}, {}, {}, b.max_position};
  for (AttentionSegment s : b.segments) {
    if (s.end_row <= begin || s.first_row >= end) continue;
    s.first_row = static_cast<int32_t>(std::max<int64_t>(s.first_row, begin) - begin);
    s.end_row = static_cast<int32_t>(std::min<int64_t>(s.end_row, end) - begin);
    part.segments.push_back(s);
  }
  return part;
}

}  // namespace

// A small policy's rows go through all layers on a thread of their own: one fork a step instead of one an operation. A large
// one's weights would then be read once a thread.
Tensor cache_hidden(icrl_cache& cache, const CacheBatch& b) {
  icrl_policy& p = *cache.policy;
  const int64_t threads = at::get_num_threads();
  if (p.in_parts || threads == 1 || !p.pack_layers()) return forward(cache, b);
  const std::vector<int64_t> cuts = cut_rows(b, threads);
  const int64_t shares = static_cast<int64_t>(cuts.size()) - 1;
  if (shares == 1) return forward(cache, b);
  p.rope(b.max_position + 1);  // grown here, read there
  std::vector<Tensor> parts(shares);
  at::parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;  // guard's is its own thread's
    for (int64_t i = begin; i < end; i++) parts[i] = forward(cache, slice(b, cuts[i], cuts[i + 1]));
  });
  return at::cat(parts);
}

Tensor cache_logits(icrl_cache& cache, const CacheBatch& b) {
  icrl_policy& p = *cache.policy;
  const Tensor x = cache_hidden(cache, b).index_select(0, b.rows);
  return head_logits(p, x, nullptr, nullptr);
}

}  // namespace icrl
