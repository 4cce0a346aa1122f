// Attention of a block of query rows over the segments of the prefix trie that cover them, with the softmax kept online
// (Milakov and Gimelshein 2018; Dao 2022). One code serves training (keys in one array) and decoding (keys in pages): a
// shared prefix is a segment that covers many rows, so its keys are read once a block and the products are matrix products.
// Departures from flash attention: rows are (token, head of the group) pairs, and key blocks end where segments end.
#pragma once
#include "cpu.h"
#include "simd.h"

namespace {

using icrl::AttentionArgs;
using icrl::AttentionGradArgs;
using icrl::AttentionSegment;
using icrl::kAttentionKeyBlock;

template <typename T> struct KeyBlock {
  const T* keys_t;  // [head_dim, ld]
  int64_t ld;
  const T* values;  // [tokens, v_stride]
  int64_t v_stride;
  int32_t count;
};

// Keys [first, ...) of a segment up to the end of the block; a block never crosses a page.
template <typename T>
inline KeyBlock<T> key_block(const AttentionArgs<T>& a, const AttentionSegment& s, int32_t kv_head, int32_t first) {
  const int64_t dim = a.head_dim;
  const int32_t left = s.num_keys - first;
  if (!a.pages) {
    const int64_t key = s.first_key + first;
    return {a.keys_t + kv_head * dim * a.keys_ld + key, a.keys_ld, a.values + key * a.v_stride + kv_head * dim, a.v_stride,
            left < kAttentionKeyBlock ? left : kAttentionKeyBlock};
  }
  const int32_t offset = first % a.page_tokens, room = a.page_tokens - offset;
  const int64_t page = (int64_t(a.pages[s.first_key + first / a.page_tokens]) * a.kv_heads + kv_head) * dim * a.page_tokens;
  const int32_t block = room < kAttentionKeyBlock ? room : kAttentionKeyBlock;
  return {a.keys_t + page + offset, a.page_tokens, a.values + page + offset * dim, dim, left < block ? left : block};
}

// How many keys of the segment a row at this position sees.
inline int32_t visible_keys(const AttentionSegment& s, int32_t position) {
  const int32_t seen = position - s.start_position + 1;
  return seen < 0 ? 0 : (seen < s.num_keys ? seen : s.num_keys);
}

inline int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

// rows = (token, g): q[rows, dim] scaled.
template <typename T>
inline void pack_queries(const AttentionArgs<T>& a, int32_t kv_head, int32_t begin, int32_t end, T* q) {
  const int64_t group = a.heads / a.kv_heads, width = group * a.head_dim;
  for (int32_t t = begin; t < end; t++, q += width) {
    const T* from = a.q + t * a.q_stride + kv_head * width;
    for (int64_t i = 0; i < width; i++) q[i] = from[i] * a.scale;
  }
}

// Calls body(first row, end row, block) for every key block that rows [begin, end) see at least in part.
template <typename T, typename F>
inline void for_key_blocks(const AttentionArgs<T>& a, int32_t kv_head, int32_t begin, int32_t end, F body) {
  for (int32_t i = 0; i < a.num_segments; i++) {
    const AttentionSegment& s = a.segments[i];
    if (s.first_row >= end) break;  // segments are in depth-first order
    if (s.end_row <= begin) continue;
    const int32_t r0 = s.first_row > begin ? s.first_row : begin, r1 = s.end_row < end ? s.end_row : end;
    int32_t most = 0;
    for (int32_t r = r0; r < r1; r++) {
      const int32_t n = visible_keys(s, a.positions[r]);
      most = n > most ? n : most;
    }
    for (int32_t first = 0; first < most;) {
      const KeyBlock<T> block = key_block(a, s, kv_head, first);
      body(s, r0, r1, first, block);
      first += block.count;
    }
  }
}

// Sets the scores that a row may not see; returns nothing masked as false.
template <typename T>
inline void mask_scores(const AttentionArgs<T>& a, const AttentionSegment& s, int32_t r0, int32_t r1, int32_t first,
                        int32_t count, int64_t group, T* scores, T value) {
  for (int32_t r = r0; r < r1; r++) {
    const int32_t seen = visible_keys(s, a.positions[r]) - first;
    if (seen >= count) continue;
    for (int64_t g = 0; g < group; g++) {
      T* row = scores + ((r - r0) * group + g) * kAttentionKeyBlock;
      for (int32_t j = seen > 0 ? seen : 0; j < count; j++) row[j] = value;
    }
  }
}

template <typename T> constexpr T kMasked = T(-1e30);

template <typename T> int64_t attention_scratch(int32_t group, int32_t head_dim, int32_t tokens) {
  const int64_t rows = int64_t(group) * tokens;
  return rows * (4 * padded(head_dim) + 2 * kAttentionKeyBlock + 4);
}

template <typename T>
void attention(const AttentionArgs<T>& a, int32_t kv_head, int32_t begin, int32_t end, T* scratch) {
  const int64_t group = a.heads / a.kv_heads, dim = a.head_dim, rows = (end - begin) * group;
  T* q = scratch;
  T* scores = q + rows * dim;
  T* out = scores + rows * kAttentionKeyBlock;
  T* top = out + rows * dim;
  T* sum = top + rows;
  pack_queries(a, kv_head, begin, end, q);
  for (int64_t i = 0; i < rows * dim; i++) out[i] = 0;
  for (int64_t i = 0; i < rows; i++) { top[i] = kMasked<T>; sum[i] = 0; }
  for_key_blocks(a, kv_head, begin, end,
                 [&](const AttentionSegment& s, int32_t r0, int32_t r1, int32_t first, const KeyBlock<T>& block) {
    const int64_t base = (r0 - begin) * group, count = (r1 - r0) * group;
    small_gemm<T>(count, padded(block.count), dim, q + base * dim, dim, 1, block.keys_t, block.ld, scores,
                  kAttentionKeyBlock, false);
    mask_scores(a, s, r0, r1, first, block.count, group, scores, kMasked<T>);
    for (int64_t i = 0; i < count; i++) {
      T* row = scores + i * kAttentionKeyBlock;
      const T block_top = max_row(row, block.count);
      if (block_top > top[base + i]) {
        const T shrink = std::exp(top[base + i] - block_top);
        top[base + i] = block_top;
        sum[base + i] *= shrink;
        T* o = out + (base + i) * dim;
        for (int64_t d = 0; d < dim; d++) o[d] *= shrink;
      }
      sum[base + i] += exp_row(row, block.count, top[base + i]);
    }
    small_gemm<T>(count, dim, block.count, scores, kAttentionKeyBlock, 1, block.values, block.v_stride, out + base * dim, dim,
                  true);
  });
  for (int32_t t = begin; t < end; t++)
    for (int64_t g = 0; g < group; g++) {
      const int64_t i = (t - begin) * group + g, head = kv_head * group + g;
      const T inverse = T(1) / sum[i];
      T* to = a.out + (int64_t(t) * a.heads + head) * dim;
      for (int64_t d = 0; d < dim; d++) to[d] = out[i * dim + d] * inverse;
      if (a.lse) a.lse[int64_t(t) * a.heads + head] = top[i] + std::log(sum[i]);
    }
}

// With P = softmax(S) and O = P V:  dV = P^T dO,  dS = P * (dO V^T - rowsum(dO * O)),  dQ = dS K,  dK = dS^T Q.
template <typename T>
void attention_backward(const AttentionGradArgs<T>& grad, int32_t kv_head, int32_t begin, int32_t end, T* d_k, T* d_v,
                        T* scratch) {
  const AttentionArgs<T>& a = grad.forward;
  const int64_t group = a.heads / a.kv_heads, dim = a.head_dim, rows = (end - begin) * group;
  constexpr int64_t B = kAttentionKeyBlock;
  T* q = scratch;
  T* d_out = q + rows * dim;
  T* d_q = d_out + rows * dim;
  T* p = d_q + rows * dim;
  T* d_s = p + rows * B;
  T* lse = d_s + rows * B;
  T* delta = lse + rows;
  pack_queries(a, kv_head, begin, end, q);
  for (int32_t t = begin; t < end; t++)
    for (int64_t g = 0; g < group; g++) {
      const int64_t i = (t - begin) * group + g, head = int64_t(t) * a.heads + kv_head * group + g;
      const T* d = grad.d_out + head * dim;
      const T* o = a.out + head * dim;
      T s = 0;
      for (int64_t k = 0; k < dim; k++) {
        d_out[i * dim + k] = d[k];
        d_q[i * dim + k] = 0;
        s += d[k] * o[k];
      }
      delta[i] = s;
      lse[i] = a.lse[head];
    }
  for_key_blocks(a, kv_head, begin, end,
                 [&](const AttentionSegment& s, int32_t r0, int32_t r1, int32_t first, const KeyBlock<T>& block) {
    const int64_t base = (r0 - begin) * group, count = (r1 - r0) * group, n = block.count, key = s.first_key + first;
    small_gemm<T>(count, padded(n), dim, q + base * dim, dim, 1, block.keys_t, block.ld, p, B, false);
    small_gemm<T>(count, padded(n), dim, d_out + base * dim, dim, 1,
                  grad.values_t + kv_head * dim * a.keys_ld + key, a.keys_ld, d_s, B, false);
    for (int64_t i = 0; i < count; i++) exp_row(p + i * B, n, lse[base + i]);
    mask_scores(a, s, r0, r1, first, block.count, group, p, T(0));
    for (int64_t i = 0; i < count; i++) {
      const T shift = delta[base + i];
      T *ds = d_s + i * B, *pi = p + i * B;
#pragma omp simd
      for (int64_t j = 0; j < n; j++) ds[j] = pi[j] * (ds[j] - shift);
    }
    small_gemm<T>(count, dim, n, d_s, B, 1, grad.keys + key * grad.k_stride + kv_head * dim, grad.k_stride, d_q + base * dim,
                  dim, true);
    small_gemm<T>(n, dim, count, d_s, 1, B, q + base * dim, dim, d_k + key * dim, dim, true);
    small_gemm<T>(n, dim, count, p, 1, B, d_out + base * dim, dim, d_v + key * dim, dim, true);
  });
  for (int32_t t = begin; t < end; t++) {
    T* to = grad.d_q + t * grad.dq_stride + kv_head * group * dim;
    const T* from = d_q + (t - begin) * group * dim;
    for (int64_t i = 0; i < group * dim; i++) to[i] = from[i] * a.scale;
  }
}

}  // namespace
