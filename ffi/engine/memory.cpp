#include "memory.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <map>
#include <mutex>
#include <new>

namespace icrl {
namespace {

std::atomic<int32_t> live_handles[4];
std::atomic<int64_t> live_bytes{0}, peak_bytes{0}, limit_bytes{0};
std::atomic<int64_t> most_bytes{0};  // the peak since the process began, whatever reset_peak did

// A header before the data; 64 bytes keep the data aligned for the widest vectors.
constexpr size_t kHeader = 64, kHuge = size_t(2) << 20, kLarge = size_t(1) << 20;
struct Header {
  int64_t bytes;    // asked for
  size_t capacity;  // of a large block with its header; 0 for a small one
};

// Large blocks are mapped in huge pages and kept for the next tensor of about that size: activations come and go with every
// operation, a fresh page costs a fault, and 4 KiB pages cost translation misses in the products that read them.
class LargeBlocks {
 public:
  void* take(size_t bytes) {
    const size_t wanted = (bytes + kHeader + kHuge - 1) / kHuge * kHuge;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto fit = free_.lower_bound(wanted);
      if (fit != free_.end() && fit->first <= wanted + wanted / 4 + kHuge) {
        void* block = fit->second;
        free_bytes_ -= fit->first;
        free_.erase(fit);
        return block;
      }
      if (!has_room(0)) drop_all();
    }
    void* block = map(wanted);
    if (!block) {
      const std::lock_guard<std::mutex> lock(mutex_);
      drop_all();
      block = map(wanted);
    }
    if (!block) throw std::bad_alloc();
    static_cast<Header*>(block)->capacity = wanted;
    return block;
  }
  // Kept, unless more would lie idle than has ever been in use.
  void give(void* block, size_t capacity) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_bytes_ + capacity > static_cast<size_t>(most_bytes.load()) || !has_room(capacity)) {
      munmap(block, capacity);
      return;
    }
    free_bytes_ += capacity;
    free_.emplace(capacity, block);
  }

 private:
  // Whether so many idle bytes more stay below the limit.
  bool has_room(size_t bytes) const {
    return limit_bytes == 0 || static_cast<int64_t>(free_bytes_ + bytes) + live_bytes <= limit_bytes;
  }
  // Mapped larger and cut, so that the block begins on a huge page.
  static void* map(size_t bytes) {
    char* start = static_cast<char*>(
        mmap(nullptr, bytes + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (start == MAP_FAILED) return nullptr;
    const size_t skip = (kHuge - reinterpret_cast<uintptr_t>(start) % kHuge) % kHuge;
    if (skip > 0) munmap(start, skip);
    munmap(start + skip + bytes, kHuge - skip);
    madvise(start + skip, bytes, MADV_HUGEPAGE);
    return start + skip;
  }
  void drop_all() {
    for (const auto& [capacity, block] : free_) munmap(block, capacity);
    free_.clear();
    free_bytes_ = 0;
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> free_;
  size_t free_bytes_ = 0;
};

LargeBlocks& large_blocks() {
  static auto* blocks = new LargeBlocks;  // tensors may outlive every static
  return *blocks;
}

// Counts the bytes of a new tensor, or throws where they would be too many.
void reserve(int64_t bytes) {
  const int64_t now = live_bytes += bytes;
  if (limit_bytes > 0 && now > limit_bytes) {
    live_bytes -= bytes;
    throw std::bad_alloc();
  }
  for (std::atomic<int64_t>* most : {&peak_bytes, &most_bytes}) {
    int64_t peak = *most;
    while (now > peak && !most->compare_exchange_weak(peak, now)) {
    }
  }
}

void* block_of(size_t bytes) {
  if (bytes >= kLarge) return large_blocks().take(bytes);
  void* block = nullptr;
  if (posix_memalign(&block, kHeader, bytes + kHeader) != 0) throw std::bad_alloc();
  static_cast<Header*>(block)->capacity = 0;
  return block;
}

void release(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - kHeader;
  const Header header = *reinterpret_cast<Header*>(block);
  live_bytes -= header.bytes;
  if (header.capacity > 0) large_blocks().give(block, header.capacity);
  else free(block);
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &release, cpu};
    reserve(static_cast<int64_t>(bytes));
    void* block;
    try {
      block = block_of(bytes);
    } catch (...) {
      live_bytes -= static_cast<int64_t>(bytes);
      throw;
    }
    static_cast<Header*>(block)->bytes = static_cast<int64_t>(bytes);
    void* data = static_cast<char*>(block) + kHeader;
    return {data, data, &release, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

// torch's allocator of the device, or null where there is none or nothing has been opened on it: its figures would throw.
at::DeviceAllocator* device_allocator() {
  if (at::accelerator::deviceCount() == 0) return nullptr;
  at::DeviceAllocator* allocator = at::getDeviceAllocator(at::accelerator::getAccelerator(/*checked=*/true).value());
  return allocator->initialized() ? allocator : nullptr;
}

}  // namespace

Counted::Counted(Handle kind) : kind_(kind) { live_handles[static_cast<int>(kind)]++; }
Counted::~Counted() { live_handles[static_cast<int>(kind_)]--; }

void install_allocator() {
  static CountingAllocator allocator;
  static const bool once = [] {
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
  at::DeviceAllocator* device = device_allocator();
  if (!device) return;
  const auto stats = device->getDeviceStats(at::accelerator::getDeviceIndex());
  counters[6] = stats.allocated_bytes[0].current;
  counters[7] = stats.allocated_bytes[0].peak;
}

void set_memory_limit(int64_t bytes) { limit_bytes = bytes; }

void reset_peak() {
  peak_bytes = live_bytes.load();
  if (at::DeviceAllocator* device = device_allocator()) device->resetPeakStats(at::accelerator::getDeviceIndex());
}

}  // namespace icrl
