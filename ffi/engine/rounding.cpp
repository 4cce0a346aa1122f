#include "rounding.h"

#include <ATen/ATen.h>

namespace icrl {
namespace {

constexpr int32_t kFirst = static_cast<int32_t>(0x85EBCA6Bu), kSecond = static_cast<int32_t>(0xC2B2AE35u);

// The finalizer of MurmurHash3 (Appleby): every bit of the result depends on every bit of x.
uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * static_cast<uint32_t>(kFirst);
  x = (x ^ (x >> 13)) * static_cast<uint32_t>(kSecond);
  return x ^ (x >> 16);
}

// x ^= x >>> bits; the shift of torch's signed integers copies the sign, the mask takes it away.
void fold_(const Tensor& x, int64_t bits) {
  x.bitwise_xor_(x.bitwise_right_shift(bits).bitwise_and_((int64_t(1) << (32 - bits)) - 1));
}
// The same over int32[n] in place; products wrap.
void mix_(const Tensor& x) {
  fold_(x, 16), x.mul_(kFirst);
  fold_(x, 13), x.mul_(kSecond);
  fold_(x, 16);
}

Tensor as_uniform(const Tensor& sixteen) { return sixteen.to(at::kFloat).add_(0.5).mul_(1.0 / 65536); }

}  // namespace

NoiseName name_of(const NoiseKey& key) {
  const uint32_t name = mix(mix(mix(key.seed) + static_cast<uint32_t>(key.step)) + static_cast<uint32_t>(key.tensor));
  return {name, mix(name + 1)};
}

Tensor random_bits(const NoiseKey& key, int64_t first, int64_t count, at::Device device) {
  const NoiseName name = name_of(key);
  const Tensor bits = at::arange(first, first + count, at::TensorOptions().dtype(at::kInt).device(device));
  bits.bitwise_xor_(static_cast<int32_t>(name.first));
  mix_(bits);
  // Names that differ in low bits only would otherwise share their noise, in another order.
  bits.add_(static_cast<int32_t>(name.second));
  mix_(bits);
  return bits;
}

Tensor upper_uniform(const Tensor& bits) { return as_uniform(bits.bitwise_right_shift(16).bitwise_and_(0xFFFF)); }
Tensor mixed_uniform(const Tensor& bits) { return upper_uniform(bits.mul(static_cast<int32_t>(0x9E3779B1u))); }

Tensor to_bf16_stochastically(const Tensor& values, const Tensor& bits) {
  // bf16 is the upper half of fp32: noise below it carries into it as often as the lower half says.
  const Tensor sum = values.view(at::kInt).add(bits.bitwise_and(0xFFFF)).bitwise_and_(static_cast<int32_t>(0xFFFF0000u));
  return sum.view(at::kFloat).to(at::kBFloat16);
}

}  // namespace icrl
