/* icrl.h: the whole C API of the engine, readable as its specification.
 *
 * The engine holds the policy, its KV cache and its optimizer on one device. It knows phases (a decode step, the logprobs of
 * a batch, a backward, an optimizer step), never tasks, rewards or objectives. Those are TypeScript.
 *
 * Contract
 *  - Whatever can fail returns an icrl_status; its message is read with icrl_error_message before this thread's next call.
 *  - Results go to caller-owned memory, last. The engine never keeps a pointer that it was given.
 *  - Who opens, closes. close takes null and cannot fail. A policy outlives its caches and trainers.
 *  - Calls on one handle come from one thread at a time. Nothing prints, exits or calls back.
 *  - [N] after a pointer is its number of elements. All indices are zero-based.
 */
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ICRL_ABI 3

typedef struct icrl_device icrl_device;
typedef struct icrl_policy icrl_policy;
typedef struct icrl_cache icrl_cache;
typedef struct icrl_trainer icrl_trainer;

enum icrl_status {
  ICRL_STATUS_OK = 0,
  ICRL_STATUS_OUT_OF_MEMORY = 1,    /* weights are as they were; a smaller batch may fit */
  ICRL_STATUS_INVALID_ARGUMENT = 2, /* the caller's bug, or a call out of order */
  ICRL_STATUS_DEVICE = 3,           /* the device or its driver failed; the process should stop */
  ICRL_STATUS_INTERNAL = 4
};
enum icrl_device_kind { ICRL_DEVICE_CPU = 0, ICRL_DEVICE_CUDA = 1 };
enum icrl_dtype { ICRL_DTYPE_F32 = 0, ICRL_DTYPE_F64 = 1, ICRL_DTYPE_BF16 = 2, ICRL_DTYPE_F16 = 3 };

/* ---- library ------------------------------------------------------------------------------------------------- */

int32_t icrl_abi(void);
/* Copies the last error of this thread, cut to capacity and zero-terminated; returns its full length. */
int32_t icrl_error_message(char* message, int32_t capacity);
/* "2.13.0": the libtorch that is loaded. */
int32_t icrl_torch_version(char* version, int32_t capacity);
int32_t icrl_cuda_device_count(int32_t* count);
int32_t icrl_threads_set(int32_t threads);
/* counters[8]: live devices, policies, caches, trainers, then CPU bytes live, CPU bytes peak, device bytes live, device peak. */
int32_t icrl_counters_read(int64_t* counters);
int32_t icrl_counters_reset_peak(void);
/* CPU tensors may hold so many bytes together; one more fails with OUT_OF_MEMORY. 0: as many as there are. */
int32_t icrl_memory_limit_set(int64_t bytes);
/* Compares one kernel of the device with its slow reference in double on random data; *error is the largest relative
 * difference. Names: see kernels/README.md. */
int32_t icrl_kernel_check(icrl_device* device, const char* kernel, int32_t seed, double* error);

/* ---- device -------------------------------------------------------------------------------------------------- */

/* index: of the CUDA device. CPU 0 is the CPU; CPU 1 is the same with attention computed as on CUDA, for tests. */
int32_t icrl_device_open(int32_t kind, int32_t index, icrl_device** device /* new */);
/* A JSON object: kind, threads, isa of the CPU kernels and, on CUDA, free_bytes and total_bytes. */
int32_t icrl_device_describe(icrl_device* device, char* json, int32_t capacity);
/* What the device can do at most in fp32, on CUDA in bf16, measured in about two seconds. limits[4]: FLOP/s of a large matrix
 * product by this engine's kernel and by torch's; bytes/s read from arrays that no cache holds, and copied (read plus written). */
int32_t icrl_device_limits(icrl_device* device, double* limits);
/* Takes the compiled file (a fatbin) of one of our CUDA kernels, named in kernels/README.md. use 1: from now on it replaces libtorch's
 * operations on this device; 0: only icrl_kernel_check runs it, by the name "cuda.<name>". */
int32_t icrl_device_kernel_load(icrl_device* device, const char* name, const void* bytes, int64_t num_bytes, int32_t use);
void icrl_device_close(icrl_device* device);

/* ---- policy: a decoder of the Qwen2, Qwen3 and Llama 3 families ------------------------------------------------ */

typedef struct {
  int32_t hidden, layers, heads, kv_heads, head_dim, ffn, vocab;
  int32_t qkv_bias;       /* 1: q, k and v have a bias (Qwen2) */
  int32_t qk_norm;        /* 1: q and k are RMS-normalised per head (Qwen3) */
  int32_t tied;           /* 1: the LM head is the embedding */
  double rms_eps;
  double rope_attention_scale; /* multiplies cos and sin; 1 unless the rope scaling says otherwise */
} icrl_policy_config;

/* inv_freq[head_dim / 2]: rotary frequencies, any scaling already applied. Weights are uninitialised. */
int32_t icrl_policy_open(icrl_device* device, const icrl_policy_config* config, const double* inv_freq, int32_t dtype,
                         icrl_policy** policy /* new */);
void icrl_policy_close(icrl_policy* policy);
/* Normal weights with the given standard deviation, ones for norms, zeros for biases; the same for a seed on any device. */
int32_t icrl_policy_randomize(icrl_policy* policy, uint32_t seed, double std);
/* Tensors carry their Hugging Face names ("model.layers.0.self_attn.q_proj.weight"). A tied head is listed once. */
int32_t icrl_policy_tensor_count(icrl_policy* policy, int32_t* count);
/* shape[2]; dims is 1 or 2. */
int32_t icrl_policy_tensor_describe(icrl_policy* policy, int32_t index, char* name, int32_t capacity, int64_t* shape,
                                    int32_t* dims);
/* numel must be the tensor's; data are converted from dtype. A write starts a new policy version. */
int32_t icrl_policy_tensor_write(icrl_policy* policy, const char* name, int32_t dtype, const void* data, int64_t numel);
int32_t icrl_policy_tensor_read(icrl_policy* policy, const char* name, int32_t dtype, void* data, int64_t numel);
/* Copies all weights of a policy of the same config. */
int32_t icrl_policy_copy(icrl_policy* to, icrl_policy* from);
/* Counts weight changes; a cache is valid for the version it was opened or reset at. */
int32_t icrl_policy_version(icrl_policy* policy, int32_t* version);

/* A batch is a prefix trie in depth-first order (README.md has a picture):
 *   tokens[T], positions[T]      token ids and their depth in the rollout
 *   segments[S * 3]              one row a trie node: first token, end of the node's own tokens, end of its subtree.
 *                                Tokens of the subtree attend to the node's own tokens whose position is not larger.
 *   target_rows[N], target_ids[N]  pairs (token t, id): the logprob of id as the token that follows t. Several targets
 *                                may share a row: that is how branches of one prefix are scored.
 * Out: logprobs[N] of log_softmax(logits / temperature); entropies[N] of the same distribution, or null. */
int32_t icrl_policy_logprobs(icrl_policy* policy, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                             int32_t num_segments, const int32_t* segments, int32_t num_targets, const int32_t* target_rows,
                             const int32_t* target_ids, double temperature, double* logprobs, double* entropies);

/* ---- cache: paged keys and values of one policy version -------------------------------------------------------- */

int32_t icrl_cache_open(icrl_policy* policy, int32_t num_pages, int32_t page_tokens, icrl_cache** cache /* new */);
void icrl_cache_close(icrl_cache* cache);
/* Adopts the policy's present version. The caller forgets all pages. */
int32_t icrl_cache_reset(icrl_cache* cache);
/* One step of any mixture of prefill and decode, then sampling at the chosen tokens.
 *   tokens[T], positions[T], slots[T]  slot = page * page_tokens + offset, where the token's key and value are written
 *   segments[S * 5]    index into pages, number of cached tokens, position of its first token, first token of the batch
 *                      that reads it, end of those. A token reads the entries whose position is not larger than its own.
 *                      A segment's entries fill its pages in order; it includes tokens written by this very call.
 *                      Segments are sorted by their first token (depth-first order of the trie does that).
 *                      For each token the segments that cover it are disjoint and include itself.
 *   pages[P]           page lists of the segments, one after the other
 *   rows[N]            tokens of this batch after which to sample
 *   streams[N * 3]     group, sample, position: with the seed they name the noise (Philox 4x32-10, one uniform a token)
 *   temperature        0 takes the most probable token and reports logprobs at temperature 1
 * Out: ids[N], logprobs[N], entropies[N], logits[N * vocab] or null. */
int32_t icrl_cache_forward(icrl_cache* cache, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                           const int32_t* slots, int32_t num_segments, const int32_t* segments, int32_t num_pages,
                           const int32_t* pages, int32_t num_rows, const int32_t* rows, const int32_t* streams, uint32_t seed,
                           double temperature, int32_t* ids, float* logprobs, float* entropies, float* logits);

/* ---- trainer: activations, gradients and optimizer state of one policy ------------------------------------------ */

typedef struct {
  double beta1, beta2, eps, weight_decay; /* AdamW; decay applies to matrices only when decay_matrices_only is 1 */
  double muon_momentum;                   /* > 0: Muon (Nesterov) on the layers' matrices, AdamW on the rest */
  double lora_alpha;                      /* adapters are scaled by lora_alpha / lora_rank */
  int32_t decay_matrices_only;
  int32_t head_rows;                      /* rows of logits that exist at once in the chunked LM head; 0 picks */
  int32_t lora_rank;                      /* > 0: only adapters of the matrices in lora_targets learn; all else is frozen */
  int32_t lora_targets;                   /* of icrl_lora_target, together */
  int32_t state_bits;                     /* of a moment of AdamW: 32, or 8 in blocks with a scale each */
  int32_t master;                         /* 1: weights in fp32 beside a narrower policy's; 0: its own, rounded stochastically */
  int32_t offload;                        /* 1: moments and master weights live in the host's memory */
  uint32_t seed;                          /* of stochastic rounding and of fresh adapters */
} icrl_trainer_config;
enum icrl_lora_target {
  ICRL_LORA_Q = 1, ICRL_LORA_K = 2, ICRL_LORA_V = 4, ICRL_LORA_O = 8,
  ICRL_LORA_GATE = 16, ICRL_LORA_UP = 32, ICRL_LORA_DOWN = 64
};
enum icrl_trainer_tensor {
  ICRL_TRAINER_GRADIENT = 0,
  ICRL_TRAINER_FIRST_MOMENT = 1, /* AdamW's exp_avg; Muon's momentum buffer */
  ICRL_TRAINER_SECOND_MOMENT = 2,
  ICRL_TRAINER_MASTER = 3        /* fp32 weights; the policy's own when that is fp32 */
};

/* base: with LoRA the frozen weights, of the policy's config, borrowed for the trainer's life; the policy holds them merged with
 * the adapters. Else null. */
int32_t icrl_trainer_open(icrl_policy* policy, icrl_policy* base, const icrl_trainer_config* config,
                          icrl_trainer** trainer /* new */);
void icrl_trainer_close(icrl_trainer* trainer);
/* The order is logprobs, backward, any number of times, then step; anything else is INVALID_ARGUMENT.
 * logprobs keeps the activations; backward adds to the gradients and frees them. Of the first recompute_layers layers only
 * the inputs are kept, and backward computes the rest again. After a backward without memory the gradients hold a part of
 * the batch: call zero. */
int32_t icrl_trainer_logprobs(icrl_trainer* trainer, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                              int32_t num_segments, const int32_t* segments, int32_t num_targets, const int32_t* target_rows,
                              const int32_t* target_ids, double temperature, int32_t recompute_layers, double* logprobs,
                              double* entropies);
/* d_logprobs[N] = dL/dlogprob, d_entropies[N] = dL/dentropy or null. */
int32_t icrl_trainer_backward(icrl_trainer* trainer, int32_t num_targets, const double* d_logprobs, const double* d_entropies);
/* Drops kept activations and zeroes the gradients. */
int32_t icrl_trainer_zero(icrl_trainer* trainer);
/* Clips the gradients to a global norm of max_norm (<= 0: no clipping), applies the optimizer, zeroes the gradients and
 * starts a new policy version. *grad_norm is before clipping. A norm that is not finite changes nothing and is an error. */
int32_t icrl_trainer_step(icrl_trainer* trainer, double learning_rate, double muon_learning_rate, double max_norm,
                          double* grad_norm);
int32_t icrl_trainer_steps_read(icrl_trainer* trainer, int32_t* steps);
int32_t icrl_trainer_steps_write(icrl_trainer* trainer, int32_t steps);
int32_t icrl_trainer_tensor_read(icrl_trainer* trainer, int32_t which, const char* name, int32_t dtype, void* data,
                                 int64_t numel);
int32_t icrl_trainer_tensor_write(icrl_trainer* trainer, int32_t which, const char* name, int32_t dtype, const void* data,
                                  int64_t numel);

#ifdef __cplusplus
}
#endif
