// Log-probability of one id and entropy of softmax(logits / temperature), row by row, with the gradient written over the
// logits. The LM head calls it on a chunk of rows, so [tokens, vocabulary] never exists.
#include <ATen/ATen.h>

#include "dispatch.h"
#include "kernels.h"

namespace icrl {

void logprob(const Tensor& logits, const Tensor& ids, double temperature, double* logprobs, double* entropies) {
  if (!has_cpu_kernel(logits)) return reference::logprob(logits, ids, temperature, logprobs, entropies);
  with_scalar(logits, [&](auto tag) {
    using T = decltype(tag);
    const int64_t vocab = logits.size(1);
    parallel_rows(logits.size(0), vocab * 4, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().logprob(logits.const_data_ptr<T>() + begin * vocab, ids.const_data_ptr<int32_t>() + begin,
                               1 / temperature, logprobs + begin, entropies + begin, end - begin, vocab);
    });
  });
}

void logprob_backward(const Tensor& logits, const Tensor& ids, double temperature, const double* d_logprobs,
                      const double* d_entropies) {
  if (!has_cpu_kernel(logits)) return reference::logprob_backward(logits, ids, temperature, d_logprobs, d_entropies);
  with_scalar(logits, [&](auto tag) {
    using T = decltype(tag);
    const int64_t vocab = logits.size(1);
    parallel_rows(logits.size(0), vocab * 8, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().logprob_backward(logits.data_ptr<T>() + begin * vocab, ids.const_data_ptr<int32_t>() + begin,
                                        1 / temperature, d_logprobs + begin, d_entropies ? d_entropies + begin : nullptr,
                                        end - begin, vocab);
    });
  });
}

void sample(const Tensor& logits, const double* uniforms, double temperature, int32_t* ids, float* logprobs,
            float* entropies) {
  if (!has_cpu_kernel(logits)) return reference::sample(logits, uniforms, temperature, ids, logprobs, entropies);
  with_scalar(logits, [&](auto tag) {
    using T = decltype(tag);
    const int64_t vocab = logits.size(1);
    parallel_rows(logits.size(0), vocab * 8, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().sample(logits.data_ptr<T>() + begin * vocab, uniforms ? uniforms + begin : nullptr, 1 / temperature,
                              ids + begin, logprobs + begin, entropies + begin, end - begin, vocab);
    });
  });
}

namespace reference {

static Tensor wide_logprobs(const Tensor& logits, double temperature) {
  return (logits.to(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat) / temperature).log_softmax(1);
}
template <typename T> static void to_host(const Tensor& from, T* to) {
  at::from_blob(to, from.sizes(), at::CppTypeToScalarType<T>::value).copy_(from);
}
static Tensor from_host(const double* data, const Tensor& like) {
  return at::from_blob(const_cast<double*>(data), {like.size(0), 1}, at::kDouble).to(like.options());
}

void logprob(const Tensor& logits, const Tensor& ids, double temperature, double* logprobs, double* entropies) {
  const Tensor all = wide_logprobs(logits, temperature);
  to_host(all.gather(1, ids.to(at::kLong).unsqueeze(1)).squeeze(1), logprobs);
  to_host((all.exp() * all).sum(1).neg(), entropies);
}

void logprob_backward(const Tensor& logits, const Tensor& ids, double temperature, const double* d_logprobs,
                      const double* d_entropies) {
  const Tensor all = wide_logprobs(logits, temperature), p = all.exp(), c = from_host(d_logprobs, all);
  Tensor d = -p * c;
  d.scatter_add_(1, ids.to(at::kLong).unsqueeze(1), c);
  if (d_entropies) d = d - from_host(d_entropies, all) * p * (all - (p * all).sum(1, true));
  logits.copy_(d / temperature);
}

void sample(const Tensor& logits, const double* uniforms, double temperature, int32_t* ids, float* logprobs,
            float* entropies) {
  const Tensor all = wide_logprobs(logits, temperature);
  Tensor chosen;
  if (uniforms) {
    const Tensor sums = all.exp().to(at::kDouble).cumsum(1);
    const Tensor target = at::from_blob(const_cast<double*>(uniforms), {all.size(0), 1}, at::kDouble).to(all.device());
    chosen = (sums <= target * sums.narrow(1, all.size(1) - 1, 1)).sum(1).clamp_max(all.size(1) - 1);
  } else {
    chosen = all.argmax(1);
  }
  to_host(chosen.to(at::kInt), ids);
  to_host(all.gather(1, chosen.unsqueeze(1)).squeeze(1), logprobs);
  to_host((all.exp() * all).sum(1).neg(), entropies);
}

}  // namespace reference
}  // namespace icrl
