// Kernels that read each row once or twice: RMS norm, rotary embedding, gated MLP, logprob of a row of logits, sampling.
#pragma once
#include "cpu.h"
#include "simd.h"

namespace {

template <typename T>
void rmsnorm(const T* x, const T* w, T* y, T* rstd, int64_t rows, int64_t dim, double eps) {
  for (int64_t r = 0; r < rows; r++, x += dim, y += dim) {
    const T scale = T(1) / std::sqrt(dot(x, x, dim) / T(dim) + T(eps));
    rstd[r] = scale;
#pragma omp simd
    for (int64_t i = 0; i < dim; i++) y[i] = x[i] * scale * w[i];
  }
}

template <typename T>
void rmsnorm_backward(const T* x, const T* w, const T* rstd, const T* d_y, T* d_x, T* d_w, int64_t rows, int64_t dim) {
  for (int64_t r = 0; r < rows; r++, x += dim, d_y += dim, d_x += dim) {
    const T scale = rstd[r];
    T s = 0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < dim; i++) s += d_y[i] * w[i] * x[i];
    const T c = s * scale * scale * scale / T(dim);
#pragma omp simd
    for (int64_t i = 0; i < dim; i++) {
      d_w[i] += d_y[i] * x[i] * scale;
      d_x[i] += d_y[i] * w[i] * scale - x[i] * c;
    }
  }
}

// Rotates pairs (i, i + dim / 2), the convention of the Hugging Face weights. table[position] = cos[dim / 2], sin[dim / 2].
template <typename T>
void rope(const T* in, int64_t in_stride, T* out, int64_t out_stride, const T* norm, T* rstd, int64_t rstd_stride,
          const T* table, const int32_t* positions, int64_t rows, int64_t heads, int64_t dim, double eps) {
  const int64_t half = dim / 2;
  for (int64_t r = 0; r < rows; r++) {
    const T* cosine = table + positions[r] * dim;
    const T* sine = cosine + half;
    for (int64_t h = 0; h < heads; h++) {
      const T* x = in + r * in_stride + h * dim;
      T* y = out + r * out_stride + h * dim;
      T scale = 1;
      if (norm) {
        scale = T(1) / std::sqrt(dot(x, x, dim) / T(dim) + T(eps));
        rstd[r * rstd_stride + h] = scale;
      }
#pragma omp simd
      for (int64_t i = 0; i < half; i++) {
        const T a = norm ? x[i] * scale * norm[i] : x[i];
        const T b = norm ? x[i + half] * scale * norm[i + half] : x[i + half];
        y[i] = a * cosine[i] - b * sine[i];
        y[i + half] = b * cosine[i] + a * sine[i];
      }
    }
  }
}

template <typename T>
void rope_backward(const T* in, int64_t in_stride, T* d, int64_t d_stride, const T* norm, const T* rstd, int64_t rstd_stride,
                   T* d_norm, const T* table, const int32_t* positions, int64_t rows, int64_t heads, int64_t dim) {
  const int64_t half = dim / 2;
  for (int64_t r = 0; r < rows; r++) {
    const T* cosine = table + positions[r] * dim;
    const T* sine = cosine + half;
    for (int64_t h = 0; h < heads; h++) {
      T* g = d + r * d_stride + h * dim;
#pragma omp simd
      for (int64_t i = 0; i < half; i++) {
        const T a = g[i], b = g[i + half];
        g[i] = a * cosine[i] + b * sine[i];
        g[i + half] = b * cosine[i] - a * sine[i];
      }
      if (!norm) continue;
      const T* x = in + r * in_stride + h * dim;
      const T scale = rstd[r * rstd_stride + h];
      T s = 0;
#pragma omp simd reduction(+ : s)
      for (int64_t i = 0; i < dim; i++) s += g[i] * norm[i] * x[i];
      const T c = s * scale * scale * scale / T(dim);
#pragma omp simd
      for (int64_t i = 0; i < dim; i++) {
        d_norm[i] += g[i] * x[i] * scale;
        g[i] = g[i] * norm[i] * scale - x[i] * c;
      }
    }
  }
}

// 1 / (1 + exp(-x)), on a whole row of scratch-free vectors.
template <typename T> inline Vec<T> sigmoid(Vec<T> x) { return T(1) / (T(1) + exp_vector(-x)); }

template <typename T, typename F> inline void by_vectors(int64_t n, F body) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) body(i, kLanes<T>);
  if (i < n) body(i, static_cast<int>(n - i));
}
template <typename T> inline Vec<T> load_part(const T* p, int count) {
  if (count == kLanes<T>) return load(p);
  Vec<T> v{};
  std::memcpy(&v, p, sizeof(T) * count);
  return v;
}
template <typename T> inline void store_part(T* p, Vec<T> v, int count) { std::memcpy(p, &v, sizeof(T) * count); }

template <typename T> void swiglu(const T* gate_up, T* out, int64_t rows, int64_t ffn) {
  for (int64_t r = 0; r < rows; r++, gate_up += 2 * ffn, out += ffn)
    by_vectors<T>(ffn, [&](int64_t i, int n) {
      const Vec<T> g = load_part(gate_up + i, n), u = load_part(gate_up + ffn + i, n);
      store_part(out + i, Vec<T>(g * sigmoid<T>(g) * u), n);
    });
}

template <typename T> void swiglu_backward(const T* gate_up, const T* d_out, T* d_gate_up, int64_t rows, int64_t ffn) {
  for (int64_t r = 0; r < rows; r++, gate_up += 2 * ffn, d_gate_up += 2 * ffn, d_out += ffn)
    by_vectors<T>(ffn, [&](int64_t i, int n) {
      const Vec<T> g = load_part(gate_up + i, n), u = load_part(gate_up + ffn + i, n), d = load_part(d_out + i, n);
      const Vec<T> s = sigmoid<T>(g);
      store_part(d_gate_up + i, Vec<T>(d * u * s * (T(1) + g * (T(1) - s))), n);
      store_part(d_gate_up + ffn + i, Vec<T>(d * g * s), n);
    });
}

template <typename T>
void logprob(const T* logits, const int32_t* ids, double inv_temperature, double* logprobs, double* entropies, int64_t rows,
             int64_t vocab) {
  const T beta = T(inv_temperature);
  for (int64_t r = 0; r < rows; r++, logits += vocab) {
    const T top = max_row(logits, vocab);
    Vec<T> sum{}, weighted{};
    T tail_sum = 0, tail_weighted = 0;
    by_vectors<T>(vocab, [&](int64_t i, int n) {
      const Vec<T> z = (load_part(logits + i, n) - top) * beta;
      const Vec<T> e = exp_vector(z);
      if (n == kLanes<T>) { sum += e; weighted += e * z; return; }
      for (int k = 0; k < n; k++) { tail_sum += e[k]; tail_weighted += e[k] * z[k]; }
    });
    double total = tail_sum, moment = tail_weighted;
    for (int k = 0; k < kLanes<T>; k++) { total += sum[k]; moment += weighted[k]; }
    const double log_total = std::log(total);
    logprobs[r] = (double(logits[ids[r]]) - double(top)) * inv_temperature - log_total;
    entropies[r] = log_total - moment / total;
  }
}

// d/dz_j of c * logprob + e * H is c (1[j = id] - p_j) - e p_j (log p_j + H), and z = logits / temperature.
template <typename T>
void logprob_backward(T* logits, const int32_t* ids, double inv_temperature, const double* d_logprobs,
                      const double* d_entropies, int64_t rows, int64_t vocab) {
  const T beta = T(inv_temperature);
  for (int64_t r = 0; r < rows; r++, logits += vocab) {
    double ignored = 0, entropy = 0;
    if (d_entropies) logprob(logits, ids + r, inv_temperature, &ignored, &entropy, 1, vocab);
    const T top = max_row(logits, vocab);
#pragma omp simd
    for (int64_t i = 0; i < vocab; i++) logits[i] = (logits[i] - top) * beta;
    const T log_total = [&] {
      Vec<T> sum{};
      T tail = 0;
      by_vectors<T>(vocab, [&](int64_t i, int n) {
        const Vec<T> e = exp_vector(load_part(logits + i, n));
        if (n == kLanes<T>) sum += e;
        else for (int k = 0; k < n; k++) tail += e[k];
      });
      double total = tail;
      for (int k = 0; k < kLanes<T>; k++) total += sum[k];
      return T(std::log(total));
    }();
    const T c = T(d_logprobs[r]) * beta;
    const T e = d_entropies ? T(d_entropies[r]) * beta : T(0);
    const T h = T(entropy);
    by_vectors<T>(vocab, [&](int64_t i, int n) {
      const Vec<T> logp = load_part(logits + i, n) - log_total;
      const Vec<T> p = exp_vector(logp);
      store_part(logits + i, Vec<T>(-p * (c + e * (logp + h))), n);
    });
    logits[ids[r]] += c;
  }
}

template <typename T>
void sample(T* logits, const double* uniforms, double inv_temperature, int32_t* ids, float* logprobs, float* entropies,
            int64_t rows, int64_t vocab) {
  const T beta = T(inv_temperature);
  for (int64_t r = 0; r < rows; r++, logits += vocab) {
    const T top = max_row(logits, vocab);
    Vec<T> weighted{};
    double total = 0, moment = 0;
    int64_t best = 0;
    if (!uniforms) while (best + 1 < vocab && logits[best] != top) best++;  // ends with NaN too
    double chosen_z = 0;
    // Blocks of 256 with a sum each, so that the scan for the sampled entry touches one block only.
    constexpr int64_t kBlock = 256;
    double sums[kBlock];
    const int64_t block = (vocab + kBlock - 1) / kBlock > kBlock ? (vocab + kBlock - 1) / kBlock : kBlock;
    int64_t num_blocks = 0;
    T tail_weighted = 0;
    for (int64_t start = 0; start < vocab; start += block) {
      const int64_t n = vocab - start < block ? vocab - start : block;
      T* row = logits + start;
      Vec<T> sum{};
      T tail = 0;
      by_vectors<T>(n, [&](int64_t i, int count) {
        const Vec<T> z = (load_part(row + i, count) - top) * beta;
        const Vec<T> e = exp_vector(z);
        store_part(row + i, e, count);
        if (count == kLanes<T>) { sum += e; weighted += e * z; return; }
        for (int k = 0; k < count; k++) { tail += e[k]; tail_weighted += e[k] * z[k]; }
      });
      double block_sum = tail;
      for (int k = 0; k < kLanes<T>; k++) block_sum += sum[k];
      sums[num_blocks++] = block_sum;
      total += block_sum;
    }
    moment = tail_weighted;
    for (int k = 0; k < kLanes<T>; k++) moment += weighted[k];
    if (uniforms) {
      double target = uniforms[r] * total;
      int64_t b = 0;
      while (b + 1 < num_blocks && target >= sums[b]) target -= sums[b++];
      const int64_t end = (b + 1) * block < vocab ? (b + 1) * block : vocab;
      best = b * block;
      while (best + 1 < end && target >= double(logits[best])) target -= double(logits[best++]);
    }
    chosen_z = std::log(double(logits[best]));
    ids[r] = static_cast<int32_t>(best);
    logprobs[r] = static_cast<float>(chosen_z - std::log(total));
    entropies[r] = static_cast<float>(std::log(total) - moment / total);
  }
}

}  // namespace
