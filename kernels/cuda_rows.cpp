// The launchers of the kernels that work row by row or element by element: which function for these types, which launch shape, which arguments.
#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>

#include "cuda.h"

namespace icrl::cuda {
namespace {

std::string type_of(const Tensor& t) {
  if (t.scalar_type() == at::kFloat) return "_float";
  if (t.scalar_type() == at::kBFloat16) return "_bf16";
  throw std::invalid_argument("the CUDA kernels are for float and bf16");
}

// Its memory, which the kernel reads or writes as the type that its name says; null for an undefined tensor.
void* memory(const Tensor& t) { return t.defined() ? const_cast<void*>(t.const_data_ptr()) : nullptr; }

void require_dense(std::initializer_list<Tensor> tensors) {
  for (const Tensor& t : tensors)
    if (t.defined() && !t.is_contiguous()) throw std::invalid_argument("a CUDA kernel got a tensor with gaps");
}
void require_float(std::initializer_list<Tensor> tensors) {
  for (const Tensor& t : tensors)
    if (t.defined() && t.scalar_type() != at::kFloat) throw std::invalid_argument("a CUDA kernel wants this in float");
}
// [T, heads, dim] views whose heads lie one after the other.
void require_heads(std::initializer_list<Tensor> tensors) {
  for (const Tensor& t : tensors)
    if (t.stride(2) != 1 || t.stride(1) != t.size(2)) throw std::invalid_argument("a CUDA kernel got heads with gaps");
}
// rope.cu counts them in 32 bits.
void require_tasks(int64_t tasks) {
  if (tasks >= int64_t(1) << 30) throw std::invalid_argument("too many heads for one launch");
}

Tensor float_on(const double* data, const Tensor& like) {
  return at::from_blob(const_cast<double*>(data), {like.size(0)}, at::kDouble).to(like.device(), at::kFloat);
}
template <typename T> void to_host(const Tensor& from, T* to) {
  at::from_blob(to, from.sizes(), at::CppTypeToScalarType<T>::value).copy_(from);
}
Tensor floats(int64_t n, const Tensor& like) { return at::empty({n}, like.options().dtype(at::kFloat)); }

// partial[shares, dim], added to sums[dim].
void add_shares(const Tensor& partial, Kernel kernel, const Tensor& sums) {
  launch(partial, kernel, "sum_shares", sum_shares_geometry(sums.numel()), memory(partial), int(partial.size(0)),
         int(sums.numel()), memory(sums));
}

}  // namespace

void rmsnorm(const Tensor& x, const Tensor& w, double eps, const Tensor& y, const Tensor& rstd) {
  add_rmsnorm(x, {}, w, eps, {}, y, rstd);
}

void add_rmsnorm(const Tensor& x, const Tensor& delta, const Tensor& w, double eps, const Tensor& sum, const Tensor& y,
                 const Tensor& rstd) {
  require_dense({x, delta, w, sum, y, rstd});
  require_float({rstd});
  if (x.size(0) == 0) return;
  launch(x, Kernel::rmsnorm, "rmsnorm" + type_of(x) + type_of(y), rmsnorm_geometry(x.size(0)), memory(x), memory(delta), memory(sum),
         memory(w), memory(y), memory(rstd), int(x.size(1)), float(eps));
}

void rmsnorm_backward(const Tensor& x, const Tensor& w, const Tensor& rstd, const Tensor& d_y, const Tensor& d_x,
                      const Tensor& d_w) {
  require_dense({x, w, rstd, d_y, d_x, d_w});
  require_float({rstd, d_w});
  if (x.size(0) == 0) return;
  const Geometry g = rmsnorm_backward_geometry(x.size(0), x.size(1));
  const Tensor partial = at::empty({g.x, x.size(1)}, rstd.options());
  launch(x, Kernel::rmsnorm, "rmsnorm_backward" + type_of(x) + type_of(d_y), g, memory(x), memory(w), memory(rstd), memory(d_y),
         memory(d_x), memory(partial), int(x.size(0)), int(x.size(1)));
  if (d_w.defined()) add_shares(partial, Kernel::rmsnorm, d_w);
}

void rope(const Tensor& in, const Tensor& out, const Tensor& norm, double eps, const Tensor& rstd, const Tensor& table,
          const Tensor& positions) {
  require_heads({in, out});
  require_float({table, rstd});
  require_tasks(in.size(0) * in.size(1));
  if (in.size(0) == 0) return;
  launch(in, Kernel::rope, "rope" + type_of(in), rope_geometry(in.size(0), in.size(1)), memory(in), int64_t(in.stride(0)),
         memory(out), int64_t(out.stride(0)), memory(norm), float(eps), memory(rstd),
         int64_t(rstd.defined() ? rstd.stride(0) : 0), memory(table), memory(positions), int(in.size(0)), int(in.size(1)),
         int(in.size(2)));
}

void rope_backward(const Tensor& in, const Tensor& d, const Tensor& norm, const Tensor& rstd, const Tensor& d_norm,
                   const Tensor& table, const Tensor& positions) {
  require_heads({in, d});
  require_float({table, rstd, d_norm});
  require_tasks(in.size(0) * in.size(1));
  if (in.size(0) == 0) return;
  const Geometry g = rope_backward_geometry(in.size(0), in.size(1), in.size(2));
  const Tensor partial = norm.defined() ? at::empty({g.x, in.size(2)}, table.options()) : Tensor();
  launch(in, Kernel::rope, "rope_backward" + type_of(in), g, memory(in), int64_t(in.stride(0)), memory(d), int64_t(d.stride(0)),
         memory(norm), memory(rstd), int64_t(rstd.defined() ? rstd.stride(0) : 0), memory(table), memory(positions),
         int(in.size(0)), int(in.size(1)), int(in.size(2)), memory(partial));
  if (norm.defined() && d_norm.defined()) add_shares(partial, Kernel::rope, d_norm);
}

void rope_cache(const Tensor& qkv, int64_t heads, const Tensor& q_norm, const Tensor& k_norm, double eps, const Tensor& table,
                const Tensor& positions, const Tensor& slots, const Tensor& keys, const Tensor& values) {
  require_dense({qkv, q_norm, k_norm, table, slots, keys, values});
  require_float({table});
  if (qkv.size(0) == 0) return;
  const auto cache_type = qkv.scalar_type() == at::kBFloat16 ? at::kHalf : at::kFloat;
  if (keys.scalar_type() != cache_type || values.scalar_type() != cache_type || slots.scalar_type() != at::kInt)
    throw std::invalid_argument("rope_cache got another type of cache or slots");
  const int64_t kv_heads = keys.size(1);
  require_tasks(qkv.size(0) * (heads + 2 * kv_heads));
  launch(qkv, Kernel::rope, "rope_cache" + type_of(qkv), rope_geometry(qkv.size(0), heads + 2 * kv_heads), memory(qkv),
         memory(q_norm), memory(k_norm), float(eps), memory(table), memory(positions), memory(slots), memory(keys),
         memory(values), int(qkv.size(0)), int(heads), int(kv_heads), int(keys.size(2)));
}

void swiglu(const Tensor& gate_up, const Tensor& out) {
  require_dense({gate_up, out});
  if (out.size(0) == 0) return;
  launch(out, Kernel::swiglu, "swiglu" + type_of(out), swiglu_geometry(out.size(0), out.size(1)), memory(gate_up), memory(out),
         int(out.size(1)));
}

void swiglu_backward(const Tensor& gate_up, const Tensor& d_out, const Tensor& d_gate_up) {
  require_dense({gate_up, d_out, d_gate_up});
  if (d_out.size(0) == 0) return;
  launch(d_out, Kernel::swiglu, "swiglu_backward" + type_of(d_out), swiglu_geometry(d_out.size(0), d_out.size(1)),
         memory(gate_up), memory(d_out), memory(d_gate_up), int(d_out.size(1)));
}

void logprob(const Tensor& logits, const Tensor& ids, double temperature, double* logprobs, double* entropies) {
  require_dense({logits, ids});
  if (logits.size(0) == 0) return;
  const Tensor lp = floats(logits.size(0), logits), h = at::empty_like(lp);
  launch(logits, Kernel::logprob, "logprob" + type_of(logits), logprob_geometry(logits.size(0)), memory(logits), memory(ids),
         float(1 / temperature), memory(lp), memory(h), int(logits.size(1)));
  to_host(lp, logprobs), to_host(h, entropies);
}

void logprob_backward(const Tensor& logits, const Tensor& ids, double temperature, const double* d_logprobs,
                      const double* d_entropies) {
  require_dense({logits, ids});
  if (logits.size(0) == 0) return;
  const Tensor d_lp = float_on(d_logprobs, logits), d_h = d_entropies ? float_on(d_entropies, logits) : Tensor();
  launch(logits, Kernel::logprob, "logprob_backward" + type_of(logits), logprob_geometry(logits.size(0)), memory(logits),
         memory(ids), float(1 / temperature), memory(d_lp), memory(d_h), int(logits.size(1)));
}

Tensor sample(const Tensor& logits, const Tensor& uniforms, double temperature) {
  require_dense({logits, uniforms});
  const int64_t rows = logits.size(0);
  if (uniforms.defined() && uniforms.scalar_type() != at::kDouble) throw std::invalid_argument("uniforms are in double");
  const Tensor samples = at::empty({3, rows}, logits.options().dtype(at::kFloat));
  if (rows > 0)
    launch(logits, Kernel::sample, "sample" + type_of(logits), sample_geometry(rows), memory(logits), memory(uniforms),
           float(1 / temperature), memory(samples[0]), memory(samples[1]), memory(samples[2]), int(logits.size(1)));
  return samples;
}

AdamW adamw_options(double learning_rate, double weight_decay, double beta1, double beta2, double eps, int32_t steps) {
  AdamW o{};
  o.decay = float(1 - learning_rate * weight_decay);
  o.beta1 = float(beta1), o.beta2 = float(beta2), o.eps = float(eps);
  o.step_size = float(learning_rate / (1 - std::pow(beta1, steps)));
  o.root_correction = float(std::sqrt(1 - std::pow(beta2, steps)));
  return o;
}

void adamw(const Tensor& master, const Tensor& weight, const Tensor& grad, const Tensor& first, const Tensor& second,
           const AdamW& options) {
  require_dense({master, weight, grad, first, second});
  require_float({master, grad, first, second});
  const int64_t n = weight.numel();
  if (n == 0) return;
  if (master.defined() && weight.scalar_type() != at::kBFloat16) throw std::invalid_argument("a float weight is its own master");
  const Geometry g = adamw_geometry(n);
  if (master.defined())
    launch(weight, Kernel::adamw, "adamw_master", g, memory(master), memory(weight), memory(grad), memory(first), memory(second), n,
           options);
  else
    launch(weight, Kernel::adamw, "adamw" + type_of(weight), g, memory(weight), memory(grad), memory(first), memory(second), n,
           options);
}

}  // namespace icrl::cuda
