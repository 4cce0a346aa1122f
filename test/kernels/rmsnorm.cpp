// kernels/rmsnorm.cu against plain loops.
#include "checks.h"
#include "../../kernels/rmsnorm.cu"

namespace {

template <typename X, typename Y> struct Kernels {
  void (*forward)(const X*, const Y*, X*, const Y*, Y*, float*, int, float);
  void (*backward)(const X*, const Y*, const float*, const Y*, X*, float*, int, int);
};

template <typename X, typename Y>
void check(Checks& c, const Kernels<X, Y>& kernels, int rows, int dim, bool with_delta, size_t shift) {
  const std::string name = std::string("rmsnorm ") + type_name<X>() + " " + type_name<Y>() + " " + std::to_string(rows) + "x" +
                           std::to_string(dim) + (with_delta ? " with residual" : "") + (shift ? " unaligned" : "");
  const size_t n = size_t(rows) * dim;
  const auto x = random_array<X>(c, n, 2, shift);
  const auto delta = random_array<Y>(c, n), w = random_array<Y>(c, dim), d_y = random_array<Y>(c, n, 1, shift);
  const auto d_x = random_array<X>(c, n);
  const auto d_w = random_array<float>(c, dim);
  const float eps = 1e-5f;

  std::vector<double> sum(n), y(n), rstd(rows), dx = doubles(d_x), dw = doubles(d_w);
  for (int r = 0; r < rows; r++) {
    double squares = 0, products = 0;
    for (int i = 0; i < dim; i++) {
      const size_t at = size_t(r) * dim + i;
      sum[at] = with_delta ? wide(narrow<X>(widen(x[at]) + widen(delta[at]))) : wide(x[at]);
      squares += sum[at] * sum[at];
    }
    rstd[r] = 1 / std::sqrt(squares / dim + eps);
    for (int i = 0; i < dim; i++) {
      const size_t at = size_t(r) * dim + i;
      y[at] = sum[at] * rstd[r] * wide(w[i]);
      products += wide(d_y[at]) * wide(w[i]) * sum[at] * rstd[r];
    }
    for (int i = 0; i < dim; i++) {
      const size_t at = size_t(r) * dim + i;
      dx[at] += rstd[r] * (wide(d_y[at]) * wide(w[i]) - sum[at] * rstd[r] * products / dim);
      dw[i] += wide(d_y[at]) * sum[at] * rstd[r];
    }
  }

  const auto [sum1, y1, rstd1] = in_every_order(c, name, [&](emulator::Order order) {
    Array<X> s = x.copy(shift);
    Array<Y> out(n);
    Array<float> scales(rows);
    launch(order, kernels.forward, icrl::cuda::rmsnorm_geometry(rows), s.data, with_delta ? delta.data : nullptr, s.data, w.data,
           out.data, scales.data, dim, eps);
    return std::tuple{s, out, scales};
  });
  c.claim(name + ", sum", relative_error(sum1, sum), kBound<X>);
  c.claim(name + ", y", relative_error(y1, y), kBound<Y>);
  c.claim(name + ", rstd", relative_error(rstd1, rstd), 3e-6);

  const auto scales = rstd1;
  const auto s = sum1;
  const auto [dx1, dw1] = in_every_order(c, name + " backward", [&](emulator::Order order) {
    Geometry g = icrl::cuda::rmsnorm_backward_geometry(rows, dim);
    g.x = std::min(g.x, 3u);  // several rows a block
    Array<X> d = d_x.copy();
    Array<float> partial(size_t(g.x) * dim), sums = d_w.copy();
    launch(order, kernels.backward, g, s.data, w.data, scales.data, d_y.data, d.data, partial.data, rows, dim);
    launch(order, sum_shares, icrl::cuda::sum_shares_geometry(dim), partial.data, int(g.x), dim, sums.data);
    return std::tuple{d, sums};
  });
  c.claim(name + ", d_x", relative_error(dx1, dx), kBound<X>);
  c.claim(name + ", d_w", relative_error(dw1, dw), 1e-5);
}

}  // namespace

int main() {
  Checks c;
  const Kernels<float, float> f32{rmsnorm_float_float, rmsnorm_backward_float_float};
  const Kernels<float, bf16> mixed{rmsnorm_float_bf16, rmsnorm_backward_float_bf16};
  const Kernels<bf16, bf16> half{rmsnorm_bf16_bf16, rmsnorm_backward_bf16_bf16};
  for (const bool with_delta : {false, true})
    for (const auto& [rows, dim, shift] : {std::tuple{1, 1, 0}, {3, 83, 0}, {1, 2056, 0}, {2, 264, 1}, {11, 40, 0}}) {
      check(c, f32, rows, dim, with_delta, shift);
      check(c, mixed, rows, dim, with_delta, shift);
      check(c, half, rows, dim, with_delta, shift);
    }
  return c.ok ? 0 : 1;
}
