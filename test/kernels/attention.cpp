// kernels/attention.cu against plain loops: parts of one and of many rows, causal and full, grouped and folded heads, keys with
// row strides, parts without keys; and f16's conversions.
#include "checks.h"
#include "../../kernels/attention.cu"

using icrl::half;

namespace {

struct Part {
  int rows, first_key, num_keys;
};
struct Case {
  std::string name;
  std::vector<Part> parts;
  int heads, kv_heads, dim, fold;
  bool causal;
};

struct Want {
  std::vector<double> out, lse;
};

template <typename T> struct Inputs {
  Array<T> q, k, v;
  Array<int32_t> row_starts, key_starts, key_counts;
  int64_t k_stride, v_stride;
  int rows = 0, max_rows = 0;

  Inputs(Checks& c, const Case& s, int keys, bool with_gaps)
      : q(0), k(0), v(0), row_starts(s.parts.size() + 1), key_starts(s.parts.size() + 1), key_counts(s.parts.size()) {
    k_stride = s.kv_heads * s.dim + (with_gaps ? 8 : 0), v_stride = s.kv_heads * s.dim + (with_gaps ? 16 : 0);
    for (size_t p = 0; p < s.parts.size(); p++) {
      row_starts[p] = rows, key_starts[p] = s.parts[p].first_key, key_counts[p] = s.parts[p].num_keys;
      rows += s.parts[p].rows, max_rows = std::max(max_rows, s.parts[p].rows);
    }
    row_starts[s.parts.size()] = rows, key_starts[s.parts.size()] = 0;
    q = random_array<T>(c, size_t(rows) * s.heads * s.dim), k = random_array<T>(c, keys * k_stride);
    v = random_array<T>(c, keys * v_stride);
  }
};

// The row of head h that sees `seen` keys of a part.
template <typename T> void attend(const Case& s, const Inputs<T>& in, const Part& part, size_t place, int h, int seen, double scale, Want& want) {
  const int kv = h / (s.heads / s.kv_heads);
  std::vector<double> scores(seen);
  double max = -INFINITY, sum = 0;
  for (int j = 0; j < seen; j++) {
    for (int d = 0; d < s.dim; d++)
      scores[j] += wide(in.q[place * s.dim + d]) * wide(in.k[size_t((part.first_key + j) * in.k_stride + kv * s.dim + d)]) * scale;
    max = std::max(max, scores[j]);
  }
  for (double& x : scores) sum += x = std::exp(x - max);
  for (int j = 0; j < seen; j++)
    for (int d = 0; d < s.dim; d++)
      want.out[place * s.dim + d] += scores[j] / sum * wide(in.v[size_t((part.first_key + j) * in.v_stride + kv * s.dim + d)]);
  want.lse[place] = max + std::log(sum);
}

template <typename T> Want want_of(const Case& s, const Inputs<T>& in, double scale) {
  Want want{std::vector<double>(in.q.n), std::vector<double>(in.q.n / s.dim)};
  int first = 0;
  for (const Part& part : s.parts) {
    for (int r = 0; r < part.rows; r++)
      for (int h = 0; h < s.heads; h++) {
        const int seen = s.causal ? part.num_keys - (part.rows / s.fold - 1 - r / s.fold) : part.num_keys;
        attend(s, in, part, size_t(first + r) * s.heads + h, h, seen, scale, want);
      }
    first += part.rows;
  }
  return want;
}

template <typename T, typename F> void check(Checks& c, const Case& s, F kernel, bool on_cores, double bound, bool with_gaps) {
  const std::string name = std::string("attention ") + (sizeof(T) == 2 ? "f16 " : "f32 ") + std::to_string(s.dim) +
                           (on_cores ? " on tensor cores, " : ", ") + s.name;
  const Inputs<T> in(c, s, 400, with_gaps);
  const float scale = 0.7f / std::sqrt(float(s.dim));
  const Want want = want_of(s, in, scale);
  const int64_t queries = int64_t(in.max_rows) * (s.heads / s.kv_heads), parts = int64_t(s.parts.size());
  Geometry g = on_cores ? icrl::cuda::core_attention_geometry(queries, s.kv_heads, parts, s.dim)
                        : icrl::cuda::plain_attention_geometry(queries, s.kv_heads, parts, s.dim);
  g.y = std::min(g.y, 2u);  // several parts a block
  const auto [out, lse] = in_every_order(c, name, [&](emulator::Order order) {
    Array<float> o(in.q.n), l(in.q.n / s.dim);
    const icrl::AttentionCall<T> call{in.q, in.k, in.v, in.k_stride, in.v_stride, in.row_starts, in.key_starts, in.key_counts,
                                      o, l, scale, int(parts), s.heads, s.kv_heads, s.dim, s.causal, s.fold};
    launch(order, kernel, g, call);
    return std::tuple{o, l};
  });
  c.claim(name, relative_error(out, want.out), bound);
  double off = 0;
  for (size_t i = 0; i < want.lse.size(); i++)
    if (std::isinf(want.lse[i])) off += lse[i] != -INFINITY;  // no keys
    else off = std::max(off, std::abs(lse[i] - want.lse[i]));
  c.claim(name + ", log-sum-exp", off, 1e-5);
}

// Every finite f16 number is itself after a widening and a narrowing; and ties go to even.
void check_half(Checks& c) {
  double wrong = 0;
  for (uint32_t bits = 0; bits < 65536; bits++) {
    const half x{uint16_t(bits)};
    if ((bits & 0x7c00) == 0x7c00 && (bits & 0x3ff) != 0) continue;
    wrong += narrow<half>(widen(x)).bits != bits;
  }
  c.claim("f16, numbers that do not come back", wrong, 0);
  const std::pair<float, int> ties[] = {{1 + 0x1p-11f, 0x3c00}, {1 + 3 * 0x1p-11f, 0x3c02}, {65520, 0x7c00}, {65519, 0x7bff},
                                        {0x1p-25f, 0}, {0x1.8p-24f, 2}, {-0x1p-26f, 0x8000}};
  wrong = 0;
  for (const auto& [x, bits] : ties) wrong += narrow<half>(x).bits != bits;
  c.claim("f16, roundings to another number", wrong, 0);
}

}  // namespace

int main() {
  Checks c;
  check_half(c);
  const std::vector<Part> single{{1, 0, 1}, {1, 7, 130}, {1, 3, 65}, {1, 0, 0}};
  const std::vector<Part> several{{3, 0, 40}, {37, 11, 200}, {2, 5, 2}};
  const std::vector<Part> causal{{5, 0, 5}, {70, 20, 70}, {9, 100, 30}};
  for (const int dim : {6, 64, 128}) {
    const Case cases[] = {{"single rows", single, 6, 2, dim, 1, false},
                          {"several rows", several, 4, 1, dim, 1, false},
                          {"folded", {{8, 0, 33}, {4, 40, 100}}, 2, 2, dim, 4, false},
                          {"causal", causal, 4, 2, dim, 1, true},
                          {"causal and folded", {{12, 0, 4}, {8, 50, 60}}, 2, 2, dim, 4, true}};
    for (const Case& s : cases) {
      check<float>(c, s, attention_float, false, 3e-6, true);
      check<half>(c, s, attention_half, false, 3e-6, false);
      if (dim == 6) continue;
      // The weights are rounded to f16.
      int max_rows = 0;
      for (const Part& part : s.parts) max_rows = std::max(max_rows, part.rows);
      const bool rows = icrl::cuda::shares_keys(max_rows * (s.heads / s.kv_heads));
      const auto kernel = dim == 64 ? (rows ? attention_half_64_rows : attention_half_64_tiles)
                                    : (rows ? attention_half_128_rows : attention_half_128_tiles);
      check<half>(c, s, kernel, true, 5e-4, true);
    }
  }
  return c.ok ? 0 : 1;
}
