#include "memory.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <stdlib.h>

#include <climits>
#include <new>

namespace icrl {
namespace {

std::atomic<int32_t> live_handles[4];
std::atomic<int64_t> live_bytes{0}, peak_bytes{0};

// A header before the data holds the size; 64 bytes keep the data aligned for the widest vectors.
constexpr size_t kHeader = 64;

void release(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - kHeader;
  live_bytes -= *reinterpret_cast<int64_t*>(block);
  free(block);
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &release, cpu};
    void* block = nullptr;
    if (posix_memalign(&block, kHeader, bytes + kHeader) != 0) throw std::bad_alloc();
    *static_cast<int64_t*>(block) = static_cast<int64_t>(bytes);
    const int64_t now = live_bytes += static_cast<int64_t>(bytes);
    int64_t peak = peak_bytes;
    while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
    }
    void* data = static_cast<char*>(block) + kHeader;
    return {data, data, &release, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

}  // namespace

Counted::Counted(Handle kind) : kind_(kind) { live_handles[static_cast<int>(kind)]++; }
Counted::~Counted() { live_handles[static_cast<int>(kind_)]--; }

void install_allocator() {
  static CountingAllocator allocator;
  static const bool once = [] {
    // A returned page costs a fault at its next use; activations come and go with every operation.
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_TOP_PAD, 64 << 20);
    c10::SetCPUAllocator(&allocator, /*priority=*/100);
    return true;
  }();
  static_cast<void>(once);
}

void read_counters(int64_t counters[8]) {
  for (int i = 0; i < 4; i++) counters[i] = live_handles[i];
  counters[4] = live_bytes;
  counters[5] = peak_bytes;
  counters[6] = counters[7] = 0;
  if (at::accelerator::deviceCount() == 0) return;
  const auto stats = at::accelerator::getDeviceStats(at::accelerator::getDeviceIndex());
  counters[6] = stats.allocated_bytes[0].current;
  counters[7] = stats.allocated_bytes[0].peak;
}

void reset_peak() {
  peak_bytes = live_bytes.load();
  if (at::accelerator::deviceCount() > 0) at::accelerator::resetPeakStats(at::accelerator::getDeviceIndex());
}

}  // namespace icrl
