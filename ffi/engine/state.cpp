#include "state.h"

#include <ATen/ATen.h>

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

State::State(int64_t elements, const StateOptions& o)
    : device_(o.wide.device()), on_host_(o.on_host), coder_(o.coder) {
  if (coder_) codes_ = zero_codes(o.code, elements, kept_at(o));
  else wide_ = at::zeros({elements}, kept_at(o));
}

Codes State::blocks(int64_t first, int64_t count) const {
  return codes_.slice(first / kCodeBlock, (count + kCodeBlock - 1) / kCodeBlock);
}

Tensor State::load(int64_t first, int64_t count) const {
  if (!coder_) {
    const Tensor part = wide_.narrow(0, first, count);
    return on_host_ ? to_device(part, device_) : part;
  }
  const Codes part = blocks(first, count);
  if (!on_host_) return coder_->decode(part, count);
  return coder_->decode({to_device(part.codes, device_), to_device(part.scales, device_), to_device(part.shifts, device_)},
                        count);
}

void State::store(int64_t first, const Tensor& values, const Tensor& uniforms) {
  if (!coder_) {
    const Tensor part = wide_.narrow(0, first, values.numel());
    if (part.const_data_ptr() != values.const_data_ptr()) put(part, values);
    return;
  }
  const Codes from = coder_->encode(values, uniforms), to = blocks(first, values.numel());
  put(to.codes, from.codes), put(to.scales, from.scales), put(to.shifts, from.shifts);
}

}  // namespace icrl
