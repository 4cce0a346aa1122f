// One array that the optimizer keeps of a tensor between steps, in fp32 (fp64 for a double policy) or in 8 bits, on the device
// or in the host's memory. A step takes it through the device a stretch at a time.
#pragma once
#include <optional>
#include <vector>

#include "codes.h"

namespace icrl {

// Elements that a step takes at once: up to 57 bytes each beside what is kept, where something is coded, rounded or on the host.
constexpr int64_t kStretch = int64_t(1) << 22;

struct StateOptions {
  at::TensorOptions wide;  // of the values on the device
  bool on_host;            // in the host's memory, pinned where the device is a GPU
  const Coder* coder;      // null: not coded
  Code code;
};

class State {
 public:
  State() = default;  // none
  // Zeros.
  State(int64_t elements, const StateOptions& options);
  // An array that something else owns, read and written in place.
  explicit State(const Tensor& array) : piece_(array.numel()), wide_{array.view({-1})} {}

  // [count] values on the device: a view where they lie there as they are. They are of one stretch, and first of its blocks.
  Tensor load(int64_t first, int64_t count) const;
  // What load gave, changed. uniforms (undefined: round to the nearest) are read where the values are coded.
  void store(int64_t first, const Tensor& changed, const Tensor& uniforms);
  bool is_coded() const { return coder_ != nullptr; }
  // All of it, where load gives views.
  const Tensor& in_place() const { return wide_[0]; }

 private:
  Codes blocks(int64_t first, int64_t count) const;
  Tensor values(int64_t first, int64_t count) const { return wide_[first / piece_].narrow(0, first % piece_, count); }

  at::Device device_{at::kCPU};
  bool on_host_ = false;
  const Coder* coder_ = nullptr;
  int64_t piece_ = 0;         // elements of one; a stretch in the host's memory, all of them on the device
  std::vector<Tensor> wide_;  // [piece] each, where there is no coder
  std::vector<Codes> codes_;
};

}  // namespace icrl
