// Attention over a trie as variable-length parts: runs of query rows against runs of keys that lie side by side. A row's
// attention is then the sum of its partial results, weighted by their share of the softmax (the merge of flash decoding, Dao et
// al. 2023). Made once a batch on the host, from integers alone; no tensors here.
#pragma once
#include <cstdint>
#include <vector>

#include "cpu.h"

namespace icrl {

// Rows [first_row, end_row) see keys [first_key, first_key + num_keys): all of them, or causally. Then the last row sees all,
// the one before it one less, and so on.
struct AttentionPart {
  int32_t first_row, end_row, first_key, num_keys;
  bool causal;

  int32_t num_rows() const { return end_row - first_row; }
  bool operator==(const AttentionPart&) const = default;
};

// Training: keys are the batch's own rows.
std::vector<AttentionPart> trie_parts(const std::vector<AttentionSegment>& segments, const int32_t* positions);
// Decoding: key k lies in the cache's slot k. Pages that follow each other in memory make one run.
std::vector<AttentionPart> cache_parts(const std::vector<AttentionSegment>& segments, const int32_t* positions,
                                       const int32_t* pages, int32_t page_tokens);
// Parts of several rows that see more than max_keys are cut into pieces of about equal size, so that few rows which read a
// long prefix still fill a GPU.
std::vector<AttentionPart> split_keys(const std::vector<AttentionPart>& parts, int32_t max_keys);

// Parts that one call computes. Its rows are packed: those of part 0, then those of part 1. With fold > 1 each row stands for
// that many, one for every query head of a key head.
struct PartGroup {
  bool causal = false;
  bool identity = false;  // its rows are the batch's rows in order, and its keys the batch's rows too
  int32_t fold = 1, num_parts = 0, max_rows = 0, max_keys = 0;
  std::vector<int32_t> rows;        // [R] the batch row of each packed row; not folded
  std::vector<int32_t> row_starts;  // [parts + 1] folded packed rows
  std::vector<int32_t> key_starts;  // [parts + 1] first key; the last is never read
  std::vector<int32_t> key_counts;  // [parts]
  int32_t max_partials = 0;         // P: packed rows that a batch row has here, at most
  std::vector<int32_t> partials;    // [batch rows, P] those, -1 where there are fewer
};
struct GroupOptions {
  int32_t fold = 1;
  bool single_rows = false;  // parts of one row in a group of their own, not folded
};
// At most three groups: causal, of several rows, of one row. Empty ones are left out.
std::vector<PartGroup> group_parts(const std::vector<AttentionPart>& parts, int32_t num_rows, const GroupOptions& options);

// What a batch's attention is made of. heads_per_key: query heads of a key head. Decoding folds them into rows, because few
// rows read the same keys there, and cuts runs of more than max_keys.
std::vector<PartGroup> trie_groups(const std::vector<AttentionSegment>& segments, const int32_t* positions, int32_t num_rows);
std::vector<PartGroup> cache_groups(const std::vector<AttentionSegment>& segments, const int32_t* positions, int32_t num_rows,
                                    const int32_t* pages, int32_t page_tokens, int32_t heads_per_key, int32_t max_keys);

// The next size of which few are used: 1, 2, 3, 4, 6, 8, 12 and so on.
int32_t bucket(int32_t n);
// Sizes up to their buckets, for num_rows batch rows, so that steps of about one size have one shape. Parts beyond the true
// ones have no keys, packed rows beyond them are copies of row 0, and no batch row has either among its partials.
void pad_to_buckets(PartGroup& group, int32_t num_rows);

// The keys of a group's parts, one part after the other, as a gather.
struct PackedKeys {
  std::vector<int32_t> keys;    // [sum of key_counts]
  std::vector<int32_t> starts;  // [parts + 1]
};
PackedKeys pack_keys(const PartGroup& group);

// A group as batches of equal size for a plain batched product: pieces of parts, those of about one size side by side.
struct PaddedBlock {
  int32_t first_piece, end_piece, rows, keys;
  int64_t first_row;  // of its output among all blocks' [pieces * rows]
};
struct PaddedGroup {
  std::vector<PaddedBlock> blocks;
  std::vector<int32_t> row_starts, row_counts, key_starts, key_counts;  // [pieces]; row_starts in folded packed rows
  std::vector<int32_t> locations;                                      // [folded packed rows] in the blocks' output
};
// No block has more than max_scores scores a head, unless a single row has.
PaddedGroup pad_group(const PartGroup& group, int64_t max_scores);

}  // namespace icrl
