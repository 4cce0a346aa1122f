// Stochastic rounding: a value between two that can be kept becomes the upper one with the probability of its distance from the
// lower. Its mean is then the value, so that updates far below half a step add up instead of being lost. The noise is
// counter-based: a function of seed, step, tensor and element only, in integer arithmetic, so it is the same on any device and
// after a resume.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace icrl {

using at::Tensor;

struct NoiseKey {
  uint32_t seed;
  int32_t step, tensor;
};
// What random_bits puts into its two rounds of mixing, for a kernel that makes the same bits on its way.
struct NoiseName {
  uint32_t first, second;
};
NoiseName name_of(const NoiseKey& key);
// 32 random bits for each of the elements [first, first + count) of a tensor, as int32[count].
Tensor random_bits(const NoiseKey& key, int64_t first, int64_t count, at::Device device);
// The upper 16 bits as numbers in (0, 1), and 16 others that depend on all bits.
Tensor upper_uniform(const Tensor& bits);
Tensor mixed_uniform(const Tensor& bits);
// values[n] in fp32 -> bf16[n], by the lower 16 bits. The values must be finite.
Tensor to_bf16_stochastically(const Tensor& values, const Tensor& bits);

}  // namespace icrl
