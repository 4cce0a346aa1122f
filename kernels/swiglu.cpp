// The gated MLP's activation (Shazeer 2020): silu(gate) * up, of one [T, 2 F] product.
#include <ATen/ATen.h>

#include "cuda.h"
#include "dispatch.h"
#include "kernels.h"

namespace icrl {

void swiglu(const Tensor& gate_up, const Tensor& out) {
  if (cuda::uses(gate_up, cuda::Kernel::swiglu)) return cuda::swiglu(gate_up, out);
  if (!has_cpu_kernel(gate_up)) return reference::swiglu(gate_up, out);
  with_scalar(gate_up, [&](auto tag) {
    using T = decltype(tag);
    const int64_t ffn = out.size(1);
    parallel_rows(out.size(0), ffn * 4, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().swiglu(gate_up.const_data_ptr<T>() + begin * 2 * ffn, out.data_ptr<T>() + begin * ffn, end - begin,
                              ffn);
    });
  });
}

void swiglu_backward(const Tensor& gate_up, const Tensor& d_out, const Tensor& d_gate_up) {
  if (cuda::uses(gate_up, cuda::Kernel::swiglu)) return cuda::swiglu_backward(gate_up, d_out, d_gate_up);
  if (!has_cpu_kernel(gate_up)) return reference::swiglu_backward(gate_up, d_out, d_gate_up);
  with_scalar(gate_up, [&](auto tag) {
    using T = decltype(tag);
    const int64_t ffn = d_out.size(1);
    parallel_rows(d_out.size(0), ffn * 8, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().swiglu_backward(gate_up.const_data_ptr<T>() + begin * 2 * ffn,
                                       d_out.const_data_ptr<T>() + begin * ffn, d_gate_up.data_ptr<T>() + begin * 2 * ffn,
                                       end - begin, ffn);
    });
  });
}

namespace reference {

void swiglu(const Tensor& gate_up, const Tensor& out) {
  const int64_t ffn = out.size(1);
  Tensor to = out;
  at::mul_out(to, at::silu(gate_up.narrow(1, 0, ffn)), gate_up.narrow(1, ffn, ffn));
}

void swiglu_backward(const Tensor& gate_up, const Tensor& d_out, const Tensor& d_gate_up) {
  const int64_t ffn = d_out.size(1);
  const Tensor gate = gate_up.narrow(1, 0, ffn), up = gate_up.narrow(1, ffn, ffn), s = gate.sigmoid();
  const Tensor d_gate = d_out * up * s * (1 + gate * (1 - s)), d_up = d_out * gate * s;
  d_gate_up.narrow(1, 0, ffn).copy_(d_gate);
  d_gate_up.narrow(1, ffn, ffn).copy_(d_up);
}

}  // namespace reference
}  // namespace icrl
