// Attention of a block of query rows over the segments of the prefix trie that cover them, with the softmax kept online
// (Milakov and Gimelshein 2018; Dao 2022). One code serves training (keys in one array) and decoding (keys in pages): a
// shared prefix is a segment that covers many rows, so its keys are read once a block and the products are matrix products.
// Departures from flash attention: rows are (token, head of the group) pairs, key blocks end where segments end, and a vector
// holds neighbouring rows: scores lie as [keys, rows], and a row's maximum and sum need nothing across a vector. Where
// few rows of a cache read a segment, a vector holds neighbouring keys instead.
#pragma once
#include "cpu.h"
#include "simd.h"

namespace {

using icrl::AttentionArgs;
using icrl::AttentionSegment;
using icrl::kAttentionKeyBlock;

inline int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

template <typename T> constexpr T kMasked = T(-1e30);

// Keys [first, first + count) of a segment, as rows [r0, r1) see them at least in part.
template <typename T> struct KeyBlock {
  const T* keys;  // key j, dimension d at keys[j * key_stride + d * dim_stride]
  int64_t key_stride, dim_stride;
  const T* values;  // [count, head_dim]
  int32_t count, first, r0, r1;
  int64_t key;       // training: index of the first
  int32_t position;  // of the first
  bool whole;        // every row sees every key
};

// A block never crosses a page.
template <typename T>
inline KeyBlock<T> key_block(const AttentionArgs<T>& a, const AttentionSegment& s, int32_t kv_head, int32_t first) {
  const int64_t dim = a.head_dim;
  KeyBlock<T> b{};
  b.first = first;
  b.position = s.start_position + first;
  int32_t room = kAttentionKeyBlock;
  if (a.pages) {
    const int32_t offset = first % a.page_tokens, left = a.page_tokens - offset;
    const int64_t page = (int64_t(a.pages[s.first_key + first / a.page_tokens]) * a.kv_heads + kv_head) * dim * a.page_tokens;
    b.keys = a.keys + page + offset, b.key_stride = 1, b.dim_stride = a.page_tokens;
    b.values = a.values + page + offset * dim;
    room = left < room ? left : room;
  } else {
    b.key = s.first_key + first;
    const int64_t at = (int64_t(kv_head) * a.num_rows + b.key) * dim;
    b.keys = a.keys + at, b.key_stride = dim, b.dim_stride = 1;
    b.values = a.values + at;
  }
  b.count = s.num_keys - first < room ? s.num_keys - first : room;
  return b;
}

// How many keys of the segment a row at this position sees.
inline int32_t visible_keys(const AttentionSegment& s, int32_t position) {
  const int32_t seen = position - s.start_position + 1;
  return seen < 0 ? 0 : (seen < s.num_keys ? seen : s.num_keys);
}

// The first keys and values of a segment of a cache: a sequence's own page is in no near cache and too short for the
// processor to notice that it is being read.
template <typename T> inline void prefetch(const AttentionArgs<T>& a, const AttentionSegment& s, int32_t kv_head) {
  const KeyBlock<T> b = key_block(a, s, kv_head, 0);
  constexpr int64_t line = 64 / sizeof(T);
  for (int64_t d = 0; d < a.head_dim; d++)
    for (int64_t j = 0; j < b.count; j += line) __builtin_prefetch(b.keys + d * b.dim_stride + j);
  for (int64_t i = 0; i < b.count * a.head_dim; i += line) __builtin_prefetch(b.values + i);
}

// Calls body(block) for every key block that some of the tokens [begin, end) see, where accept(segment's tokens among them).
template <typename T, typename A, typename F>
inline void for_key_blocks(const AttentionArgs<T>& a, int32_t kv_head, int32_t begin, int32_t end, A accept, F body) {
  for (int32_t i = 0; i < a.num_segments; i++) {
    const AttentionSegment& s = a.segments[i];
    if (s.first_row >= end) break;  // segments are in depth-first order
    if (s.end_row <= begin) continue;
    const int32_t r0 = s.first_row > begin ? s.first_row : begin, r1 = s.end_row < end ? s.end_row : end;
    if (!accept(r1 - r0)) continue;
    if (a.pages && i + 1 < a.num_segments && a.segments[i + 1].first_row < end) prefetch(a, a.segments[i + 1], kv_head);
    int32_t most = 0, least = s.num_keys;
    for (int32_t r = r0; r < r1; r++) {
      const int32_t n = visible_keys(s, a.positions[r]);
      most = n > most ? n : most;
      least = n < least ? n : least;
    }
    for (int32_t first = 0; first < most;) {
      KeyBlock<T> block = key_block(a, s, kv_head, first);
      first += block.count;
      block.r0 = r0, block.r1 = r1, block.whole = least >= first;
      body(block);
    }
  }
}

// The rows of a task, (token, head of the group) pairs of one kv head, padded to whole vectors.
struct TaskRows {
  int32_t begin, end;  // tokens
  int64_t group, count, width;
  template <typename T> TaskRows(const AttentionArgs<T>& a, int32_t b, int32_t e)
      : begin(b), end(e), group(a.heads / a.kv_heads), count((e - b) * group), width(padded(count)) {}
};

// Whole vectors of rows [first, end) around those of a key block.
struct Lanes {
  int64_t first, end;
  template <typename T> static Lanes of(const TaskRows& rows, const KeyBlock<T>& b) {
    const int64_t from = (b.r0 - rows.begin) * rows.group, to = (b.r1 - rows.begin) * rows.group;
    return {from / kLanes<T> * kLanes<T>, (to + kLanes<T> - 1) / kLanes<T> * kLanes<T>};
  }
  int64_t size() const { return end - first; }
};

// The group's heads of tokens [begin, end), `from` being the first's -> to[width, dim]; rows past the last are zeros.
template <typename T>
inline void gather_rows(const TaskRows& rows, const T* from, int64_t token_stride, int64_t dim, T scale, T* to) {
  const int64_t length = rows.group * dim;
  for (int32_t t = rows.begin; t < rows.end; t++, from += token_stride, to += length)
    for (int64_t i = 0; i < length; i++) to[i] = from[i] * scale;
  for (int64_t i = 0; i < (rows.width - rows.count) * dim; i++) to[i] = 0;
}
// Scores [keys, width] that a row may not see, and those of rows that are not the block's, become `value`.
template <typename T>
inline void mask_lanes(const AttentionArgs<T>& a, const TaskRows& rows, const KeyBlock<T>& b, Lanes lanes, T* scores, T value) {
  const int64_t from = (b.r0 - rows.begin) * rows.group, to = (b.r1 - rows.begin) * rows.group;
  if (b.whole && lanes.first == from && lanes.end == to) return;
  for (int64_t at = lanes.first; at < lanes.end; at += kLanes<T>) {
    Vec<T> seen{};
    T least = T(b.count);
    for (int i = 0; i < kLanes<T>; i++) {
      const bool own = at + i >= from && at + i < to;
      seen[i] = own ? T(a.positions[rows.begin + (at + i) / rows.group] - b.position + 1) : T(0);
      least = seen[i] < least ? seen[i] : least;
    }
    for (int32_t j = least > 0 ? static_cast<int32_t>(least) : 0; j < b.count; j++) {
      T* p = scores + j * rows.width + at;
      const Vec<T> s = load(p);
      store(p, Vec<T>(splat(T(j)) < seen ? s : splat(value)));
    }
  }
}

// The unfinished softmax of a task's rows.
template <typename T> struct OnlineSoftmax {
  T *out, *top, *sum;  // [dim, width] or [width, dim], [width], [width]
};

// scores[count, width] of one vector of rows become exp(score - top).
template <typename T> inline void online_softmax(const OnlineSoftmax<T>& state, int64_t dim, int64_t width, int64_t at, T* scores, int32_t count) {
  const Vec<T> before = load(state.top + at);
  Vec<T> top = before;
  for (int32_t j = 0; j < count; j++) {
    const Vec<T> s = load(scores + j * width + at);
    top = s > top ? s : top;
  }
  const Vec<T> shrink = exp_vector(Vec<T>(before - top));
  Vec<T> sum = load(state.sum + at) * shrink;
  for (int64_t d = 0; d < dim; d++) store(state.out + d * width + at, Vec<T>(load(state.out + d * width + at) * shrink));
  for (int32_t j = 0; j < count; j++) {
    T* p = scores + j * width + at;
    const Vec<T> e = exp_vector(Vec<T>(load(p) - top));
    store(p, e);
    sum += e;
  }
  store(state.top + at, top);
  store(state.sum + at, sum);
}

// One key block for whole vectors of rows: q[dim, width] scaled.
template <typename T>
inline void attend_lanes(const AttentionArgs<T>& a, const TaskRows& rows, const KeyBlock<T>& b, const T* q, T* scores,
                         const OnlineSoftmax<T>& state) {
  const Lanes lanes = Lanes::of(rows, b);
  const int64_t dim = a.head_dim, width = rows.width, at = lanes.first;
  small_gemm<T>(b.count, lanes.size(), dim, b.keys, b.key_stride, b.dim_stride, q + at, width, scores + at, width, false);
  mask_lanes(a, rows, b, lanes, scores, kMasked<T>);
  for (int64_t i = at; i < lanes.end; i += kLanes<T>) online_softmax(state, dim, width, i, scores, b.count);
  small_gemm<T>(dim, lanes.size(), b.count, b.values, 1, dim, scores + at, width, state.out + at, width, true);
}

// One key block of a cache for few rows: q[width, dim], state.out[width, dim].
template <typename T>
inline void attend_few(const AttentionArgs<T>& a, const TaskRows& rows, const KeyBlock<T>& b, const T* q, T* scores,
                       const OnlineSoftmax<T>& state) {
  constexpr int64_t B = kAttentionKeyBlock;
  const int64_t dim = a.head_dim, base = (b.r0 - rows.begin) * rows.group, count = (b.r1 - b.r0) * rows.group;
  const int64_t n = padded(b.count);  // whole vectors; a page holds them
  small_gemm<T>(count, n, dim, q + base * dim, dim, 1, b.keys, b.dim_stride, scores, B, false);
  for (int64_t i = 0; i < count; i++) {
    T *row = scores + i * B, *top = state.top + base + i, *sum = state.sum + base + i, *out = state.out + (base + i) * dim;
    const int32_t seen = a.positions[b.r0 + i / rows.group] - b.position + 1;
    for (int64_t j = seen < 0 ? 0 : seen < b.count ? seen : b.count; j < n; j++) row[j] = kMasked<T>;
    const T block_top = max_row(row, n);
    if (block_top > *top) {
      const T shrink = std::exp(*top - block_top);
      *top = block_top;
      *sum *= shrink;
      for (int64_t d = 0; d < dim; d++) out[d] *= shrink;
    }
    *sum += exp_row(row, n, *top);
  }
  small_gemm<T>(count, dim, b.count, scores, B, 1, b.values, dim, state.out + base * dim, dim, true);
}

// At most so many rows read a cache's keys as they lie, a vector holding neighbouring keys.
constexpr int64_t kFewQueries = 8;

template <typename T> int64_t attention_scratch(int32_t group, int32_t head_dim, int32_t tokens) {
  return padded(int64_t(group) * tokens) * (5 * padded(head_dim) + 2 * kAttentionKeyBlock + 4);
}

template <typename T>
void attention(const AttentionArgs<T>& a, int32_t kv_head, int32_t begin, int32_t end, T* scratch) {
  const TaskRows rows(a, begin, end);
  const int64_t dim = a.head_dim, width = rows.width, size = width * dim, first_head = kv_head * rows.group;
  T *q = scratch, *q_lanes = q + size, *out = q_lanes + size, *out_lanes = out + size, *scores = out_lanes + size;
  T *top = scores + width * kAttentionKeyBlock, *sum = top + width;
  gather_rows(rows, a.q + begin * a.q_stride + first_head * dim, a.q_stride, dim, a.scale, q);
  transpose(q, dim, q_lanes, width, width, dim);
  for (int64_t i = 0; i < size; i++) out_lanes[i] = 0;
  for (int64_t i = 0; i < width; i++) { top[i] = kMasked<T>; sum[i] = 0; }
  const auto few = [&](int32_t tokens) { return a.pages && tokens * rows.group <= kFewQueries; };
  for_key_blocks(a, kv_head, begin, end, [&](int32_t tokens) { return !few(tokens); },
                 [&](const KeyBlock<T>& b) { attend_lanes(a, rows, b, q_lanes, scores, {out_lanes, top, sum}); });
  transpose(out_lanes, width, out, dim, dim, width);
  for_key_blocks(a, kv_head, begin, end, few,
                 [&](const KeyBlock<T>& b) { attend_few(a, rows, b, q, scores, {out, top, sum}); });
  for (int64_t i = 0; i < rows.count; i++) {
    const int64_t head = (begin + i / rows.group) * int64_t(a.heads) + first_head + i % rows.group;
    const T inverse = T(1) / sum[i];
    for (int64_t d = 0; d < dim; d++) a.out[head * dim + d] = out[i * dim + d] * inverse;
    if (a.lse) a.lse[head] = top[i] + std::log(sum[i]);
  }
}

}  // namespace
