// kernels/adamw.cu against plain loops, and its stochastic rounding: always to a neighbour, and right in the mean.
#include "checks.h"
#include "../../kernels/adamw.cu"

namespace {

icrl::AdamW options_at(int t) {
  icrl::AdamW o{};
  o.decay = 1 - 0.01f * 0.1f, o.beta1 = 0.9f, o.beta2 = 0.95f, o.eps = 1e-6f;
  o.step_size = float(0.01 / (1 - std::pow(0.9, t)));
  o.root_correction = float(std::sqrt(1 - std::pow(0.95, t)));
  o.noise = 0x12345678u * unsigned(t), o.noise_next = 0x9abcdef0u;
  return o;
}

struct Want {
  std::vector<double> w, m, v;
};
void step(Want& x, const Array<float>& g, const icrl::AdamW& o) {
  for (size_t i = 0; i < x.w.size(); i++) {
    x.m[i] += (1 - double(o.beta1)) * (g[i] - x.m[i]);
    x.v[i] = double(o.beta2) * x.v[i] + (1 - double(o.beta2)) * g[i] * double(g[i]);
    x.w[i] = x.w[i] * o.decay - o.step_size * x.m[i] / (std::sqrt(x.v[i]) / o.root_correction + o.eps);
  }
}

void check(Checks& c, size_t n, size_t shift) {
  const std::string name = "adamw " + std::to_string(n) + (shift ? " unaligned" : "");
  const auto w0 = random_array<float>(c, n, 1, shift), g1 = random_array<float>(c, n), g2 = random_array<float>(c, n);
  const auto h0 = random_array<bf16>(c, n);
  Geometry g = icrl::cuda::adamw_geometry(int64_t(n));
  g.x = std::min(g.x, 2u);
  const auto zeros = [&] {
    Array<float> z(n);
    memset(z.data, 0, n * sizeof(float));
    return z;
  };
  Want want{doubles(w0), std::vector<double>(n), std::vector<double>(n)};
  step(want, g1, options_at(1)), step(want, g2, options_at(2));

  const auto [w, m, v] = in_every_order(c, name + " float", [&](emulator::Order order) {
    Array<float> weight = w0.copy(shift), first = zeros(), second = zeros();
    launch(order, adamw_float, g, weight.data, g1.data, first.data, second.data, int64_t(n), options_at(1));
    launch(order, adamw_float, g, weight.data, g2.data, first.data, second.data, int64_t(n), options_at(2));
    return std::tuple{weight, first, second};
  });
  c.claim(name + " float, weight", relative_error(w, want.w), 1e-6);
  c.claim(name + " float, first moment", relative_error(m, want.m), 1e-6);
  c.claim(name + " float, second moment", relative_error(v, want.v), 1e-6);

  const auto [master, half] = in_every_order(c, name + " master", [&](emulator::Order order) {
    Array<float> wide_weight = w0.copy(shift), first = zeros(), second = zeros();
    Array<bf16> weight = h0.copy();
    launch(order, adamw_master, g, wide_weight.data, weight.data, g1.data, first.data, second.data, int64_t(n), options_at(1));
    launch(order, adamw_master, g, wide_weight.data, weight.data, g2.data, first.data, second.data, int64_t(n), options_at(2));
    return std::tuple{wide_weight, weight};
  });
  c.claim(name + " master, the master as without a narrower weight", master.same(w) ? 0 : 1, 0);
  double wrong = 0;
  for (size_t i = 0; i < n; i++) wrong += half[i].bits != narrow<bf16>(master[i]).bits;
  c.claim(name + " master, weights that are not the nearest", wrong, 0);

  const auto [rounded] = in_every_order(c, name + " stochastic", [&](emulator::Order order) {
    Array<float> first = zeros(), second = zeros();
    Array<bf16> weight = h0.copy();
    launch(order, adamw_bf16, g, weight.data, g1.data, first.data, second.data, int64_t(n), options_at(1));
    return std::tuple{weight};
  });
  Want exact{doubles(h0), std::vector<double>(n), std::vector<double>(n)};
  step(exact, g1, options_at(1));
  double far = 0;
  for (size_t i = 0; i < n; i++) {
    const uint32_t below = __float_as_uint(float(exact.w[i])) & 0xffff0000u;
    far += std::abs(int(rounded[i].bits) - int(below >> 16)) > 1;  // the exact value may lie a rounding beside a bf16 number
  }
  c.claim(name + " stochastic, weights beyond a neighbour", far, 0);
}

// The bits of ffi/engine/rounding.cpp: elements as far up as the noise of each says.
void check_noise(Checks& c) {
  const int n = 20000;
  Array<bf16> w(n);
  Array<float> g(n), m(n), v(n);
  icrl::AdamW o = options_at(1);
  o.decay = 1.001f, o.step_size = 0;  // 1 becomes 1.001, of which bf16 has 1 and 1.0078125
  for (int i = 0; i < n; i++) w[i] = narrow<bf16>(1), g[i] = m[i] = v[i] = 0;
  launch(emulator::Order::forwards, adamw_bf16, icrl::cuda::adamw_geometry(n), w.data, g.data, m.data, v.data, int64_t(n), o);
  double mean = 0, other = 0;
  for (int i = 0; i < n; i++) {
    uint32_t bits = uint32_t(i) ^ o.noise;
    bits = icrl::mix(icrl::mix(bits) + o.noise_next);
    const uint32_t sum = __float_as_uint(1.001f) + (bits & 0xffff);
    other += w[i].bits != sum >> 16;
    mean += wide(w[i]) / n;
  }
  const double p = 0.001 / 0.0078125;
  c.claim("adamw stochastic, mean of 1.001", std::abs(mean - 1.001), 5 * 0.0078125 * std::sqrt(p * (1 - p) / n));
  c.claim("adamw stochastic, elements of other noise", other, 0);
}

}  // namespace

int main() {
  Checks c;
  for (const auto& [n, shift] : {std::pair{1, 0}, {1003, 0}, {4096, 0}, {517, 1}}) check(c, size_t(n), size_t(shift));
  check_noise(c);
  return c.ok ? 0 : 1;
}
