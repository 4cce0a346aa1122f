#include "head.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace icrl {

int64_t default_chunk_rows(const icrl_policy& policy) {
  const int64_t bytes = policy.config.vocab * int64_t(at::elementSize(policy.wide()));
  return std::clamp<int64_t>((int64_t(32) << 20) / bytes, 16, 4096);
}

Tensor head_logits(icrl_policy& policy, const Tensor& rows, Tensor* normed, Tensor* rstd) {
  const Tensor x = norm(rows, policy.weights.final_norm, policy.config.rms_eps, rstd);
  const Tensor logits = at::empty({x.size(0), policy.config.vocab}, rows.options());
  linear(x, policy.weights.head, policy.packed(policy.weights.head), logits, false);
  if (normed) *normed = x;
  return logits;
}

void head_forward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                  double* logprobs, double* entropies) {
  std::vector<double> ignored(entropies ? 0 : std::min<int64_t>(chunk_rows, batch.num_targets()));
  for (int64_t first = 0; first < batch.num_targets(); first += chunk_rows) {
    const int64_t n = std::min(chunk_rows, batch.num_targets() - first);
    const Tensor rows = x.index_select(0, batch.target_rows.narrow(0, first, n));
    const Tensor logits = head_logits(policy, rows, nullptr, nullptr);
    logprob(logits, batch.target_ids.narrow(0, first, n), temperature, logprobs + first,
            entropies ? entropies + first : ignored.data());
  }
}

Tensor head_backward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                     const double* d_logprobs, const double* d_entropies, const Weights& grads) {
  const Tensor d_x = at::zeros_like(x);
  for (int64_t first = 0; first < batch.num_targets(); first += chunk_rows) {
    const int64_t n = std::min(chunk_rows, batch.num_targets() - first);
    const Tensor index = batch.target_rows.narrow(0, first, n), rows = x.index_select(0, index);
    Tensor normed, rstd;
    const Tensor logits = head_logits(policy, rows, &normed, &rstd);
    logprob_backward(logits, batch.target_ids.narrow(0, first, n), temperature, d_logprobs + first,
                     d_entropies ? d_entropies + first : nullptr);
    const Tensor d_logits = logits.to(policy.dtype);
    if (grads.head.defined()) linear_weight_grad(d_logits, normed, grads.head);
    const Tensor d_rows = at::zeros_like(rows);
    rmsnorm_backward(rows, policy.weights.final_norm, rstd, input_grad(d_logits, policy.weights.head), d_rows, grads.final_norm);
    d_x.index_add_(0, index, d_rows);
  }
  return d_x;
}

}  // namespace icrl

using namespace icrl;

int32_t icrl_policy_logprobs(icrl_policy* policy, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                             int32_t num_segments, const int32_t* segments, int32_t num_targets, const int32_t* target_rows,
                             const int32_t* target_ids, double temperature, double* logprobs, double* entropies) {
  return guard([&] {
    require(policy && logprobs, "a pointer is null");
    require(temperature > 0, "the temperature is not positive");
    const Batch batch = make_batch(*policy, num_tokens, tokens, positions, num_segments, segments, num_targets, target_rows,
                                   target_ids);
    const Tensor x = decoder_forward(*policy, batch, nullptr);
    head_forward(*policy, batch, x, temperature, default_chunk_rows(*policy), logprobs, entropies);
  });
}
