// kernels/rope.cu against plain loops: alone, backwards, and with the writing to the cache.
#include "checks.h"
#include "../../kernels/rope.cu"

using icrl::half;

namespace {

struct Shape {
  int rows, heads, kv_heads, dim;
  bool with_norm;
};

// One head in double; returns the norm's scale.
template <typename T>
double rotate(const T* in, double* out, const T* norm, const float* angles, int dim, double eps) {
  double squares = 0;
  for (int i = 0; i < dim; i++) squares += wide(in[i]) * wide(in[i]);
  const double scale = norm ? 1 / std::sqrt(squares / dim + eps) : 1;
  const auto normed = [&](int i) { return wide(in[i]) * scale * (norm ? wide(norm[i]) : 1); };
  for (int i = 0; i < dim / 2; i++) {
    out[i] = normed(i) * angles[i] - normed(i + dim / 2) * angles[i + dim / 2];
    out[i + dim / 2] = normed(i + dim / 2) * angles[i] + normed(i) * angles[i + dim / 2];
  }
  return scale;
}

// d in double, of one head, in place; adds to d_norm.
template <typename T>
void rotate_back(const T* in, double* d, const T* norm, double scale, const float* angles, int dim, double* d_norm) {
  std::vector<double> g(dim);
  const int half = dim / 2;
  for (int i = 0; i < half; i++) {
    g[i] = d[i] * angles[i] + d[i + half] * angles[i + half];
    g[i + half] = d[i + half] * angles[i] - d[i] * angles[i + half];
  }
  double products = 0;
  for (int i = 0; norm && i < dim; i++) {
    d_norm[i] += g[i] * wide(in[i]) * scale;
    products += g[i] * wide(norm[i]) * wide(in[i]) * scale;
  }
  for (int i = 0; i < dim; i++)
    d[i] = norm ? (g[i] * wide(norm[i]) - wide(in[i]) * scale * products / dim) * scale : g[i];
}

struct Angles {
  Array<float> table;
  Array<int32_t> positions;
  Angles(Checks& c, int rows, int dim) : table(random_array<float>(c, size_t(40) * dim)), positions(rows) {
    for (int r = 0; r < rows; r++) positions[r] = c.below(40);
  }
  const float* of(int row, int dim) const { return table.data + size_t(positions[row]) * dim; }
};

std::string describe(const char* what, const char* type, const Shape& s) {
  return std::string(what) + " " + type + " " + std::to_string(s.rows) + "x" + std::to_string(s.heads) + "x" +
         std::to_string(s.dim) + (s.with_norm ? " with head norm" : "");
}

template <typename T, typename F, typename B> void check(Checks& c, F forward, B backward, const Shape& s) {
  const std::string name = describe("rope", type_name<T>(), s);
  const int stride = s.heads * s.dim + 5;  // rows of a wider array
  const auto x = random_array<T>(c, size_t(s.rows) * stride), norm = random_array<T>(c, s.dim);
  const auto d = random_array<T>(c, size_t(s.rows) * stride);
  const T* weight = s.with_norm ? norm.data : nullptr;
  const Angles angles(c, s.rows, s.dim);
  std::vector<double> y(size_t(s.rows) * s.heads * s.dim), rstd(size_t(s.rows) * s.heads), dx = doubles(d), dn(s.dim);
  for (int r = 0; r < s.rows; r++)
    for (int h = 0; h < s.heads; h++) {
      const size_t task = size_t(r) * s.heads + h, at = size_t(r) * stride + h * s.dim;
      rstd[task] = rotate(x.data + at, &y[task * s.dim], weight, angles.of(r, s.dim), s.dim, 1e-6);
      rotate_back(x.data + at, &dx[at], weight, rstd[task], angles.of(r, s.dim), s.dim, dn.data());
    }
  const auto [y1, rstd1] = in_every_order(c, name, [&](emulator::Order order) {
    Array<T> out(y.size());
    Array<float> scales(rstd.size());
    launch(order, forward, icrl::cuda::rope_geometry(s.rows, s.heads), x.data, stride, out.data, s.heads * s.dim, weight, 1e-6f,
           scales.data, s.heads, angles.table.data, angles.positions.data, s.rows, s.heads, s.dim);
    return std::tuple{out, scales};
  });
  c.claim(name, relative_error(y1, y), kBound<T>);
  if (s.with_norm) c.claim(name + ", rstd", relative_error(rstd1, rstd), 3e-6);
  const auto scales = rstd1;
  const auto [dx1, dn1] = in_every_order(c, name + " backward", [&](emulator::Order order) {
    Geometry g = icrl::cuda::rope_backward_geometry(s.rows, s.heads, s.dim);
    g.x = std::min(g.x, 2u);
    Array<T> back = d.copy();
    Array<float> partial(size_t(g.x) * s.dim), sums(s.dim);
    for (int i = 0; i < s.dim; i++) sums[i] = 0;
    launch(order, backward, g, x.data, stride, back.data, stride, weight, scales.data, s.heads, angles.table.data,
           angles.positions.data, s.rows, s.heads, s.dim, partial.data);
    if (weight) launch(order, sum_shares, icrl::cuda::sum_shares_geometry(s.dim), partial.data, int(g.x), s.dim, sums.data);
    return std::tuple{back, sums};
  });
  c.claim(name + " backward", relative_error(dx1, dx), kBound<T>);
  if (s.with_norm) c.claim(name + " backward, d_norm", relative_error(dn1, dn), 1e-5);
}

template <typename T, typename C, typename F> void check_cache(Checks& c, F kernel, const Shape& s) {
  const std::string name = describe("rope and cache write", type_name<T>(), s);
  const int all = s.heads + 2 * s.kv_heads, entries = 48;
  const size_t entry = size_t(s.kv_heads) * s.dim;
  const auto qkv = random_array<T>(c, size_t(s.rows) * all * s.dim), q_norm = random_array<T>(c, s.dim);
  const auto k_norm = random_array<T>(c, s.dim), before = random_array<C>(c, entries * entry);
  const Angles angles(c, s.rows, s.dim);
  Array<int32_t> slots(s.rows);
  for (int r = 0; r < s.rows; r++) slots[r] = (r * 7 + 3) % entries;
  std::vector<double> rotated = doubles(qkv), keys = doubles(before), values = keys;
  for (int r = 0; r < s.rows; r++)
    for (int h = 0; h < all; h++) {
      const size_t at = (size_t(r) * all + h) * s.dim;
      const int kv = h - s.heads;
      if (kv < 0) rotate(qkv.data + at, &rotated[at], s.with_norm ? q_norm.data : nullptr, angles.of(r, s.dim), s.dim, 1e-6);
      else if (kv < s.kv_heads)
        rotate(qkv.data + at, &keys[slots[r] * entry + kv * s.dim], s.with_norm ? k_norm.data : nullptr, angles.of(r, s.dim),
               s.dim, 1e-6);
      else
        for (int i = 0; i < s.dim; i++) values[slots[r] * entry + (kv - s.kv_heads) * s.dim + i] = wide(qkv[at + i]);
    }
  const auto [qkv1, keys1, values1] = in_every_order(c, name, [&](emulator::Order order) {
    Array<T> own = qkv.copy();
    Array<C> k = before.copy(), v = before.copy();
    launch(order, kernel, icrl::cuda::rope_geometry(s.rows, all), own.data, s.with_norm ? q_norm.data : nullptr,
           s.with_norm ? k_norm.data : nullptr, 1e-6f, angles.table.data, angles.positions.data, slots.data, k.data, v.data, s.rows,
           s.heads, s.kv_heads, s.dim);
    return std::tuple{own, k, v};
  });
  c.claim(name + ", queries", relative_error(qkv1, rotated), kBound<T>);
  c.claim(name + ", keys", relative_error(keys1, keys), kBound<T>);
  // Below its normal numbers f16 has fewer bits than bf16.
  c.claim(name + ", values", relative_error(values1, values), sizeof(T) == 2 ? 1e-6 : 0);
}

}  // namespace

int main() {
  Checks c;
  for (const bool with_norm : {false, true})
    for (const Shape& s : {Shape{1, 1, 1, 2, with_norm}, Shape{19, 3, 1, 26, with_norm}, Shape{3, 4, 2, 128, with_norm}}) {
      check<float>(c, rope_float, rope_backward_float, s);
      check<bf16>(c, rope_bf16, rope_backward_bf16, s);
      check_cache<float, float>(c, rope_cache_float, s);
      check_cache<bf16, half>(c, rope_cache_bf16, s);
    }
  return c.ok ? 0 : 1;
}
