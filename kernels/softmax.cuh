// The softmax of one row of logits by one block, in one reading: maximum, sum and the sum that the entropy needs, kept relative to
// a maximum that grows on the way (Milakov and Gimelshein 2018).
#pragma once
#include "device.cuh"

namespace icrl {

// Over the numbers x seen so far: their maximum and its index, s = sum exp(x - max), u = sum exp(x - max) (x - max).
struct SoftmaxSums {
  float max = -INFINITY, s = 0, u = 0;
  int argmax = 0;
};

// Ties go to the smaller index.
static __device__ __forceinline__ SoftmaxSums merge(const SoftmaxSums& a, const SoftmaxSums& b) {
  const bool left = a.max > b.max || (a.max == b.max && a.argmax <= b.argmax);
  SoftmaxSums out;
  out.max = left ? a.max : b.max;
  out.argmax = left ? a.argmax : b.argmax;
  if (out.max == -INFINITY) return out;
  // Of the two factors one is 1; where there is nothing yet, exp(-inf) is 0 and -inf times it must not be formed.
  const float below_a = a.max - out.max, below_b = b.max - out.max, factor_a = expf(below_a), factor_b = expf(below_b);
  out.s = a.s * factor_a + b.s * factor_b;
  if (factor_a > 0) out.u += factor_a * (a.u + below_a * a.s);
  if (factor_b > 0) out.u += factor_b * (b.u + below_b * b.s);
  return out;
}

static __device__ __forceinline__ SoftmaxSums warp_merge(SoftmaxSums sums) {
  for (int offset = 16; offset > 0; offset /= 2) {
    SoftmaxSums other;
    other.max = __shfl_xor_sync(0xffffffffu, sums.max, offset);
    other.s = __shfl_xor_sync(0xffffffffu, sums.s, offset);
    other.u = __shfl_xor_sync(0xffffffffu, sums.u, offset);
    other.argmax = __shfl_xor_sync(0xffffffffu, sums.argmax, offset);
    sums = merge(sums, other);
  }
  return sums;
}

// N neighbours at once: their maximum first, so that the running sums are rescaled once for all of them.
template <int N> __device__ __forceinline__ void add(SoftmaxSums& sums, const float (&x)[N], int index) {
  SoftmaxSums own{x[0], 0, 0, index};
#pragma unroll
  for (int j = 1; j < N; j++)
    if (x[j] > own.max) own.max = x[j], own.argmax = index + j;
  if (own.max == -INFINITY) return;
#pragma unroll
  for (int j = 0; j < N; j++) {
    const float below = x[j] - own.max, e = expf(below);
    own.s += e;
    if (e > 0) own.u += e * below;  // an id that is ruled out has a logit of -inf
  }
  sums = merge(sums, own);
}

// The elements [begin, end) of a row, scaled, by the threads thread, thread + threads, ...
template <int N, typename T>
__device__ __forceinline__ SoftmaxSums range_sums(const T* row, float inv_temperature, int begin, int end, int thread, int threads) {
  SoftmaxSums sums;
  for (int i = begin + thread * N; i < end; i += threads * N) {
    float x[N];
    load<N>(row + i, x);
#pragma unroll
    for (int j = 0; j < N; j++) x[j] *= inv_temperature;
    add<N>(sums, x, i);
  }
  return sums;
}

// What each warp has, merged in the order of the warps, for all threads. shared: one place a warp.
static __device__ __forceinline__ SoftmaxSums block_merge(const SoftmaxSums& of_warp, SoftmaxSums* shared) {
  if (lane_id() == 0) shared[warp_id()] = of_warp;
  __syncthreads();
  SoftmaxSums all = shared[0];
  for (int i = 1; i < int(blockDim.x / 32); i++) all = merge(all, shared[i]);
  return all;
}

static __device__ __forceinline__ float entropy_of(const SoftmaxSums& sums) { return logf(sums.s) - sums.u / sums.s; }

}  // namespace icrl
