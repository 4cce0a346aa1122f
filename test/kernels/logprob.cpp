// kernels/logprob.cu against plain loops.
#include "checks.h"
#include "../../kernels/logprob.cu"

namespace {

template <typename T, typename F, typename B>
void check(Checks& c, F forward, B backward, int rows, int vocab, size_t shift, bool ruled_out, bool with_entropy) {
  const std::string name = std::string("logprob ") + type_name<T>() + " " + std::to_string(rows) + "x" + std::to_string(vocab) +
                           (shift ? " unaligned" : "") + (ruled_out ? " with ids ruled out" : "") +
                           (with_entropy ? "" : " without entropy");
  const size_t n = size_t(rows) * vocab;
  const auto logits = random_array<T>(c, n, 4, shift);
  const auto d_logprobs = random_array<float>(c, rows), d_entropies = random_array<float>(c, rows);
  const float inv_temperature = 1 / 0.7f;
  Array<int32_t> ids(rows);
  for (int r = 0; r < rows; r++) ids[r] = c.below(vocab);
  for (int r = 0; ruled_out && r < rows; r++)
    for (int i = 0; i < vocab; i++)
      if (i != ids[r] && (i % 3 == 0 || i < vocab / 2)) logits[size_t(r) * vocab + i] = narrow<T>(-INFINITY);
  std::vector<double> lp(rows), h(rows), d(n);
  for (int r = 0; r < rows; r++) {
    const auto x = [&](int i) { return wide(logits[size_t(r) * vocab + i]) * inv_temperature; };
    double max = -INFINITY, z = 0;
    for (int i = 0; i < vocab; i++) max = std::max(max, x(i));
    for (int i = 0; i < vocab; i++) z += std::exp(x(i) - max);
    const auto log_p = [&](int i) { return x(i) - max - std::log(z); };
    for (int i = 0; i < vocab; i++)
      if (std::exp(log_p(i)) > 0) h[r] -= std::exp(log_p(i)) * log_p(i);
    lp[r] = log_p(ids[r]);
    for (int i = 0; i < vocab; i++) {
      const double p = std::exp(log_p(i)), e = with_entropy && p > 0 ? d_entropies[r] * p * (log_p(i) + h[r]) : 0;
      d[size_t(r) * vocab + i] = (d_logprobs[r] * ((i == ids[r]) - p) - e) * inv_temperature;
    }
  }
  const Geometry g = icrl::cuda::logprob_geometry(rows);
  const auto [lp1, h1] = in_every_order(c, name, [&](emulator::Order order) {
    Array<float> logprobs(rows), entropies(rows);
    launch(order, forward, g, logits.data, ids.data, inv_temperature, logprobs.data, entropies.data, vocab);
    return std::tuple{logprobs, entropies};
  });
  c.claim(name, relative_error(lp1, lp), 2e-6);
  double off = 0;  // absolute: a row that is nearly certain has an entropy of nearly 0, as a difference of two numbers near 1
  for (int r = 0; r < rows; r++) off = std::max(off, std::abs(h1[r] - h[r]));
  c.claim(name + ", entropy", off, 5e-6);
  const auto [d1] = in_every_order(c, name + " backward", [&](emulator::Order order) {
    Array<T> gradient = logits.copy(shift);
    launch(order, backward, g, gradient.data, ids.data, inv_temperature, d_logprobs.data,
           with_entropy ? d_entropies.data : nullptr, vocab);
    return std::tuple{gradient};
  });
  c.claim(name + " backward", relative_error(d1, d), std::max(1e-5, kBound<T>));
}

}  // namespace

int main() {
  Checks c;
  for (const auto& [rows, vocab, shift] : {std::tuple{1, 2, 0}, {5, 203, 0}, {2, 9000, 0}, {3, 1000, 1}})
    for (const bool ruled_out : {false, true}) {
      check<float>(c, logprob_float, logprob_backward_float, rows, vocab, shift, ruled_out, !ruled_out);
      check<bf16>(c, logprob_bf16, logprob_backward_bf16, rows, vocab, shift, ruled_out, true);
    }
  return c.ok ? 0 : 1;
}
