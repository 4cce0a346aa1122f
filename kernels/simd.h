// Vectors, exp and a small matrix product for one instruction set. Included only by cpu.<isa>.cpp, which is compiled with
// that set's flags. Nothing here may include a header whose inline functions other files share: the linker could then keep
// a copy with instructions that the machine does not have.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kTileRows = 6, kTileVectors = 4;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kTileRows = 6, kTileVectors = 2;
#else
constexpr int kVectorBytes = 16, kTileRows = 4, kTileVectors = 2;
#endif

template <typename T> struct VectorOf { typedef T type __attribute__((vector_size(kVectorBytes))); };
template <typename T> using Vec = typename VectorOf<T>::type;
template <typename T> constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <typename T> inline Vec<T> load(const T* p) { Vec<T> v; std::memcpy(&v, p, sizeof v); return v; }
template <typename T> inline void store(T* p, Vec<T> v) { std::memcpy(p, &v, sizeof v); }
template <typename T> inline Vec<T> splat(T x) { return x - Vec<T>{}; }

#if defined(__AVX512F__)
// 2^floor(y) times a polynomial of y's fraction, the best of degree 5 on [0, 1) that is 1 at 0: relative error below 2e-7, and
// of y's own rounding, which is 4e-6 where exp(x) is 1e-38. Below -87 it is 0 or about 1e-38.
inline Vec<float> exp_vector(Vec<float> x) {
  const Vec<float> y = x * 1.44269504f;
  const Vec<float> f = (Vec<float>)_mm512_reduce_ps((__m512)y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  Vec<float> p = splat(1.8671301659196615e-3f);
  p = p * f + 9.017029777169228e-3f;
  p = p * f + 5.579991266131401e-2f;
  p = p * f + 2.4016444385051727e-1f;
  p = p * f + 6.931512951850891e-1f;
  p = p * f + 1.0f;
  return (Vec<float>)_mm512_scalef_ps((__m512)p, (__m512)y);
}
#else
// 2^n times a degree-6 polynomial of the fraction on [-1/2, 1/2] (Cephes' exp2f): relative error below 2e-6 at the far end,
// below 3e-7 where probabilities are made. Below -87 it is about 1e-38.
inline Vec<float> exp_vector(Vec<float> x) {
  const Vec<float> low = splat(-87.3f), high = splat(88.3f), magic = splat(12582912.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vec<float> n = (x * 1.44269504f + magic) - magic;
  const Vec<float> f = x * 1.44269504f - n;
  Vec<float> p = splat(1.535336188319500e-4f);
  p = p * f + 1.339887440266574e-3f;
  p = p * f + 9.618437357674640e-3f;
  p = p * f + 5.550332471162809e-2f;
  p = p * f + 2.402264791363012e-1f;
  p = p * f + 6.931472028550421e-1f;
  p = p * f + 1.0f;
  typedef int32_t Ints __attribute__((vector_size(kVectorBytes)));
  const Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Vec<float> scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}
#endif
inline Vec<double> exp_vector(Vec<double> x) {
  for (int i = 0; i < kLanes<double>; i++) x[i] = std::exp(x[i]);
  return x;
}
// Folds the lanes by halves; a loop over lanes would cost more than the vectors before it.
template <typename T, typename F> inline T fold(Vec<T> v, F combine) {
  typedef typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type Index;
  typedef Index Indices __attribute__((vector_size(kVectorBytes)));
  for (int half = kLanes<T> / 2; half > 0; half /= 2) {
    Indices swap;
    for (int i = 0; i < kLanes<T>; i++) swap[i] = i ^ half;
    v = combine(v, __builtin_shuffle(v, swap));
  }
  return v[0];
}
template <typename T> inline T fold_sum(Vec<T> v) {
  return fold<T>(v, [](Vec<T> a, Vec<T> b) { return a + b; });
}
template <typename T> inline T fold_max(Vec<T> v) {
  return fold<T>(v, [](Vec<T> a, Vec<T> b) { return a > b ? a : b; });
}

template <typename T> inline T dot(const T* a, const T* b, int64_t n) {
  T s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}

// p[i] = exp(p[i] - shift); returns the sum.
template <typename T> inline T exp_row(T* p, int64_t n, T shift) {
  Vec<T> total{};
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
    const Vec<T> e = exp_vector(load(p + i) - shift);
    store(p + i, e);
    total += e;
  }
  T sum = fold_sum<T>(total);
  if (i < n) {
    Vec<T> tail = splat(shift);
    for (int64_t k = i; k < n; k++) tail[k - i] = p[k];
    const Vec<T> e = exp_vector(tail - shift);
    for (int64_t k = i; k < n; k++) sum += (p[k] = e[k - i]);
  }
  return sum;
}
template <typename T> inline T max_row(const T* p, int64_t n) {
  T best = p[0];
  int64_t i = 0;
  if (n >= kLanes<T>) {
    Vec<T> m = load(p);
    for (i = kLanes<T>; i + kLanes<T> <= n; i += kLanes<T>) {
      const Vec<T> v = load(p + i);
      m = v > m ? v : m;
    }
    best = fold_max<T>(m);
  }
  for (; i < n; i++) best = p[i] > best ? p[i] : best;
  return best;
}

// body(constant 0), ..., body(constant N - 1): indices that are constants from the start keep an array of vectors in registers.
template <int N, typename F> __attribute__((always_inline)) inline void unrolled(F body) {
  if constexpr (N > 0) {
    unrolled<N - 1>(body);
    body(std::integral_constant<int, N - 1>{});
  }
}

// C[MR, NV * lanes] (+)= A[MR, K] B[K, NV * lanes]; A has any strides, B and C are row-major.
template <typename T, int MR, int NV>
inline void tile(int64_t K, const T* a, int64_t row_stride, int64_t col_stride, const T* b, int64_t ldb, T* c, int64_t ldc,
                 bool accumulate) {
  constexpr int W = kLanes<T>;
  Vec<T> acc[MR][NV];
  unrolled<MR>([&](auto r) __attribute__((always_inline)) {
    unrolled<NV>([&](auto n) __attribute__((always_inline)) { acc[r][n] = accumulate ? load(c + r * ldc + n * W) : Vec<T>{}; });
  });
  for (int64_t k = 0; k < K; k++) {
    Vec<T> bv[NV];
    unrolled<NV>([&](auto n) __attribute__((always_inline)) { bv[n] = load(b + k * ldb + n * W); });
    unrolled<MR>([&](auto r) __attribute__((always_inline)) {
      const T av = a[r * row_stride + k * col_stride];
      unrolled<NV>([&](auto n) __attribute__((always_inline)) { acc[r][n] += bv[n] * av; });
    });
  }
  unrolled<MR>([&](auto r) __attribute__((always_inline)) {
    unrolled<NV>([&](auto n) __attribute__((always_inline)) { store(c + r * ldc + n * W, acc[r][n]); });
  });
}
template <typename T, int NV>
inline void tile_rows(int64_t M, int64_t K, const T* a, int64_t rs, int64_t cs, const T* b, int64_t ldb, T* c, int64_t ldc,
                      bool accumulate) {
  int64_t m = 0;
  for (; m + kTileRows <= M; m += kTileRows)
    tile<T, kTileRows, NV>(K, a + m * rs, rs, cs, b, ldb, c + m * ldc, ldc, accumulate);
  const T* rest = a + m * rs;
  T* out = c + m * ldc;
  switch (M - m) {
    case 1: tile<T, 1, NV>(K, rest, rs, cs, b, ldb, out, ldc, accumulate); break;
    case 2: tile<T, 2, NV>(K, rest, rs, cs, b, ldb, out, ldc, accumulate); break;
    case 3: tile<T, 3, NV>(K, rest, rs, cs, b, ldb, out, ldc, accumulate); break;
    case 4: if constexpr (kTileRows > 4) tile<T, 4, NV>(K, rest, rs, cs, b, ldb, out, ldc, accumulate); break;
    case 5: if constexpr (kTileRows > 5) tile<T, 5, NV>(K, rest, rs, cs, b, ldb, out, ldc, accumulate); break;
    default: break;
  }
}
// C[M, N] (+)= A[M, K] B[K, N] for the small products of attention. N that no vector divides ends in scalar columns.
template <typename T>
inline void small_gemm(int64_t M, int64_t N, int64_t K, const T* a, int64_t rs, int64_t cs, const T* b, int64_t ldb, T* c,
                       int64_t ldc, bool accumulate) {
  constexpr int W = kLanes<T>;
  int64_t n = 0;
  for (; n + kTileVectors * W <= N; n += kTileVectors * W)
    tile_rows<T, kTileVectors>(M, K, a, rs, cs, b + n, ldb, c + n, ldc, accumulate);
  if (kTileVectors > 2 && n + 2 * W <= N) {
    tile_rows<T, 2>(M, K, a, rs, cs, b + n, ldb, c + n, ldc, accumulate);
    n += 2 * W;
  }
  for (; n + W <= N; n += W) tile_rows<T, 1>(M, K, a, rs, cs, b + n, ldb, c + n, ldc, accumulate);
  if (n == N) return;
  for (int64_t m = 0; m < M; m++)
    for (int64_t j = n; j < N; j++) {
      T sum = accumulate ? c[m * ldc + j] : T(0);
      for (int64_t k = 0; k < K; k++) sum += a[m * rs + k * cs] * b[k * ldb + j];
      c[m * ldc + j] = sum;
    }
}

// A square of vectors, transposed in registers: interleaving the halves log2(lanes) times is a transposition.
template <typename T> inline void transpose_square(const T* in, int64_t stride, T* out, int64_t ld) {
  constexpr int W = kLanes<T>;
  typedef typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type Index;
  typedef Index Indices __attribute__((vector_size(kVectorBytes)));
  Indices low, high;
  for (int i = 0; i < W; i++) low[i] = i / 2 + i % 2 * W, high[i] = low[i] + W / 2;
  Vec<T> x[W], y[W];
  unrolled<W>([&](auto i) __attribute__((always_inline)) { x[i] = load(in + i * stride); });
  for (int step = 1; step < W; step *= 2) {
    unrolled<W / 2>([&](auto i) __attribute__((always_inline)) {
      y[2 * i] = __builtin_shuffle(x[i], x[i + W / 2], low);
      y[2 * i + 1] = __builtin_shuffle(x[i], x[i + W / 2], high);
    });
    unrolled<W>([&](auto i) __attribute__((always_inline)) { x[i] = y[i]; });
  }
  unrolled<W>([&](auto i) __attribute__((always_inline)) { store(out + i * ld, x[i]); });
}
// in [rows, cols] with a row stride -> out [cols, ld].
template <typename T> void transpose(const T* in, int64_t stride, T* out, int64_t ld, int64_t rows, int64_t cols) {
  constexpr int64_t W = kLanes<T>;
  for (int64_t r = 0; r < rows; r += W)
    for (int64_t c = 0; c < cols; c += W) {
      if (r + W <= rows && c + W <= cols) {
        transpose_square(in + r * stride + c, stride, out + c * ld + r, ld);
        continue;
      }
      for (int64_t j = c; j < cols && j < c + W; j++)
        for (int64_t i = r; i < rows && i < r + W; i++) out[j * ld + i] = in[i * stride + j];
    }
}

}  // namespace
