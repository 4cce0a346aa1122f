// What a device can do at most, measured now. A bench compares its rates with these; nothing decides anything by them.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>

#include <chrono>
#include <limits>

#include "../../kernels/kernels.h"
#include "policy.h"

using namespace icrl;

namespace {

// What policies compute in there, and sizes that fill the device and no cache holds.
struct Sizes {
  at::ScalarType dtype;
  int64_t side;   // of the square matrices
  int64_t bytes;  // of an array
};
constexpr Sizes kCpu = {at::kFloat, 2048, int64_t(128) << 20};
constexpr Sizes kAccelerator = {at::kBFloat16, 8192, int64_t(4) << 30};
constexpr int kRepeats = 8;

const Sizes& sizes_of(const at::Device& device) { return device.is_cpu() ? kCpu : kAccelerator; }

void wait_for(const at::Device& device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

// The fastest of a few: a limit is what happens undisturbed.
template <typename F> double best_seconds(const at::Device& device, F work) {
  using clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRepeats; i++) {
    const auto start = clock::now();
    work();
    wait_for(device);
    best = std::min(best, std::chrono::duration<double>(clock::now() - start).count());
  }
  return best;
}

void measure_products(const at::Device& device, double* ours, double* torchs) {
  const auto& [dtype, side, _] = sizes_of(device);
  const auto options = at::TensorOptions().dtype(dtype).device(device);
  const Tensor x = at::randn({side, side}, options), w = at::randn({side, side}, options), y = at::empty_like(x);
  const Tensor panels = device.is_cpu() ? pack_linear(w) : Tensor();
  const double flops = 2.0 * side * side * side;
  *ours = flops / best_seconds(device, [&] { linear(x, w, panels, y, false); });
  *torchs = flops / best_seconds(device, [&] { reference::linear(x, w, y, false); });
}

void measure_memory(const at::Device& device, double* read, double* copied) {
  const auto& [_, side, size] = sizes_of(device);
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  const Tensor from = at::ones({size / 4 / side, side}, options), to = at::empty_like(from), x = at::ones({side}, options);
  const double bytes = double(size);
  const double summed = best_seconds(device, [&] { at::sum(from); });
  const double multiplied = best_seconds(device, [&] { at::mv(from, x); });
  *read = bytes / std::min(summed, multiplied);
  *copied = 2 * bytes / best_seconds(device, [&] { at::Tensor(to).copy_(from); });
}

}  // namespace

int32_t icrl_device_limits(icrl_device* device, double* limits) {
  return guard([&] {
    require(device && limits, "a pointer is null");
    measure_products(device->device, limits, limits + 1);
    measure_memory(device->device, limits + 2, limits + 3);
  });
}
