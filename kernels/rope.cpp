// Rotary position embedding (Su et al. 2021) in the half-split layout of the Hugging Face weights, after an optional RMS norm
// of each head (Qwen3).
#include <ATen/ATen.h>

#include "cuda.h"
#include "dispatch.h"
#include "kernels.h"

namespace icrl {

template <typename T> static T* data_or_null(const Tensor& t) { return t.defined() ? t.data_ptr<T>() : nullptr; }

void rope(const Tensor& in, const Tensor& out, const Tensor& norm, double eps, const Tensor& rstd, const Tensor& table,
          const Tensor& positions) {
  if (cuda::uses(in, cuda::Kernel::rope)) return cuda::rope(in, out, norm, eps, rstd, table, positions);
  if (!has_cpu_kernel(in)) return reference::rope(in, out, norm, eps, rstd, table, positions);
  with_scalar(in, [&](auto tag) {
    using T = decltype(tag);
    const int64_t heads = in.size(1), dim = in.size(2);
    const int64_t rstd_stride = rstd.defined() ? rstd.stride(0) : 0;
    parallel_rows(in.size(0), heads * dim * 4, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().rope(in.const_data_ptr<T>() + begin * in.stride(0), in.stride(0),
                            out.data_ptr<T>() + begin * out.stride(0), out.stride(0), data_or_null<T>(norm),
                            rstd.defined() ? rstd.data_ptr<T>() + begin * rstd_stride : nullptr, rstd_stride,
                            table.const_data_ptr<T>(), positions.const_data_ptr<int32_t>() + begin, end - begin, heads, dim,
                            eps);
    });
  });
}

void rope_backward(const Tensor& in, const Tensor& d, const Tensor& norm, const Tensor& rstd, const Tensor& d_norm,
                   const Tensor& table, const Tensor& positions) {
  if (cuda::uses(in, cuda::Kernel::rope)) return cuda::rope_backward(in, d, norm, rstd, d_norm, table, positions);
  if (!has_cpu_kernel(in)) return reference::rope_backward(in, d, norm, rstd, d_norm, table, positions);
  with_scalar(in, [&](auto tag) {
    using T = decltype(tag);
    const int64_t rows = in.size(0), heads = in.size(1), dim = in.size(2), shares = at::get_num_threads();
    const int64_t rstd_stride = rstd.defined() ? rstd.stride(0) : 0;
    const Tensor partial = at::zeros({shares, dim}, in.options());
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (int64_t s = first; s < last; s++) {
        const int64_t begin = rows * s / shares, end = rows * (s + 1) / shares;
        cpu_kernels<T>().rope_backward(in.const_data_ptr<T>() + begin * in.stride(0), in.stride(0),
                                       d.data_ptr<T>() + begin * d.stride(0), d.stride(0), data_or_null<T>(norm),
                                       rstd.defined() ? rstd.const_data_ptr<T>() + begin * rstd_stride : nullptr, rstd_stride,
                                       partial.data_ptr<T>() + s * dim, table.const_data_ptr<T>(),
                                       positions.const_data_ptr<int32_t>() + begin, end - begin, heads, dim);
      }
    });
    if (d_norm.defined()) d_norm.add_(partial.sum(0));
  });
}

namespace reference {

// x[T, heads, D] to out, which may be x: the halves of each head turned by its position's angle, or back by it. x may be narrower
// than the table and widens on its way; out is rounded to its own type. Few launches: a decode step on a GPU is as long as those.
static void rotate(const Tensor& x, const Tensor& out, const Tensor& table, const Tensor& positions, bool back) {
  const int64_t rows = x.size(0), half = x.size(2) / 2;
  const Tensor angles = table.index_select(0, positions).view({rows, 1, 2, half}), halves = x.view({rows, x.size(1), 2, half});
  const Tensor by_cos = halves * angles.narrow(2, 0, 1), by_sin = halves * angles.narrow(2, 1, 1);
  Tensor first = out.narrow(2, 0, half), second = out.narrow(2, half, half);
  at::add_out(first, by_cos.select(2, 0), by_sin.select(2, 1), back ? 1 : -1);
  at::add_out(second, by_cos.select(2, 1), by_sin.select(2, 0), back ? -1 : 1);
}

void rope(const Tensor& in, const Tensor& out, const Tensor& norm, double eps, const Tensor& rstd, const Tensor& table,
          const Tensor& positions) {
  if (!norm.defined()) return rotate(in, out, table, positions, false);
  const Tensor x = in.to(table.scalar_type());
  Tensor scale = rstd;
  at::rsqrt_out(scale, x.square().mean(2).add_(eps));
  rotate(x * rstd.unsqueeze(2) * norm, out, table, positions, false);
}

void rope_backward(const Tensor& in, const Tensor& d, const Tensor& norm, const Tensor& rstd, const Tensor& d_norm,
                   const Tensor& table, const Tensor& positions) {
  if (!norm.defined()) return rotate(d, d, table, positions, true);
  const auto wide = table.scalar_type();
  const Tensor g = at::empty(d.sizes(), table.options());
  rotate(d, g, table, positions, true);
  const Tensor normed = in.to(wide) * rstd.unsqueeze(2), weighted = g * norm.to(wide);
  if (d_norm.defined()) d_norm.add_((g * normed).sum(at::IntArrayRef{0, 1}).to(d_norm.scalar_type()));
  d.copy_((weighted - normed * (weighted * normed).mean(2, true)) * rstd.unsqueeze(2));
}

}  // namespace reference
}  // namespace icrl
