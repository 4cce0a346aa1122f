#include "attention-parts.h"

#include <algorithm>
#include <bit>
#include <map>

namespace icrl {
namespace {

// Keys [begin, end) of a segment lie side by side from `key` on.
struct KeyRun {
  int32_t begin, end, key;
};

// The parts of one segment's rows and one run of its keys. A row sees the keys up to its own position; rows that see one key
// more than the row before are causal. row_is_key: the segment's keys are the batch's rows.
void add_parts(const AttentionSegment& s, const KeyRun& run, const int32_t* positions, bool row_is_key,
               std::vector<AttentionPart>& parts) {
  const auto seen = [&](int32_t row) { return std::clamp(positions[row] - s.start_position + 1, 0, run.end); };
  for (int32_t row = s.first_row; row < s.end_row;) {
    const int32_t first = row++, keys = seen(first);
    if (keys <= run.begin) continue;
    const bool causal = keys < run.end || (row_is_key && s.first_key + keys - 1 == first);
    while (row < s.end_row && seen(row) == seen(row - 1) + (causal ? 1 : 0)) row++;
    parts.push_back({first, row, run.key, seen(row - 1) - run.begin, causal});
  }
}

std::vector<KeyRun> page_runs(const AttentionSegment& s, const int32_t* pages, int32_t page_tokens) {
  std::vector<KeyRun> runs;
  for (int32_t begin = 0; begin < s.num_keys; begin += page_tokens) {
    const int32_t end = std::min(begin + page_tokens, s.num_keys), key = pages[s.first_key + begin / page_tokens] * page_tokens;
    const bool follows = !runs.empty() && runs.back().key + (begin - runs.back().begin) == key;
    if (follows) runs.back().end = end;
    else runs.push_back({begin, end, key});
  }
  return runs;
}

int32_t size_class(int32_t n) { return std::bit_width(static_cast<uint32_t>(n - 1)); }

// Which packed rows belong to a batch row.
void fill_partials(PartGroup& g, int32_t num_rows) {
  std::vector<int32_t> counts(num_rows);
  for (int32_t row : g.rows) g.max_partials = std::max(g.max_partials, ++counts[row]);
  g.partials.assign(int64_t(num_rows) * g.max_partials, -1);
  std::fill(counts.begin(), counts.end(), 0);
  for (size_t i = 0; i < g.rows.size(); i++)
    g.partials[int64_t(g.rows[i]) * g.max_partials + counts[g.rows[i]]++] = static_cast<int32_t>(i);
}

bool is_identity(const PartGroup& g, int32_t num_rows) {
  if (!g.causal || static_cast<int32_t>(g.rows.size()) != num_rows) return false;
  for (int32_t i = 0; i < num_rows; i++)
    if (g.rows[i] != i) return false;
  for (int32_t p = 0; p < g.num_parts; p++)
    if (g.key_starts[p] != g.row_starts[p] || g.key_counts[p] != g.row_starts[p + 1] - g.row_starts[p]) return false;
  return true;
}

PartGroup make_group(const std::vector<AttentionPart>& parts, int32_t num_rows, int32_t fold) {
  PartGroup g;
  g.causal = parts.front().causal;
  g.fold = fold;
  g.num_parts = static_cast<int32_t>(parts.size());
  g.row_starts.push_back(0);
  for (const AttentionPart& p : parts) {
    for (int32_t row = p.first_row; row < p.end_row; row++) g.rows.push_back(row);
    g.row_starts.push_back(static_cast<int32_t>(g.rows.size()) * fold);
    g.key_starts.push_back(p.first_key);
    g.key_counts.push_back(p.num_keys);
    g.max_rows = std::max(g.max_rows, p.num_rows() * fold);
    g.max_keys = std::max(g.max_keys, p.num_keys);
  }
  g.key_starts.push_back(parts.back().first_key + parts.back().num_keys);
  g.identity = is_identity(g, num_rows);
  fill_partials(g, num_rows);
  return g;
}

// A part's rows from `offset` on; with a causal mask the first of them see fewer keys.
struct Piece {
  int32_t part, offset, rows, keys;
};
std::vector<Piece> pieces_of(const PartGroup& g, int64_t max_scores) {
  std::vector<Piece> pieces;
  for (int32_t p = 0; p < g.num_parts; p++) {
    const int32_t rows = g.row_starts[p + 1] - g.row_starts[p], keys = g.key_counts[p];
    const int32_t most = static_cast<int32_t>(std::clamp<int64_t>(max_scores / std::max(keys, 1), 1, std::max(rows, 1)));
    for (int32_t offset = 0; offset < rows; offset += most) {
      const int32_t count = std::min(most, rows - offset);
      pieces.push_back({p, offset, count, g.causal ? keys - rows + offset + count : keys});
    }
  }
  return pieces;
}

void add_block(PaddedGroup& padded, const PartGroup& g, const std::vector<Piece>& pieces, int64_t first_row) {
  PaddedBlock block{static_cast<int32_t>(padded.row_starts.size()), 0, 0, 0, first_row};
  block.end_piece = block.first_piece + static_cast<int32_t>(pieces.size());
  for (const Piece& p : pieces) block.rows = std::max(block.rows, p.rows), block.keys = std::max(block.keys, p.keys);
  for (size_t i = 0; i < pieces.size(); i++) {
    const Piece& p = pieces[i];
    padded.row_starts.push_back(g.row_starts[p.part] + p.offset);
    padded.row_counts.push_back(p.rows);
    padded.key_starts.push_back(g.key_starts[p.part]);
    padded.key_counts.push_back(p.keys);
    for (int32_t r = 0; r < p.rows; r++)
      padded.locations[padded.row_starts.back() + r] = static_cast<int32_t>(first_row + int64_t(i) * block.rows + r);
  }
  padded.blocks.push_back(block);
}

}  // namespace

std::vector<AttentionPart> trie_parts(const std::vector<AttentionSegment>& segments, const int32_t* positions) {
  std::vector<AttentionPart> parts;
  for (const AttentionSegment& s : segments) add_parts(s, {0, s.num_keys, s.first_key}, positions, true, parts);
  return parts;
}

std::vector<AttentionPart> cache_parts(const std::vector<AttentionSegment>& segments, const int32_t* positions,
                                       const int32_t* pages, int32_t page_tokens) {
  std::vector<AttentionPart> parts;
  for (const AttentionSegment& s : segments)
    for (const KeyRun& run : page_runs(s, pages, page_tokens)) add_parts(s, run, positions, false, parts);
  return parts;
}

std::vector<AttentionPart> split_keys(const std::vector<AttentionPart>& parts, int32_t max_keys) {
  std::vector<AttentionPart> all;
  for (const AttentionPart& p : parts) {
    const bool whole = p.causal || p.num_rows() == 1 || p.num_keys <= max_keys;
    const int32_t pieces = whole ? 1 : (p.num_keys + max_keys - 1) / max_keys;
    for (int32_t i = 0; i < pieces; i++) {
      const int32_t begin = int64_t(p.num_keys) * i / pieces, end = int64_t(p.num_keys) * (i + 1) / pieces;
      all.push_back({p.first_row, p.end_row, p.first_key + begin, end - begin, p.causal});
    }
  }
  return all;
}

std::vector<PartGroup> group_parts(const std::vector<AttentionPart>& parts, int32_t num_rows, const GroupOptions& options) {
  std::vector<AttentionPart> kinds[3];
  for (const AttentionPart& p : parts) kinds[p.causal ? 0 : options.single_rows && p.num_rows() == 1 ? 2 : 1].push_back(p);
  std::vector<PartGroup> groups;
  for (int kind = 0; kind < 3; kind++)
    if (!kinds[kind].empty()) groups.push_back(make_group(kinds[kind], num_rows, kind == 1 ? options.fold : 1));
  return groups;
}

std::vector<PartGroup> trie_groups(const std::vector<AttentionSegment>& segments, const int32_t* positions, int32_t num_rows) {
  return group_parts(trie_parts(segments, positions), num_rows, {});
}

std::vector<PartGroup> cache_groups(const std::vector<AttentionSegment>& segments, const int32_t* positions, int32_t num_rows,
                                    const int32_t* pages, int32_t page_tokens, int32_t heads_per_key, int32_t max_keys) {
  return group_parts(split_keys(cache_parts(segments, positions, pages, page_tokens), max_keys), num_rows,
                     {heads_per_key, /*single_rows=*/true});
}

int32_t bucket(int32_t n) {
  int32_t size = 1;
  while (size < n) size *= 2;
  return size >= 4 && size / 4 * 3 >= n ? size / 4 * 3 : size;
}

// Fewer keys than this are not worth a shape of their own.
constexpr int32_t kFewKeys = 512;

void pad_to_buckets(PartGroup& g, int32_t num_rows) {
  const int32_t parts = bucket(g.num_parts), most = bucket(g.max_partials), old_rows = static_cast<int32_t>(g.rows.size());
  const bool single_rows = g.max_rows == 1;
  g.rows.resize(single_rows ? parts : bucket(old_rows), 0);
  while (g.num_parts < parts) {
    g.row_starts.push_back(g.row_starts.back() + (single_rows ? 1 : 0));
    g.key_starts.push_back(g.key_starts.back());
    g.key_counts.push_back(0);
    g.num_parts++;
  }
  std::vector<int32_t> partials(int64_t(num_rows) * most, -1);
  for (size_t i = 0; i < g.partials.size(); i++)
    partials[i / g.max_partials * most + i % g.max_partials] = g.partials[i];
  g.partials = std::move(partials);
  g.max_partials = most;
  g.max_rows = single_rows ? 1 : bucket(g.max_rows);
  g.max_keys = std::max(kFewKeys, bucket(g.max_keys));
  g.identity = false;
}

PackedKeys pack_keys(const PartGroup& group) {
  PackedKeys packed{{}, {0}};
  for (int32_t p = 0; p < group.num_parts; p++) {
    for (int32_t k = 0; k < group.key_counts[p]; k++) packed.keys.push_back(group.key_starts[p] + k);
    packed.starts.push_back(static_cast<int32_t>(packed.keys.size()));
  }
  return packed;
}

PaddedGroup pad_group(const PartGroup& group, int64_t max_scores) {
  std::map<std::pair<int32_t, int32_t>, std::vector<Piece>> by_size;
  for (const Piece& p : pieces_of(group, max_scores)) by_size[{size_class(p.rows), size_class(std::max(p.keys, 1))}].push_back(p);
  PaddedGroup padded;
  padded.locations.resize(group.row_starts.back());
  int64_t first_row = 0;
  for (const auto& [size, pieces] : by_size) {
    const int64_t most = int64_t(1) << (size.first + size.second);  // scores of a piece
    const size_t at_once = static_cast<size_t>(std::max<int64_t>(1, max_scores / most));
    for (size_t i = 0; i < pieces.size(); i += at_once) {
      add_block(padded, group, {pieces.begin() + i, pieces.begin() + std::min(i + at_once, pieces.size())}, first_row);
      const PaddedBlock& block = padded.blocks.back();
      first_row += int64_t(block.end_piece - block.first_piece) * block.rows;
    }
  }
  return padded;
}

}  // namespace icrl
