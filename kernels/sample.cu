// One id a row by inverse transform from a given uniform (none: the most probable id), with its logprob and the entropy, from
// one reading of the logits. Each warp sums a range of its own; the range in which the uniform falls is read once more, a run of a
// few ids by each thread (out of the L2 cache). The id is the first whose cumulated probability is larger than the uniform.
// Launch: a block a row, 1024 threads.
#include "softmax.cuh"

namespace icrl {

struct SampleShared {
  SoftmaxSums of_warp[32];
  float sums[32];  // of the chosen range's runs, a warp each
  int range;
  double before;  // what is left of the target in that range
  int id;
};

static __device__ __forceinline__ float inclusive_scan(float x) {
  for (int distance = 1; distance < 32; distance *= 2) {
    const float below = __shfl_up_sync(0xffffffffu, x, distance);
    if (lane_id() >= distance) x += below;
  }
  return x;
}

// The range that the target falls into, and how far. Of logits that are no numbers it is any.
static __device__ void choose_range(SampleShared& s, float max, double uniform, int num_warps) {
  double total = 0, below = 0;
  s.range = 0, s.before = 0;
  for (int i = 0; i < num_warps; i++) total += double(s.of_warp[i].s) * expf(s.of_warp[i].max - max);
  const double target = uniform * total;
  for (int i = 0; i < num_warps; i++) {
    const double own = double(s.of_warp[i].s) * expf(s.of_warp[i].max - max);
    if (own == 0) continue;
    s.range = i, s.before = target - below;  // rounding may leave the target beyond the last one: then it stays there
    if (below + own > target) return;
    below += own;
  }
}

// The id in [begin, end) where the cumulated exp(x - max) first exceeds the target; the last possible one if none does; -1 where
// none is possible, which takes a NaN.
template <typename T>
__device__ void choose_id(SampleShared& s, const T* row, float inv_temperature, float max, int begin, int end) {
  const int run = (end - begin + blockDim.x - 1) / blockDim.x;
  const int first = begin + threadIdx.x * run, last = first + run < end ? first + run : end;
  const auto weight = [&](int i) { return expf(widen(row[i]) * inv_temperature - max); };
  float own = 0;
  int possible = -1;
  for (int i = first; i < last; i++) {
    const float w = weight(i);
    own += w;
    if (w > 0) possible = i;
  }
  const float upto = inclusive_scan(own);
  if (lane_id() == 31) s.sums[warp_id()] = upto;
  __syncthreads();
  double below = upto - own;
  for (int i = 0; i < warp_id(); i++) below += s.sums[i];
  // Neighbouring threads may disagree about a boundary by a rounding, so the smallest id wins, and the last one if there is none.
  int id = INT32_MAX;
  if (possible >= 0 && below + own > s.before) {
    double sum = below;
    for (int i = first; i < last && id == INT32_MAX; i++) {
      const float w = weight(i);
      sum += w;
      if (w > 0 && sum > s.before) id = i;
    }
    if (id == INT32_MAX) id = possible;
  }
  if (id != INT32_MAX) atomicMin(&s.id, id);
  __syncthreads();
  const bool none = s.id == INT32_MAX;
  __syncthreads();
  if (none && threadIdx.x == 0) s.id = -1;
  __syncthreads();
  if (none && possible >= 0) atomicMax(&s.id, possible);
  __syncthreads();
}

template <typename T>
__device__ void sample(const T* logits, const double* uniforms, float inv_temperature, int32_t* ids, float* logprobs,
                       float* entropies, int vocab) {
  DYNAMIC_SHARED(shared);
  SampleShared& s = *reinterpret_cast<SampleShared*>(shared);
  const T* row = logits + int64_t(blockIdx.x) * vocab;
  const int num_warps = blockDim.x / 32, warp = warp_id();
  const int range = ((vocab + num_warps - 1) / num_warps + kWidth - 1) / kWidth * kWidth;
  const auto bound = [&](int i) { return i * range < vocab ? i * range : vocab; };
  const SoftmaxSums own = wide_rows(vocab, row)
                              ? range_sums<kWidth>(row, inv_temperature, bound(warp), bound(warp + 1), lane_id(), 32)
                              : range_sums<1>(row, inv_temperature, bound(warp), bound(warp + 1), lane_id(), 32);
  const SoftmaxSums all = block_merge(warp_merge(own), s.of_warp);
  int id = all.argmax;
  if (uniforms) {
    if (threadIdx.x == 0) {
      choose_range(s, all.max, uniforms[blockIdx.x], num_warps);
      s.id = INT32_MAX;
    }
    __syncthreads();
    choose_id(s, row, inv_temperature, all.max, bound(s.range), bound(s.range + 1));
    if (s.id >= 0) id = s.id;
  }
  if (threadIdx.x != 0) return;
  ids[blockIdx.x] = id;
  logprobs[blockIdx.x] = widen(row[id]) * inv_temperature - all.max - logf(all.s);
  entropies[blockIdx.x] = entropy_of(all);
}

}  // namespace icrl

using icrl::bf16;

#define SAMPLE(T)                                                                                                           \
  extern "C" __global__ void __launch_bounds__(1024)                                                                        \
      sample_##T(const T* logits, const double* uniforms, float inv_temperature, int32_t* ids, float* logprobs,             \
                 float* entropies, int vocab) {                                                                             \
    icrl::sample(logits, uniforms, inv_temperature, ids, logprobs, entropies, vocab);                                       \
  }
SAMPLE(float)
SAMPLE(bf16)
