// kernels/swiglu.cu against plain loops.
#include "checks.h"
#include "../../kernels/swiglu.cu"

namespace {

template <typename T>
void check(Checks& c, void (*forward)(const T*, T*, int), void (*backward)(const T*, const T*, T*, int), int rows, int ffn,
           size_t shift) {
  const std::string name = std::string("swiglu ") + type_name<T>() + " " + std::to_string(rows) + "x" + std::to_string(ffn) +
                           (shift ? " unaligned" : "");
  const size_t n = size_t(rows) * ffn;
  const auto x = random_array<T>(c, 2 * n, 3, shift), d = random_array<T>(c, n);
  std::vector<double> y(n), dx(2 * n);
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < ffn; i++) {
      const size_t at = size_t(r) * ffn + i, gate_at = 2 * size_t(r) * ffn + i;
      const double gate = wide(x[gate_at]), up = wide(x[gate_at + ffn]), s = 1 / (1 + std::exp(-gate));
      y[at] = gate * s * up;
      dx[gate_at] = wide(d[at]) * up * s * (1 + gate * (1 - s));
      dx[gate_at + ffn] = wide(d[at]) * gate * s;
    }
  const Geometry g = icrl::cuda::swiglu_geometry(rows, ffn);
  const auto [y1] = in_every_order(c, name, [&](emulator::Order order) {
    Array<T> out(n);
    launch(order, forward, g, x.data, out.data, ffn);
    return std::tuple{out};
  });
  c.claim(name, relative_error(y1, y), kBound<T>);
  const auto [dx1] = in_every_order(c, name + " backward, in place", [&](emulator::Order order) {
    Array<T> both = x.copy(shift);
    launch(order, backward, g, both.data, d.data, both.data, ffn);
    return std::tuple{both};
  });
  c.claim(name + " backward", relative_error(dx1, dx), kBound<T>);
}

}  // namespace

int main() {
  Checks c;
  for (const auto& [rows, ffn, shift] : {std::tuple{1, 1, 0}, {5, 45, 0}, {2, 4104, 0}, {3, 264, 1}}) {
    check(c, swiglu_float, swiglu_backward_float, rows, ffn, shift);
    check(c, swiglu_bf16, swiglu_backward_bf16, rows, ffn, shift);
  }
  return c.ok ? 0 : 1;
}
