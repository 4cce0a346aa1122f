// One array that the optimizer keeps of a tensor between steps, in fp32 (fp64 for a double policy) or in 8 bits, on the device
// or in the host's memory. A step takes it through the device a stretch at a time.
#pragma once
#include <optional>

#include "codes.h"

namespace icrl {

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
  explicit State(const Tensor& array) : wide_(array.view({-1})) {}

  // [count] values on the device: a view where they lie there as they are. first is a multiple of kCodeBlock.
  Tensor load(int64_t first, int64_t count) const;
  // What load gave, changed. uniforms (undefined: round to the nearest) are read where the values are coded.
  void store(int64_t first, const Tensor& values, const Tensor& uniforms);
  bool is_coded() const { return coder_ != nullptr; }
  // All of it, where load gives views.
  const Tensor& in_place() const { return wide_; }

 private:
  Codes blocks(int64_t first, int64_t count) const;

  at::Device device_{at::kCPU};
  bool on_host_ = false;
  const Coder* coder_ = nullptr;
  Tensor wide_;  // [elements], where there is no coder
  Codes codes_;
};

}  // namespace icrl
