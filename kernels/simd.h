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

// 2^n times a degree-6 polynomial of the fraction on [-1/2, 1/2] (Cephes' exp2f): relative error below 2e-6 at the far end,
// below 3e-7 where probabilities are made. Below -87 it is 0 or about 1e-38.
inline Vec<float> exp_vector(Vec<float> x) {
#if defined(__AVX512F__)
  const __m512 v = (__m512)x;
  const __m512 n = _mm512_roundscale_ps(v * 1.44269504f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const Vec<float> low = splat(-87.3f), high = splat(88.3f), magic = splat(12582912.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vec<float> n = (x * 1.44269504f + magic) - magic;
#endif
  const Vec<float> f = x * 1.44269504f - (Vec<float>)n;
  Vec<float> p = splat(1.535336188319500e-4f);
  p = p * f + 1.339887440266574e-3f;
  p = p * f + 9.618437357674640e-3f;
  p = p * f + 5.550332471162809e-2f;
  p = p * f + 2.402264791363012e-1f;
  p = p * f + 6.931472028550421e-1f;
  p = p * f + 1.0f;
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_scalef_ps((__m512)p, n);
#else
  typedef int32_t Ints __attribute__((vector_size(kVectorBytes)));
  const Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Vec<float> scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
#endif
}
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

// C[MR, NV * lanes] (+)= A[MR, K] B[K, NV * lanes]; A has any strides, B and C are row-major.
template <typename T, int MR, int NV>
inline void tile(int64_t K, const T* a, int64_t row_stride, int64_t col_stride, const T* b, int64_t ldb, T* c, int64_t ldc,
                 bool accumulate) {
  constexpr int W = kLanes<T>;
  Vec<T> acc[MR][NV];
  for (int r = 0; r < MR; r++)
    for (int n = 0; n < NV; n++) acc[r][n] = accumulate ? load(c + r * ldc + n * W) : Vec<T>{};
  for (int64_t k = 0; k < K; k++) {
    Vec<T> bv[NV];
    for (int n = 0; n < NV; n++) bv[n] = load(b + k * ldb + n * W);
    for (int r = 0; r < MR; r++) {
      const T av = a[r * row_stride + k * col_stride];
      for (int n = 0; n < NV; n++) acc[r][n] += bv[n] * av;
    }
  }
  for (int r = 0; r < MR; r++)
    for (int n = 0; n < NV; n++) store(c + r * ldc + n * W, acc[r][n]);
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

}  // namespace
