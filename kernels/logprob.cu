// Log-probability of one id and the entropy of softmax(logits / temperature), a row at a time, from one reading of the logits;
// and the gradient of both, written over the logits: the row is read twice and written once, the softmax never exists in memory.
// Launch: a block a row, 512 threads.
#include "softmax.cuh"

namespace icrl {

template <typename T> __device__ SoftmaxSums row_sums(const T* row, float inv_temperature, int vocab) {
  DYNAMIC_SHARED(shared);
  const SoftmaxSums own = wide_rows(vocab, row)
                              ? range_sums<kWidth>(row, inv_temperature, 0, vocab, threadIdx.x, blockDim.x)
                              : range_sums<1>(row, inv_temperature, 0, vocab, threadIdx.x, blockDim.x);
  return block_merge(warp_merge(own), reinterpret_cast<SoftmaxSums*>(shared));
}

template <typename T>
__device__ void logprob(const T* logits, const int32_t* ids, float inv_temperature, float* logprobs, float* entropies, int vocab) {
  const T* row = logits + int64_t(blockIdx.x) * vocab;
  const SoftmaxSums sums = row_sums(row, inv_temperature, vocab);
  if (threadIdx.x != 0) return;
  logprobs[blockIdx.x] = widen(row[ids[blockIdx.x]]) * inv_temperature - sums.max - logf(sums.s);
  entropies[blockIdx.x] = entropy_of(sums);
}

// d logit = (c (1[id] - p) - e p (log p + entropy)) / temperature, with c = d_logprob and e = d_entropy (null: 0).
template <int N, typename T>
__device__ void write_gradient(T* row, const SoftmaxSums& sums, float inv_temperature, int id, float c, float e, int vocab) {
  const float log_z = sums.max + logf(sums.s), entropy = entropy_of(sums);
  for (int i = threadIdx.x * N; i < vocab; i += blockDim.x * N) {
    float x[N];
    load<N>(row + i, x);
#pragma unroll
    for (int j = 0; j < N; j++) {
      const float log_p = x[j] * inv_temperature - log_z, p = expf(log_p);
      const float of_entropy = p > 0 ? e * p * (log_p + entropy) : 0;
      x[j] = (c * ((i + j == id) - p) - of_entropy) * inv_temperature;
    }
    store<N>(row + i, x);
  }
}

template <typename T>
__device__ void logprob_backward(T* logits, const int32_t* ids, float inv_temperature, const float* d_logprobs,
                                 const float* d_entropies, int vocab) {
  T* row = logits + int64_t(blockIdx.x) * vocab;
  const SoftmaxSums sums = row_sums(row, inv_temperature, vocab);  // its barrier ends the reading of the row
  const float c = d_logprobs[blockIdx.x], e = d_entropies ? d_entropies[blockIdx.x] : 0;
  const int id = ids[blockIdx.x];
  if (wide_rows(vocab, row)) write_gradient<kWidth>(row, sums, inv_temperature, id, c, e, vocab);
  else write_gradient<1>(row, sums, inv_temperature, id, c, e, vocab);
}

}  // namespace icrl

using icrl::bf16;

#define LOGPROB(T)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(512)                                                                       \
      logprob_##T(const T* logits, const int32_t* ids, float inv_temperature, float* logprobs, float* entropies, int vocab) { \
    icrl::logprob(logits, ids, inv_temperature, logprobs, entropies, vocab);                                              \
  }                                                                                                                       \
  extern "C" __global__ void __launch_bounds__(512)                                                                       \
      logprob_backward_##T(T* logits, const int32_t* ids, float inv_temperature, const float* d_logprobs,                 \
                           const float* d_entropies, int vocab) {                                                         \
    icrl::logprob_backward(logits, ids, inv_temperature, d_logprobs, d_entropies, vocab);                                 \
  }
LOGPROB(float)
LOGPROB(bf16)
