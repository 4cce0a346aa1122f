// Log-probability of one id and entropy of softmax(logits / temperature), row by row, with the gradient written over the
// logits. The LM head calls it on a chunk of rows, so [tokens, vocabulary] never exists.
#include <ATen/ATen.h>

#include <cstring>

#include "cuda.h"
#include "dispatch.h"
#include "kernels.h"

namespace icrl {

void logprob(const Tensor& logits, const Tensor& ids, double temperature, double* logprobs, double* entropies) {
  if (cuda::uses(logits, cuda::Kernel::logprob)) return cuda::logprob(logits, ids, temperature, logprobs, entropies);
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
  if (cuda::uses(logits, cuda::Kernel::logprob))
    return cuda::logprob_backward(logits, ids, temperature, d_logprobs, d_entropies);
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
  if (!has_cpu_kernel(logits) || cuda::uses(logits, cuda::Kernel::sample))
    return reference::sample(logits, uniforms, temperature, ids, logprobs, entropies);
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
  const Tensor wide = logits.to(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  return (temperature == 1 ? wide : wide / temperature).log_softmax(1);
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
  to_host(all.exp().mul_(all).sum(1).neg(), entropies);
}

void logprob_backward(const Tensor& logits, const Tensor& ids, double temperature, const double* d_logprobs,
                      const double* d_entropies) {
  // In place from here on: the logits of a chunk can be a gigabyte.
  const Tensor all = wide_logprobs(logits, temperature), c = from_host(d_logprobs, all);
  Tensor d = all.exp();
  if (d_entropies) d.mul_(all.sub_((d * all).sum(1, true)).mul_(from_host(d_entropies, all)).add_(c).neg_());
  else d.mul_(c.neg());
  d.scatter_add_(1, ids.to(at::kLong).unsqueeze(1), c);
  logits.copy_(d.div_(temperature));
}

void sample(const Tensor& logits, const double* uniforms, double temperature, int32_t* ids, float* logprobs,
            float* entropies) {
  Tensor on_device;
  if (uniforms) on_device = at::from_blob(const_cast<double*>(uniforms), {logits.size(0)}, at::kDouble).to(logits.device());
  read_samples(sample_on_device(logits, on_device, temperature), ids, logprobs, entropies);
}

}  // namespace reference

namespace {

constexpr int64_t kSumBlock = 1024;  // probabilities that are summed first, so that only one block's running sums are needed

// The first id whose running sum of p[N, V] exceeds uniforms[N, 1] of the whole. Sums are double.
Tensor inverse_transform(const Tensor& p, const Tensor& uniforms) {
  const int64_t rows = p.size(0), vocab = p.size(1), blocks = vocab / kSumBlock, rest = vocab - blocks * kSumBlock;
  std::vector<Tensor> parts;
  if (blocks > 0) parts.push_back(p.narrow(1, 0, blocks * kSumBlock).view({rows, blocks, kSumBlock}).sum({2}, false, at::kDouble));
  if (rest > 0) parts.push_back(p.narrow(1, vocab - rest, rest).sum({1}, true, at::kDouble));
  const Tensor sums = at::cat(parts, 1).cumsum(1), count = sums.narrow(1, sums.size(1) - 1, 1);
  const Tensor target = uniforms * count;
  const Tensor block = (sums <= target).sum(1, true).clamp_max(sums.size(1) - 1);
  const Tensor before = at::cat({at::zeros_like(target), sums}, 1).gather(1, block);
  const Tensor ids = block * kSumBlock + at::arange(kSumBlock, block.options()), inside = ids < vocab;
  const Tensor own = p.gather(1, ids.clamp_max(vocab - 1)).to(at::kDouble) * inside;
  const Tensor passed = (own.cumsum(1) <= target - before).logical_and(inside).sum(1, true);
  return (block * kSumBlock + passed).clamp_max(vocab - 1);
}

}  // namespace

Tensor sample_on_device(const Tensor& logits, const Tensor& uniforms, double temperature) {
  if (cuda::uses(logits, cuda::Kernel::sample)) return cuda::sample(logits, uniforms, temperature);
  const Tensor all = reference::wide_logprobs(logits, temperature), p = all.exp();
  const Tensor chosen = uniforms.defined() ? inverse_transform(p, uniforms.unsqueeze(1)) : all.argmax(1, true);
  const Tensor samples = at::empty({3, logits.size(0)}, logits.options().dtype(at::kFloat));
  samples[0].view(at::kInt).copy_(chosen.squeeze(1));
  samples[1].copy_(all.gather(1, chosen).squeeze(1));
  samples[2].copy_((p * all).sum(1).neg());
  return samples;
}

void read_samples(const Tensor& samples, int32_t* ids, float* logprobs, float* entropies) {
  const Tensor host = samples.contiguous().to(at::kCPU);
  const int64_t rows = host.size(1);
  std::memcpy(ids, host.const_data_ptr<float>(), rows * sizeof(int32_t));
  std::memcpy(logprobs, host.const_data_ptr<float>() + rows, rows * sizeof(float));
  std::memcpy(entropies, host.const_data_ptr<float>() + 2 * rows, rows * sizeof(float));
}

}  // namespace icrl
