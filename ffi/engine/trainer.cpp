// Gradients, optimizer state and the order of calls of one policy in training.
#include <ATen/ATen.h>

#include <cmath>
#include <memory>

#include "head.h"
#include "optimizer.h"

using namespace icrl;

// Between logprobs and backward: everything the backward reads.
struct PendingBatch {
  Batch batch;
  Tape tape;
  Tensor x;  // [T, d]
  HeadChunk head;
  double temperature;
};

struct icrl_trainer {
  icrl_policy* policy;
  icrl_trainer_config config;
  Gradients grads;
  OptimizerState optimizer;  // of a full fine-tune
  std::unique_ptr<Adapters> adapters;
  std::unique_ptr<PendingBatch> pending;
  bool has_gradient = false;
  Counted counted{Handle::trainer};

  int64_t chunk_rows() const { return config.head_rows > 0 ? config.head_rows : default_chunk_rows(*policy); }
};

static void open_full(icrl_trainer& t) {
  t.grads.full = make_weights(t.policy->config, t.policy->options().dtype(t.policy->wide()), true);
  t.optimizer = OptimizerState(*t.policy, t.config, t.grads.full);
}

static void open_adapters(icrl_trainer& t, const icrl_policy& base) {
  t.grads.full.layers.resize(t.policy->config.layers);  // undefined: frozen
  t.adapters = std::make_unique<Adapters>(*t.policy, base, t.config);
  t.grads.adapters = t.adapters.get();
}

int32_t icrl_trainer_open(icrl_policy* policy, icrl_policy* base, const icrl_trainer_config* config, icrl_trainer** trainer) {
  return guard([&] {
    require(policy && config && trainer, "a pointer is null");
    require(config->lora_rank >= 0, "lora_rank is negative");
    require((config->lora_rank > 0) == (base != nullptr), "a base is given with adapters and only then");
    const bool is_plain = config->state_bits == 32 && config->master == 1 && config->offload == 0;
    require(is_plain || !base, "adapters keep their state in fp32 on the device");
    auto t = std::unique_ptr<icrl_trainer>(new icrl_trainer{policy, *config});
    if (base) open_adapters(*t, *base);
    else open_full(*t);
    *trainer = t.release();
  });
}

void icrl_trainer_close(icrl_trainer* trainer) { delete trainer; }

int32_t icrl_trainer_logprobs(icrl_trainer* trainer, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                              int32_t num_segments, const int32_t* segments, int32_t num_targets, const int32_t* target_rows,
                              const int32_t* target_ids, double temperature, int32_t recompute_layers, double* logprobs,
                              double* entropies) {
  return guard([&] {
    require(trainer && logprobs, "a pointer is null");
    require(!trainer->pending, "logprobs was called twice without a backward");
    require(temperature > 0, "the temperature is not positive");
    icrl_policy& policy = *trainer->policy;
    require(recompute_layers >= 0 && recompute_layers <= policy.config.layers, "there are not so many layers to recompute");
    auto p = std::make_unique<PendingBatch>(
        PendingBatch{make_batch(policy, num_tokens, tokens, positions, num_segments, segments, num_targets, target_rows,
                                target_ids),
                     Tape{{}, recompute_layers}, {}, {}, temperature});
    p->x = decoder_forward(policy, p->batch, &p->tape);
    head_forward(policy, p->batch, p->x, temperature, trainer->chunk_rows(), logprobs, entropies, &p->head);
    trainer->pending = std::move(p);
  });
}

int32_t icrl_trainer_backward(icrl_trainer* trainer, int32_t num_targets, const double* d_logprobs,
                              const double* d_entropies) {
  return guard([&] {
    require(trainer && d_logprobs, "a pointer is null");
    require(trainer->pending != nullptr, "backward was called without logprobs");
    const auto p = std::move(trainer->pending);
    require(num_targets == p->batch.num_targets(), "backward was given another number of targets than logprobs");
    trainer->has_gradient = true;
    Tensor d_x = head_backward(*trainer->policy, p->batch, p->x, p->temperature, trainer->chunk_rows(), std::move(p->head),
                               d_logprobs, d_entropies, trainer->grads.full);
    p->x = Tensor();
    decoder_backward(*trainer->policy, p->batch, p->tape, std::move(d_x), trainer->grads);
  });
}

static void zero(icrl_trainer& trainer) {
  trainer.pending.reset();
  trainer.has_gradient = false;
  if (trainer.adapters) return trainer.adapters->zero_gradients();
  for (const Tensor& g : trainer.grads.full.stored()) g.zero_();
}

int32_t icrl_trainer_zero(icrl_trainer* trainer) {
  return guard([&] {
    require(trainer, "the trainer is null");
    zero(*trainer);
  });
}

int32_t icrl_trainer_step(icrl_trainer* trainer, double learning_rate, double muon_learning_rate, double max_norm,
                          double* grad_norm) {
  return guard([&] {
    require(trainer && grad_norm, "a pointer is null");
    require(!trainer->pending, "step was called between logprobs and backward");
    require(trainer->has_gradient, "step was called without a backward");
    *grad_norm = trainer->adapters ? trainer->adapters->step(learning_rate, max_norm)
                                   : trainer->optimizer.step(learning_rate, muon_learning_rate, max_norm);
    zero(*trainer);
  });
}

int32_t icrl_trainer_steps_read(icrl_trainer* trainer, int32_t* steps) {
  return guard([&] {
    require(trainer && steps, "a pointer is null");
    *steps = trainer->adapters ? trainer->adapters->steps() : trainer->optimizer.steps();
  });
}

int32_t icrl_trainer_steps_write(icrl_trainer* trainer, int32_t steps) {
  return guard([&] {
    require(trainer, "the trainer is null");
    require(steps >= 0, "the number of steps is negative");
    if (trainer->adapters) trainer->adapters->set_steps(steps);
    else trainer->optimizer.set_steps(steps);
  });
}

// Of an array that lies on the device as it is; undefined for what the optimizer of a full fine-tune keeps.
static Tensor tensor_of(icrl_trainer& trainer, int32_t which, const char* name) {
  require(name, "a tensor name is null");
  require(which >= ICRL_TRAINER_GRADIENT && which <= ICRL_TRAINER_MASTER, "unknown kind of trainer tensor");
  if (trainer.adapters) return trainer.adapters->tensor(which, name);
  if (which != ICRL_TRAINER_GRADIENT) return {};
  return find_tensor(named_tensors(trainer.policy->config, trainer.grads.full), name);
}

int32_t icrl_trainer_tensor_read(icrl_trainer* trainer, int32_t which, const char* name, int32_t dtype, void* data,
                                 int64_t numel) {
  return guard([&] {
    require(trainer && data, "a pointer is null");
    const Tensor tensor = tensor_of(*trainer, which, name);
    if (tensor.defined()) read_tensor(tensor, dtype, data, numel);
    else trainer->optimizer.read(which, name, dtype, data, numel);
  });
}

int32_t icrl_trainer_tensor_write(icrl_trainer* trainer, int32_t which, const char* name, int32_t dtype, const void* data,
                                  int64_t numel) {
  return guard([&] {
    require(trainer && data, "a pointer is null");
    const Tensor tensor = tensor_of(*trainer, which, name);
    if (!tensor.defined()) return trainer->optimizer.write(which, name, dtype, data, numel);
    write_tensor(tensor, dtype, data, numel);
    if (which == ICRL_TRAINER_MASTER && trainer->adapters) trainer->adapters->merge(name);
  });
}
