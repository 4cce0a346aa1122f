// RMS norm (Zhang and Sennrich 2019): y = x * rsqrt(mean(x^2) + eps) * w.
#include <ATen/ATen.h>

#include "cuda.h"
#include "dispatch.h"
#include "kernels.h"

namespace icrl {

void rmsnorm(const Tensor& x, const Tensor& w, double eps, const Tensor& y, const Tensor& rstd) {
  if (cuda::uses(x, cuda::Kernel::rmsnorm)) return cuda::rmsnorm(x, w, eps, y, rstd);
  if (!has_cpu_kernel(x) || w.scalar_type() != x.scalar_type()) return reference::rmsnorm(x, w, eps, y, rstd);
  with_scalar(x, [&](auto tag) {
    using T = decltype(tag);
    const int64_t dim = x.size(1);
    parallel_rows(x.size(0), dim * 4, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().rmsnorm(x.const_data_ptr<T>() + begin * dim, w.const_data_ptr<T>(), y.data_ptr<T>() + begin * dim,
                               rstd.data_ptr<T>() + begin, end - begin, dim, eps);
    });
  });
}

void rmsnorm_backward(const Tensor& x, const Tensor& w, const Tensor& rstd, const Tensor& d_y, const Tensor& d_x,
                      const Tensor& d_w) {
  if (cuda::uses(x, cuda::Kernel::rmsnorm)) return cuda::rmsnorm_backward(x, w, rstd, d_y, d_x, d_w);
  if (!has_cpu_kernel(x) || w.scalar_type() != x.scalar_type())
    return reference::rmsnorm_backward(x, w, rstd, d_y, d_x, d_w);
  with_scalar(x, [&](auto tag) {
    using T = decltype(tag);
    const int64_t dim = x.size(1), shares = at::get_num_threads(), rows = x.size(0);
    const Tensor partial = at::zeros({shares, dim}, x.options());
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (int64_t s = first; s < last; s++) {
        const int64_t begin = rows * s / shares, end = rows * (s + 1) / shares;
        cpu_kernels<T>().rmsnorm_backward(x.const_data_ptr<T>() + begin * dim, w.const_data_ptr<T>(),
                                          rstd.const_data_ptr<T>() + begin, d_y.const_data_ptr<T>() + begin * dim,
                                          d_x.data_ptr<T>() + begin * dim, partial.data_ptr<T>() + s * dim, end - begin, dim);
      }
    });
    if (d_w.defined()) d_w.add_(partial.sum(0));
  });
}

namespace reference {

// On a GPU a decode step is as long as its launches are many: results go where they belong, and a narrower weight widens on its way.
void rmsnorm(const Tensor& x, const Tensor& w, double eps, const Tensor& y, const Tensor& rstd) {
  const Tensor wide = x.to(rstd.scalar_type());
  Tensor scale = rstd, out = y;
  at::rsqrt_out(scale, wide.square().mean(1).add_(eps));
  at::mul_out(out, wide * rstd.unsqueeze(1), w);
}

void rmsnorm_backward(const Tensor& x, const Tensor& w, const Tensor& rstd, const Tensor& d_y, const Tensor& d_x,
                      const Tensor& d_w) {
  const auto wide = rstd.scalar_type();
  const Tensor normed = x.to(wide) * rstd.unsqueeze(1), d = d_y.to(wide), weighted = d * w.to(wide);
  if (d_w.defined()) d_w.add_((d * normed).sum(0).to(d_w.scalar_type()));
  d_x.add_(((weighted - normed * (weighted * normed).mean(1, true)) * rstd.unsqueeze(1)).to(d_x.scalar_type()));
}

}  // namespace reference
}  // namespace icrl
