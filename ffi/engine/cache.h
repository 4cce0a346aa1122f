// The paged KV cache inside the engine: what a call holds once it is checked, and the forward over it. The C API is cache.cpp.
#pragma once
#include <memory>
#include <vector>

#include "decode-graph.h"
#include "decoder.h"

// Either the fused CPU attention's pages, or slots for attention in parts.
struct icrl_cache {
  icrl_policy* policy;
  int32_t num_pages, page_tokens, version;
  std::vector<icrl::PagedKeys> paged;
  std::vector<icrl::SlottedKeys> slotted;      // and one slot more, for tokens that belong to nobody
  std::unique_ptr<icrl::DecodeGraphs> graphs;  // null: every step is launched anew, in its own shapes
  icrl::Counted counted{icrl::Handle::cache};
};

namespace icrl {

// The arrays of icrl_cache_forward, on the host.
struct CacheCall {
  int32_t num_tokens;
  const int32_t *tokens, *positions, *slots;
  int32_t num_segments;
  const int32_t* segments;
  int32_t num_pages;
  const int32_t* pages;
  int32_t num_rows;
  const int32_t *rows, *streams;
  uint32_t seed;
  double temperature;
};
// Throws InvalidArgument.
void check_call(const icrl_cache& cache, const CacheCall& call);

// A checked call as the host's data.
struct CacheStep {
  std::vector<int32_t> tokens, positions, slots, pages, rows;
  std::vector<double> uniforms;  // one a row; none for the most probable token
  std::vector<AttentionSegment> segments;
  std::vector<PartGroup> groups;  // with attention in parts
  int32_t max_position = 0;
  double temperature = 1;
};
CacheStep read_call(const icrl_cache& cache, const CacheCall& call);
// Sizes up to their buckets. Tokens that belong to nobody write to the slot after the last page; what is sampled after them means
// nothing.
void pad_step(CacheStep& step, const icrl_cache& cache);

// The same on the device.
struct CacheBatch {
  Tensor tokens, positions, slots, pages, rows;  // int32
  Tensor uniforms;                               // [N] double, or undefined
  std::vector<AttentionSegment> segments;
  AttentionParts parts;
  int32_t max_position = 0;
};
// The batch's tensors are views of upload's copy, once that is made; then finish.
void bind_batch(CacheBatch& batch, const CacheStep& step, const icrl_policy& policy, IntUpload& upload);

// The last residual stream [T, d] of the new tokens, whose keys and values are in the cache afterwards.
Tensor cache_hidden(icrl_cache& cache, const CacheBatch& batch);
// logits[N, V] at the batch's rows.
Tensor cache_logits(icrl_cache& cache, const CacheBatch& batch);

}  // namespace icrl
