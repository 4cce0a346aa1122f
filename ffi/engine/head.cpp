#include "head.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace icrl {

// Every chunk reads the head and adds to its whole gradient, and on an accelerator ends in a wait for the host: few large ones
// there, and on the CPU what a cache can still hold a part of.
int64_t default_chunk_rows(const icrl_policy& policy) {
  const int64_t bytes = policy.config.vocab * int64_t(at::elementSize(policy.wide()));
  const int64_t budget = int64_t(policy.device.is_cpu() ? 32 : 1024) << 20;
  return std::clamp<int64_t>(budget / bytes, 16, 8192);
}

Tensor head_logits(icrl_policy& policy, const Tensor& rows, Tensor* normed, Tensor* rstd) {
  const Tensor x = norm(rows, policy.weights.final_norm, policy.config.rms_eps, rstd);
  const Tensor logits = at::empty({x.size(0), policy.config.vocab}, rows.options());
  linear(x, policy.weights.head, policy.packed(policy.weights.head), logits, false);
  if (normed) *normed = x;
  return logits;
}

static HeadChunk head_chunk(icrl_policy& policy, const Batch& batch, const Tensor& x, int64_t first, int64_t chunk_rows) {
  const int64_t n = std::min(chunk_rows, batch.num_targets() - first);
  HeadChunk c{first, x.index_select(0, batch.target_rows.narrow(0, first, n)), {}, {}, {}};
  c.logits = head_logits(policy, c.rows, &c.normed, &c.rstd);
  return c;
}

void head_forward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                  double* logprobs, double* entropies, HeadChunk* kept) {
  std::vector<double> ignored(entropies ? 0 : std::min<int64_t>(chunk_rows, batch.num_targets()));
  for (int64_t first = 0; first < batch.num_targets(); first += chunk_rows) {
    HeadChunk c = head_chunk(policy, batch, x, first, chunk_rows);
    logprob(c.logits, batch.target_ids.narrow(0, first, c.logits.size(0)), temperature, logprobs + first,
            entropies ? entropies + first : ignored.data());
    if (kept && first + chunk_rows >= batch.num_targets()) *kept = std::move(c);
  }
}

// Adds a chunk's part to d_x and the gradients; its logits become theirs.
static void chunk_backward(icrl_policy& policy, const Batch& batch, const HeadChunk& c, double temperature,
                           const double* d_logprobs, const double* d_entropies, const Weights& grads, const Tensor& d_x) {
  const int64_t n = c.logits.size(0);
  logprob_backward(c.logits, batch.target_ids.narrow(0, c.first, n), temperature, d_logprobs + c.first,
                   d_entropies ? d_entropies + c.first : nullptr);
  const Tensor d_logits = c.logits.to(policy.dtype);
  if (grads.head.defined()) linear_weight_grad(d_logits, c.normed, grads.head);
  const Tensor d_rows = at::zeros_like(c.rows);
  rmsnorm_backward(c.rows, policy.weights.final_norm, c.rstd, input_grad(d_logits, policy.weights.head), d_rows,
                   grads.final_norm);
  d_x.index_add_(0, batch.target_rows.narrow(0, c.first, n), d_rows);
}

Tensor head_backward(icrl_policy& policy, const Batch& batch, const Tensor& x, double temperature, int64_t chunk_rows,
                     HeadChunk kept, const double* d_logprobs, const double* d_entropies, const Weights& grads) {
  const Tensor d_x = at::zeros_like(x);
  for (HeadChunk c = std::move(kept); c.first >= 0;) {
    chunk_backward(policy, batch, c, temperature, d_logprobs, d_entropies, grads, d_x);
    const int64_t before = c.first - chunk_rows;
    c = {};
    if (before >= 0) c = head_chunk(policy, batch, x, before, chunk_rows);
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
    head_forward(*policy, batch, x, temperature, default_chunk_rows(*policy), logprobs, entropies, nullptr);
  });
}
