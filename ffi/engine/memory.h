// Live objects, and the bytes that tensors hold. On the CPU every tensor is counted at its allocation; on a CUDA device the
// figures are torch's own.
#pragma once
#include <atomic>
#include <cstdint>

namespace icrl {

enum class Handle { device, policy, cache, trainer };

// Counts the handle it is a member of.
class Counted {
 public:
  explicit Counted(Handle kind);
  ~Counted();
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  Handle kind_;
};

// Puts the counting allocator, which also keeps large blocks for reuse, under torch's CPU tensors. Idempotent.
void install_allocator();
void read_counters(int64_t counters[8]);
void reset_peak();
// CPU tensors together may hold so many bytes, blocks kept for reuse included; beyond, an allocation throws. 0: no limit.
void set_memory_limit(int64_t bytes);

}  // namespace icrl
