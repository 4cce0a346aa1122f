// The instructions of attention on tensor cores: a product of fragments, the load of a transposed one, and copies into shared
// memory that run beside the arithmetic. Under the emulator each is what the PTX manual says of it.
#pragma once
#include "device.cuh"

namespace icrl {

#ifdef __CUDA_ARCH__

// d[16, 8] += a[16, 16] b[16, 8], f16 with fp32 sums. Lane 4 g + t holds, as pairs of neighbours:
//   a: (g, 2t) (g + 8, 2t) (g, 2t + 8) (g + 8, 2t + 8)   b: (2t, g) (2t + 8, g), down a column   d: (g, 2t) (g + 8, 2t)
static __device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// b of mma from b[16, 8] stored by rows: lane i < 16 gives the address of row i (16 bytes, aligned).
static __device__ __forceinline__ void load_columns(uint32_t (&b)[2], const half* row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(b[0]), "=r"(b[1]) : "r"(address));
}

// 2^x to a relative 2^-22 in one instruction; 0 where it is below the normal numbers.
static __device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 16 bytes into shared memory; zeros where `there` is false. Readable after the wait for its group and a barrier.
static __device__ __forceinline__ void copy_async(void* to, const void* from, bool there) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(there ? 16 : 0) : "memory");
}
static __device__ __forceinline__ void end_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all but the last `pending` groups of this thread have arrived.
template <int pending> __device__ __forceinline__ void wait_groups() { asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory"); }

#elif defined(__CUDACC__)  // nvcc's pass over the host's half, which calls none of them

static __device__ void mma(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2]) {}
static __device__ void load_columns(uint32_t (&)[2], const half*) {}
static __device__ float power_of_two(float x) { return x; }
static __device__ void copy_async(void*, const void*, bool) {}
static __device__ void end_group() {}
template <int pending> __device__ void wait_groups() {}

#else

inline float half_of(uint32_t pair, int which) { return widen(half{uint16_t(pair >> (16 * which))}); }

inline void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  struct Lane {
    uint32_t a[4], b[2];
  } own{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const auto* lanes = emulator::exchange(own);
  const auto lane = [&](int i) { return bits_as<Lane>(*reinterpret_cast<const std::array<unsigned char, sizeof(Lane)>*>(lanes[i])); };
  const int g = lane_id() / 4, t = lane_id() % 4;
  for (int i = 0; i < 4; i++) {
    const int row = g + i / 2 * 8, column = 2 * t + i % 2;
    for (int k = 0; k < 16; k++) {
      const float x = half_of(lane(row % 8 * 4 + k % 8 / 2).a[row / 8 + k / 8 * 2], k % 2);
      d[i] += x * half_of(lane(column * 4 + k % 8 / 2).b[k / 8], k % 2);
    }
  }
}

inline void load_columns(uint32_t (&b)[2], const half* row) {
  if (lane_id() < 16 && reinterpret_cast<uintptr_t>(row) % 16 != 0) throw std::runtime_error("a matrix row is not aligned");
  const auto* rows = emulator::exchange(row);
  const auto at = [&](int r, int column) {
    const half* address;
    memcpy(&address, rows[r], sizeof address);
    return uint32_t(address[column].bits);
  };
  const int g = lane_id() / 4, t = lane_id() % 4;
  for (int i = 0; i < 2; i++) b[i] = at(8 * i + 2 * t, g) | at(8 * i + 2 * t + 1, g) << 16;
}

inline float power_of_two(float x) { return std::exp2(x); }
inline void copy_async(void* to, const void* from, bool there) {
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0)
    throw std::runtime_error("a copy is not aligned");
  emulator::Fiber& fiber = *emulator::machine.current;
  fiber.copies.push_back({to, there ? from : nullptr, 16, fiber.copy_groups});
}
inline void end_group() { emulator::machine.current->copy_groups++; }
template <int pending> void wait_groups() {
  emulator::Fiber& fiber = *emulator::machine.current;
  std::erase_if(fiber.copies, [&](const emulator::PendingCopy& copy) {
    if (copy.group >= fiber.copy_groups - pending) return false;
    if (copy.from) memcpy(copy.to, copy.from, copy.bytes);
    else memset(copy.to, 0, copy.bytes);
    return true;
  });
}

#endif

static __device__ __forceinline__ uint32_t pair_of(float low, float high) {
  return uint32_t(narrow<half>(low).bits) | uint32_t(narrow<half>(high).bits) << 16;
}

}  // namespace icrl
