// Compares our CUDA kernels with the references in double. They must be loaded on the device; whether they are used does not matter.
#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>

#include "attention-varlen.h"
#include "check.h"
#include "cuda.h"

namespace icrl {
namespace {

void check_rmsnorm(Bench& b) {
  for (const int64_t dim : {83, 264}) {
    const Tensor x = b.random({37, dim}), w = b.random({dim}), d = b.random({37, dim}), delta = b.random({37, dim});
    const Tensor y = at::empty_like(x), rstd = at::empty({37}, at::kDouble), dx = b.random({37, dim}), dw = b.random({dim});
    const Tensor y1 = b.work(y), rstd1 = b.wide(rstd), x1 = b.work(x), dx1 = b.work(dx), dw1 = b.wide(dw);
    cuda::rmsnorm(x1, b.work(w), 1e-6, y1, rstd1);
    reference::rmsnorm(x, w, 1e-6, y, rstd);
    b.compare(y1, y), b.compare(rstd1, rstd);
    cuda::add_rmsnorm(x1, b.work(delta), b.work(w), 1e-6, x1, y1, rstd1);
    const Tensor sum = b.work(x + delta).to(at::kCPU, at::kDouble);
    reference::rmsnorm(sum, w, 1e-6, y, rstd);
    b.compare(x1, sum), b.compare(y1, y);
    reference::rmsnorm_backward(sum, w, rstd, d, dx, dw);
    cuda::rmsnorm_backward(x1, b.work(w), rstd1, b.work(d), dx1, dw1);
    b.compare(dx1, dx), b.compare(dw1, dw);
  }
}

// Weights in bf16 beside a residual stream in fp32.
void check_mixed_rmsnorm(Bench& b) {
  const Tensor x = b.random({37, 264}), w = b.random({264}), d = b.random({37, 264}), y = at::empty_like(x);
  const Tensor rstd = at::empty({37}, at::kDouble), dx = b.random({37, 264}), dw = b.random({264});
  const Tensor y1 = b.work(y), rstd1 = b.wide(rstd), dx1 = b.wide(dx), dw1 = b.wide(dw), delta = b.random({37, 264});
  const Tensor sum1 = b.wide(dx);
  reference::rmsnorm(x, w, 1e-6, y, rstd);
  reference::rmsnorm_backward(x, w, rstd, d, dx, dw);
  cuda::rmsnorm(b.wide(x), b.work(w), 1e-6, y1, rstd1);
  cuda::rmsnorm_backward(b.wide(x), b.work(w), rstd1, b.work(d), dx1, dw1);
  b.compare(y1, y), b.compare(dx1, dx), b.compare(dw1, dw);
  reference::rmsnorm(x + delta, w, 1e-6, y, rstd);
  cuda::add_rmsnorm(b.wide(x), b.work(delta), b.work(w), 1e-6, sum1, y1, rstd1);
  b.compare(sum1, x + delta), b.compare(y1, y), b.compare(rstd1, rstd);
}

void check_rope(Bench& b) {
  const Tensor x = b.random({19, 3, 26}), norm = b.random({26}), table = b.wide(at::randn({40, 26}, at::kDouble));
  const Tensor positions = at::randint(0, 40, {19}, at::kInt), exact = table.to(at::kCPU, at::kDouble);
  for (const Tensor& weight : {norm, Tensor()}) {
    const Tensor d = b.random({19, 3, 26}), y = at::empty_like(x), rstd = at::empty({19, 3}, at::kDouble);
    const Tensor dn = at::zeros({26}, at::kDouble), y1 = b.work(y), rstd1 = b.wide(rstd), d1 = b.work(d), dn1 = b.wide(dn);
    const Tensor weight1 = weight.defined() ? b.work(weight) : Tensor();
    reference::rope(x, y, weight, 1e-6, rstd, exact, positions);
    reference::rope_backward(x, d, weight, rstd, dn, exact, positions);
    cuda::rope(b.work(x), y1, weight1, 1e-6, rstd1, table, b.work(positions));
    cuda::rope_backward(b.work(x), d1, weight1, rstd1, dn1, table, b.work(positions));
    b.compare(y1, y), b.compare(d1, d);
    if (weight.defined()) b.compare(dn1, dn), b.compare(rstd1, rstd);
  }
}

void check_rope_cache(Bench& b) {
  const int64_t heads = 3, kv = 2, dim = 26;
  const Tensor qkv = b.random({19, heads + 2 * kv, dim}), norm = b.random({dim}), rstd = at::empty({19, heads}, at::kDouble);
  const Tensor table = b.wide(at::randn({40, dim}, at::kDouble)), exact = table.to(at::kCPU, at::kDouble);
  const Tensor positions = at::randint(0, 40, {19}, at::kInt), slots = at::randperm(64, at::kInt).narrow(0, 0, 19).contiguous();
  const Tensor keys = at::zeros({64, kv, dim}, at::kDouble), values = at::zeros_like(keys);
  const auto in_cache = [&](const Tensor& x) { return b.work(x).to(parts_type(b.type)); };
  const Tensor qkv1 = b.work(qkv), keys1 = in_cache(keys), values1 = in_cache(values), index = slots.to(at::kLong);
  const auto part = [&](int64_t first, int64_t n) { return qkv.narrow(1, first, n); };
  const Tensor q = at::empty({19, heads, dim}, at::kDouble), k = at::empty({19, kv, dim}, at::kDouble);
  reference::rope(part(0, heads), q, norm, 1e-6, rstd, exact, positions);
  reference::rope(part(heads, kv), k, norm, 1e-6, rstd.narrow(1, 0, kv), exact, positions);
  Tensor(keys).index_copy_(0, index, k);
  Tensor(values).index_copy_(0, index, part(heads + kv, kv));
  cuda::rope_cache(qkv1, heads, b.work(norm), b.work(norm), 1e-6, table, b.work(positions), b.work(slots), keys1, values1);
  b.compare(qkv1.narrow(1, 0, heads), q), b.compare(keys1, keys), b.compare(values1, values);
}

void check_swiglu(Bench& b) {
  for (const int64_t ffn : {45, 264}) {
    const Tensor x = b.random({29, 2 * ffn}), d = b.random({29, ffn}), y = at::empty_like(d), dx = at::empty_like(x);
    const Tensor y1 = b.work(y), dx1 = b.work(x);
    reference::swiglu(x, y);
    reference::swiglu_backward(x, d, dx);
    cuda::swiglu(dx1, y1);
    cuda::swiglu_backward(dx1, b.work(d), dx1);  // in place
    b.compare(y1, y), b.compare(dx1, dx);
  }
}

void check_logprob(Bench& b) {
  for (const int64_t vocab : {203, 1000}) {
    const int64_t rows = 11;
    const Tensor logits = b.random({rows, vocab}) * 4, logits1 = b.work(logits), ids = at::randint(0, vocab, {rows}, at::kInt);
    const Tensor c = b.random({rows}), e = b.random({rows}), lp = at::empty({rows}, at::kDouble), h = at::empty_like(lp);
    const Tensor lp1 = at::empty_like(lp), h1 = at::empty_like(lp);
    reference::logprob(logits, ids, 0.7, lp.data_ptr<double>(), h.data_ptr<double>());
    cuda::logprob(logits1, b.work(ids), 0.7, lp1.data_ptr<double>(), h1.data_ptr<double>());
    reference::logprob_backward(logits, ids, 0.7, c.data_ptr<double>(), e.data_ptr<double>());
    cuda::logprob_backward(logits1, b.work(ids), 0.7, c.data_ptr<double>(), e.data_ptr<double>());
    b.compare(lp1, lp), b.compare(h1, h), b.compare(logits1, logits);
  }
}

void check_sample(Bench& b) {
  const int64_t rows = 64, vocab = 1003;
  const Tensor logits = b.random({rows, vocab}) * 4, logits1 = b.work(logits), u = at::rand({rows}, at::kDouble);
  const Tensor ids = at::empty({rows}, at::kInt), ids1 = at::empty_like(ids);
  const Tensor lp = at::empty({rows}, at::kFloat), lp1 = at::empty_like(lp), h = at::empty_like(lp), h1 = at::empty_like(lp);
  for (const bool greedy : {false, true}) {
    reference::sample(logits, greedy ? nullptr : u.data_ptr<double>(), 0.7, ids.data_ptr<int32_t>(), lp.data_ptr<float>(),
                      h.data_ptr<float>());
    read_samples(cuda::sample(logits1, greedy ? Tensor() : u.to(b.device), 0.7), ids1.data_ptr<int32_t>(),
                 lp1.data_ptr<float>(), h1.data_ptr<float>());
    b.compare(ids1, ids), b.compare(lp1, lp), b.compare(h1, h);
  }
}

// Three steps against torch's own in double: fp32 weights, and bf16 beside masters.
void check_adamw(Bench& b) {
  for (const int64_t n : {int64_t(1003), int64_t(4096)}) {
    const Tensor w = b.random({n}), m = at::zeros_like(w), v = at::zeros_like(w), start = w.clone();
    const Tensor w1 = b.wide(w), m1 = b.wide(m), v1 = b.wide(v), half = b.work(w);
    for (int32_t t = 1; t <= 3; t++) {
      const Tensor g = b.random({n}), count = at::scalar_tensor(t, at::kFloat);
      at::_fused_adamw_({w}, {g}, {m}, {v}, {}, {count}, 0.01, 0.9, 0.95, 0.1, 1e-6, false, false);
      const cuda::AdamW options = cuda::adamw_options(0.01, 0.1, 0.9, 0.95, 1e-6, t);
      if (b.type == at::kFloat) cuda::adamw({}, w1, b.wide(g), m1, v1, options);
      else cuda::adamw(w1, half, b.wide(g), m1, v1, options);
    }
    b.compare(w1 - start.to(b.device, at::kFloat), w - start), b.compare(m1, m), b.compare(v1, v);
    if (b.type != at::kFloat) b.compare(half, w);
  }
}

// Parts of rows [first_row, end_row) that see keys [first_key, first_key + num_keys), one after the other.
struct AttentionCase {
  std::vector<AttentionPart> parts;
  int64_t heads, kv_heads;
};

// q[R, H, D], k and v [N, K, D] in double -> out, lse.
std::pair<Tensor, Tensor> exact_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionCase& c, double scale) {
  const Tensor out = at::empty_like(q), lse = at::empty({q.size(0), q.size(1)}, at::kDouble);
  const int64_t group = c.heads / c.kv_heads;
  for (const AttentionPart& p : c.parts) {
    const auto keys = [&](const Tensor& x) {
      return x.narrow(0, p.first_key, p.num_keys).transpose(0, 1).repeat_interleave(group, 0);
    };
    Tensor scores = at::matmul(q.narrow(0, p.first_row, p.num_rows()).transpose(0, 1), keys(k).transpose(1, 2)) * scale;
    if (p.causal) {
      const Tensor hidden = at::ones({p.num_rows(), p.num_keys}, at::kBool).triu(p.num_keys - p.num_rows() + 1);
      scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    }
    out.narrow(0, p.first_row, p.num_rows()).copy_(at::matmul(scores.softmax(-1), keys(v)).transpose(0, 1));
    lse.narrow(0, p.first_row, p.num_rows()).copy_(scores.logsumexp(-1).transpose(0, 1));
  }
  return {out, lse};
}

void check_attention_case(Bench& b, const AttentionCase& c, int64_t dim) {
  std::vector<int32_t> rows{0}, keys, counts;
  DeviceGroup group{c.parts[0].causal, false, 1, 0, 0};
  for (const AttentionPart& p : c.parts) {
    rows.push_back(p.end_row), keys.push_back(p.first_key), counts.push_back(p.num_keys);
    group.max_rows = std::max(group.max_rows, p.num_rows());
  }
  group.row_starts = b.work(at::tensor(rows, at::kInt)), group.key_starts = b.work(at::tensor(keys, at::kInt));
  group.key_counts = b.work(at::tensor(counts, at::kInt));
  const Tensor q = b.random({rows.back(), c.heads, dim}), k = b.random({300, c.kv_heads, dim}), v = b.random({300, c.kv_heads, dim});
  const double scale = 1 / std::sqrt(double(dim));
  const auto [out, lse] = exact_attention(q, k, v, c, scale);
  const auto [out1, lse1] = cuda::varlen_attention(b.work(q), b.work(k), b.work(v), group, scale);
  b.compare(out1, out), b.compare(lse1, lse);
}

// f16 where the policy is bf16. Tensor cores for heads of 64 and 128.
void check_attention(Bench& b) {
  if (b.type == at::kBFloat16) b.type = at::kHalf;
  const AttentionCase cases[] = {{{{0, 1, 0, 130, false}, {1, 2, 7, 65, false}}, 6, 2},
                                 {{{0, 40, 11, 200, false}, {40, 43, 0, 33, false}}, 4, 1},
                                 {{{0, 70, 20, 70, true}, {70, 79, 100, 30, true}}, 4, 2}};
  for (const AttentionCase& c : cases)
    for (const int64_t dim : {24, 64, 128}) check_attention_case(b, c, dim);
}

}  // namespace

void check_cuda_kernel(const std::string& name, Bench& bench) {
  static const std::map<std::string, std::vector<std::function<void(Bench&)>>> checks{
      {"rmsnorm", {check_rmsnorm, check_mixed_rmsnorm}}, {"rope", {check_rope, check_rope_cache}}, {"swiglu", {check_swiglu}},
      {"logprob", {check_logprob}}, {"sample", {check_sample}}, {"adamw", {check_adamw}}, {"attention", {check_attention}}};
  const bool half = name.ends_with(".bf16");
  const auto found = checks.find(half ? name.substr(0, name.size() - 5) : name);
  if (found == checks.end()) throw std::invalid_argument("no CUDA kernel is called " + name);
  if (half) bench.type = at::kBFloat16;
  for (const auto& check : found->second) check(bench);
}

}  // namespace icrl
