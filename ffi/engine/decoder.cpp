#include "decoder.h"

#include <ATen/ATen.h>

#include <cmath>

#include "../../kernels/cuda.h"

namespace icrl {

Tensor to_device(const int32_t* data, int64_t n, at::Device device) {
  return at::from_blob(const_cast<int32_t*>(data), {n}, at::kInt).to(device, /*non_blocking=*/false, /*copy=*/true);
}

namespace {

void check_segments(int32_t num_tokens, int32_t num_segments, const int32_t* segments) {
  int32_t covered = 0;
  std::vector<int32_t> open_ends;  // of the segments that this one lies below
  for (int32_t i = 0; i < num_segments; i++) {
    const int32_t first = segments[3 * i], own = segments[3 * i + 1], end = segments[3 * i + 2];
    while (!open_ends.empty() && open_ends.back() <= first) open_ends.pop_back();
    require(open_ends.empty() || end <= open_ends.back(), "a segment's subtree ends after its parent's");
    open_ends.push_back(end);
    require(first == covered, "segments are not in depth-first order, or leave tokens out");
    require(first < own && own <= end && end <= num_tokens, "a segment's ranges are not in order");
    covered = own;
  }
  require(covered == num_tokens, "segments leave tokens out");
}

}  // namespace

Batch make_batch(const icrl_policy& policy, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                 int32_t num_segments, const int32_t* segments, int32_t num_targets, const int32_t* target_rows,
                 const int32_t* target_ids) {
  require(tokens && positions && segments && target_rows && target_ids, "a pointer is null");
  require(num_tokens > 0 && num_segments > 0 && num_targets >= 0, "a batch has no tokens");
  check_segments(num_tokens, num_segments, segments);
  Batch b;
  b.max_position = 0;
  for (int32_t i = 0; i < num_tokens; i++) {
    require(tokens[i] >= 0 && tokens[i] < policy.config.vocab, "a token id is outside the vocabulary");
    require(positions[i] >= 0, "a position is negative");
    b.max_position = std::max(b.max_position, positions[i]);
  }
  for (int32_t i = 0; i < num_targets; i++) {
    require(target_rows[i] >= 0 && target_rows[i] < num_tokens, "a target row is outside the batch");
    require(target_ids[i] >= 0 && target_ids[i] < policy.config.vocab, "a target id is outside the vocabulary");
  }
  for (int32_t i = 0; i < num_segments; i++) {
    const int32_t* s = segments + 3 * i;
    for (int32_t t = s[0] + 1; t < s[1]; t++)
      require(positions[t] == positions[t - 1] + 1, "positions of a segment are not consecutive");
    b.segments.push_back({s[0], s[2], s[1] - s[0], positions[s[0]], s[0]});
  }
  IntUpload upload;
  upload.add(tokens, num_tokens, &b.tokens);
  upload.add(positions, num_tokens, &b.positions);
  upload.add(target_rows, num_targets, &b.target_rows);
  upload.add(target_ids, num_targets, &b.target_ids);
  if (policy.in_parts)
    b.parts = upload_parts(trie_groups(b.segments, positions, num_tokens), num_tokens, policy.parts_options(), upload);
  upload.copy_to(policy.device);
  finish_parts(b.parts);
  return b;
}

Tensor project(icrl_policy& p, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  if (bias.defined()) y.copy_(bias.expand_as(y));
  linear(x, weight, p.packed(weight), y, bias.defined());
  return y;
}

Tensor project_onto(icrl_policy& p, const Tensor& residual, const Tensor& x, const Tensor& weight) {
  const Tensor y = residual.clone();
  linear(x, weight, p.packed(weight), y, true);
  return y;
}

Tensor input_grad(const Tensor& d_y, const Tensor& weight) {
  const Tensor d_x = at::empty({d_y.size(0), weight.size(1)}, d_y.options());
  linear_input_grad(d_y, weight, d_x);
  return d_x;
}

Tensor norm(const Tensor& x, const Tensor& weight, double eps, Tensor* rstd) {
  const Tensor y = at::empty(x.sizes(), weight.options());
  const auto wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor scale = at::empty({x.size(0)}, x.options().dtype(wide));
  rmsnorm(x, weight, eps, y, scale);
  if (rstd) *rstd = scale;
  return y;
}

Tensor add_and_norm(icrl_policy& p, const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& norm_weight,
                    const Tensor& sum, Tensor* rstd) {
  // Where the product is of the residual's type, its addition is a part of it.
  if (x.scalar_type() == residual.scalar_type() || !cuda::uses(residual, cuda::Kernel::rmsnorm)) {
    if (!sum.is_same(residual)) Tensor(sum).copy_(residual);
    linear(x, weight, p.packed(weight), sum, true);
    return norm(sum, norm_weight, p.config.rms_eps, rstd);
  }
  const Tensor y = at::empty(residual.sizes(), norm_weight.options()), scale = at::empty({residual.size(0)}, residual.options());
  cuda::add_rmsnorm(residual, project(p, x, weight), norm_weight, p.config.rms_eps, sum, y, scale);
  if (rstd) *rstd = scale;
  return y;
}

QkvViews split_heads(const icrl_policy& p, const Tensor& qkv) {
  const int64_t rows = qkv.size(0), dim = p.config.head_dim, q = p.q_width(), kv = p.kv_width();
  return {qkv.narrow(1, 0, q).view({rows, p.config.heads, dim}), qkv.narrow(1, q, kv).view({rows, p.config.kv_heads, dim}),
          qkv.narrow(1, q + kv, kv).view({rows, p.config.kv_heads, dim}),
          qkv.narrow(1, 0, q + kv).view({rows, p.config.heads + p.config.kv_heads, dim})};
}

namespace {

double attention_scale(const icrl_policy& p) { return 1 / std::sqrt(double(p.config.head_dim)); }

void rotate(icrl_policy& p, const LayerWeights& w, const Batch& b, LayerTape& t) {
  const QkvViews raw = split_heads(p, t.qkv);
  const int64_t heads = p.config.heads, kv_heads = p.config.kv_heads;
  t.qk = at::empty({t.qkv.size(0), heads + kv_heads, p.config.head_dim}, t.qkv.options());
  if (w.q_norm.defined()) t.qk_rstd = at::empty({t.qkv.size(0), heads + kv_heads}, t.qkv.options().dtype(p.wide()));
  const auto rstd = [&](int64_t first, int64_t n) { return t.qk_rstd.defined() ? t.qk_rstd.narrow(1, first, n) : Tensor(); };
  const Tensor& table = p.rope(b.max_position + 1);
  rope(raw.q, t.qk.narrow(1, 0, heads), w.q_norm, p.config.rms_eps, rstd(0, heads), table, b.positions);
  rope(raw.k, t.qk.narrow(1, heads, kv_heads), w.k_norm, p.config.rms_eps, rstd(heads, kv_heads), table, b.positions);
}

void attend(icrl_policy& p, const Batch& b, LayerTape& t) {
  const int64_t rows = t.qk.size(0), heads = p.config.heads;
  const Tensor q = t.qk.narrow(1, 0, heads), k = t.qk.narrow(1, heads, p.config.kv_heads), v = split_heads(p, t.qkv).v;
  if (p.in_parts) {
    std::tie(t.attention, t.lse) = parts_attention(q, k, v, b.parts, attention_scale(p));
    return;
  }
  t.attention = at::empty({rows, heads, p.config.head_dim}, q.options());
  t.lse = at::empty({rows, heads}, q.options().dtype(p.wide()));
  attention(q, k, v, b.positions, b.segments, attention_scale(p), t.attention, t.lse);
}

// d_attention[T, H, D] -> d_qkv[T, (H + 2 K) D], that of the rotated q and k.
void attend_backward(icrl_policy& p, const Batch& b, const LayerTape& t, const Tensor& d_attention, const Tensor& d_qkv) {
  const int64_t heads = p.config.heads;
  const Tensor q = t.qk.narrow(1, 0, heads), k = t.qk.narrow(1, heads, p.config.kv_heads), v = split_heads(p, t.qkv).v;
  const QkvViews d = split_heads(p, d_qkv);
  const double scale = attention_scale(p);
  if (p.in_parts)
    parts_attention_backward(q, k, v, b.parts, scale, t.attention, t.lse, d_attention, d.q, d.k, d.v);
  else
    attention_backward(q, k, v, b.positions, b.segments, scale, t.attention, t.lse, d_attention, d.q, d.k, d.v);
}

// x[T, d] -> x after the layer; fills the tape.
Tensor layer_forward(icrl_policy& p, const LayerWeights& w, const Batch& b, const Tensor& x, LayerTape& t) {
  const int64_t rows = x.size(0);
  t.input = x;
  t.qkv = project(p, norm(x, w.input_norm, p.config.rms_eps, &t.input_rstd), w.qkv, w.qkv_bias);
  rotate(p, w, b, t);
  attend(p, b, t);
  t.middle = at::empty_like(x);
  const Tensor attended = t.attention.view({rows, p.q_width()});
  t.gate_up = project(p, add_and_norm(p, x, attended, w.o, w.post_norm, t.middle, &t.post_rstd), w.gate_up);
  const Tensor activated = at::empty({rows, p.config.ffn}, p.options());
  swiglu(t.gate_up, activated);
  return project_onto(p, t.middle, activated, w.down);
}

// Where the gradients of one layer are added.
struct LayerGradients {
  const LayerWeights& full;
  Adapters* adapters;
  int32_t layer;
  bool onward;  // something before this layer learns

  bool learns(Matrix m) const { return adapters ? adapters->learns(layer, m) : full.matrix(m).defined(); }
  // Of y = x W^T.
  void add(Matrix m, const Tensor& d_y, const Tensor& x) const {
    if (adapters) adapters->add_gradient(layer, m, d_y, x);
    else linear_weight_grad(d_y, x, full.matrix(m));
  }
};

// d: gradient of the layer's output, becomes that of t.middle.
void mlp_backward(icrl_policy& p, const LayerWeights& w, LayerTape& t, const Tensor& d, const LayerGradients& g) {
  const Tensor activated = at::empty({d.size(0), p.config.ffn}, p.options());
  swiglu(t.gate_up, activated);
  const Tensor d_y = d.to(p.dtype);
  if (g.learns(Matrix::down)) g.add(Matrix::down, d_y, activated);
  linear_input_grad(d_y, w.down, activated);         // now its gradient
  swiglu_backward(t.gate_up, activated, t.gate_up);  // in place
  // A norm computed again costs less than its output kept.
  if (g.learns(Matrix::gate_up))
    g.add(Matrix::gate_up, t.gate_up, norm(t.middle, w.post_norm, p.config.rms_eps, nullptr));
  rmsnorm_backward(t.middle, w.post_norm, t.post_rstd, input_grad(t.gate_up, w.gate_up), d, g.full.post_norm);
}

// d_qk[T, H + K, D], rotated -> written into d_qkv as the gradients of the raw q and k.
void rotate_backward(icrl_policy& p, const LayerWeights& w, const Batch& b, const LayerTape& t, const Tensor& d_qkv,
                     const LayerWeights& g) {
  const QkvViews raw = split_heads(p, t.qkv), d = split_heads(p, d_qkv);
  const Tensor& table = p.rope(b.max_position + 1);
  const auto rstd = [&](int64_t first, int64_t n) { return t.qk_rstd.defined() ? t.qk_rstd.narrow(1, first, n) : Tensor(); };
  rope_backward(raw.q, d.q, w.q_norm, rstd(0, p.config.heads), g.q_norm, table, b.positions);
  rope_backward(raw.k, d.k, w.k_norm, rstd(p.config.heads, p.config.kv_heads), g.k_norm, table, b.positions);
}

// d: gradient of t.middle, becomes that of t.input where that is needed.
void attention_block_backward(icrl_policy& p, const LayerWeights& w, const Batch& b, LayerTape& t, const Tensor& d,
                              const LayerGradients& g) {
  const int64_t rows = d.size(0), heads = p.config.heads;
  const Tensor d_y = d.to(p.dtype);
  if (g.learns(Matrix::o)) g.add(Matrix::o, d_y, t.attention.view({rows, p.q_width()}));
  const Tensor d_attention = input_grad(d_y, w.o).view({rows, heads, p.config.head_dim});
  const Tensor d_qkv = at::empty_like(t.qkv);
  attend_backward(p, b, t, d_attention, d_qkv);
  rotate_backward(p, w, b, t, d_qkv, g.full);
  if (g.learns(Matrix::qkv)) g.add(Matrix::qkv, d_qkv, norm(t.input, w.input_norm, p.config.rms_eps, nullptr));
  if (g.full.qkv_bias.defined()) g.full.qkv_bias.add_(d_qkv.sum(0, false, p.wide()));
  if (g.onward) rmsnorm_backward(t.input, w.input_norm, t.input_rstd, input_grad(d_qkv, w.qkv), d, g.full.input_norm);
}

}  // namespace

Tensor decoder_forward(icrl_policy& policy, const Batch& batch, Tape* tape) {
  Tensor x = policy.weights.embedding.index_select(0, batch.tokens).to(policy.wide());
  for (int32_t i = 0; i < policy.config.layers; i++) {
    LayerTape layer;
    const Tensor input = x;
    x = layer_forward(policy, policy.weights.layers[i], batch, input, layer);
    if (!tape) continue;
    if (i >= tape->recompute_layers) tape->layers.push_back(std::move(layer));
    else tape->layers.emplace_back().input = input;
  }
  return x;
}

void decoder_backward(icrl_policy& policy, const Batch& batch, Tape& tape, Tensor d_x, const Gradients& grads) {
  for (int32_t i = policy.config.layers; i-- > 0;) {
    const LayerWeights& w = policy.weights.layers[i];
    LayerTape& layer = tape.layers[i];
    if (i < tape.recompute_layers) layer_forward(policy, w, batch, Tensor(layer.input), layer);
    const LayerGradients g{grads.full.layers[i], grads.adapters, i, i > 0 || grads.full.embedding.defined()};
    mlp_backward(policy, w, layer, d_x, g);
    attention_block_backward(policy, w, batch, layer, d_x, g);
    layer = {};
  }
  const Tensor& embedding = grads.full.embedding;
  if (embedding.defined()) embedding.index_add_(0, batch.tokens, d_x.to(embedding.scalar_type()));
}

}  // namespace icrl
