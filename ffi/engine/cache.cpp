// The paged KV cache's C API: one forward of any mixture of prefill and decode, then sampling.
#include "cache.h"

#include <ATen/ATen.h>

#include <memory>

using namespace icrl;

static void allocate(icrl_cache& c) {
  const icrl_policy& p = *c.policy;
  const int64_t heads = p.config.kv_heads, dim = p.config.head_dim, slots = int64_t(c.num_pages) * c.page_tokens + 1;
  const auto zeros = [&](at::IntArrayRef shape) { return at::zeros(shape, p.options()); };
  for (int32_t i = 0; i < p.config.layers; i++) {
    const auto slotted = [&] { return at::zeros({slots, heads, dim}, p.options().dtype(parts_type(p.dtype))); };
    if (p.in_parts) c.slotted.push_back({slotted(), slotted()});
    else c.paged.push_back({zeros({c.num_pages, heads, dim, c.page_tokens}), zeros({c.num_pages, heads, c.page_tokens, dim})});
  }
}

int32_t icrl_cache_open(icrl_policy* policy, int32_t num_pages, int32_t page_tokens, icrl_cache** cache) {
  return guard([&] {
    require(policy && cache, "a pointer is null");
    require(num_pages > 0 && page_tokens > 0 && page_tokens % 16 == 0, "page_tokens is not a multiple of 16");
    require(int64_t(num_pages) * page_tokens < INT32_MAX, "the cache has more slots than a slot's index can say");
    auto c = std::unique_ptr<icrl_cache>(new icrl_cache{policy, num_pages, page_tokens, policy->version});
    c->graphs = DecodeGraphs::open(*policy);
    allocate(*c);
    *cache = c.release();
  });
}

void icrl_cache_close(icrl_cache* cache) { delete cache; }

int32_t icrl_cache_reset(icrl_cache* cache) {
  return guard([&] {
    require(cache, "the cache is null");
    cache->version = cache->policy->version;
  });
}

int32_t icrl_cache_forward(icrl_cache* cache, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                           const int32_t* slots, int32_t num_segments, const int32_t* segments, int32_t num_pages,
                           const int32_t* pages, int32_t num_rows, const int32_t* rows, const int32_t* streams, uint32_t seed,
                           double temperature, int32_t* ids, float* logprobs, float* entropies, float* logits) {
  return guard([&] {
    require(cache, "the cache is null");
    require(num_rows == 0 || (ids && logprobs && entropies), "a pointer is null");
    const CacheCall call{num_tokens, tokens,   positions, slots,   num_segments, segments,   num_pages,
                         pages,      num_rows, rows,      streams, seed,         temperature};
    check_call(*cache, call);
    const CacheStep step = read_call(*cache, call);
    if (cache->graphs && !logits && cache->graphs->takes(*cache->policy, step)) {
      read_samples(cache->graphs->run(*cache, step).narrow(1, 0, num_rows), ids, logprobs, entropies);
      return;
    }
    CacheBatch batch;
    IntUpload upload;
    bind_batch(batch, step, *cache->policy, upload);
    upload.copy_to(cache->policy->device);
    finish_parts(batch.parts);
    if (num_rows == 0) {
      cache_hidden(*cache, batch);
      return;
    }
    const Tensor all = cache_logits(*cache, batch);
    if (logits) at::from_blob(logits, all.sizes(), at::kFloat).copy_(all);
    if (cache->policy->in_parts) read_samples(sample_on_device(all, batch.uniforms, step.temperature), ids, logprobs, entropies);
    else sample(all, step.uniforms.empty() ? nullptr : step.uniforms.data(), step.temperature, ids, logprobs, entropies);
  });
}
