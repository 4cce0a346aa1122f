// kernels/sample.cu against plain loops: the id, its logprob, the entropy, and that ruled-out ids are never drawn.
#include "checks.h"
#include "../../kernels/sample.cu"

namespace {

struct Row {
  std::vector<double> p;  // normalised
  double entropy = 0;
};

template <typename T> Row row_of(const T* logits, int vocab, double inv_temperature) {
  Row row{std::vector<double>(vocab)};
  double max = -INFINITY, z = 0;
  for (int i = 0; i < vocab; i++) max = std::max(max, wide(logits[i]) * inv_temperature);
  for (int i = 0; i < vocab; i++) z += row.p[i] = std::exp(wide(logits[i]) * inv_temperature - max);
  for (double& p : row.p) {
    p /= z;
    if (p > 0) row.entropy -= p * std::log(p);
  }
  return row;
}

// How far the uniform lies outside of the id's interval of the cumulated probabilities; 0 when it is inside.
double distance(const Row& row, int id, double uniform) {
  double below = 0;
  for (int i = 0; i < id; i++) below += row.p[i];
  return std::max({0.0, below - uniform, uniform - below - row.p[id]});
}

template <typename T, typename F> void check(Checks& c, F kernel, int rows, int vocab, size_t shift, bool ruled_out) {
  const std::string name = std::string("sample ") + type_name<T>() + " " + std::to_string(rows) + "x" + std::to_string(vocab) +
                           (shift ? " unaligned" : "") + (ruled_out ? " with ids ruled out" : "");
  const size_t n = size_t(rows) * vocab;
  const auto logits = random_array<T>(c, n, 3, shift);
  const float inv_temperature = 1 / 0.7f;
  for (size_t i = 0; ruled_out && i < n; i++)
    if (i % 7 != 3 && i % size_t(vocab) != size_t(vocab) / 2) logits[i] = narrow<T>(-INFINITY);
  Array<double> uniforms(rows);
  for (int r = 0; r < rows; r++) uniforms[r] = r == 0 ? 0.5 / 4294967296.0 : r == 1 ? 1 - 0.5 / 4294967296.0 : (c.random() + 0.5) / 4294967296.0;
  const Geometry g = icrl::cuda::sample_geometry(rows);
  const auto run = [&](const double* u) {
    return in_every_order(c, name + (u ? "" : " greedy"), [&](emulator::Order order) {
      Array<int32_t> ids(rows);
      Array<float> logprobs(rows), entropies(rows);
      launch(order, kernel, g, logits.data, u, inv_temperature, ids.data, logprobs.data, entropies.data, vocab);
      return std::tuple{ids, logprobs, entropies};
    });
  };
  const auto [ids, logprobs, entropies] = run(uniforms.data);
  const auto [best, best_logprobs, best_entropies] = run(nullptr);
  double off = 0, logprob_error = 0, entropy_error = 0, wrong = 0;
  for (int r = 0; r < rows; r++) {
    const Row row = row_of(logits.data + size_t(r) * vocab, vocab, inv_temperature);
    const auto inside = [&](int id) { return id >= 0 && id < vocab && row.p[id] > 0; };
    if (!inside(ids[r]) || !inside(best[r])) {
      wrong++;
      continue;
    }
    off = std::max(off, distance(row, ids[r], uniforms[r]));
    wrong += best[r] != std::max_element(row.p.begin(), row.p.end()) - row.p.begin();
    logprob_error = std::max({logprob_error, std::abs(logprobs[r] - std::log(row.p[ids[r]])),
                              std::abs(best_logprobs[r] - std::log(row.p[best[r]]))});
    entropy_error = std::max({entropy_error, std::abs(entropies[r] - row.entropy), std::abs(best_entropies[r] - row.entropy)});
  }
  c.claim(name + ", ids that cannot be", wrong, 0);
  c.claim(name + ", distance of the uniform from its id's interval", off, 2e-6);
  c.claim(name + ", logprob", logprob_error, 1e-5);
  c.claim(name + ", entropy", entropy_error, 1e-5);
}

// Each id as often as its probability says: within five standard errors.
void check_frequencies(Checks& c) {
  const int draws = 1000, vocab = 4;
  Array<float> logits(size_t(draws) * vocab);
  Array<double> uniforms(draws);
  const double p[vocab] = {0.1, 0.2, 0.3, 0.4};
  for (int r = 0; r < draws; r++) {
    uniforms[r] = (c.random() + 0.5) / 4294967296.0;
    for (int i = 0; i < vocab; i++) logits[size_t(r) * vocab + i] = float(std::log(p[i]));
  }
  Array<int32_t> ids(draws);
  Array<float> logprobs(draws), entropies(draws);
  Geometry g = icrl::cuda::sample_geometry(draws);
  g.threads = 64;
  launch(emulator::Order::forwards, sample_float, g, logits.data, uniforms.data, 1.f, ids.data, logprobs.data, entropies.data, vocab);
  for (int i = 0; i < vocab; i++) {
    const double share = double(std::count(ids.data, ids.data + draws, i)) / draws;
    c.claim("sample, frequency of id " + std::to_string(i), std::abs(share - p[i]), 5 * std::sqrt(p[i] * (1 - p[i]) / draws));
  }
}

// Rows of NaNs and rows without any possible id: some id of the vocabulary, and no read outside of the row.
void check_no_numbers(Checks& c) {
  const int vocab = 100;
  const float fills[] = {NAN, -INFINITY};
  for (const float fill : fills) {
    Array<float> logits(vocab), logprobs(1), entropies(1);
    Array<double> uniforms(1);
    Array<int32_t> ids(1);
    for (int i = 0; i < vocab; i++) logits[i] = fill;
    uniforms[0] = 0.5;
    launch(emulator::Order::forwards, sample_float, icrl::cuda::sample_geometry(1), logits.data, uniforms.data, 1.f, ids.data,
           logprobs.data, entropies.data, vocab);
    c.claim("sample, logits that are no numbers", ids[0] >= 0 && ids[0] < vocab ? 0 : 1, 0);
    c.claim("sample, logprob of no number", std::isnan(logprobs[0]) ? 0 : 1, 0);
  }
}

}  // namespace

int main() {
  Checks c;
  for (const auto& [rows, vocab, shift] : {std::tuple{2, 1, 0}, {3, 37, 0}, {3, 1003, 0}, {2, 9000, 0}, {2, 1024, 1}})
    for (const bool ruled_out : {false, true}) {
      check<float>(c, sample_float, rows, vocab, shift, ruled_out);
      check<bf16>(c, sample_bf16, rows, vocab, shift, ruled_out);
    }
  check_frequencies(c);
  check_no_numbers(c);
  return c.ok ? 0 : 1;
}
