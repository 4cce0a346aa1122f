// The decoder's layers: forward over a packed batch that keeps what its backward needs, and the backward itself, written by
// hand (no autograd): the kept bytes are then a formula, and gradients add up in place.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "../../kernels/attention-varlen.h"
#include "../../kernels/kernels.h"
#include "lora.h"

namespace icrl {

// A validated batch on the device. See icrl_policy_logprobs for its form.
struct Batch {
  Tensor tokens;     // [T] int32
  Tensor positions;  // [T] int32
  std::vector<AttentionSegment> segments;
  Tensor target_rows;  // [N] int32
  Tensor target_ids;   // [N] int32
  int32_t max_position;
  AttentionParts parts;  // where the policy's attention is computed in parts

  int64_t num_tokens() const { return tokens.size(0); }
  int64_t num_targets() const { return target_rows.size(0); }
};
// Host integers to the device in one copy.
Tensor to_device(const int32_t* data, int64_t n, at::Device device);

Batch make_batch(const icrl_policy& policy, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                 int32_t num_segments, const int32_t* segments, int32_t num_targets, const int32_t* target_rows,
                 const int32_t* target_ids);

// What one layer keeps. T tokens, H heads, K kv heads, D head_dim, d hidden, F ffn.
struct LayerTape {
  Tensor input;         // [T, d] of the residual stream: fp32 whatever the policy computes in
  Tensor input_rstd;    // [T]
  Tensor qkv;           // [T, (H + 2 K) D] before head norm and rotation; v is read from it
  Tensor qk_rstd;       // [T, H + K] with head norm
  Tensor qk;            // [T, H + K, D] normalised and rotated
  Tensor attention;     // [T, H, D]
  Tensor lse;           // [T, H]
  Tensor middle;        // [T, d] of the stream after attention
  Tensor post_rstd;     // [T]
  Tensor gate_up;       // [T, 2 F]
};
struct Tape {
  std::vector<LayerTape> layers;
  int32_t recompute_layers;  // of the first so many layers only the inputs are kept
};

// Where gradients are added. Undefined tensors of full are frozen: nothing is computed for them. With adapters all are, and the
// layers' matrices that these adapt learn through them.
struct Gradients {
  Weights full;
  Adapters* adapters = nullptr;
};

// embedding -> layers; returns the last of the residual stream [T, d], in fp32 or double. tape may be null.
Tensor decoder_forward(icrl_policy& policy, const Batch& batch, Tape* tape);
// d_x[T, d] is the gradient of the last residual stream; gradients are added to grads.
void decoder_backward(icrl_policy& policy, const Batch& batch, Tape& tape, Tensor d_x, const Gradients& grads);

// The pieces of a layer that the cache's forward shares.
struct QkvViews {
  Tensor q, k, v;  // [T, H, D], [T, K, D], [T, K, D]
  Tensor qk;       // [T, H + K, D]
};
QkvViews split_heads(const icrl_policy& policy, const Tensor& qkv);
Tensor project(icrl_policy& p, const Tensor& x, const Tensor& weight, const Tensor& bias = {});
// residual + x weight^T, in the residual's precision
Tensor project_onto(icrl_policy& p, const Tensor& residual, const Tensor& x, const Tensor& weight);
// The gradient of x in project(x, weight).
Tensor input_grad(const Tensor& d_y, const Tensor& weight);
// Normalised x in the weight's precision; rstd (may be null) receives what the backward needs.
Tensor norm(const Tensor& x, const Tensor& weight, double eps, Tensor* rstd);
// sum = residual + x weight^T (sum may be residual), and its norm.
Tensor add_and_norm(icrl_policy& p, const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& norm_weight,
                    const Tensor& sum, Tensor* rstd);

}  // namespace icrl
