// How many blocks, threads and bytes of shared memory each CUDA kernel is launched with: for the launchers and for the tests under
// the emulator alike. No torch, no CUDA.
#pragma once
#include <cstdint>

namespace icrl::cuda {

struct Geometry {
  unsigned x = 1, y = 1;  // blocks
  unsigned threads = 256;
  unsigned shared = 0;  // bytes
};

inline unsigned blocks_for(int64_t work, int64_t per_block) { return static_cast<unsigned>((work + per_block - 1) / per_block); }
inline unsigned at_most(int64_t a, int64_t b) { return static_cast<unsigned>(a < b ? a : b); }
inline unsigned rows_of(int64_t rows) { return static_cast<unsigned>(rows); }

constexpr unsigned kSums = 32 * 4;  // a float a warp
// Shares of a weight gradient: enough blocks for any GPU, few enough that adding them up costs little.
constexpr int64_t kShares = 512;

inline Geometry rmsnorm_geometry(int64_t rows) { return {rows_of(rows), 1, 256, kSums}; }
inline Geometry rmsnorm_backward_geometry(int64_t rows, int64_t dim) {
  return {at_most(rows, kShares), 1, 256, kSums + static_cast<unsigned>(dim) * 4};
}
inline Geometry sum_shares_geometry(int64_t dim) { return {blocks_for(dim, 32), 1, 256, 8 * kSums}; }

inline Geometry swiglu_geometry(int64_t rows, int64_t ffn) { return {rows_of(rows), blocks_for(ffn, 256 * 8)}; }

inline Geometry rope_geometry(int64_t rows, int64_t heads) { return {blocks_for(rows * heads, 8)}; }
inline Geometry rope_backward_geometry(int64_t rows, int64_t heads, int64_t dim) {
  return {at_most(blocks_for(rows * heads, 8), kShares), 1, 256, 8 * static_cast<unsigned>(dim) * 4};
}

inline Geometry logprob_geometry(int64_t rows) { return {rows_of(rows), 1, 512, 16 * 16}; }
inline Geometry sample_geometry(int64_t rows) { return {rows_of(rows), 1, 1024, 32 * 16 + kSums + 24}; }


inline Geometry adamw_geometry(int64_t elements) { return {at_most(blocks_for(elements, 256 * 8), 4096)}; }

// queries: of the largest part and one key head. Tiles times key heads side by side, parts above each other.
inline Geometry attention_grid(int64_t queries, int64_t tile, int64_t kv_heads, int64_t parts, int64_t shared_bytes) {
  return {static_cast<unsigned>(blocks_for(queries, tile) * kv_heads), at_most(parts, 65535), 128, static_cast<unsigned>(shared_bytes)};
}
inline Geometry plain_attention_geometry(int64_t queries, int64_t kv_heads, int64_t parts, int64_t dim) {
  return attention_grid(queries, 16, kv_heads, parts, (2 * 16 * dim + 32 * (dim + 1) + 32 * dim + 16 * 32 + 3 * 16) * 4);
}
// Few queries: the warps share the keys of 16; else each warp has 16 of its own.
inline bool shares_keys(int64_t queries) { return queries <= 32; }
inline Geometry core_attention_geometry(int64_t queries, int64_t kv_heads, int64_t parts, int64_t dim) {
  return attention_grid(queries, shares_keys(queries) ? 16 : 64, kv_heads, parts, 2 * 2 * 64 * (dim + 8) * 2);
}

}  // namespace icrl::cuda
