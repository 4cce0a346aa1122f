// A CUDA driver that runs the kernels under the emulator: the functions of libcuda that kernels/cuda.cpp calls. Memory is the host's,
// a stream is nothing, a module's bytes are ignored and its functions are those compiled in here.
#include <map>

#include "emulator.h"
#include "../../kernels/adamw.cu"
#include "../../kernels/attention.cu"
#include "../../kernels/logprob.cu"
#include "../../kernels/rmsnorm.cu"
#include "../../kernels/rope.cu"
#include "../../kernels/sample.cu"
#include "../../kernels/swiglu.cu"

namespace {

using Launch = std::function<void(dim3 grid, unsigned threads, unsigned shared, void** parameters)>;

template <typename... P, size_t... I> Launch unpack(void (*kernel)(P...), std::index_sequence<I...>) {
  return [kernel](dim3 grid, unsigned threads, unsigned shared, void** p) {
    emulator::launch(emulator::Order::forwards, kernel, grid, threads, shared, *static_cast<P*>(p[I])...);
  };
}
template <typename... P> Launch launcher(void (*kernel)(P...)) { return unpack(kernel, std::index_sequence_for<P...>()); }

#define KERNEL(name) {#name, launcher(name)}
std::map<std::string, Launch>& functions() {
  static std::map<std::string, Launch> all{
      KERNEL(rmsnorm_float_float), KERNEL(rmsnorm_float_bf16), KERNEL(rmsnorm_bf16_bf16),
      KERNEL(rmsnorm_backward_float_float), KERNEL(rmsnorm_backward_float_bf16), KERNEL(rmsnorm_backward_bf16_bf16),
      KERNEL(sum_shares), KERNEL(rope_float), KERNEL(rope_bf16), KERNEL(rope_backward_float), KERNEL(rope_backward_bf16),
      KERNEL(rope_cache_float), KERNEL(rope_cache_bf16), KERNEL(swiglu_float), KERNEL(swiglu_bf16),
      KERNEL(swiglu_backward_float), KERNEL(swiglu_backward_bf16), KERNEL(logprob_float), KERNEL(logprob_bf16),
      KERNEL(logprob_backward_float), KERNEL(logprob_backward_bf16), KERNEL(sample_float), KERNEL(sample_bf16),
      KERNEL(adamw_float), KERNEL(adamw_master), KERNEL(adamw_bf16),
      KERNEL(attention_float), KERNEL(attention_half), KERNEL(attention_half_64_rows), KERNEL(attention_half_64_tiles),
      KERNEL(attention_half_128_rows), KERNEL(attention_half_128_tiles),
  };
  return all;
}

int token;  // what handles point to
void* context;

}  // namespace

extern "C" {
int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int* version) { return *version = 12080, 0; }
int cuDeviceGet(int* device, int) { return *device = 0; }
int cuDevicePrimaryCtxRetain(void** out, int) { return *out = &token, 0; }
int cuCtxGetCurrent(void** out) { return *out = context, 0; }
int cuCtxSetCurrent(void* to) { return context = to, 0; }
// An empty file is refused, as the real one refuses what is no module.
int cuModuleLoadData(void** out, const void* image) {
  if (*static_cast<const char*>(image) == 0) return 200;
  return *out = &token, 0;
}
int cuModuleGetFunction(void** out, void*, const char* name) {
  const auto found = functions().find(name);
  if (found == functions().end()) return 500;
  return *out = &found->second, 0;
}
int cuFuncSetAttribute(void*, int, int) { return 0; }
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned, unsigned shared,
                   void* stream, void** parameters, void**) {
  if (!context || stream) return 400;
  (*static_cast<Launch*>(function))({x, y, z}, threads, shared, parameters);
  return 0;
}
int cuGetErrorString(int code, const char** text) {
  *text = code == 200 ? "device kernel image is invalid" : code == 500 ? "named symbol not found" : "invalid resource handle";
  return 0;
}
}
