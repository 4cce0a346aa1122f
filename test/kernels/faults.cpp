// Kernels with the mistakes that the emulator is there to find. The argument says which one runs; each must be noticed.
#include "checks.h"
#include "../../kernels/tensor-core.cuh"

namespace {

// Reads what a neighbour has written, without a barrier between.
void missing_barrier(int* out) {
  DYNAMIC_SHARED(shared);
  int* values = reinterpret_cast<int*>(shared);
  values[threadIdx.x] = int(threadIdx.x);
  out[threadIdx.x] = values[(threadIdx.x + 1) % blockDim.x];
}
void half_a_barrier(int* out) {
  if (threadIdx.x < 32) __syncthreads();
  out[threadIdx.x] = 1;
}
void beyond_shared(int* out) {
  DYNAMIC_SHARED(shared);
  out[threadIdx.x] = reinterpret_cast<int*>(shared)[threadIdx.x + 1];
}
void beyond_global(int* out) { out[threadIdx.x + 1] = 1; }
void unaligned_vector(float* out) {
  const float values[4] = {1, 2, 3, 4};
  if (threadIdx.x == 0) icrl::store<4>(out + 1, values);
}
// What a copy brings may be read only after the wait for it.
void copy_without_wait(float* out) {
  DYNAMIC_SHARED(shared);
  float* values = reinterpret_cast<float*>(shared);
  if (threadIdx.x == 0) icrl::copy_async(values, out, true), icrl::end_group();
  __syncthreads();
  out[threadIdx.x] = values[0];
}

// Same results in all orders; false also where a read of what nobody wrote gives NaN.
template <typename T, typename F> bool stands(F kernel, unsigned shared) {
  Checks c;
  const auto [out] = in_every_order(c, "fault", [&](emulator::Order order) {
    Array<T> written(64);
    for (size_t i = 0; i < 64; i++) written[i] = T(i);
    launch(order, kernel, Geometry{1, 1, 64, shared}, written.data);
    return std::tuple{written};
  });
  for (size_t i = 0; i < 64; i++)
    if (out[i] != out[i]) return false;
  return c.ok;
}

}  // namespace

int main(int, char** arguments) {
  const std::string fault = arguments[1];
  try {
    if (fault == "missing barrier") return stands<int>(missing_barrier, 256) ? 0 : 1;
    if (fault == "half a barrier") return stands<int>(half_a_barrier, 0) ? 0 : 1;
    if (fault == "beyond shared memory") return stands<int>(beyond_shared, 256) ? 0 : 1;
    if (fault == "beyond an array") return stands<int>(beyond_global, 0) ? 0 : 1;
    if (fault == "unaligned vector") return stands<float>(unaligned_vector, 0) ? 0 : 1;
    if (fault == "copy without its wait") return stands<float>(copy_without_wait, 16) ? 0 : 1;
  } catch (const std::runtime_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::fprintf(stderr, "no such fault\n");
  return 0;
}
