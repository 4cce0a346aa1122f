#include "state.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace icrl {
namespace {

// Pinned memory is what a GPU can read while the host goes on.
at::TensorOptions kept_at(const StateOptions& o) {
  if (!o.on_host) return o.wide;
  const at::TensorOptions host = o.wide.device(at::kCPU);
  return o.wide.device().is_cuda() ? host.pinned_memory(true) : host;
}

// Copies are queued; the next step's are behind them in the same queue.
Tensor to_device(const Tensor& x, at::Device device) {
  return x.defined() ? x.to(device, x.scalar_type(), /*non_blocking=*/true, /*copy=*/true) : x;
}
void put(const Tensor& to, const Tensor& from) {
  if (to.defined()) to.copy_(from, /*non_blocking=*/true);
}

}  // namespace

// torch rounds pinned memory up to a power of two, of a tensor in one piece up to twice what it needs.
State::State(int64_t elements, const StateOptions& o)
    : device_(o.wide.device()), on_host_(o.on_host), coder_(o.coder), piece_(o.on_host ? kStretch : elements) {
  for (int64_t first = 0; first < elements; first += piece_) {
    const int64_t count = std::min(piece_, elements - first);
    if (coder_) codes_.push_back(zero_codes(o.code, count, kept_at(o)));
    else wide_.push_back(at::zeros({count}, kept_at(o)));
  }
}

Codes State::blocks(int64_t first, int64_t count) const {
  return codes_[first / piece_].slice(first % piece_ / kCodeBlock, (count + kCodeBlock - 1) / kCodeBlock);
}

Tensor State::load(int64_t first, int64_t count) const {
  if (!coder_) {
    const Tensor part = values(first, count);
    return on_host_ ? to_device(part, device_) : part;
  }
  const Codes part = blocks(first, count);
  if (!on_host_) return coder_->decode(part, count);
  return coder_->decode({to_device(part.codes, device_), to_device(part.scales, device_), to_device(part.shifts, device_)},
                        count);
}

void State::store(int64_t first, const Tensor& changed, const Tensor& uniforms) {
  if (!coder_) {
    const Tensor part = values(first, changed.numel());
    if (part.const_data_ptr() != changed.const_data_ptr()) put(part, changed);
    return;
  }
  const Codes from = coder_->encode(changed, uniforms), to = blocks(first, changed.numel());
  put(to.codes, from.codes), put(to.scales, from.scales), put(to.shifts, from.shifts);
}

}  // namespace icrl
