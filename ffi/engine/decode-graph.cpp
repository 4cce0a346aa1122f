#include "decode-graph.h"

#include <cstdlib>
#include <cstring>

#include "cache.h"

namespace icrl {
namespace {

constexpr size_t kMostGraphs = 64;

// Everything that a captured launch holds by value.
std::vector<int64_t> shape_of(const CacheStep& s) {
  int64_t temperature;
  std::memcpy(&temperature, &s.temperature, sizeof temperature);
  std::vector<int64_t> shape{int64_t(s.tokens.size()), int64_t(s.rows.size()), int64_t(s.uniforms.size()), temperature};
  for (const PartGroup& g : s.groups)
    for (int64_t n : {int64_t(g.rows.size()), int64_t(g.num_parts), int64_t(g.fold), int64_t(g.max_rows), int64_t(g.max_keys),
                      int64_t(g.max_partials)})
      shape.push_back(n);
  return shape;
}

Tensor sample_batch(icrl_cache& cache, CacheBatch& batch, double temperature) {
  finish_parts(batch.parts);
  return sample_on_device(cache_logits(cache, batch), batch.uniforms, temperature);
}

}  // namespace

std::unique_ptr<DecodeGraphs> DecodeGraphs::open(const icrl_policy& policy) {
  const char* asked = std::getenv("ICRL_CUDA_GRAPHS");
  if (!policy.in_parts || !asked || std::strcmp(asked, "1") != 0) return nullptr;
  require(policy.device.is_cpu() || can_capture(), "ICRL_CUDA_GRAPHS=1, but this libtorch cannot capture graphs");
  return std::make_unique<DecodeGraphs>();
}

bool DecodeGraphs::takes(const icrl_policy& policy, const CacheStep& step) const {
  if (step.rows.empty() || step.groups.empty() || step.groups[0].causal) return false;
  return policy.device.is_cpu() || policy.parts_options().max_scores == 0;
}

void DecodeGraphs::forget_if_moved(const icrl_policy& policy) {
  std::vector<const void*> addresses{policy.rope_table.const_data_ptr()};
  for (const Tensor& t : policy.weights.stored()) addresses.push_back(t.const_data_ptr());
  if (addresses == addresses_ && entries_.size() <= kMostGraphs) return;
  entries_.clear();
  pool_ = {0, 0};
  addresses_ = std::move(addresses);
}

Tensor DecodeGraphs::run(icrl_cache& cache, const CacheStep& unpadded) {
  icrl_policy& policy = *cache.policy;
  CacheStep step = unpadded;
  pad_step(step, cache);
  policy.rope(step.max_position + 1);
  forget_if_moved(policy);
  IntUpload upload;
  CacheBatch batch;
  bind_batch(batch, step, policy, upload);
  const auto [at, is_new] = entries_.try_emplace(shape_of(step));
  Entry& entry = at->second;
  upload.copy_to(policy.device, &entry.inputs);
  // The first step of a shape also makes what libraries make once; that must not be captured.
  if (is_new || policy.device.is_cpu()) return sample_batch(cache, batch, step.temperature);
  if (!entry.graph) {
    entry.graph = capture(policy.device, pool_, [&] { entry.samples = sample_batch(cache, batch, step.temperature); });
    pool_ = entry.graph->pool();
  }
  entry.graph->replay();
  return entry.samples;
}

}  // namespace icrl
