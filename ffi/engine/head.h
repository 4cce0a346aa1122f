// The LM head: final norm and logits of the target rows only, a chunk of rows at a time. The backward computes each chunk of
// logits again, so [targets, vocabulary] never exists.
#pragma once
#include "decoder.h"

namespace icrl {

// x[T, d] -> the targets' logprobs and entropies on the host. entropies may be null.
void head_forward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                  double* logprobs, double* entropies);
// Returns d_x[T, d]; adds to the gradients of the final norm and the head, where these are defined.
Tensor head_backward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                     const double* d_logprobs, const double* d_entropies, const Weights& grads);
// final norm -> logits[N, vocab] of rows[N, d] of the residual stream, in fp32 (double for a double policy).
Tensor head_logits(icrl_policy& policy, const Tensor& rows, Tensor* normed, Tensor* rstd);
// Rows whose logits take about 32 MiB.
int64_t default_chunk_rows(const icrl_policy& policy);

}  // namespace icrl
