// The paged KV cache: one forward of any mixture of prefill and decode, then sampling.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <memory>

#include "head.h"
#include "philox.h"

using namespace icrl;

struct icrl_cache {
  icrl_policy* policy;
  std::vector<PagedKeys> layers;
  int32_t num_pages, page_tokens, version;
  Counted counted{Handle::cache};
};

int32_t icrl_cache_open(icrl_policy* policy, int32_t num_pages, int32_t page_tokens, icrl_cache** cache) {
  return guard([&] {
    require(policy && cache, "a pointer is null");
    require(num_pages > 0 && page_tokens > 0 && page_tokens % 16 == 0, "page_tokens is not a multiple of 16");
    auto c = std::unique_ptr<icrl_cache>(new icrl_cache{policy, {}, num_pages, page_tokens, policy->version});
    const int64_t heads = policy->config.kv_heads, dim = policy->config.head_dim;
    for (int32_t i = 0; i < policy->config.layers; i++)
      c->layers.push_back({at::zeros({num_pages, heads, dim, page_tokens}, policy->options()),
                           at::zeros({num_pages, heads, page_tokens, dim}, policy->options())});
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

namespace {

// The arrays of a call, checked and on the device.
struct CacheBatch {
  Tensor tokens, positions, slots, pages, rows;
  std::vector<AttentionSegment> segments;
  int32_t max_position = 0;
};

void check_tokens(const icrl_cache& c, CacheBatch& b, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                  const int32_t* slots) {
  for (int32_t i = 0; i < num_tokens; i++) {
    require(tokens[i] >= 0 && tokens[i] < c.policy->config.vocab, "a token id is outside the vocabulary");
    require(positions[i] >= 0, "a position is negative");
    require(slots[i] >= 0 && slots[i] < int64_t(c.num_pages) * c.page_tokens, "a slot is outside the cache");
    b.max_position = std::max(b.max_position, positions[i]);
  }
}

void read_segments(const icrl_cache& c, CacheBatch& b, int32_t num_tokens, int32_t num_segments, const int32_t* segments,
                   int32_t num_pages, const int32_t* pages) {
  int32_t last_row = 0;
  for (int32_t i = 0; i < num_segments; i++) {
    const int32_t* s = segments + 5 * i;
    const int64_t used = (int64_t(s[1]) + c.page_tokens - 1) / c.page_tokens;
    require(s[0] >= 0 && s[1] > 0 && s[0] + used <= num_pages, "a segment's pages are outside the list");
    require(s[3] >= last_row && s[3] < s[4] && s[4] <= num_tokens, "segments are not in the order of their rows");
    last_row = s[3];
    b.segments.push_back({s[3], s[4], s[1], s[2], s[0]});
  }
  for (int32_t i = 0; i < num_pages; i++)
    require(pages[i] >= 0 && pages[i] < c.num_pages, "a page is outside the cache");
}

// The last residual stream of the new tokens.
Tensor forward(icrl_cache& cache, const CacheBatch& b) {
  icrl_policy& p = *cache.policy;
  const double scale = 1 / std::sqrt(double(p.config.head_dim)), eps = p.config.rms_eps;
  const Tensor& table = p.rope(b.max_position + 1);
  Tensor x = p.weights.embedding.index_select(0, b.tokens).to(p.wide());
  const int64_t rows = x.size(0);
  const Tensor attention = at::empty({rows, p.config.heads, p.config.head_dim}, p.options());
  const Tensor activated = at::empty({rows, p.config.ffn}, p.options());
  const Tensor rstd = p.config.qk_norm ? at::empty({rows, p.config.heads}, x.options()) : Tensor();
  const auto rstd_of = [&](int64_t heads) { return rstd.defined() ? rstd.narrow(1, 0, heads) : Tensor(); };
  for (size_t i = 0; i < p.weights.layers.size(); i++) {
    const LayerWeights& w = p.weights.layers[i];
    const QkvViews h = split_heads(p, project(p, norm(x, w.input_norm, eps, nullptr), w.qkv, w.qkv_bias));
    rope(h.q, h.q, w.q_norm, eps, rstd_of(p.config.heads), table, b.positions);
    rope(h.k, h.k, w.k_norm, eps, rstd_of(p.config.kv_heads), table, b.positions);
    cache_write(cache.layers[i], h.k, h.v, b.slots);
    cache_attention(h.q, cache.layers[i], b.positions, b.segments, b.pages, scale, attention);
    linear(attention.view({rows, p.q_width()}), w.o, p.packed(w.o), x, true);
    swiglu(project(p, norm(x, w.post_norm, eps, nullptr), w.gate_up), activated);
    linear(activated, w.down, p.packed(w.down), x, true);
  }
  return x;
}

// Where the rows may be cut so that no row reads a key which a row of another share writes. A node's own new tokens come first
// among its rows, so a segment is being written when its first row lies in it.
std::vector<int64_t> cut_rows(const CacheBatch& b, int64_t shares) {
  const int64_t rows = b.tokens.size(0);
  const int32_t* position = b.positions.const_data_ptr<int32_t>();
  std::vector<int64_t> cuts{0};
  for (int64_t i = 1; i < shares; i++) {
    int64_t cut = rows * i / shares;
    for (const AttentionSegment& s : b.segments) {
      const bool written = position[s.first_row] < s.start_position + s.num_keys;
      if (written && s.first_row < cut && cut < s.end_row) cut = s.end_row;
    }
    if (cut > cuts.back() && cut < rows) cuts.push_back(cut);
  }
  cuts.push_back(rows);
  return cuts;
}

CacheBatch slice(const CacheBatch& b, int64_t begin, int64_t end) {
  const auto cut = [&](const Tensor& t) { return t.narrow(0, begin, end - begin); };
  CacheBatch part{cut(b.tokens), cut(b.positions), cut(b.slots), b.pages, {}, {}, b.max_position};
  for (AttentionSegment s : b.segments) {
    if (s.end_row <= begin || s.first_row >= end) continue;
    s.first_row = static_cast<int32_t>(std::max<int64_t>(s.first_row, begin) - begin);
    s.end_row = static_cast<int32_t>(std::min<int64_t>(s.end_row, end) - begin);
    part.segments.push_back(s);
  }
  return part;
}

// A small policy's rows go through all layers on a thread of their own: one fork a step instead of one an operation. A large
// one's weights would then be read once a thread.
Tensor forward_in_shares(icrl_cache& cache, const CacheBatch& b) {
  icrl_policy& p = *cache.policy;
  const int64_t threads = at::get_num_threads();
  if (!p.device.is_cpu() || threads == 1 || !p.pack_layers()) return forward(cache, b);
  const std::vector<int64_t> cuts = cut_rows(b, threads);
  const int64_t shares = static_cast<int64_t>(cuts.size()) - 1;
  if (shares == 1) return forward(cache, b);
  p.rope(b.max_position + 1);  // grown here, read there
  std::vector<Tensor> parts(shares);
  at::parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) parts[i] = forward(cache, slice(b, cuts[i], cuts[i + 1]));
  });
  return at::cat(parts);
}

}  // namespace

int32_t icrl_cache_forward(icrl_cache* cache, int32_t num_tokens, const int32_t* tokens, const int32_t* positions,
                           const int32_t* slots, int32_t num_segments, const int32_t* segments, int32_t num_pages,
                           const int32_t* pages, int32_t num_rows, const int32_t* rows, const int32_t* streams, uint32_t seed,
                           double temperature, int32_t* ids, float* logprobs, float* entropies, float* logits) {
  return guard([&] {
    require(cache && tokens && positions && slots && segments && pages, "a pointer is null");
    require(num_tokens > 0, "a cache forward has no tokens");
    require(temperature >= 0, "the temperature is negative");
    require(cache->version == cache->policy->version, "the cache holds keys of an older policy version; reset it");
    CacheBatch b;
    check_tokens(*cache, b, num_tokens, tokens, positions, slots);
    read_segments(*cache, b, num_tokens, num_segments, segments, num_pages, pages);
    icrl_policy& p = *cache->policy;
    b.tokens = to_device(tokens, num_tokens, p.device);
    b.positions = to_device(positions, num_tokens, p.device);
    b.slots = to_device(slots, num_tokens, p.device);
    b.pages = to_device(pages, num_pages, p.device);
    const Tensor x = forward_in_shares(*cache, b);
    if (num_rows == 0) return;
    require(rows && streams && ids && logprobs && entropies, "a pointer is null");
    for (int32_t i = 0; i < num_rows; i++) require(rows[i] >= 0 && rows[i] < num_tokens, "a row is outside the batch");
    const Tensor chosen = x.index_select(0, to_device(rows, num_rows, p.device));
    const Tensor all = head_logits(p, chosen, nullptr, nullptr);
    if (logits) at::from_blob(logits, all.sizes(), at::kFloat).copy_(all);
    std::vector<double> uniforms(num_rows);
    for (int32_t i = 0; i < num_rows; i++) uniforms[i] = philox_uniform(seed, streams + 3 * i);
    sample(all, temperature > 0 ? uniforms.data() : nullptr, temperature > 0 ? temperature : 1, ids, logprobs, entropies);
  });
}
