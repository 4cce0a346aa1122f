#include "cuda.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

namespace icrl::cuda {
namespace {

// The few functions of the driver API, as cuda.h declares them (CUresult is an enum, the handles are pointers, a device is an int).
struct Driver {
  int (*init)(unsigned);
  int (*version)(int*);
  int (*device_get)(int*, int);
  int (*primary_context_retain)(void**, int);
  int (*context_get)(void**);
  int (*context_set)(void*);
  int (*module_load)(void**, const void*);
  int (*module_function)(void**, void*, const char*);
  int (*function_attribute)(void*, int, int);
  int (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  int (*error_string)(int, const char**);

  void check(int result, const std::string& what) const {
    if (result == 0) return;
    const char* text = nullptr;
    error_string(result, &text);
    throw std::runtime_error("CUDA error: " + what + ": " + (text ? text : "code " + std::to_string(result)));
  }
  // A driver older than the nvcc that compiled a kernel refuses it with words that do not say so.
  void check_loaded(int result, const std::string& name) const {
    int known = 0;
    if (result != 0) version(&known);
    check(result, "loading the kernel " + name + " by a driver for CUDA " + std::to_string(known / 1000) + "." +
                      std::to_string(known % 1000 / 10));
  }
};
constexpr int kMaxDynamicSharedBytes = 8;  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
constexpr unsigned kSharedWithoutAsking = 48 << 10;

template <typename F> void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (!function) throw std::runtime_error(std::string("the CUDA driver has no ") + name);
}

std::unique_ptr<Driver> open_driver() {
  const char* named = std::getenv("ICRL_CUDA_DRIVER");
  void* library = dlopen(named ? named : "libcuda.so.1", RTLD_NOW);
  if (!library) throw std::runtime_error(std::string("the CUDA driver does not load: ") + dlerror());
  auto d = std::make_unique<Driver>();
  find(library, "cuInit", d->init);
  find(library, "cuDriverGetVersion", d->version);
  find(library, "cuDeviceGet", d->device_get);
  find(library, "cuDevicePrimaryCtxRetain", d->primary_context_retain);
  find(library, "cuCtxGetCurrent", d->context_get);
  find(library, "cuCtxSetCurrent", d->context_set);
  find(library, "cuModuleLoadData", d->module_load);
  find(library, "cuModuleGetFunction", d->module_function);
  find(library, "cuFuncSetAttribute", d->function_attribute);
  find(library, "cuLaunchKernel", d->launch);
  find(library, "cuGetErrorString", d->error_string);
  d->check(d->init(0), "cuInit");
  return d;
}

const Driver& driver() {
  static const std::unique_ptr<Driver> opened = open_driver();
  return *opened;
}

struct Function {
  void* handle = nullptr;
  unsigned shared = kSharedWithoutAsking;  // bytes that it may have
};
// A kernel on one device. It lives as long as the process, as torch's own do.
struct Loaded {
  void* context = nullptr;
  void* module = nullptr;
  bool use = false;
  std::unordered_map<std::string, Function> functions;
};
struct Registry {
  std::mutex mutex;
  std::map<std::pair<at::Device::Type, int>, std::array<Loaded, size_t(Kernel::count)>> devices;

  Loaded* find(at::Device device, Kernel kernel) {
    const auto at = devices.find({device.type(), std::max<int>(device.index(), 0)});
    return at == devices.end() || !at->second[size_t(kernel)].module ? nullptr : &at->second[size_t(kernel)];
  }
  Loaded& slot(at::Device device, Kernel kernel) {
    return devices[{device.type(), std::max<int>(device.index(), 0)}][size_t(kernel)];
  }
};
Registry& registry() {
  static Registry all;
  return all;
}

// The driver's calls work on the thread's context. torch's is the primary one of the device.
void enter(void* context) {
  void* current = nullptr;
  driver().check(driver().context_get(&current), "cuCtxGetCurrent");
  if (current != context) driver().check(driver().context_set(context), "cuCtxSetCurrent");
}

void* current_stream(at::Device device) {
  if (device.is_cpu()) return nullptr;  // the emulated driver
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

void* function_of(Loaded& loaded, const std::string& name, unsigned shared) {
  Function& f = loaded.functions[name];
  if (!f.handle) driver().check(driver().module_function(&f.handle, loaded.module, name.c_str()), "no kernel " + name);
  if (shared > f.shared) {
    driver().check(driver().function_attribute(f.handle, kMaxDynamicSharedBytes, int(shared)), "shared memory of " + name);
    f.shared = shared;
  }
  return f.handle;
}

Kernel kernel_of(const std::string& name) {
  for (int i = 0; i < int(Kernel::count); i++)
    if (name == name_of(Kernel(i))) return Kernel(i);
  throw std::invalid_argument("no CUDA kernel is called " + name);
}

}  // namespace

const char* name_of(Kernel kernel) {
  constexpr const char* names[] = {"rmsnorm", "rope", "swiglu", "logprob", "sample", "adamw", "attention"};
  static_assert(std::size(names) == size_t(Kernel::count));
  return names[size_t(kernel)];
}

bool detail::any_used = false;

bool detail::is_used(const Tensor& t, Kernel kernel) {
  const auto narrow = kernel == Kernel::attention ? at::kHalf : at::kBFloat16;
  if (t.scalar_type() != at::kFloat && t.scalar_type() != narrow) return false;
  const std::lock_guard lock(registry().mutex);
  const Loaded* loaded = registry().find(t.device(), kernel);
  return loaded && loaded->use;
}

void load(at::Device device, const std::string& name, const void* bytes, bool use) {
  const Kernel kernel = kernel_of(name);
  if (device.is_cpu() && !std::getenv("ICRL_CUDA_DRIVER")) throw std::invalid_argument("CUDA kernels are for a CUDA device");
  const std::lock_guard lock(registry().mutex);
  Loaded& loaded = registry().slot(device, kernel);
  if (!loaded.module) {
    int handle = 0;
    driver().check(driver().device_get(&handle, std::max<int>(device.index(), 0)), "cuDeviceGet");
    driver().check(driver().primary_context_retain(&loaded.context, handle), "cuDevicePrimaryCtxRetain");
    enter(loaded.context);
    driver().check_loaded(driver().module_load(&loaded.module, bytes), name);
  }
  loaded.use = loaded.use || use;
  detail::any_used = detail::any_used || use;
}

bool is_loaded(at::Device device, Kernel kernel) {
  const std::lock_guard lock(registry().mutex);
  return registry().find(device, kernel) != nullptr;
}

void launch(at::Device device, Kernel kernel, const std::string& function, const Geometry& g, void** parameters) {
  const std::lock_guard lock(registry().mutex);
  Loaded* loaded = registry().find(device, kernel);
  if (!loaded) throw std::invalid_argument(std::string("the CUDA kernel ") + name_of(kernel) + " is not loaded");
  enter(loaded->context);
  void* handle = function_of(*loaded, function, g.shared);
  driver().check(driver().launch(handle, g.x, g.y, 1, g.threads, 1, 1, g.shared, current_stream(device), parameters, nullptr),
                 "launching " + function);
}

}  // namespace icrl::cuda
