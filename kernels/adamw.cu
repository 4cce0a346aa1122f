// One step of AdamW over a tensor in one pass: gradient, moments and weight are read once and written once, and the policy's bf16
// weight leaves in the same pass, where separate operations take two more. The arithmetic is that of torch's fused kernel.
//   adamw_float   the weight is its own master
//   adamw_master  fp32 master beside a bf16 weight, rounded to the nearest
//   adamw_bf16    no master: the weight is widened, moved and rounded stochastically, by the noise of ffi/engine/rounding.h (the
//                 same bits as there for the same seed, step, tensor and element)
// Moments are fp32. Launch: 256 threads, a grid-stride loop. Moments in 8 bits (ffi/engine/codes.h) have no kernel.
#include "device.cuh"

namespace icrl {

struct AdamW {
  float decay;  // 1 - learning rate * weight decay
  float beta1, beta2, eps;
  float step_size;        // learning rate / (1 - beta1^t)
  float root_correction;  // sqrt(1 - beta2^t)
  uint32_t noise, noise_next;  // of adamw_bf16: the hashed name of seed, step and tensor, and the hash of the name after it
  uint32_t first;              // index of the first element within its tensor
};

static __device__ __forceinline__ uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}
static __device__ __forceinline__ bf16 round_stochastically(float x, const AdamW& o, uint32_t element) {
  const uint32_t bits = mix(mix((o.first + element) ^ o.noise) + o.noise_next);
  bf16 y;
  y.bits = uint16_t((__float_as_uint(x) + (bits & 0xffffu)) >> 16);
  return y;
}

static __device__ __forceinline__ float step(float w, float g, float& m, float& v, const AdamW& o) {
  m += (1 - o.beta1) * (g - m);
  v = o.beta2 * v + (1 - o.beta2) * g * g;
  return w * o.decay - o.step_size * m / (sqrtf(v) / o.root_correction + o.eps);
}

// master: fp32 weights, or null where `weight` itself is moved.
template <int N, typename T>
__device__ void adamw_part(float* master, T* weight, const float* grad, float* first, float* second, int64_t n, const AdamW& o) {
  constexpr bool stochastic = sizeof(T) == 2;
  const int64_t stride = int64_t(gridDim.x) * blockDim.x * N;
  for (int64_t i = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * N; i < n; i += stride) {
    float w[N], g[N], m[N], v[N];
    load<N>(grad + i, g), load<N>(first + i, m), load<N>(second + i, v);
    if (master) load<N>(master + i, w);
    else load<N>(weight + i, w);
#pragma unroll
    for (int j = 0; j < N; j++) w[j] = step(w[j], g[j], m[j], v[j], o);
    store<N>(first + i, m), store<N>(second + i, v);
    if (master) store<N>(master + i, w);
    if (stochastic && !master) {
#pragma unroll
      for (int j = 0; j < N; j++) w[j] = widen(round_stochastically(w[j], o, uint32_t(i + j)));
    }
    store<N>(weight + i, w);  // what was rounded already is exact
  }
}

template <typename T>
__device__ void adamw(float* master, T* weight, const float* grad, float* first, float* second, int64_t n, const AdamW& o) {
  if (wide_rows(kWidth, master, weight, grad, first, second)) {
    const int64_t whole = n / kWidth * kWidth;
    adamw_part<kWidth>(master, weight, grad, first, second, whole, o);
    AdamW rest = o;
    rest.first += uint32_t(whole);
    adamw_part<1>(master ? master + whole : nullptr, weight + whole, grad + whole, first + whole, second + whole, n - whole, rest);
  } else {
    adamw_part<1>(master, weight, grad, first, second, n, o);
  }
}

}  // namespace icrl

using icrl::bf16;

extern "C" __global__ void __launch_bounds__(256)
    adamw_float(float* weight, const float* grad, float* first, float* second, int64_t n, icrl::AdamW options) {
  icrl::adamw<float>(nullptr, weight, grad, first, second, n, options);
}
extern "C" __global__ void __launch_bounds__(256)
    adamw_master(float* master, bf16* weight, const float* grad, float* first, float* second, int64_t n, icrl::AdamW options) {
  icrl::adamw(master, weight, grad, first, second, n, options);
}
extern "C" __global__ void __launch_bounds__(256)
    adamw_bf16(bf16* weight, const float* grad, float* first, float* second, int64_t n, icrl::AdamW options) {
  icrl::adamw<bf16>(nullptr, weight, grad, first, second, n, options);
}
