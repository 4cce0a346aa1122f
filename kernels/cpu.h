// The CPU kernels as one table of functions a scalar type, filled once for the best instruction set of this machine.
// Each works on a range of rows or tasks and on raw pointers; threads, tensors and shapes are the callers' (the .cpp files).
#pragma once
#include <cstdint>

namespace icrl {

// Keys and values of attention.
//   training: one array a head, so that neighbouring keys share no set of the first-level cache.
//   cache:    pages, keys transposed; key j of a segment lies in page pages[j / page_tokens], entry j % page_tokens.
struct AttentionSegment {
  int32_t first_row, end_row;  // query rows that read it
  int32_t num_keys;
  int32_t start_position;      // of its first key; a row sees the keys whose position is not larger than its own
  int32_t first_key;           // training: index of its first key; cache: index of its first page in `pages`
};
template <typename T> struct AttentionArgs {
  int32_t heads, kv_heads, head_dim, num_rows;
  T scale;
  const int32_t* positions;  // [rows]
  const T* q;                // [rows, heads, head_dim], row stride q_stride
  int64_t q_stride;
  const T* keys;             // training: [kv_heads, rows, head_dim]; cache: [pages, kv_heads, head_dim, page_tokens]
  const T* values;           // training: [kv_heads, rows, head_dim]; cache: [pages, kv_heads, page_tokens, head_dim]
  const int32_t* pages;      // null in training
  int32_t page_tokens;
  const AttentionSegment* segments;
  int32_t num_segments;
  T* out;                    // [rows, heads, head_dim]
  T* lse;                    // [rows, heads] or null
};
template <typename T> struct AttentionGradArgs {
  AttentionArgs<T> forward;  // out and lse filled
  const T* d_out;            // [rows, heads, head_dim]
  T* d_q;                    // [rows, heads, head_dim], row stride dq_stride; written
  int64_t dq_stride;
};

template <typename T> struct CpuKernels {
  const char* isa;
  // y = x * rstd * w; rstd[rows] is written.
  void (*rmsnorm)(const T* x, const T* w, T* y, T* rstd, int64_t rows, int64_t dim, double eps);
  // d_x += the norm's input gradient; d_w[dim] += its weight gradient.
  void (*rmsnorm_backward)(const T* x, const T* w, const T* rstd, const T* d_y, T* d_x, T* d_w, int64_t rows, int64_t dim);
  // Per token: optional RMS norm of each head, then rotation. in and out may be the same memory. rstd[rows, heads] or null.
  void (*rope)(const T* in, int64_t in_stride, T* out, int64_t out_stride, const T* norm, T* rstd, int64_t rstd_stride,
               const T* table, const int32_t* positions, int64_t rows, int64_t heads, int64_t dim, double eps);
  // d (in place): rotated gradient -> gradient of the input; d_norm[dim] +=.
  void (*rope_backward)(const T* in, int64_t in_stride, T* d, int64_t d_stride, const T* norm, const T* rstd,
                        int64_t rstd_stride, T* d_norm, const T* table, const int32_t* positions, int64_t rows, int64_t heads,
                        int64_t dim);
  // gate_up[rows, 2 ffn] -> out[rows, ffn] = silu(gate) * up
  void (*swiglu)(const T* gate_up, T* out, int64_t rows, int64_t ffn);
  // d_gate_up may be gate_up's own memory.
  void (*swiglu_backward)(const T* gate_up, const T* d_out, T* d_gate_up, int64_t rows, int64_t ffn);
  // One query head group (kv head) and rows [begin, end).
  int64_t (*attention_scratch)(int32_t group, int32_t head_dim, int32_t block_rows);
  void (*attention)(const AttentionArgs<T>& args, int32_t kv_head, int32_t begin, int32_t end, T* scratch);
  // d_k, d_v: [tokens, head_dim] of this kv head, added to.
  void (*attention_backward)(const AttentionGradArgs<T>& args, int32_t kv_head, int32_t begin, int32_t end, T* d_k, T* d_v,
                             T* scratch);
  // Rows of logits (scaled by 1 / temperature inside): logprob of ids, entropy.
  void (*logprob)(const T* logits, const int32_t* ids, double inv_temperature, double* logprobs, double* entropies,
                  int64_t rows, int64_t vocab);
  // In place: logits -> gradient of sum(d_logprob * logprob + d_entropy * entropy). d_entropies may be null.
  void (*logprob_backward)(T* logits, const int32_t* ids, double inv_temperature, const double* d_logprobs,
                           const double* d_entropies, int64_t rows, int64_t vocab);
  // Sampling by inverse transform; logits are overwritten. uniforms[rows] in (0, 1), or null for the most probable.
  void (*sample)(T* logits, const double* uniforms, double inv_temperature, int32_t* ids, float* logprobs, float* entropies,
                 int64_t rows, int64_t vocab);
  // Linear layers; see gemm.simd.h.
  int64_t panel;  // columns of a packed panel
  void (*pack_panels)(const T* w, int64_t N, int64_t K, int64_t first, int64_t end, T* panels);
  void (*gemm_panels)(const T* x, int64_t M, int64_t K, const T* panels, int64_t N, T* y, bool accumulate);
  void (*gemm_few)(const T* w, int64_t K, const T* x_t, int64_t ld, int64_t first, int64_t end, T* y_t);
  // M in 1..3.
  void (*gemm_very_few)(const T* x, int64_t M, int64_t K, const T* w, int64_t N, int64_t first, int64_t end, T* y,
                        bool accumulate);
  void (*add_transposed)(const T* y_t, int64_t ld, T* y, int64_t M, int64_t N, int64_t first, int64_t end, bool accumulate);
  void (*gemm_input_grad)(const T* d_y, int64_t M, int64_t N, const T* w, int64_t K, T* d_x);
  void (*gemm_weight_grad)(const T* d_y, const T* x, int64_t M, int64_t N, int64_t K, int64_t first, int64_t end, T* d_w,
                           T* scratch);
  // in [rows, cols] with row stride -> out [cols, ld]
  void (*transpose)(const T* in, int64_t stride, T* out, int64_t ld, int64_t rows, int64_t cols);
};

template <typename T> const CpuKernels<T>& cpu_kernels();
// False with ICRL_ISA=none: the CPU then computes by tensor operations, as every other device does.
bool wants_cpu_kernels();

// Tokens of queries that one attention task handles, so that rows * group fills the tiles and the scratch stays in cache.
constexpr int32_t kAttentionBlockRows = 64;
inline int32_t attention_block_tokens(int32_t group) { return kAttentionBlockRows / group > 0 ? kAttentionBlockRows / group : 1; }
constexpr int32_t kAttentionKeyBlock = 64;
// Tokens of a weight gradient that are transposed at once.
constexpr int64_t kWeightGradBlock = 256;

}  // namespace icrl
