// RMS norm of rows with the residual add before it: s = x + delta, y = s * rsqrt(mean(s^2) + eps) * w. One pass over memory where
// two operations take three: the row is read, added to and written, and its second reading comes out of the L1 cache.
// x is the residual stream (fp32, or the policy's type), delta the product that is added to it (null: none; s is then not written).
// Launch: a block a row, 256 threads.
//
// Backward: g = d_y * w, n = x * rstd, d_x += rstd * (g - n * mean(g * n)); d_w += sum over rows of d_y * n. A block takes every
// gridDim-th row and sums its share of d_w in shared memory; a second kernel adds the shares, always in the same order.
#include "shares.cuh"

namespace icrl {

template <int N, typename X, typename Y>
__device__ void rmsnorm_row(const X* x, const Y* delta, X* sum, const Y* w, Y* y, float* rstd, int dim, float eps) {
  DYNAMIC_SHARED(shared);
  const int64_t row = int64_t(blockIdx.x) * dim;
  const X* stream = delta ? sum : x;
  float squares = 0;
  for (int i = threadIdx.x * N; i < dim; i += blockDim.x * N) {
    float a[N];
    load<N>(x + row + i, a);
    if (delta) {
      float b[N];
      load<N>(delta + row + i, b);
#pragma unroll
      for (int j = 0; j < N; j++) a[j] = widen(narrow<X>(a[j] + b[j]));
      store<N>(sum + row + i, a);
    }
#pragma unroll
    for (int j = 0; j < N; j++) squares += a[j] * a[j];
  }
  const float scale = rsqrtf(block_sum(squares, reinterpret_cast<float*>(shared)) / dim + eps);
  if (threadIdx.x == 0 && rstd) rstd[blockIdx.x] = scale;
  for (int i = threadIdx.x * N; i < dim; i += blockDim.x * N) {  // what this very thread has written or read
    float a[N], b[N];
    load<N>(stream + row + i, a);
    load<N>(w + i, b);
#pragma unroll
    for (int j = 0; j < N; j++) a[j] *= scale * b[j];
    store<N>(y + row + i, a);
  }
}

template <int N, typename X, typename Y>
__device__ void rmsnorm_backward_rows(const X* x, const Y* w, const float* rstd, const Y* d_y, X* d_x, float* partial, int rows,
                                      int dim) {
  DYNAMIC_SHARED(shared);
  float* scratch = reinterpret_cast<float*>(shared);
  // [N][dim / N]: neighbouring threads touch neighbouring banks, each its own columns only.
  float* d_w = scratch + 32;
  const int groups = dim / N;
  for (int i = threadIdx.x * N; i < dim; i += blockDim.x * N)
    for (int j = 0; j < N; j++) d_w[j * groups + i / N] = 0;
  for (int r = blockIdx.x; r < rows; r += gridDim.x) {
    const int64_t row = int64_t(r) * dim;
    const float scale = rstd[r];
    float products = 0;
    for (int i = threadIdx.x * N; i < dim; i += blockDim.x * N) {
      float a[N], b[N], d[N];
      load<N>(x + row + i, a), load<N>(w + i, b), load<N>(d_y + row + i, d);
#pragma unroll
      for (int j = 0; j < N; j++) {
        const float normed = a[j] * scale;
        d_w[j * groups + i / N] += d[j] * normed;
        products += d[j] * b[j] * normed;
      }
    }
    const float mean = block_sum(products, scratch) / dim;
    for (int i = threadIdx.x * N; i < dim; i += blockDim.x * N) {
      float a[N], b[N], d[N], sum[N];
      load<N>(x + row + i, a), load<N>(w + i, b), load<N>(d_y + row + i, d), load<N>(d_x + row + i, sum);
#pragma unroll
      for (int j = 0; j < N; j++) sum[j] += scale * (d[j] * b[j] - a[j] * scale * mean);
      store<N>(d_x + row + i, sum);
    }
  }
  for (int i = threadIdx.x * N; i < dim; i += blockDim.x * N)
    for (int j = 0; j < N; j++) partial[int64_t(blockIdx.x) * dim + i + j] = d_w[j * groups + i / N];
}

template <typename X, typename Y>
__device__ void rmsnorm(const X* x, const Y* delta, X* sum, const Y* w, Y* y, float* rstd, int dim, float eps) {
  if (wide_rows(dim, x, delta, sum, w, y)) rmsnorm_row<kWidth>(x, delta, sum, w, y, rstd, dim, eps);
  else rmsnorm_row<1>(x, delta, sum, w, y, rstd, dim, eps);
}
template <typename X, typename Y>
__device__ void rmsnorm_backward(const X* x, const Y* w, const float* rstd, const Y* d_y, X* d_x, float* partial, int rows,
                                 int dim) {
  if (wide_rows(dim, x, w, d_y, d_x)) rmsnorm_backward_rows<kWidth>(x, w, rstd, d_y, d_x, partial, rows, dim);
  else rmsnorm_backward_rows<1>(x, w, rstd, d_y, d_x, partial, rows, dim);
}

}  // namespace icrl

using icrl::bf16;

// x[rows, dim] of type X, delta and y of type Y.
#define RMSNORM(X, Y)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(256) rmsnorm_##X##_##Y(const X* x, const Y* delta, X* sum, const Y* w, Y* y,  \
                                                                      float* rstd, int dim, float eps) {                     \
    icrl::rmsnorm(x, delta, sum, w, y, rstd, dim, eps);                                                                      \
  }                                                                                                                          \
  extern "C" __global__ void __launch_bounds__(256)                                                                          \
      rmsnorm_backward_##X##_##Y(const X* x, const Y* w, const float* rstd, const Y* d_y, X* d_x, float* partial, int rows,  \
                                 int dim) {                                                                                  \
    icrl::rmsnorm_backward(x, w, rstd, d_y, d_x, partial, rows, dim);                                                        \
  }
RMSNORM(float, float)
RMSNORM(float, bf16)
RMSNORM(bf16, bf16)
