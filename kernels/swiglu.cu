// The gated MLP's activation, silu(gate) * up, of one [rows, 2 ffn] product, and its gradient: one reading and one writing each.
// The gradient may be written over gate_up. Launch: 256 threads; a block a row (x) and blocks along it (y).
#include "device.cuh"

namespace icrl {

static __device__ __forceinline__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }

template <int N, typename T> __device__ void swiglu_part(const T* gate_up, T* out, int ffn) {
  const T* gate = gate_up + int64_t(blockIdx.x) * 2 * ffn;
  for (int i = (blockIdx.y * blockDim.x + threadIdx.x) * N; i < ffn; i += gridDim.y * blockDim.x * N) {
    float g[N], u[N];
    load<N>(gate + i, g), load<N>(gate + ffn + i, u);
#pragma unroll
    for (int j = 0; j < N; j++) g[j] *= sigmoid(g[j]) * u[j];
    store<N>(out + int64_t(blockIdx.x) * ffn + i, g);
  }
}

template <int N, typename T> __device__ void swiglu_backward_part(const T* gate_up, const T* d_out, T* d_gate_up, int ffn) {
  const int64_t row = int64_t(blockIdx.x) * 2 * ffn;
  for (int i = (blockIdx.y * blockDim.x + threadIdx.x) * N; i < ffn; i += gridDim.y * blockDim.x * N) {
    float g[N], u[N], d[N];
    load<N>(gate_up + row + i, g), load<N>(gate_up + row + ffn + i, u), load<N>(d_out + int64_t(blockIdx.x) * ffn + i, d);
#pragma unroll
    for (int j = 0; j < N; j++) {
      const float s = sigmoid(g[j]), up = u[j];
      u[j] = d[j] * g[j] * s;
      g[j] = d[j] * up * s * (1 + g[j] * (1 - s));
    }
    store<N>(d_gate_up + row + i, g), store<N>(d_gate_up + row + ffn + i, u);
  }
}

template <typename T> __device__ void swiglu(const T* gate_up, T* out, int ffn) {
  if (wide_rows(ffn, gate_up, out)) swiglu_part<kWidth>(gate_up, out, ffn);
  else swiglu_part<1>(gate_up, out, ffn);
}
template <typename T> __device__ void swiglu_backward(const T* gate_up, const T* d_out, T* d_gate_up, int ffn) {
  if (wide_rows(ffn, gate_up, d_out, d_gate_up)) swiglu_backward_part<kWidth>(gate_up, d_out, d_gate_up, ffn);
  else swiglu_backward_part<1>(gate_up, d_out, d_gate_up, ffn);
}

}  // namespace icrl

using icrl::bf16;

#define SWIGLU(T)                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256) swiglu_##T(const T* gate_up, T* out, int ffn) {                       \
    icrl::swiglu(gate_up, out, ffn);                                                                                      \
  }                                                                                                                       \
  extern "C" __global__ void __launch_bounds__(256)                                                                       \
      swiglu_backward_##T(const T* gate_up, const T* d_out, T* d_gate_up, int ffn) {                                      \
    icrl::swiglu_backward(gate_up, d_out, d_gate_up, ffn);                                                                \
  }
SWIGLU(float)
SWIGLU(bf16)
