// The engine's kernels over tensors. Each has two implementations in its own file: `<name>` picks the fused CPU code for CPU
// tensors in float or double and otherwise the reference; `reference::<name>` is slow, obvious, made of ATen operations and
// works for any device and dtype. Outputs are given by the caller and written in place.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "cpu.h"

namespace icrl {

using at::Tensor;

// A linear layer, w[N, K] as the Hugging Face weights lie. y[M, N] = x[M, K] w^T, added to y where accumulate is set. y may be in
// fp32 where x and w are narrower: what is written was then never rounded to theirs; what is added was, once, but not on CUDA.
// panels: pack_linear(w) if the caller keeps it, else undefined.
void linear(const Tensor& x, const Tensor& w, const Tensor& panels, const Tensor& y, bool accumulate);
// w in the order in which the CPU product reads it.
Tensor pack_linear(const Tensor& w);
// d_x[M, K] = d_y[M, N] w
void linear_input_grad(const Tensor& d_y, const Tensor& w, const Tensor& d_x);
// d_w[N, K] += d_y[M, N]^T x[M, K], in the gradient's precision
void linear_weight_grad(const Tensor& d_y, const Tensor& x, const Tensor& d_w);

// x[T, D], w[D] -> y[T, D] in w's precision, rstd[T] = 1 / sqrt(mean(x^2) + eps)
void rmsnorm(const Tensor& x, const Tensor& w, double eps, const Tensor& y, const Tensor& rstd);
// d_x[T, D] += ; d_w[D] +=, or undefined: frozen
void rmsnorm_backward(const Tensor& x, const Tensor& w, const Tensor& rstd, const Tensor& d_y, const Tensor& d_x,
                      const Tensor& d_w);

// in, out: [T, heads, D] views of any row stride. norm[D] (undefined: none) normalises each head before the rotation and then
// rstd[T, heads] is written. table[P, D] holds cos and sin of a position, positions[T] is int32.
void rope(const Tensor& in, const Tensor& out, const Tensor& norm, double eps, const Tensor& rstd, const Tensor& table,
          const Tensor& positions);
// d[T, heads, D] in place; d_norm[D] +=, or undefined: frozen
void rope_backward(const Tensor& in, const Tensor& d, const Tensor& norm, const Tensor& rstd, const Tensor& d_norm,
                   const Tensor& table, const Tensor& positions);

// gate_up[T, 2 F] -> out[T, F]
void swiglu(const Tensor& gate_up, const Tensor& out);
// d_gate_up[T, 2 F] may be gate_up.
void swiglu_backward(const Tensor& gate_up, const Tensor& d_out, const Tensor& d_gate_up);

// Attention over the prefix trie. q[T, H, D], k[T, K, D], v[T, K, D] views -> out[T, H, D] contiguous, lse[T, H].
void attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
               const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse);
// d_q, d_k, d_v are written.
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
                        const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse,
                        const Tensor& d_out, const Tensor& d_q, const Tensor& d_k, const Tensor& d_v);

// One layer's pages: keys[P, K, D, page_tokens] (transposed: neighbours in a vector are neighbouring tokens) and
// values[P, K, page_tokens, D].
struct PagedKeys {
  Tensor keys, values;
  int64_t page_tokens() const { return values.size(2); }
};
// k, v: [T, K, D] views; slots[T] int32.
void cache_write(const PagedKeys& pages, const Tensor& k, const Tensor& v, const Tensor& slots);
void cache_attention(const Tensor& q, const PagedKeys& pages, const Tensor& positions,
                     const std::vector<AttentionSegment>& segments, const Tensor& page_list, double scale, const Tensor& out);

// One layer's slots, for attention in parts: keys and values [slots, K, D].
struct SlottedKeys {
  Tensor keys, values;
};
// k, v: [T, K, D] views, converted to the cache's type; slots[T] int64.
void slotted_write(const SlottedKeys& cache, const Tensor& k, const Tensor& v, const Tensor& slots);

// logits[N, V], ids[N] int32 -> logprobs[N], entropies[N] in double on the host.
void logprob(const Tensor& logits, const Tensor& ids, double temperature, double* logprobs, double* entropies);
// In place: logits -> gradient. d_entropies may be null.
void logprob_backward(const Tensor& logits, const Tensor& ids, double temperature, const double* d_logprobs,
                      const double* d_entropies);
// Overwrites logits. uniforms: N numbers in (0, 1), or null for the most probable id.
void sample(const Tensor& logits, const double* uniforms, double temperature, int32_t* ids, float* logprobs,
            float* entropies);

// The same on the device, without waiting for it: uniforms[N] double or undefined -> [3, N] float: ids (as int32 bits),
// logprobs, entropies.
Tensor sample_on_device(const Tensor& logits, const Tensor& uniforms, double temperature);
void read_samples(const Tensor& samples, int32_t* ids, float* logprobs, float* entropies);

namespace reference {
void linear(const Tensor& x, const Tensor& w, const Tensor& y, bool accumulate);
void linear_input_grad(const Tensor& d_y, const Tensor& w, const Tensor& d_x);
void linear_weight_grad(const Tensor& d_y, const Tensor& x, const Tensor& d_w);
void rmsnorm(const Tensor& x, const Tensor& w, double eps, const Tensor& y, const Tensor& rstd);
void rmsnorm_backward(const Tensor& x, const Tensor& w, const Tensor& rstd, const Tensor& d_y, const Tensor& d_x,
                      const Tensor& d_w);
void rope(const Tensor& in, const Tensor& out, const Tensor& norm, double eps, const Tensor& rstd, const Tensor& table,
          const Tensor& positions);
void rope_backward(const Tensor& in, const Tensor& d, const Tensor& norm, const Tensor& rstd, const Tensor& d_norm,
                   const Tensor& table, const Tensor& positions);
void swiglu(const Tensor& gate_up, const Tensor& out);
void swiglu_backward(const Tensor& gate_up, const Tensor& d_out, const Tensor& d_gate_up);
void attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
               const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse);
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
                        const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse,
                        const Tensor& d_out, const Tensor& d_q, const Tensor& d_k, const Tensor& d_v);
void cache_write(const PagedKeys& pages, const Tensor& k, const Tensor& v, const Tensor& slots);
void cache_attention(const Tensor& q, const PagedKeys& pages, const Tensor& positions,
                     const std::vector<AttentionSegment>& segments, const Tensor& page_list, double scale, const Tensor& out);
void logprob(const Tensor& logits, const Tensor& ids, double temperature, double* logprobs, double* entropies);
void logprob_backward(const Tensor& logits, const Tensor& ids, double temperature, const double* d_logprobs,
                      const double* d_entropies);
void sample(const Tensor& logits, const double* uniforms, double temperature, int32_t* ids, float* logprobs,
            float* entropies);
}  // namespace reference

// Runs one kernel and its reference (in double) on random data; returns the largest ||a - b|| / ||b|| of its outputs.
double check_kernel(const std::string& name, at::Device device, int64_t seed);

}  // namespace icrl
