// Attention over the prefix trie: each token attends to the tokens of its ancestors and to the earlier ones of its own node.
// A node's keys are read by the contiguous range of its whole subtree, so a shared prefix is one product for all branches.
#include <ATen/ATen.h>

#include "dispatch.h"
#include "kernels.h"

namespace icrl {

// Query blocks of consecutive tokens, for every kv head; the cost of one is the number of keys it sees.
struct AttentionTasks {
  int32_t blocks, block_tokens;
  std::vector<int64_t> costs;  // [kv_heads * blocks]

  AttentionTasks(const Tensor& q, int64_t kv_heads, const Tensor& positions) {
    const int32_t tokens = static_cast<int32_t>(q.size(0));
    block_tokens = attention_block_tokens(static_cast<int32_t>(q.size(1) / kv_heads));
    blocks = (tokens + block_tokens - 1) / block_tokens;
    const int32_t* position = positions.const_data_ptr<int32_t>();
    for (int64_t h = 0; h < kv_heads; h++)
      for (int32_t b = 0; b < blocks; b++) {
        const int32_t begin = b * block_tokens, end = std::min(begin + block_tokens, tokens);
        costs.push_back(int64_t(position[(begin + end - 1) / 2] + 32) * (end - begin));
      }
  }
  int32_t head(int64_t task) const { return static_cast<int32_t>(task / blocks); }
  int32_t begin(int64_t task) const { return static_cast<int32_t>(task % blocks) * block_tokens; }
  int32_t end(int64_t task, int32_t tokens) const { return std::min(begin(task) + block_tokens, tokens); }
};

// [T, K, D] -> [K, T, D]
static Tensor by_head(const Tensor& x) { return x.transpose(0, 1).contiguous(); }

template <typename T>
static AttentionArgs<T> attention_args(const Tensor& q, int64_t kv_heads, const Tensor& positions,
                                       const std::vector<AttentionSegment>& segments, double scale, const Tensor& out) {
  AttentionArgs<T> a{};
  a.heads = static_cast<int32_t>(q.size(1));
  a.kv_heads = static_cast<int32_t>(kv_heads);
  a.head_dim = static_cast<int32_t>(q.size(2));
  a.num_rows = static_cast<int32_t>(q.size(0));
  a.scale = T(scale);
  a.positions = positions.const_data_ptr<int32_t>();
  a.q = q.const_data_ptr<T>();
  a.q_stride = q.stride(0);
  a.segments = segments.data();
  a.num_segments = static_cast<int32_t>(segments.size());
  a.out = out.data_ptr<T>();
  return a;
}

template <typename T> static void run_attention(const AttentionArgs<T>& a, const AttentionTasks& tasks) {
  const auto& kernels = cpu_kernels<T>();
  const int64_t scratch = kernels.attention_scratch(a.heads / a.kv_heads, a.head_dim, tasks.block_tokens);
  const int64_t shares = at::get_num_threads();
  const Tensor memory = at::empty({shares, scratch}, at::CppTypeToScalarType<T>::value);
  parallel_shares(tasks.costs, shares, [&](int64_t share, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      kernels.attention(a, tasks.head(i), tasks.begin(i), tasks.end(i, a.num_rows), memory.data_ptr<T>() + share * scratch);
  });
}

void attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
               const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse) {
  if (!has_cpu_kernel(q)) return reference::attention(q, k, v, positions, segments, scale, out, lse);
  with_scalar(q, [&](auto tag) {
    using T = decltype(tag);
    const Tensor keys = by_head(k), values = by_head(v);
    AttentionArgs<T> a = attention_args<T>(q, k.size(1), positions, segments, scale, out);
    a.keys = keys.const_data_ptr<T>();
    a.values = values.const_data_ptr<T>();
    a.lse = lse.defined() ? lse.data_ptr<T>() : nullptr;
    run_attention(a, AttentionTasks(q, k.size(1), positions));
  });
}

// A share of the tasks covers a range of kv heads; it sums into key and value gradients of its own, one a head it touches.
template <typename T>
static void run_attention_backward(const AttentionGradArgs<T>& g, const AttentionTasks& tasks, const Tensor& d_k,
                                   const Tensor& d_v) {
  const auto& kernels = cpu_kernels<T>();
  const AttentionArgs<T>& a = g.forward;
  const int64_t scratch = kernels.attention_scratch(a.heads / a.kv_heads, a.head_dim, tasks.block_tokens);
  const int64_t shares = at::get_num_threads();
  std::vector<std::vector<Tensor>> partial(shares, std::vector<Tensor>(a.kv_heads));
  const Tensor memory = at::empty({shares, scratch}, d_k.options());
  parallel_shares(tasks.costs, shares, [&](int64_t share, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      Tensor& sum = partial[share][tasks.head(i)];
      if (!sum.defined()) sum = at::zeros({2, a.num_rows, a.head_dim}, d_k.options());
      T* d_keys = sum.data_ptr<T>();
      kernels.attention_backward(g, tasks.head(i), tasks.begin(i), tasks.end(i, a.num_rows), d_keys,
                                 d_keys + int64_t(a.num_rows) * a.head_dim, memory.data_ptr<T>() + share * scratch);
    }
  });
  for (int64_t h = 0; h < a.kv_heads; h++) {
    bool first = true;
    for (int64_t s = 0; s < shares; s++) {
      if (!partial[s][h].defined()) continue;
      const Tensor keys = d_k.select(1, h), values = d_v.select(1, h);
      if (first) keys.copy_(partial[s][h][0]), values.copy_(partial[s][h][1]);
      else keys.add_(partial[s][h][0]), values.add_(partial[s][h][1]);
      first = false;
    }
  }
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
                        const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse,
                        const Tensor& d_out, const Tensor& d_q, const Tensor& d_k, const Tensor& d_v) {
  if (!has_cpu_kernel(q))
    return reference::attention_backward(q, k, v, positions, segments, scale, out, lse, d_out, d_q, d_k, d_v);
  with_scalar(q, [&](auto tag) {
    using T = decltype(tag);
    const Tensor keys = by_head(k), values = by_head(v);
    AttentionGradArgs<T> g{};
    g.forward = attention_args<T>(q, k.size(1), positions, segments, scale, out);
    g.forward.keys = keys.const_data_ptr<T>();
    g.forward.values = values.const_data_ptr<T>();
    g.forward.lse = lse.data_ptr<T>();
    g.d_out = d_out.const_data_ptr<T>();
    g.d_q = d_q.data_ptr<T>();
    g.dq_stride = d_q.stride(0);
    run_attention_backward(g, AttentionTasks(q, k.size(1), positions), d_k, d_v);
  });
}

void cache_write(const PagedKeys& pages, const Tensor& k, const Tensor& v, const Tensor& slots) {
  if (!has_cpu_kernel(k)) return reference::cache_write(pages, k, v, slots);
  with_scalar(k, [&](auto tag) {
    using T = decltype(tag);
    const int64_t heads = k.size(1), dim = k.size(2), size = pages.page_tokens();
    const int32_t* slot = slots.const_data_ptr<int32_t>();
    parallel_rows(k.size(0), heads * dim * 8, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; t++)
        for (int64_t h = 0; h < heads; h++) {
          const int64_t page = (slot[t] / size * heads + h) * dim * size, offset = slot[t] % size;
          const T* key = k.const_data_ptr<T>() + t * k.stride(0) + h * dim;
          const T* value = v.const_data_ptr<T>() + t * v.stride(0) + h * dim;
          T* key_column = pages.keys.data_ptr<T>() + page + offset;
          for (int64_t d = 0; d < dim; d++) key_column[d * size] = key[d];
          std::memcpy(pages.values.data_ptr<T>() + page + offset * dim, value, dim * sizeof(T));
        }
    });
  });
}

void cache_attention(const Tensor& q, const PagedKeys& pages, const Tensor& positions,
                     const std::vector<AttentionSegment>& segments, const Tensor& page_list, double scale,
                     const Tensor& out) {
  if (!has_cpu_kernel(q)) return reference::cache_attention(q, pages, positions, segments, page_list, scale, out);
  with_scalar(q, [&](auto tag) {
    using T = decltype(tag);
    const int64_t kv_heads = pages.values.size(1);
    AttentionArgs<T> a = attention_args<T>(q, kv_heads, positions, segments, scale, out);
    a.keys = pages.keys.const_data_ptr<T>();
    a.values = pages.values.const_data_ptr<T>();
    a.pages = page_list.const_data_ptr<int32_t>();
    a.page_tokens = static_cast<int32_t>(pages.page_tokens());
    run_attention(a, AttentionTasks(q, kv_heads, positions));
  });
}

namespace reference {

// For every node with query rows: the keys of its ancestors and its own, as indices into the batch.
struct NodeKeys {
  int64_t first_row, end_row;
  std::vector<int64_t> keys;
};
static std::vector<NodeKeys> node_keys(const std::vector<AttentionSegment>& segments) {
  std::vector<NodeKeys> nodes;
  for (const AttentionSegment& own : segments) {
    NodeKeys node{own.first_row, own.first_row + own.num_keys, {}};
    for (const AttentionSegment& s : segments)
      if (s.first_row <= own.first_row && own.first_row < s.end_row)
        for (int32_t j = 0; j < s.num_keys; j++) node.keys.push_back(s.first_key + j);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

struct NodeScores {
  Tensor index, q, k, v, scores;  // q[H, R, D], k and v [H, N, D], scores[H, R, N] masked
};
static NodeScores node_scores(const NodeKeys& node, const Tensor& q, const Tensor& k, const Tensor& v,
                              const Tensor& positions, double scale) {
  const auto wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const int64_t group = q.size(1) / k.size(1), rows = node.end_row - node.first_row;
  NodeScores n;
  n.index = at::tensor(node.keys, at::kLong).to(q.device());
  n.q = q.narrow(0, node.first_row, rows).transpose(0, 1).to(wide);
  n.k = k.index_select(0, n.index).transpose(0, 1).repeat_interleave(group, 0).to(wide);
  n.v = v.index_select(0, n.index).transpose(0, 1).repeat_interleave(group, 0).to(wide);
  const Tensor hidden = positions.index_select(0, n.index).unsqueeze(0) > positions.narrow(0, node.first_row, rows).unsqueeze(1);
  n.scores = (at::matmul(n.q, n.k.transpose(1, 2)) * scale).masked_fill(hidden, -std::numeric_limits<double>::infinity());
  return n;
}

void attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
               const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse) {
  for (const NodeKeys& node : node_keys(segments)) {
    const int64_t rows = node.end_row - node.first_row;
    const NodeScores n = node_scores(node, q, k, v, positions, scale);
    out.narrow(0, node.first_row, rows).copy_(at::matmul(n.scores.softmax(-1), n.v).transpose(0, 1));
    if (lse.defined()) lse.narrow(0, node.first_row, rows).copy_(n.scores.logsumexp(-1).transpose(0, 1));
  }
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
                        const std::vector<AttentionSegment>& segments, double scale, const Tensor& out, const Tensor& lse,
                        const Tensor& d_out, const Tensor& d_q, const Tensor& d_k, const Tensor& d_v) {
  const int64_t kv_heads = k.size(1), group = q.size(1) / kv_heads, dim = q.size(2);
  const auto wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor sum_k = at::zeros(k.sizes(), k.options().dtype(wide)), sum_v = at::zeros_like(sum_k);
  for (const NodeKeys& node : node_keys(segments)) {
    const int64_t rows = node.end_row - node.first_row, count = static_cast<int64_t>(node.keys.size());
    const NodeScores n = node_scores(node, q, k, v, positions, scale);
    const Tensor p = n.scores.softmax(-1), d = d_out.narrow(0, node.first_row, rows).transpose(0, 1).to(wide);
    const Tensor d_p = at::matmul(d, n.v.transpose(1, 2));
    const Tensor d_s = p * (d_p - (p * d_p).sum(-1, true)) * scale;
    const auto by_kv_head = [&](const Tensor& x) { return x.view({kv_heads, group, count, dim}).sum(1).transpose(0, 1); };
    d_q.narrow(0, node.first_row, rows).copy_(at::matmul(d_s, n.k).transpose(0, 1));
    sum_k.index_add_(0, n.index, by_kv_head(at::matmul(d_s.transpose(1, 2), n.q)));
    sum_v.index_add_(0, n.index, by_kv_head(at::matmul(p.transpose(1, 2), d)));
  }
  d_k.copy_(sum_k);
  d_v.copy_(sum_v);
}

void cache_write(const PagedKeys& pages, const Tensor& k, const Tensor& v, const Tensor& slots) {
  const Tensor wide = slots.to(at::kLong), size = at::scalar_tensor(pages.page_tokens(), wide.options());
  const Tensor page = wide.floor_divide(size), offset = wide.remainder(size);
  pages.keys.permute({0, 3, 1, 2}).index_put_({page, offset}, k);
  pages.values.permute({0, 2, 1, 3}).index_put_({page, offset}, v);
}

void cache_attention(const Tensor& q, const PagedKeys& pages, const Tensor& positions,
                     const std::vector<AttentionSegment>& segments, const Tensor& page_list, double scale,
                     const Tensor& out) {
  const int64_t size = pages.page_tokens(), kv_heads = pages.values.size(1), dim = pages.values.size(3);
  const Tensor list = page_list.to(at::kLong);
  for (int64_t row = 0; row < q.size(0); row++) {
    std::vector<Tensor> keys, values, where;
    for (const AttentionSegment& s : segments) {
      if (row < s.first_row || row >= s.end_row) continue;
      const Tensor own = list.narrow(0, s.first_key, (s.num_keys + size - 1) / size);
      const auto flat = [&](const Tensor& x) { return x.reshape({-1, kv_heads, dim}).narrow(0, 0, s.num_keys); };
      keys.push_back(flat(pages.keys.index_select(0, own).permute({0, 3, 1, 2})));
      values.push_back(flat(pages.values.index_select(0, own).permute({0, 2, 1, 3})));
      where.push_back(at::arange(s.start_position, s.start_position + s.num_keys, positions.options()));
    }
    const auto wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor k = at::cat(keys).to(wide), v = at::cat(values).to(wide), at_positions = at::cat(where);
    const Tensor all = at::cat({at_positions, positions.narrow(0, row, 1)});
    const Tensor one = q.narrow(0, row, 1).to(wide);
    const int64_t group = q.size(1) / kv_heads;
    const Tensor scores = (at::matmul(one.transpose(0, 1), k.transpose(0, 1).repeat_interleave(group, 0).transpose(1, 2)) *
                           scale).masked_fill(at_positions.gt(all[-1]), -std::numeric_limits<double>::infinity());
    out.narrow(0, row, 1).copy_(
        at::matmul(scores.softmax(-1), v.transpose(0, 1).repeat_interleave(group, 0)).transpose(0, 1));
  }
}

}  // namespace reference
}  // namespace icrl
