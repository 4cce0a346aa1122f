// The backward of attention.simd.h, for training. Scores are computed again; probabilities and their gradients lie as
// [keys, rows]. With P = softmax(S) and O = P V:
//   dV = P^T dO,  dS = P * (dO V^T - rowsum(dO * O)),  dQ = dS K,  dK = dS^T Q.
#pragma once
#include "attention.simd.h"

namespace {

using icrl::AttentionGradArgs;

// A task's rows in both orders, what the softmax left, and where gradients are summed.
template <typename T> struct GradRows {
  T *q, *q_lanes, *d_out, *d_out_lanes;  // [width, dim], [dim, width]
  T *d_q;                                // [dim, width]
  T *lse, *delta;                        // [width]
  T *p, *d_s;                            // [key block, width]

  GradRows(T* scratch, int64_t width, int64_t dim) {
    const int64_t size = width * dim;
    q = scratch, q_lanes = q + size, d_out = q_lanes + size, d_out_lanes = d_out + size, d_q = d_out_lanes + size;
    lse = d_q + size, delta = lse + width;
    p = delta + width, d_s = p + width * kAttentionKeyBlock;
  }
};

template <typename T>
inline void pack_gradients(const AttentionGradArgs<T>& grad, const TaskRows& rows, int32_t kv_head, const GradRows<T>& r) {
  const AttentionArgs<T>& a = grad.forward;
  const int64_t dim = a.head_dim, first_head = kv_head * rows.group, stride = int64_t(a.heads) * dim;
  gather_rows(rows, a.q + rows.begin * a.q_stride + first_head * dim, a.q_stride, dim, a.scale, r.q);
  gather_rows(rows, grad.d_out + rows.begin * stride + first_head * dim, stride, dim, T(1), r.d_out);
  transpose(r.q, dim, r.q_lanes, rows.width, rows.width, dim);
  transpose(r.d_out, dim, r.d_out_lanes, rows.width, rows.width, dim);
  for (int64_t i = 0; i < rows.count; i++) {
    const int64_t head = (rows.begin + i / rows.group) * a.heads + first_head + i % rows.group;
    r.delta[i] = dot(r.d_out + i * dim, a.out + head * dim, dim);
    r.lse[i] = a.lse[head];
  }
  for (int64_t i = rows.count; i < rows.width; i++) r.delta[i] = r.lse[i] = 0;
  for (int64_t i = 0; i < rows.width * dim; i++) r.d_q[i] = 0;
}

// p: scores -> probabilities; d_s: gradient of the probabilities -> of the scores. One vector of rows.
template <typename T> inline void softmax_backward(const GradRows<T>& r, int64_t width, int64_t at, int32_t count) {
  const Vec<T> lse = load(r.lse + at), delta = load(r.delta + at);
  for (int32_t j = 0; j < count; j++) {
    T *p = r.p + j * width + at, *d_s = r.d_s + j * width + at;
    const Vec<T> e = exp_vector(Vec<T>(load(p) - lse));
    store(p, e);
    store(d_s, Vec<T>(e * (load(d_s) - delta)));
  }
}

// lanes[dim, width] * scale -> the group's heads of each token, `to` being the first's. buffer: [width, dim].
template <typename T>
inline void scatter_lanes(const TaskRows& rows, const T* lanes, int64_t dim, T scale, T* buffer, T* to, int64_t token_stride) {
  const int64_t length = rows.group * dim;
  transpose(lanes, rows.width, buffer, dim, dim, rows.width);
  for (int32_t t = rows.begin; t < rows.end; t++, to += token_stride, buffer += length)
    for (int64_t i = 0; i < length; i++) to[i] = buffer[i] * scale;
}

template <typename T>
void attention_backward(const AttentionGradArgs<T>& grad, int32_t kv_head, int32_t begin, int32_t end, T* d_k, T* d_v,
                        T* scratch) {
  const AttentionArgs<T>& a = grad.forward;
  const TaskRows rows(a, begin, end);
  const int64_t dim = a.head_dim, width = rows.width;
  const GradRows<T> r(scratch, width, dim);
  pack_gradients(grad, rows, kv_head, r);
  for_key_blocks(a, kv_head, begin, end, [](int32_t) { return true; }, [&](const KeyBlock<T>& b) {
    const Lanes lanes = Lanes::of(rows, b);
    const int64_t at = lanes.first, n = lanes.size(), first = (b.r0 - begin) * rows.group, count = (b.r1 - b.r0) * rows.group;
    small_gemm<T>(b.count, n, dim, b.keys, b.key_stride, b.dim_stride, r.q_lanes + at, width, r.p + at, width, false);
    small_gemm<T>(b.count, n, dim, b.values, dim, 1, r.d_out_lanes + at, width, r.d_s + at, width, false);
    mask_lanes(a, rows, b, lanes, r.p, kMasked<T>);
    for (int64_t i = at; i < lanes.end; i += kLanes<T>) softmax_backward(r, width, i, b.count);
    small_gemm<T>(dim, n, b.count, b.keys, b.dim_stride, b.key_stride, r.d_s + at, width, r.d_q + at, width, true);
    small_gemm<T>(b.count, dim, count, r.d_s + first, width, 1, r.q + first * dim, dim, d_k + b.key * dim, dim, true);
    small_gemm<T>(b.count, dim, count, r.p + first, width, 1, r.d_out + first * dim, dim, d_v + b.key * dim, dim, true);
  });
  T* to = grad.d_q + begin * grad.dq_stride + kv_head * rows.group * dim;
  scatter_lanes(rows, r.d_q, dim, a.scale, r.q, to, grad.dq_stride);
}

}  // namespace
