// Compares each kernel with its reference in double on random data, at sizes that divide neither vectors nor blocks.
#include <functional>
#include <map>
#include <stdexcept>

#include "attention-varlen.h"
#include "check.h"

namespace icrl {
namespace {

// Rows for the packed and for the transposed product and for dot products, sizes that no tile divides.
void check_linear(Bench& b) {
  for (const int64_t rows : {301, 37, 3, 2, 1}) {
    const Tensor x = b.random({rows, 421}), w = b.random({203, 421}), d = b.random({rows, 203});
    const Tensor y = b.random({rows, 203}), dx = at::empty_like(x), dw = b.random({203, 421});
    const Tensor y1 = b.work(y), dx1 = b.work(dx), dw1 = b.work(dw);
    reference::linear(x, w, y, true);
    reference::linear_input_grad(d, w, dx);
    reference::linear_weight_grad(d, x, dw);
    const Tensor w1 = b.work(w), y2 = y1.clone();
    linear(b.work(x), w1, {}, y1, true);
    if (b.device.is_cpu()) linear(b.work(x), w1, pack_linear(w1), y2, true), b.compare(y2, y);
    linear_input_grad(b.work(d), b.work(w), dx1);
    linear_weight_grad(b.work(d), b.work(x), dw1);
    b.compare(y1, y), b.compare(dx1, dx), b.compare(dw1, dw);
  }
}

void check_rmsnorm(Bench& b) {
  const Tensor x = b.random({37, 83}), w = b.random({83}), d = b.random({37, 83});
  const Tensor y = at::empty_like(x), rstd = at::empty({37}, at::kDouble), dx = b.random({37, 83}), dw = b.random({83});
  const Tensor x1 = b.work(x), y1 = b.work(y), rstd1 = b.work(rstd), dx1 = b.work(dx), dw1 = b.work(dw);
  reference::rmsnorm(x, w, 1e-6, y, rstd);
  reference::rmsnorm_backward(x, w, rstd, d, dx, dw);
  rmsnorm(x1, b.work(w), 1e-6, y1, rstd1);
  rmsnorm_backward(x1, b.work(w), rstd1, b.work(d), dx1, dw1);
  b.compare(y1, y), b.compare(rstd1, rstd), b.compare(dx1, dx), b.compare(dw1, dw);
}

void check_rope(Bench& b) {
  const Tensor x = b.random({19, 3, 26}), norm = b.random({26}), table = b.random({40, 26}), d = b.random({19, 3, 26});
  const Tensor positions = at::randint(0, 40, {19}, at::kInt);
  const Tensor y = at::empty_like(x), rstd = at::empty({19, 3}, at::kDouble), dn = at::zeros({26}, at::kDouble);
  const Tensor x1 = b.work(x), y1 = b.work(y), rstd1 = b.work(rstd), d1 = b.work(d), dn1 = b.work(dn);
  reference::rope(x, y, norm, 1e-6, rstd, table, positions);
  reference::rope_backward(x, d, norm, rstd, dn, table, positions);
  rope(x1, y1, b.work(norm), 1e-6, rstd1, b.work(table), b.work(positions));
  rope_backward(x1, d1, b.work(norm), rstd1, dn1, b.work(table), b.work(positions));
  b.compare(y1, y), b.compare(d1, d), b.compare(dn1, dn);
}

void check_swiglu(Bench& b) {
  const Tensor x = b.random({29, 2 * 45}), d = b.random({29, 45});
  const Tensor y = at::empty_like(d), dx = at::empty_like(x), y1 = b.work(y), dx1 = b.work(dx);
  reference::swiglu(x, y);
  reference::swiglu_backward(x, d, dx);
  swiglu(b.work(x), y1);
  swiglu_backward(b.work(x), b.work(d), dx1);
  b.compare(y1, y), b.compare(dx1, dx);
}

struct SmallTrie {
  std::vector<AttentionSegment> segments;
  std::vector<int32_t> positions;

  int32_t add(int32_t start, int32_t tokens) {
    const int32_t first = static_cast<int32_t>(positions.size());
    for (int32_t i = 0; i < tokens; i++) positions.push_back(start + i);
    segments.push_back({first, first + tokens, tokens, start, first});
    return static_cast<int32_t>(segments.size()) - 1;
  }
  void close(int32_t node) { segments[node].end_row = static_cast<int32_t>(positions.size()); }
};

// Demonstrations of 150 tokens, two questions, three samples each.
SmallTrie three_levels() {
  SmallTrie trie;
  const int32_t root = trie.add(0, 150);
  for (int32_t question = 0; question < 2; question++) {
    const int32_t node = trie.add(150, 21 + question);
    for (int32_t s = 0; s < 3; s++) trie.close(trie.add(171 + question, 70 + 13 * s));
    trie.close(node);
  }
  trie.close(root);
  return trie;
}

void check_attention(Bench& b) {
  const SmallTrie trie = three_levels();
  const int64_t rows = static_cast<int64_t>(trie.positions.size()), heads = 6, kv = 2, dim = 40;
  const Tensor positions = at::tensor(trie.positions, at::kInt);
  const Tensor q = b.random({rows, heads, dim}), k = b.random({rows, kv, dim}), v = b.random({rows, kv, dim});
  const Tensor d = b.random({rows, heads, dim}), out = at::empty_like(q), lse = at::empty({rows, heads}, at::kDouble);
  const Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
  const Tensor out1 = b.work(out), lse1 = b.work(lse), dq1 = b.work(dq), dk1 = b.work(dk), dv1 = b.work(dv);
  reference::attention(q, k, v, positions, trie.segments, 0.3, out, lse);
  reference::attention_backward(q, k, v, positions, trie.segments, 0.3, out, lse, d, dq, dk, dv);
  const Tensor p1 = b.work(positions), q1 = b.work(q), k1 = b.work(k), v1 = b.work(v);
  attention(q1, k1, v1, p1, trie.segments, 0.3, out1, lse1);
  attention_backward(q1, k1, v1, p1, trie.segments, 0.3, out1, lse1, b.work(d), dq1, dk1, dv1);
  b.compare(out1, out), b.compare(lse1, lse), b.compare(dq1, dq), b.compare(dk1, dk), b.compare(dv1, dv);
}

int32_t draw(int32_t low, int32_t high) { return at::randint(low, high + 1, {1}).item<int32_t>(); }

// Runs of 1 to 40 tokens, up to three levels deep, up to four branches.
void add_random_node(SmallTrie& trie, int32_t start, int32_t depth) {
  const int32_t tokens = draw(1, 40), node = trie.add(start, tokens), branches = depth == 0 ? 0 : draw(0, 4);
  for (int32_t i = 0; i < branches; i++) add_random_node(trie, start + tokens, depth - 1);
  trie.close(node);
}

// In blocks so small that parts are cut into pieces and pieces fall into several blocks.
AttentionParts small_parts(const std::vector<PartGroup>& groups, int64_t rows, at::Device device) {
  IntUpload upload;
  AttentionParts parts = upload_parts(groups, rows, {/*pack_keys=*/true, /*max_scores=*/700}, upload);
  upload.copy_to(device);
  finish_parts(parts);
  return parts;
}

// Random forests.
void check_attention_parts(Bench& b) {
  SmallTrie trie;
  for (int32_t i = draw(0, 2); i >= 0; i--) add_random_node(trie, 0, 3);
  const int64_t rows = static_cast<int64_t>(trie.positions.size()), heads = 6, kv = 2, dim = 40;
  const Tensor positions = at::tensor(trie.positions, at::kInt);
  const Tensor q = b.random({rows, heads, dim}), k = b.random({rows, kv, dim}), v = b.random({rows, kv, dim});
  const Tensor d = b.random({rows, heads, dim}), out = at::empty_like(q), lse = at::empty({rows, heads}, at::kDouble);
  const Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
  reference::attention(q, k, v, positions, trie.segments, 0.3, out, lse);
  reference::attention_backward(q, k, v, positions, trie.segments, 0.3, out, lse, d, dq, dk, dv);
  const AttentionParts parts = small_parts(trie_groups(trie.segments, trie.positions.data(), rows), rows, b.device);
  const Tensor q1 = b.work(q), k1 = b.work(k), v1 = b.work(v), dq1 = b.work(dq), dk1 = b.work(dk), dv1 = b.work(dv);
  const auto [out1, lse1] = parts_attention(q1, k1, v1, parts, 0.3);
  parts_attention_backward(q1, k1, v1, parts, 0.3, out1, lse1, b.work(d), dq1, dk1, dv1);
  b.compare(out1, out), b.compare(lse1, lse), b.compare(dq1, dq), b.compare(dk1, dk), b.compare(dv1, dv);
}

// Random sequences below a shared prefix in pages of 32, each decoding one token or prefilling several.
void check_cache_attention_parts(Bench& b) {
  const int64_t heads = 6, kv = 2, dim = 24, size = 32;
  std::vector<AttentionSegment> segments{{0, 0, draw(20, 200), 0, 0}};
  std::vector<int32_t> positions;
  const int32_t prefix = segments[0].num_keys, sequences = draw(1, 9);
  int32_t pages = (prefix + 31) / 32;
  for (int32_t i = 0; i < sequences; i++) {
    const int32_t count = draw(0, 2) == 0 ? draw(2, 50) : 1, cached = draw(0, 90), keys = cached + count;
    const int32_t row = static_cast<int32_t>(positions.size());
    for (int32_t j = 0; j < count; j++) positions.push_back(prefix + cached + j);
    segments.push_back({row, row + count, keys, prefix, pages});
    pages += (keys + 31) / 32;
  }
  const int64_t rows = static_cast<int64_t>(positions.size());
  segments[0].end_row = static_cast<int32_t>(rows);
  // Pages in order, but for a few that changed places: runs of several and of one.
  Tensor list = at::arange(pages, at::kInt);
  for (int32_t i = 0; i < 3; i++) {
    const int32_t x = draw(0, pages - 1), y = draw(0, pages - 1), at_x = list[x].item<int32_t>();
    list[x] = list[y], list[y] = at_x;
  }
  const PagedKeys cache{b.random({pages, kv, dim, size}), b.random({pages, kv, size, dim})};
  const Tensor q = b.random({rows, heads, dim}), out = at::empty_like(q);
  reference::cache_attention(q, cache, at::tensor(positions, at::kInt), segments, list, 0.3, out);
  const Tensor keys = b.work(cache.keys.permute({0, 3, 1, 2}).reshape({-1, kv, dim}));
  const Tensor values = b.work(cache.values.transpose(1, 2).reshape({-1, kv, dim}));
  std::vector<PartGroup> groups =
      cache_groups(segments, positions.data(), rows, list.const_data_ptr<int32_t>(), size, heads / kv, 50);
  b.compare(parts_attention(b.work(q), keys, values, small_parts(groups, rows, b.device), 0.3).first, out);
  // The same in the next shape of which few are used.
  const int32_t padded = bucket(static_cast<int32_t>(rows));
  for (PartGroup& group : groups) pad_to_buckets(group, padded);
  const Tensor more = at::cat({b.work(q), at::ones({padded - rows, heads, dim}, keys.options())});
  b.compare(parts_attention(more, keys, values, small_parts(groups, padded, b.device), 0.3).first.narrow(0, 0, rows), out);
}

// Two rows share a prefix of 75 tokens in pages of 32 and have 5 and 40 tokens of their own.
void check_cache_attention(Bench& b) {
  const int64_t heads = 4, kv = 2, dim = 24;
  const PagedKeys pages{at::zeros({8, kv, dim, 32}, at::kDouble), at::zeros({8, kv, 32, dim}, at::kDouble)};
  const PagedKeys pages1{b.work(pages.keys), b.work(pages.values)};
  const Tensor k = b.random({256, kv, dim}), v = b.random({256, kv, dim}), slots = at::randperm(256, at::kInt);
  const Tensor q = b.random({2, heads, dim}), out = at::empty_like(q), out1 = b.work(out);
  const Tensor positions = at::tensor(std::vector<int32_t>{79, 114}, at::kInt);
  const Tensor list = at::tensor(std::vector<int32_t>{3, 0, 6, 5, 1, 7}, at::kInt);
  const std::vector<AttentionSegment> segments{{0, 2, 75, 0, 0}, {0, 1, 5, 75, 3}, {1, 2, 40, 75, 4}};
  reference::cache_write(pages, k, v, slots);
  reference::cache_attention(q, pages, positions, segments, list, 0.3, out);
  cache_write(pages1, b.work(k), b.work(v), b.work(slots));
  cache_attention(b.work(q), pages1, b.work(positions), segments, b.work(list), 0.3, out1);
  b.compare(pages1.keys, pages.keys), b.compare(pages1.values, pages.values), b.compare(out1, out);
}

void check_logprob(Bench& b) {
  const int64_t rows = 11, vocab = 203;
  const Tensor logits = b.random({rows, vocab}) * 3, logits1 = b.work(logits), ids = at::randint(0, vocab, {rows}, at::kInt);
  const Tensor c = b.random({rows}), e = b.random({rows});
  const Tensor lp = at::empty({rows}, at::kDouble), h = at::empty_like(lp), lp1 = at::empty_like(lp), h1 = at::empty_like(lp);
  reference::logprob(logits, ids, 0.7, lp.data_ptr<double>(), h.data_ptr<double>());
  logprob(logits1, b.work(ids), 0.7, lp1.data_ptr<double>(), h1.data_ptr<double>());
  reference::logprob_backward(logits, ids, 0.7, c.data_ptr<double>(), e.data_ptr<double>());
  logprob_backward(logits1, b.work(ids), 0.7, c.data_ptr<double>(), e.data_ptr<double>());
  b.compare(lp1, lp), b.compare(h1, h), b.compare(logits1, logits);
}

void check_sample(Bench& b) {
  const int64_t rows = 64, vocab = 1003;
  const Tensor logits = b.random({rows, vocab}) * 3, logits1 = b.work(logits), u = at::rand({rows}, at::kDouble);
  const Tensor ids = at::empty({rows}, at::kInt), ids1 = at::empty_like(ids);
  const Tensor lp = at::empty({rows}, at::kFloat), lp1 = at::empty_like(lp), h = at::empty_like(lp), h1 = at::empty_like(lp);
  reference::sample(logits, u.data_ptr<double>(), 0.7, ids.data_ptr<int32_t>(), lp.data_ptr<float>(), h.data_ptr<float>());
  sample(logits1, u.data_ptr<double>(), 0.7, ids1.data_ptr<int32_t>(), lp1.data_ptr<float>(), h1.data_ptr<float>());
  b.compare(ids1, ids), b.compare(lp1, lp), b.compare(h1, h);
}

}  // namespace

double check_kernel(const std::string& name, at::Device device, int64_t seed) {
  static const std::map<std::string, std::function<void(Bench&)>> checks{
      {"linear", check_linear},   {"rmsnorm", check_rmsnorm}, {"rope", check_rope},       {"swiglu", check_swiglu},
      {"attention", check_attention}, {"cache_attention", check_cache_attention},
      {"attention_parts", check_attention_parts}, {"cache_attention_parts", check_cache_attention_parts},
      {"logprob", check_logprob}, {"sample", check_sample}};
  at::manual_seed(static_cast<uint64_t>(seed));
  Bench bench{device};
  if (name.starts_with("cuda.")) return check_cuda_kernel(name.substr(5), bench), bench.error;
  const auto check = checks.find(name);
  if (check == checks.end()) throw std::invalid_argument("no kernel is called " + name);
  check->second(bench);
  return bench.error;
}

}  // namespace icrl
