// Attention of one group of parts (attention-parts.h): runs of query rows against runs of keys, all of them or causally, with the
// log-sum-exp that merges parts into rows. Decoding reads a shared prefix as one part: its keys come from device memory once for
// all rows that share it. The query heads of a key head are queries side by side, so one row fills a tile too. Partial results
// leave in fp32.
//
// Two kernels: `attention_<type>` in plain fp32 arithmetic for any head size, and `attention_half_<dim>` for tensor cores (f16
// products, fp32 sums; flash attention 2, Dao 2023). Launch: x = tiles of queries times key heads, y = parts, 128 threads.
#include "tensor-core.cuh"

namespace icrl {

// A group and its tensors. q [rows, heads, dim] packed; k, v [.., kv_heads, dim] with row strides; out like q; lse [rows, heads].
template <typename T> struct AttentionCall {
  const T *q, *k, *v;
  int64_t k_stride, v_stride;
  const int32_t *row_starts, *key_starts, *key_counts;
  float* out;
  float* lse;
  float scale;
  int num_parts, heads, kv_heads, dim;
  int causal;
  int fold;  // packed rows that stand for one row
};

// The queries of one block: those of one key head in a part, `queries` of them from the tile's first.
struct Tile {
  int first_row, num_rows, first_key, num_keys, kv_head, first_query, num_queries;
  int group;  // query heads of a key head

  template <typename T> __device__ Tile(const AttentionCall<T>& c, int part, int queries) {
    first_row = c.row_starts[part], num_rows = c.row_starts[part + 1] - first_row;
    first_key = c.key_starts[part], num_keys = c.key_counts[part];
    kv_head = blockIdx.x % c.kv_heads, group = c.heads / c.kv_heads;
    first_query = int(blockIdx.x / c.kv_heads) * queries, num_queries = num_rows * group;
  }
  // Query i of the tile: whether it exists, its (row, head) among all, and how many keys it sees.
  __device__ bool has(int i) const { return first_query + i < num_queries; }
  __device__ int64_t place(int i, int heads) const {
    const int query = first_query + i;
    return int64_t(first_row + query / group) * heads + kv_head * group + query % group;
  }
  __device__ int visible(int i, int causal, int fold) const {
    if (!causal) return num_keys;
    return num_keys - (num_rows / fold - 1 - (first_query + i) / group / fold);
  }
  // How many any of the first `queries` of them sees: the last one's.
  __device__ int seen_keys(int queries, int causal, int fold) const {
    return visible(min(queries, num_queries - first_query) - 1, causal, fold);
  }
};

constexpr int kPlainQueries = 16, kPlainKeys = 32;

template <typename T> __device__ void plain_attention(const AttentionCall<T>& c, int part) {
  DYNAMIC_SHARED(shared);
  const int dim = c.dim, t = threadIdx.x;
  float* q = reinterpret_cast<float*>(shared);          // [16][dim]
  float* out = q + kPlainQueries * dim;                 // [16][dim]
  float* k = out + kPlainQueries * dim;                 // [32][dim + 1]
  float* v = k + kPlainKeys * (dim + 1);                // [32][dim]
  float* weights = v + kPlainKeys * dim;                // [16][32]
  float* max = weights + kPlainQueries * kPlainKeys;    // [16]
  float *sum = max + kPlainQueries, *factor = sum + kPlainQueries;
  const Tile tile(c, part, kPlainQueries);
  if (!tile.has(0)) return;
  __syncthreads();  // an earlier part may still be read
  for (int i = t; i < kPlainQueries * dim; i += blockDim.x) {
    const int query = i / dim;
    q[i] = tile.has(query) ? widen(c.q[tile.place(query, c.heads) * dim + i % dim]) * c.scale : 0;
    out[i] = 0;
  }
  if (t < kPlainQueries) max[t] = -INFINITY, sum[t] = 0;
  const int num_keys = tile.seen_keys(kPlainQueries, c.causal, c.fold);
  for (int first = 0; first < num_keys; first += kPlainKeys) {
    __syncthreads();
    for (int i = t; i < kPlainKeys * dim; i += blockDim.x) {
      const int key = i / dim, d = i % dim;
      const bool there = first + key < num_keys;
      const int64_t row = tile.first_key + first + key;
      k[key * (dim + 1) + d] = there ? widen(c.k[row * c.k_stride + tile.kv_head * dim + d]) : 0;
      v[i] = there ? widen(c.v[row * c.v_stride + tile.kv_head * dim + d]) : 0;
    }
    __syncthreads();
    // A warp takes every fourth query, a lane a key.
    for (int query = warp_id(); query < kPlainQueries; query += 4) {
      const int key = lane_id();
      float score = -INFINITY;
      if (tile.has(query) && first + key < tile.visible(query, c.causal, c.fold)) {
        score = 0;
        for (int d = 0; d < dim; d++) score += q[query * dim + d] * k[key * (dim + 1) + d];
      }
      float top = score;
      for (int offset = 16; offset > 0; offset /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, offset));
      const float before = max[query], now = fmaxf(before, top);
      const float weight = score == -INFINITY ? 0 : expf(score - now);
      const float total = warp_sum(weight);
      weights[query * kPlainKeys + key] = weight;
      __syncwarp();  // all lanes have read the maximum
      if (key == 0) {
        factor[query] = before == -INFINITY ? 0 : expf(before - now);
        sum[query] = sum[query] * factor[query] + total;
        max[query] = now;
      }
    }
    __syncthreads();
    for (int i = t; i < kPlainQueries * dim; i += blockDim.x) {
      const int query = i / dim, d = i % dim;
      float x = out[i] * factor[query];
      for (int key = 0; key < kPlainKeys; key++) x += weights[query * kPlainKeys + key] * v[key * dim + d];
      out[i] = x;
    }
  }
  __syncthreads();
  for (int i = t; i < kPlainQueries * dim; i += blockDim.x) {
    const int query = i / dim;
    if (tile.has(query)) c.out[tile.place(query, c.heads) * dim + i % dim] = sum[query] > 0 ? out[i] / sum[query] : 0;
  }
  if (t < kPlainQueries && tile.has(t)) c.lse[tile.place(t, c.heads)] = max[t] + logf(sum[t]);
}

// ---- tensor cores ----

constexpr int kKeys = 64;  // of a stage in shared memory
// Rows of a stage are 16 bytes longer than the head, so that eight of them lie in different banks.
template <int D> constexpr int kStageRow = D + 8;

// K and V rows [first, first + 64) of the part into a stage.
template <int D>
__device__ void start_stage(const AttentionCall<half>& c, const Tile& tile, int first, half* k, half* v) {
  for (int i = threadIdx.x; i < kKeys * (D / 8); i += blockDim.x) {
    const int key = i / (D / 8), d = i % (D / 8) * 8;
    const bool there = first + key < tile.num_keys;
    const int64_t row = tile.first_key + (there ? first + key : 0);
    copy_async(k + key * kStageRow<D> + d, c.k + row * c.k_stride + tile.kv_head * D + d, there);
    copy_async(v + key * kStageRow<D> + d, c.v + row * c.v_stride + tile.kv_head * D + d, there);
  }
  end_group();
}

// What a warp has of its 16 queries: lane 4 g + t holds queries g and g + 8.
template <int D> struct WarpState {
  uint32_t q[D / 16][4];
  float out[D / 8][4] = {};
  float max[2] = {-INFINITY, -INFINITY};  // of the scores times log2(e): weights are then powers of two
  float sum[2] = {0, 0};                  // of this lane's keys only
};
constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

static __device__ __forceinline__ float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
static __device__ __forceinline__ float quad_sum(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// 16 keys of a stage. visible: of queries g and g + 8, counted from the slice's first key. scale: times log2(e).
template <int D> __device__ void attend_slice(WarpState<D>& w, const half* k, const half* v, const int (&visible)[2], float scale) {
  const int g = lane_id() / 4, t = lane_id() % 4;
  float s[2][4] = {};
#pragma unroll
  for (int n = 0; n < 2; n++)
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
      const half* key = k + (8 * n + g) * kStageRow<D> + 16 * i + 2 * t;
      const uint32_t b[2] = {*reinterpret_cast<const uint32_t*>(key), *reinterpret_cast<const uint32_t*>(key + 8)};
      mma(s[n], w.q[i], b);
    }
  float top[2] = {-INFINITY, -INFINITY};
#pragma unroll
  for (int n = 0; n < 2; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = 8 * n + 2 * t + i % 2 < visible[i / 2] ? s[n][i] * scale : -INFINITY;
      top[i / 2] = fmaxf(top[i / 2], s[n][i]);
    }
  float factor[2];
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const float now = fmaxf(w.max[r], quad_max(top[r]));
    factor[r] = w.max[r] == -INFINITY ? 1 : power_of_two(w.max[r] - now);  // 1 of nothing
    w.max[r] = now;
    w.sum[r] *= factor[r];
  }
  if (__any_sync(0xffffffffu, factor[0] != 1 || factor[1] != 1)) {  // rare after the first slices
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) w.out[n][i] *= factor[i / 2];
  }
#pragma unroll
  for (int n = 0; n < 2; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = s[n][i] == -INFINITY ? 0 : power_of_two(s[n][i] - w.max[i / 2]);
      w.sum[i / 2] += s[n][i];
    }
  const uint32_t p[4] = {pair_of(s[0][0], s[0][1]), pair_of(s[0][2], s[0][3]), pair_of(s[1][0], s[1][1]), pair_of(s[1][2], s[1][3])};
#pragma unroll
  for (int n = 0; n < D / 8; n++) {
    uint32_t b[2];
    load_columns(b, v + (lane_id() % 16) * kStageRow<D> + 8 * n);
    mma(w.out[n], p, b);
  }
}

// Adds up warps that have the same queries and other keys; the first one ends with all of it.
// shared: [3][D / 2 + 4][32] floats.
template <int D> __device__ void merge_warps(WarpState<D>& w, float* shared) {
  constexpr int kFloats = D / 2 + 4;
  __syncthreads();  // the stages are read
  if (warp_id() > 0) {
    float* own = shared + (warp_id() - 1) * kFloats * 32 + lane_id();
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) own[(4 * n + i) * 32] = w.out[n][i];
#pragma unroll
    for (int r = 0; r < 2; r++) own[(D / 2 + r) * 32] = w.max[r], own[(D / 2 + 2 + r) * 32] = w.sum[r];
  }
  __syncthreads();
  if (warp_id() > 0) return;
  for (int other = 0; other < 3; other++) {
    const float* theirs = shared + other * kFloats * 32 + lane_id();
    float mine[2], other_factor[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float max = theirs[(D / 2 + r) * 32], now = fmaxf(w.max[r], max);
      mine[r] = w.max[r] == -INFINITY ? 0 : power_of_two(w.max[r] - now);
      other_factor[r] = max == -INFINITY ? 0 : power_of_two(max - now);
      w.max[r] = now;
      w.sum[r] = w.sum[r] * mine[r] + theirs[(D / 2 + 2 + r) * 32] * other_factor[r];
    }
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) w.out[n][i] = w.out[n][i] * mine[i / 2] + theirs[(4 * n + i) * 32] * other_factor[i / 2];
  }
}

// kSplit: the four warps have the same 16 queries and a quarter of the keys each; else 16 queries each and all keys.
template <int D, bool kSplit> __device__ void core_attention(const AttentionCall<half>& c, int part) {
  DYNAMIC_SHARED(shared);
  constexpr int kStage = 2 * kKeys * kStageRow<D>;
  half* stages = reinterpret_cast<half*>(shared);  // [2][K and V][64][D + 8]
  const Tile tile(c, part, kSplit ? 16 : 64);
  if (!tile.has(0)) return;
  const int g = lane_id() / 4, t = lane_id() % 4, own = kSplit ? 0 : 16 * warp_id();
  __syncthreads();  // an earlier part may still be read
  const int blocks = (tile.seen_keys(kSplit ? 16 : 64, c.causal, c.fold) + kKeys - 1) / kKeys;
  if (blocks > 0) start_stage<D>(c, tile, 0, stages, stages + kStage / 2);
  WarpState<D> w;
  int visible[2];
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int query = own + g + 8 * r;
    const bool there = tile.has(query);
    visible[r] = there ? tile.visible(query, c.causal, c.fold) : 0;
    const half* q = c.q + (there ? tile.place(query, c.heads) * D : 0) + 2 * t;
#pragma unroll
    for (int i = 0; i < D / 16; i++)
#pragma unroll
      for (int h = 0; h < 2; h++) w.q[i][r + 2 * h] = there ? *reinterpret_cast<const uint32_t*>(q + 16 * i + 8 * h) : 0;
  }
  const float scale = c.scale * kLog2E;
  for (int block = 0; block < blocks; block++) {
    half *k = stages + block % 2 * kStage, *v = k + kStage / 2;
    if (block + 1 < blocks) {
      half* next = stages + (block + 1) % 2 * kStage;
      start_stage<D>(c, tile, (block + 1) * kKeys, next, next + kStage / 2);
      wait_groups<1>();
    } else {
      wait_groups<0>();
    }
    __syncthreads();
    for (int slice = kSplit ? warp_id() : 0; slice < kKeys / 16; slice += kSplit ? 4 : 1) {
      const int first = block * kKeys + 16 * slice, seen[2] = {visible[0] - first, visible[1] - first};
      if (!__any_sync(0xffffffffu, seen[0] > 0 || seen[1] > 0)) break;
      attend_slice<D>(w, k + 16 * slice * kStageRow<D>, v + 16 * slice * kStageRow<D>, seen, scale);
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 2; r++) w.sum[r] = quad_sum(w.sum[r]);
  if (kSplit) merge_warps<D>(w, reinterpret_cast<float*>(shared));
  if (kSplit && warp_id() > 0) return;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int query = own + g + 8 * r;
    if (!tile.has(query)) continue;
    const float inverse = w.sum[r] > 0 ? 1 / w.sum[r] : 0;
    float* out = c.out + tile.place(query, c.heads) * D + 2 * t;
#pragma unroll
    for (int n = 0; n < D / 8; n++) store<2>(out + 8 * n, {w.out[n][2 * r] * inverse, w.out[n][2 * r + 1] * inverse});
    if (t == 0) c.lse[tile.place(query, c.heads)] = w.max[r] * kLn2 + logf(w.sum[r]);
  }
}

}  // namespace icrl

using icrl::half;

extern "C" __global__ void __launch_bounds__(128) attention_float(icrl::AttentionCall<float> call) {
  for (int part = blockIdx.y; part < call.num_parts; part += gridDim.y) icrl::plain_attention(call, part);
}
extern "C" __global__ void __launch_bounds__(128) attention_half(icrl::AttentionCall<half> call) {
  for (int part = blockIdx.y; part < call.num_parts; part += gridDim.y) icrl::plain_attention(call, part);
}
// tiles: 64 queries a block; rows: 16 queries, the keys shared out among the warps.
#define CORE_ATTENTION(D)                                                                                            \
  extern "C" __global__ void __launch_bounds__(128) attention_half_##D##_tiles(icrl::AttentionCall<half> call) {     \
    for (int part = blockIdx.y; part < call.num_parts; part += gridDim.y) icrl::core_attention<D, false>(call, part); \
  }                                                                                                                  \
  extern "C" __global__ void __launch_bounds__(128) attention_half_##D##_rows(icrl::AttentionCall<half> call) {      \
    for (int part = blockIdx.y; part < call.num_parts; part += gridDim.y) icrl::core_attention<D, true>(call, part);  \
  }
CORE_ATTENTION(64)
CORE_ATTENTION(128)
