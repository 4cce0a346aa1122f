// Everything of the C API that belongs to no policy: versions, errors, threads, counters, devices, kernel checks.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cstring>

#include "../../kernels/cuda.h"
#include "../../kernels/kernels.h"
#include "policy.h"

namespace icrl {
static thread_local std::string last_error;
void set_error(const std::string& message) { last_error = message; }
}  // namespace icrl

using namespace icrl;

static int32_t copy_text(const std::string& text, char* out, int32_t capacity) {
  if (out && capacity > 0) {
    const size_t n = std::min(text.size(), static_cast<size_t>(capacity) - 1);
    std::memcpy(out, text.data(), n);
    out[n] = 0;
  }
  return static_cast<int32_t>(text.size());
}

int32_t icrl_abi(void) { return ICRL_ABI; }
int32_t icrl_error_message(char* message, int32_t capacity) { return copy_text(last_error, message, capacity); }
int32_t icrl_torch_version(char* version, int32_t capacity) {
  return guard([&] { copy_text(TORCH_VERSION, version, capacity); });
}

static int32_t cuda_devices() {
  return at::accelerator::getAccelerator() == at::kCUDA ? at::accelerator::deviceCount() : 0;
}
int32_t icrl_cuda_device_count(int32_t* count) {
  return guard([&] {
    require(count, "a pointer is null");
    *count = cuda_devices();
  });
}

int32_t icrl_threads_set(int32_t threads) {
  return guard([&] {
    require(threads > 0, "the number of threads is not positive");
    at::set_num_threads(threads);
  });
}

int32_t icrl_counters_read(int64_t* counters) {
  return guard([&] {
    require(counters, "a pointer is null");
    read_counters(counters);
  });
}
int32_t icrl_counters_reset_peak(void) {
  return guard([] { reset_peak(); });
}
int32_t icrl_memory_limit_set(int64_t bytes) {
  return guard([&] {
    require(bytes >= 0, "the memory limit is negative");
    set_memory_limit(bytes);
  });
}

int32_t icrl_device_open(int32_t kind, int32_t index, icrl_device** device) {
  return guard([&] {
    require(device, "a pointer is null");
    require(kind == ICRL_DEVICE_CPU || kind == ICRL_DEVICE_CUDA, "unknown device kind");
    install_allocator();
    if (kind == ICRL_DEVICE_CPU) {
      require(index == 0 || index == 1, "a CPU device has index 0 or 1");
      *device = new icrl_device{at::Device(at::kCPU), index == 1 || !wants_cpu_kernels()};
      return;
    }
    require(cuda_devices() > 0, "this libtorch was built without CUDA, or finds no driver or device");
    require(index >= 0 && index < cuda_devices(), "there is no CUDA device of this index");
    at::globalContext().lazyInitDevice(at::kCUDA);
    at::accelerator::setDeviceIndex(static_cast<c10::DeviceIndex>(index));
    *device = new icrl_device{at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index)), /*in_parts=*/true};
  });
}

int32_t icrl_device_describe(icrl_device* device, char* json, int32_t capacity) {
  return guard([&] {
    require(device && json, "a pointer is null");
    const bool cpu = device->device.is_cpu();
    std::string text = std::string("{\"kind\":\"") + (cpu ? "cpu" : "cuda") + "\",\"threads\":" +
                       std::to_string(at::get_num_threads()) + ",\"isa\":\"" + (wants_cpu_kernels() ? cpu_kernels<float>().isa : "none") + "\"";
    if (!cpu) {
      const auto memory = at::accelerator::getMemoryInfo(device->device.index());
      text += ",\"free_bytes\":" + std::to_string(memory.first) + ",\"total_bytes\":" + std::to_string(memory.second);
    }
    copy_text(text + "}", json, capacity);
  });
}

int32_t icrl_device_kernel_load(icrl_device* device, const char* name, const void* bytes, int64_t num_bytes, int32_t use) {
  return guard([&] {
    require(device && name && bytes, "a pointer is null");
    require(num_bytes > 0, "a kernel's file is empty");
    cuda::load(device->device, name, bytes, use != 0);
  });
}

void icrl_device_close(icrl_device* device) { delete device; }

int32_t icrl_kernel_check(icrl_device* device, const char* kernel, int32_t seed, double* error) {
  return guard([&] {
    require(device && kernel && error, "a pointer is null");
    *error = check_kernel(kernel, device->device, seed);
  });
}
