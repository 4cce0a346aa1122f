// Rotary position embedding after an optional RMS norm of each head, and, for the cache, the writing of key and value to their
// slots in the same pass: the product qkv is read once, and nothing between the norm and the cache touches memory.
// Half-split layout; table[positions, dim] holds cosines, then sines, in fp32. Launch: a warp a (token, head), 8 to a block.
// Their number is below 2^31: a division of 64 bits takes longer than all else here.
#include "shares.cuh"

namespace icrl {

// One head of `dim` numbers; in and out may be the same memory. Returns the norm's scale (1 without norm). What leaves in another
// type O is rounded to T first, so that a key in the cache is the key of training.
template <typename T, typename O>
__device__ float rotate_head(const T* in, O* out, const T* norm, float eps, const float* angles, int dim) {
  const auto rounded = [](float x) { return narrow<O>(widen(narrow<T>(x))); };
  const int half = dim / 2;
  float scale = 1;
  if (norm) {
    float squares = 0;
    for (int i = lane_id(); i < dim; i += 32) squares += widen(in[i]) * widen(in[i]);
    scale = rsqrtf(warp_sum(squares) / dim + eps);
  }
  for (int i = lane_id(); i < half; i += 32) {
    float a = widen(in[i]) * scale, b = widen(in[i + half]) * scale;
    if (norm) a *= widen(norm[i]), b *= widen(norm[i + half]);
    const float cosine = angles[i], sine = angles[i + half];
    out[i] = rounded(a * cosine - b * sine);
    out[i + half] = rounded(b * cosine + a * sine);
  }
  return scale;
}

template <typename T>
__device__ void rope(const T* in, int64_t in_stride, T* out, int64_t out_stride, const T* norm, float eps, float* rstd,
                     int64_t rstd_stride, const float* table, const int32_t* positions, int rows, int heads, int dim) {
  const int task = int(blockIdx.x * (blockDim.x / 32)) + warp_id();
  const int row = task / heads, head = task % heads;
  if (row >= rows) return;
  const float scale = rotate_head(in + row * in_stride + head * dim, out + row * out_stride + head * dim, norm, eps,
                                  table + int64_t(positions[row]) * dim, dim);
  if (norm && lane_id() == 0) rstd[row * rstd_stride + head] = scale;
}

// d, the gradient of the rotated head, becomes that of the head before norm and rotation. Blocks take shares of the (token, head)
// pairs; partial[gridDim.x, dim] is the norm weight's gradient of each share (shares.cuh adds them up).
template <typename T>
__device__ void rope_backward(const T* in, int64_t in_stride, T* d, int64_t d_stride, const T* norm, const float* rstd,
                              int64_t rstd_stride, const float* table, const int32_t* positions, int rows, int heads, int dim,
                              float* partial) {
  DYNAMIC_SHARED(shared);
  const int half = dim / 2, num_warps = blockDim.x / 32;
  float* d_norm = reinterpret_cast<float*>(shared) + warp_id() * dim;  // [warps][dim]; a lane touches its own columns only
  if (norm)
    for (int i = lane_id(); i < half; i += 32) d_norm[i] = d_norm[i + half] = 0;
  for (int task = int(blockIdx.x) * num_warps + warp_id(); task < rows * heads; task += int(gridDim.x) * num_warps) {
    const int row = task / heads, head = task % heads;
    const T* x = in + row * in_stride + head * dim;
    T* g = d + row * d_stride + head * dim;
    const float* angles = table + int64_t(positions[row]) * dim;
    const float scale = norm ? rstd[row * rstd_stride + head] : 1;
    float products = 0;
    for (int pass = norm ? 0 : 1; pass < 2; pass++) {  // the mean of weighted * normed, then the gradient
      const float mean = pass == 1 && norm ? warp_sum(products) / dim : 0;
      for (int i = lane_id(); i < half; i += 32) {
        const float cosine = angles[i], sine = angles[i + half], a = widen(g[i]), b = widen(g[i + half]);
        const float back_a = a * cosine + b * sine, back_b = b * cosine - a * sine;
        if (!norm) {
          g[i] = narrow<T>(back_a), g[i + half] = narrow<T>(back_b);
          continue;
        }
        const float normed_a = widen(x[i]) * scale, normed_b = widen(x[i + half]) * scale;
        const float weighted_a = back_a * widen(norm[i]), weighted_b = back_b * widen(norm[i + half]);
        if (pass == 0) {
          d_norm[i] += back_a * normed_a, d_norm[i + half] += back_b * normed_b;
          products += weighted_a * normed_a + weighted_b * normed_b;
        } else {
          g[i] = narrow<T>((weighted_a - normed_a * mean) * scale);
          g[i + half] = narrow<T>((weighted_b - normed_b * mean) * scale);
        }
      }
    }
  }
  if (!norm) return;
  __syncthreads();
  for (int i = threadIdx.x; i < dim; i += blockDim.x) {
    float sum = 0;
    for (int w = 0; w < num_warps; w++) sum += reinterpret_cast<float*>(shared)[w * dim + i];
    partial[int64_t(blockIdx.x) * dim + i] = sum;
  }
}

// qkv[rows, (heads + 2 kv_heads) dim]: queries in place, keys and values to slots[row] of keys and values [slots, kv_heads, dim]
// in the cache's type.
template <typename T, typename C>
__device__ void rope_cache(T* qkv, const T* q_norm, const T* k_norm, float eps, const float* table, const int32_t* positions,
                           const int32_t* slots, C* keys, C* values, int rows, int heads, int kv_heads, int dim) {
  const int all = heads + 2 * kv_heads;
  const int task = int(blockIdx.x * (blockDim.x / 32)) + warp_id();
  const int row = task / all, head = task % all;
  if (row >= rows) return;
  T* in = qkv + int64_t(task) * dim;
  const float* angles = table + int64_t(positions[row]) * dim;
  const int64_t entry = int64_t(slots[row]) * kv_heads * dim;
  if (head < heads) {
    rotate_head(in, in, q_norm, eps, angles, dim);
  } else if (head < heads + kv_heads) {
    rotate_head(in, keys + entry + (head - heads) * dim, k_norm, eps, angles, dim);
  } else {
    C* value = values + entry + (head - heads - kv_heads) * dim;
    for (int i = lane_id(); i < dim; i += 32) value[i] = narrow<C>(widen(in[i]));
  }
}

}  // namespace icrl

using icrl::bf16;
using icrl::half;

#define ROPE(T, C)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256)                                                                           \
      rope_##T(const T* in, int64_t in_stride, T* out, int64_t out_stride, const T* norm, float eps, float* rstd,             \
               int64_t rstd_stride, const float* table, const int32_t* positions, int rows, int heads, int dim) {             \
    icrl::rope(in, in_stride, out, out_stride, norm, eps, rstd, rstd_stride, table, positions, rows, heads, dim);             \
  }                                                                                                                           \
  extern "C" __global__ void __launch_bounds__(256)                                                                           \
      rope_backward_##T(const T* in, int64_t in_stride, T* d, int64_t d_stride, const T* norm, const float* rstd,             \
                        int64_t rstd_stride, const float* table, const int32_t* positions, int rows, int heads, int dim,      \
                        float* partial) {                                                                                     \
    icrl::rope_backward(in, in_stride, d, d_stride, norm, rstd, rstd_stride, table, positions, rows, heads, dim, partial);    \
  }                                                                                                                           \
  extern "C" __global__ void __launch_bounds__(256)                                                                           \
      rope_cache_##T(T* qkv, const T* q_norm, const T* k_norm, float eps, const float* table, const int32_t* positions,       \
                     const int32_t* slots, C* keys, C* values, int rows, int heads, int kv_heads, int dim) {                  \
    icrl::rope_cache(qkv, q_norm, k_norm, eps, table, positions, slots, keys, values, rows, heads, kv_heads, dim);            \
  }
ROPE(float, float)
ROPE(bf16, half)
