// A call of the cache from the caller's arrays to tensors on the device: checked, and copied there at once.
#include "cache.h"
#include "philox.h"

namespace icrl {
namespace {

// Runs of more keys than this are cut, where several rows read them. Too large leaves a GPU idle, too small costs merging.
constexpr int32_t kSplitKeys = 512;

void check_tokens(const icrl_cache& c, const CacheCall& call) {
  for (int32_t i = 0; i < call.num_tokens; i++) {
    require(call.tokens[i] >= 0 && call.tokens[i] < c.policy->config.vocab, "a token id is outside the vocabulary");
    require(call.positions[i] >= 0, "a position is negative");
    require(call.slots[i] >= 0 && call.slots[i] < int64_t(c.num_pages) * c.page_tokens, "a slot is outside the cache");
  }
}

void check_segments(const icrl_cache& c, const CacheCall& call) {
  int32_t last_row = 0;
  for (int32_t i = 0; i < call.num_segments; i++) {
    const int32_t* s = call.segments + 5 * i;
    const int64_t used = (int64_t(s[1]) + c.page_tokens - 1) / c.page_tokens;
    require(s[0] >= 0 && s[1] > 0 && s[0] + used <= call.num_pages, "a segment's pages are outside the list");
    require(s[3] >= last_row && s[3] < s[4] && s[4] <= call.num_tokens, "segments are not in the order of their rows");
    last_row = s[3];
  }
  for (int32_t i = 0; i < call.num_pages; i++)
    require(call.pages[i] >= 0 && call.pages[i] < c.num_pages, "a page is outside the cache");
}

}  // namespace

void check_call(const icrl_cache& cache, const CacheCall& call) {
  require(call.tokens && call.positions && call.slots && call.segments && call.pages, "a pointer is null");
  require(call.num_tokens > 0, "a cache forward has no tokens");
  require(call.temperature >= 0, "the temperature is negative");
  require(cache.version == cache.policy->version, "the cache holds keys of an older policy version; reset it");
  check_tokens(cache, call);
  check_segments(cache, call);
  require(call.num_rows == 0 || (call.rows && call.streams), "a pointer is null");
  for (int32_t i = 0; i < call.num_rows; i++)
    require(call.rows[i] >= 0 && call.rows[i] < call.num_tokens, "a row is outside the batch");
}

CacheStep read_call(const icrl_cache& cache, const CacheCall& call) {
  const auto copy = [](const int32_t* data, int32_t n) { return std::vector<int32_t>(data, data + n); };
  CacheStep step{copy(call.tokens, call.num_tokens), copy(call.positions, call.num_tokens),
                 copy(call.slots, call.num_tokens), copy(call.pages, call.num_pages), copy(call.rows, call.num_rows)};
  for (int32_t i = 0; i < call.num_segments; i++) {
    const int32_t* s = call.segments + 5 * i;
    step.segments.push_back({s[3], s[4], s[1], s[2], s[0]});
  }
  for (int32_t position : step.positions) step.max_position = std::max(step.max_position, position);
  if (call.temperature > 0) {
    step.temperature = call.temperature;
    for (int32_t i = 0; i < call.num_rows; i++) step.uniforms.push_back(philox_uniform(call.seed, call.streams + 3 * i));
  }
  const icrl_policy_config& c = cache.policy->config;
  if (cache.policy->in_parts)
    step.groups = cache_groups(step.segments, call.positions, call.num_tokens, call.pages, cache.page_tokens,
                               c.heads / c.kv_heads, kSplitKeys);
  return step;
}

void pad_step(CacheStep& step, const icrl_cache& cache) {
  const int32_t rows = bucket(static_cast<int32_t>(step.tokens.size()));
  step.tokens.resize(rows, 0);
  step.positions.resize(rows, 0);
  step.slots.resize(rows, cache.num_pages * cache.page_tokens);
  const int32_t samples = bucket(static_cast<int32_t>(step.rows.size()));
  step.rows.resize(samples, 0);
  if (!step.uniforms.empty()) step.uniforms.resize(samples, 0.5);
  for (PartGroup& group : step.groups) pad_to_buckets(group, rows);
}

void bind_batch(CacheBatch& batch, const CacheStep& step, const icrl_policy& policy, IntUpload& upload) {
  if (!step.uniforms.empty()) upload.add(step.uniforms, &batch.uniforms);
  upload.add(step.tokens, &batch.tokens);
  upload.add(step.positions, &batch.positions);
  upload.add(step.slots, &batch.slots);
  upload.add(step.rows, &batch.rows);
  if (!policy.in_parts) upload.add(step.pages, &batch.pages);
  const int64_t rows = static_cast<int64_t>(step.tokens.size());
  if (policy.in_parts) {
    PartsOptions options = policy.parts_options();
    options.pack_keys = false;  // for a backward, which does not come: a list of every key that is read, a step
    batch.parts = upload_parts(step.groups, rows, options, upload);
  }
  batch.segments = step.segments;
  batch.max_position = step.max_position;
}

}  // namespace icrl
