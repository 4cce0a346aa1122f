// The LM head: final norm and logits of the target rows only, a chunk of rows at a time, so [targets, vocabulary] never exists.
// The last chunk of the forward is the first of the backward and is kept for it; the backward computes the others again.
#pragma once
#include "decoder.h"

namespace icrl {

// The targets from `first` on, n of them: their rows of the residual stream and what the head makes of them.
struct HeadChunk {
  int64_t first = -1;
  Tensor rows, normed;  // [n, d]
  Tensor rstd;          // [n]
  Tensor logits;        // [n, vocab]
};

// x[T, d] -> the targets' logprobs and entropies on the host. entropies and kept may be null; kept receives the last chunk.
void head_forward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                  double* logprobs, double* entropies, HeadChunk* kept);
// Returns d_x[T, d]; adds to the gradients of the final norm and the head, where these are defined. kept: the forward's.
Tensor head_backward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                     HeadChunk kept, const double* d_logprobs, const double* d_entropies, const Weights& grads);
// final norm -> logits[N, vocab] of rows[N, d] of the residual stream, in fp32 (double for a double policy).
Tensor head_logits(icrl_policy& policy, const Tensor& rows, Tensor* normed, Tensor* rstd);
// Rows whose logits take about 32 MiB.
int64_t default_chunk_rows(const icrl_policy& policy);

}  // namespace icrl
