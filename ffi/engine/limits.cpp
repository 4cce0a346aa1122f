// What a device can do at most, measured now. A bench compares its rates with these; nothing decides anything by them.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>

#include <chrono>
#include <limits>

#include "../../kernels/kernels.h"
#include "policy.h"

using namespace icrl;

namespace {

constexpr int64_t kSide = 2048;                   // of the square matrices
constexpr int64_t kFloats = int64_t(128) << 18;  // 128 MiB an array: larger than any cache here
constexpr int kRepeats = 8;

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
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  const Tensor x = at::randn({kSide, kSide}, options), w = at::randn({kSide, kSide}, options), y = at::empty_like(x);
  const Tensor panels = device.is_cpu() ? pack_linear(w) : Tensor();
  const double flops = 2.0 * kSide * kSide * kSide;
  *ours = flops / best_seconds(device, [&] { linear(x, w, panels, y, false); });
  *torchs = flops / best_seconds(device, [&] { reference::linear(x, w, y, false); });
}

void measure_memory(const at::Device& device, double* read, double* copied) {
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  const Tensor from = at::ones({kFloats / kSide, kSide}, options), to = at::empty_like(from), x = at::ones({kSide}, options);
  const double bytes = double(from.nbytes());
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
