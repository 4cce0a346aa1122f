// Matrix products of the decoder's linear layers, in the three layouts that a layer and its gradients need. Blocks of the long
// inner dimension and of rows stay in the second-level cache; the innermost tile is simd.h's.
// On Zen 4 these reach 1.2 to 1.3 times MKL's rate at nano's sizes (bench/LOG.md).
#pragma once
#include "cpu.h"
#include "simd.h"

namespace {

constexpr int64_t kInnerBlock = 384, kRowBlock = 96;
template <typename T> constexpr int64_t kPanel = kTileVectors * kLanes<T>;

// w[N, K] -> panels [N / kPanel][K][kPanel], rows past N as zeros. Panels [first, end).
template <typename T> void pack_panels(const T* w, int64_t N, int64_t K, int64_t first, int64_t end, T* panels) {
  constexpr int64_t P = kPanel<T>;
  for (int64_t p = first; p < end; p++) {
    T* to = panels + p * P * K;
    const int64_t rows = N - p * P < P ? N - p * P : P;
    transpose(w + p * P * K, K, to, P, rows, K);
    for (int64_t k = 0; k < K && rows < P; k++)
      for (int64_t j = rows; j < P; j++) to[k * P + j] = 0;
  }
}

// y[M, N] (+)= x[M, K] w^T from packed panels.
template <typename T>
void gemm_panels(const T* x, int64_t M, int64_t K, const T* panels, int64_t N, T* y, bool accumulate) {
  constexpr int64_t P = kPanel<T>;
  T edge[kRowBlock * P];
  for (int64_t m = 0; m < M; m += kRowBlock) {
    const int64_t rows = M - m < kRowBlock ? M - m : kRowBlock;
    for (int64_t k = 0; k < K; k += kInnerBlock) {
      const int64_t inner = K - k < kInnerBlock ? K - k : kInnerBlock;
      const bool add = accumulate || k > 0;
      const T* a = x + m * K + k;
      int64_t n = 0;
      for (; n + P <= N; n += P)
        tile_rows<T, kTileVectors>(rows, inner, a, K, 1, panels + n * K + k * P, P, y + m * N + n, N, add);
      if (n == N) continue;
      tile_rows<T, kTileVectors>(rows, inner, a, K, 1, panels + n * K + k * P, P, edge, P, false);
      for (int64_t r = 0; r < rows; r++)
        for (int64_t j = n; j < N; j++) {
          T* to = y + (m + r) * N + j;
          *to = add ? *to + edge[r * P + j - n] : edge[r * P + j - n];
        }
    }
  }
}

// Few rows: y^T[N, M] = w[N, K] x^T, so that w is read as it lies. x_t[K, ld] with ld >= M a multiple of the lanes; rows
// [first, end) of w; y_t[N, ld].
template <typename T>
void gemm_few(const T* w, int64_t K, const T* x_t, int64_t ld, int64_t first, int64_t end, T* y_t) {
  for (int64_t k = 0; k < K; k += kInnerBlock) {
    const int64_t inner = K - k < kInnerBlock ? K - k : kInnerBlock;
    small_gemm<T>(end - first, ld, inner, w + first * K + k, K, 1, x_t + k * ld, ld, y_t + first * ld, ld, k > 0);
  }
}

// y[m * N + r] (+)= x[m] . w[r] for R rows of w and M of x.
template <typename T, int R, int M>
inline void dots(const T* x, int64_t K, const T* w, int64_t N, T* y, bool accumulate) {
  constexpr int W = kLanes<T>;
  Vec<T> sums[R][M] = {};
  int64_t k = 0;
  for (; k + W <= K; k += W)
    for (int r = 0; r < R; r++) {
      const Vec<T> v = load(w + r * K + k);
      for (int m = 0; m < M; m++) sums[r][m] += v * load(x + m * K + k);
    }
  for (int r = 0; r < R; r++)
    for (int m = 0; m < M; m++) {
      T sum = fold_sum<T>(sums[r][m]);
      for (int64_t j = k; j < K; j++) sum += x[m * K + j] * w[r * K + j];
      y[m * N + r] = accumulate ? y[m * N + r] + sum : sum;
    }
}
// Very few rows: y[m, n] (+)= x[m] . w[n] for rows n of w in [first, end). The weight's bytes are all that costs: each row is
// read once, four at a time.
template <typename T, int M>
void dot_rows(const T* x, int64_t K, const T* w, int64_t N, int64_t first, int64_t end, T* y, bool accumulate) {
  int64_t n = first;
  for (; n + 4 <= end; n += 4) dots<T, 4, M>(x, K, w + n * K, N, y + n, accumulate);
  for (; n < end; n++) dots<T, 1, M>(x, K, w + n * K, N, y + n, accumulate);
}
template <typename T>
void gemm_very_few(const T* x, int64_t M, int64_t K, const T* w, int64_t N, int64_t first, int64_t end, T* y,
                   bool accumulate) {
  switch (M) {
    case 1: return dot_rows<T, 1>(x, K, w, N, first, end, y, accumulate);
    case 2: return dot_rows<T, 2>(x, K, w, N, first, end, y, accumulate);
    default: return dot_rows<T, 3>(x, K, w, N, first, end, y, accumulate);
  }
}

// y[m, n] (+)= y_t[n, m] for columns [first, end).
template <typename T>
void add_transposed(const T* y_t, int64_t ld, T* y, int64_t M, int64_t N, int64_t first, int64_t end, bool accumulate) {
  constexpr int64_t B = 16;
  for (int64_t n0 = first; n0 < end; n0 += B) {
    const int64_t n1 = n0 + B < end ? n0 + B : end;
    for (int64_t m = 0; m < M; m++)
      for (int64_t n = n0; n < n1; n++) y[m * N + n] = accumulate ? y[m * N + n] + y_t[n * ld + m] : y_t[n * ld + m];
  }
}

// d_x[M, K] = d_y[M, N] w[N, K].
template <typename T> void gemm_input_grad(const T* d_y, int64_t M, int64_t N, const T* w, int64_t K, T* d_x) {
  for (int64_t m = 0; m < M; m += kRowBlock) {
    const int64_t rows = M - m < kRowBlock ? M - m : kRowBlock;
    for (int64_t n = 0; n < N; n += kInnerBlock) {
      const int64_t inner = N - n < kInnerBlock ? N - n : kInnerBlock;
      small_gemm<T>(rows, K, inner, d_y + m * N + n, N, 1, w + n * K, K, d_x + m * K, K, n > 0);
    }
  }
}

// d_w[n, K] += d_y[:, n]^T x for rows n in [first, end). scratch: (end - first) * kWeightGradBlock.
template <typename T>
void gemm_weight_grad(const T* d_y, const T* x, int64_t M, int64_t N, int64_t K, int64_t first, int64_t end, T* d_w,
                      T* scratch) {
  constexpr int64_t B = icrl::kWeightGradBlock;
  const int64_t count = end - first;
  for (int64_t t = 0; t < M; t += B) {
    const int64_t inner = M - t < B ? M - t : B;
    transpose(d_y + t * N + first, N, scratch, B, inner, count);
    for (int64_t m = 0; m < count; m += kRowBlock) {
      const int64_t rows = count - m < kRowBlock ? count - m : kRowBlock;
      small_gemm<T>(rows, K, inner, scratch + m * B, B, 1, x + t * K, K, d_w + (first + m) * K, K, true);
    }
  }
}

}  // namespace
