// What the CUDA kernels share: bf16, vectors of a row, reductions over a warp and a block, and the few instructions that have no
// C++ spelling. nvcc compiles it for a GPU. Any other compiler takes test/kernels/emulator.h, which runs the same source on the
// CPU. All shared memory is dynamic, so that the emulator can see a read of what nobody wrote, or beyond its end.
#pragma once
#include <stdint.h>

#ifdef __CUDACC__
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#else
#include "emulator.h"
#define DYNAMIC_SHARED(name) unsigned char* const name = emulator::dynamic_shared()
#endif

namespace icrl {

struct bf16 {
  uint16_t bits;
};

struct half {
  uint16_t bits;
};

static __device__ __forceinline__ float widen(float x) { return x; }
static __device__ __forceinline__ float widen(bf16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }

static __device__ __forceinline__ float widen(half x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
#else
  const uint32_t sign = uint32_t(x.bits & 0x8000u) << 16, rest = x.bits & 0x7fffu;
  if (rest >= 0x7c00u) return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  const float magnitude = __uint_as_float(rest << 13) * 0x1p112f;  // exact, for numbers below the normal ones too
  return __uint_as_float(sign | __float_as_uint(magnitude));
#endif
}

// To the nearest, ties to even.
template <typename T> __device__ T narrow(float x);
template <> __device__ __forceinline__ half narrow<half>(float x) {
  half y;
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
  const uint32_t bits = __float_as_uint(x), sign = (bits >> 16) & 0x8000u;
  const float magnitude = __uint_as_float(bits & 0x7fffffffu);
  if (magnitude != magnitude) y.bits = 0x7fff;
  else if (magnitude >= 65520.f) y.bits = uint16_t(sign | 0x7c00u);
  else if (magnitude < 0x1p-14f) y.bits = uint16_t(sign | uint32_t(rintf(magnitude * 0x1p24f)));  // steps of 2^-24
  else {
    const uint32_t wide = __float_as_uint(magnitude) - (112u << 23);
    y.bits = uint16_t(sign | (wide + 0xfffu + ((wide >> 13) & 1)) >> 13);
  }
#endif
  return y;
}
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 narrow<bf16>(float x) {
  bf16 y;
#ifdef __CUDA_ARCH__
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
  const uint32_t bits = __float_as_uint(x);
  y.bits = x != x ? uint16_t(0x7fff) : uint16_t((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
#endif
  return y;
}

// N neighbours of a row, in accesses of at most 16 bytes.
template <typename T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T at[N];
};
template <int N, typename T> __device__ __forceinline__ void load(const T* from, float (&to)[N]) {
  const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(from);
#pragma unroll
  for (int i = 0; i < N; i++) to[i] = widen(pack.at[i]);
}
template <int N, typename T> __device__ __forceinline__ void store(T* to, const float (&from)[N]) {
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; i++) pack.at[i] = narrow<T>(from[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// Elements that a thread takes at once, where rows are that long and every pointer allows it.
constexpr int kWidth = 8;
static __device__ __forceinline__ bool aligned(const void* p) { return (reinterpret_cast<uintptr_t>(p) & 15) == 0; }
// Rows of `dim` elements, one after the other, from these pointers (null: not there).
template <typename... P> __device__ __forceinline__ bool wide_rows(int64_t dim, P... pointers) {
  return dim % kWidth == 0 && (aligned(pointers) && ...);
}

static __device__ __forceinline__ int lane_id() { return threadIdx.x & 31; }
static __device__ __forceinline__ int warp_id() { return threadIdx.x >> 5; }

static __device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

// The sum over the block's threads, for all of them. scratch: 32 floats of shared memory, for nothing else.
static __device__ __forceinline__ float block_sum(float x, float* scratch) {
  x = warp_sum(x);
  __syncthreads();  // an earlier sum may still be read
  if (lane_id() == 0) scratch[warp_id()] = x;
  __syncthreads();
  return warp_sum(lane_id() < int(blockDim.x >> 5) ? scratch[lane_id()] : 0.f);
}
constexpr int kSumScratch = 32 * sizeof(float);

}  // namespace icrl
