// A moment of AdamW in 8 bits an element, in blocks of 256 neighbours with a scale each (the idea: Dettmers et al. 2022, 8-bit
// optimizers via block-wise quantization). Departures: the codes are logarithmic, so every element has the same relative
// precision; and values between two codes are rounded stochastically, because a moment that moves by a thousandth a step
// would stay where it is if it were rounded to the nearest.
//   first   a sign and 127 magnitudes over 12 octaves below the block's largest (steps of 7 %), and zero
//   second  255 magnitudes over 4, 8, 16 or 32 octaves, whatever the block needs (steps of 1.1 to 9 %), and zero. Only zero
//           becomes zero: a second moment that vanishes would make its element's step huge.
// What was decoded encodes to itself, rounded to the nearest: the largest of a block is a code, and the ladder of fewer octaves
// holds every step of the coarser ones. So moments survive a checkpoint in fp32 to the bit.
#pragma once
#include <ATen/core/Tensor.h>

namespace icrl {

using at::Tensor;

enum class Code { first, second };
constexpr int64_t kCodeBlock = 256;

// B blocks, the last one filled with zeros.
struct Codes {
  Tensor codes;   // [B, 256] uint8
  Tensor scales;  // [B, 1] fp32: the largest magnitude
  Tensor shifts;  // [B, 1] uint8, second only: rungs of the finest ladder in one of this block's, as a power of two

  Codes slice(int64_t first_block, int64_t blocks) const;
};
Codes zero_codes(Code code, int64_t elements, at::TensorOptions options);

class Coder {
 public:
  Coder(Code code, at::Device device);
  // fp32 [elements], the first of the blocks'.
  Tensor decode(const Codes& from, int64_t elements) const;
  // values[n] in fp32; uniforms[n] in (0, 1) round stochastically, undefined rounds to the nearest.
  Codes encode(const Tensor& values, const Tensor& uniforms) const;

 private:
  Code code_;
  Tensor table_;  // what a rung of the finest ladder stands for
};

}  // namespace icrl
