#include "codes.h"

#include <ATen/ATen.h>

#include <cmath>

namespace icrl {
namespace {

// Rung j of a ladder stands for 2^(-j / per_octave) of the block's scale.
struct Ladder {
  double per_octave;
  int64_t last;   // the lowest rung that is rounded to
  int64_t rungs;  // of the table
  bool ends_in_zero;
};
constexpr Ladder kFirst{126.0 / 12, 127, 128, true}, kSecond{64, 254, (254 << 3) + 1, false};
constexpr float kSmallest = 0x1p-90f;  // a block below is zero: so far under eps that no update sees it

const Ladder& ladder_of(Code code) { return code == Code::first ? kFirst : kSecond; }

Tensor values_of(const Tensor& table, const Tensor& rungs, const Tensor& shifts) {
  const Tensor fine = shifts.defined() ? rungs.bitwise_left_shift(shifts) : rungs;
  return table.index_select(0, fine.flatten()).view(rungs.sizes());
}

// y[B, 256] in [0, 1] -> the rung above or below it, int32. uniforms: how far up a value must be to go up.
Tensor rungs_of(const Ladder& ladder, const Tensor& table, const Tensor& y, const Tensor& shifts, const Tensor& uniforms) {
  Tensor place = y.log2().mul_(-ladder.per_octave);
  if (shifts.defined()) place.div_(shifts.to(at::kFloat).exp2_());
  const Tensor upper = place.floor_().clamp_(0, ladder.last - 1).to(at::kInt), lower = upper + 1;
  const Tensor low = values_of(table, lower, shifts), gap = values_of(table, upper, shifts).sub_(low);
  const Tensor height = y - low;
  return lower.sub_((uniforms.defined() ? height > gap.mul_(uniforms) : height > gap.mul_(0.5)).to(at::kInt));
}

// The fewest octaves that hold the block's smallest value. Half a rung of room: a decoded value's logarithm is not exact.
Tensor shifts_of(const Tensor& y) {
  const Tensor least = y.masked_fill(y == 0, 1).amin(1, true).log2_().mul_(-kSecond.per_octave);
  const double rung = kSecond.last + 0.5;
  return (least > rung).to(at::kInt) + (least > 2 * rung).to(at::kInt) + (least > 4 * rung).to(at::kInt);
}

// [n] -> [B, 256], filled with zeros.
Tensor in_blocks(const Tensor& x) {
  const int64_t rest = x.numel() % kCodeBlock;
  return (rest == 0 ? x : at::constant_pad_nd(x, {0, kCodeBlock - rest})).view({-1, kCodeBlock});
}

}  // namespace

Codes Codes::slice(int64_t first_block, int64_t blocks) const {
  const auto cut = [&](const Tensor& t) { return t.defined() ? t.narrow(0, first_block, blocks) : t; };
  return {cut(codes), cut(scales), cut(shifts)};
}

Codes zero_codes(Code code, int64_t elements, at::TensorOptions options) {
  const int64_t blocks = (elements + kCodeBlock - 1) / kCodeBlock;
  const auto zeros = [&](int64_t width, at::ScalarType type) { return at::zeros({blocks, width}, options.dtype(type)); };
  return {zeros(kCodeBlock, at::kByte), zeros(1, at::kFloat), code == Code::second ? zeros(1, at::kByte) : Tensor()};
}

// The table is made on the host, so that it is the same everywhere.
Coder::Coder(Code code, at::Device device) : code_(code) {
  const Ladder& ladder = ladder_of(code);
  const Tensor table = at::empty({ladder.rungs}, at::kFloat);
  float* values = table.data_ptr<float>();
  for (int64_t j = 0; j < ladder.rungs; j++) values[j] = static_cast<float>(std::exp2(-double(j) / ladder.per_octave));
  if (ladder.ends_in_zero) values[ladder.rungs - 1] = 0;
  table_ = table.to(device);
}

Tensor Coder::decode(const Codes& from, int64_t elements) const {
  const Ladder& ladder = ladder_of(code_);
  const Tensor wide = from.codes.to(at::kInt);
  Tensor values;
  if (code_ == Code::first) {
    values = values_of(table_, ladder.last - wide.bitwise_and(127), {});
    values.mul_(1 - wide.bitwise_right_shift(7).to(at::kFloat).mul_(2));
  } else {
    values = values_of(table_, (ladder.last + 1 - wide).clamp_max_(ladder.last), from.shifts.to(at::kInt));
    values.mul_((wide > 0).to(at::kFloat));
  }
  return values.mul_(from.scales).flatten().narrow(0, 0, elements);
}

Codes Coder::encode(const Tensor& values, const Tensor& uniforms) const {
  const Ladder& ladder = ladder_of(code_);
  const Tensor x = in_blocks(values), u = uniforms.defined() ? in_blocks(uniforms) : uniforms, size = x.abs();
  Tensor scales = size.amax(1, true);
  scales = scales.masked_fill(scales < kSmallest, 0);
  const Tensor y = (size / scales).masked_fill_(scales == 0, 0);
  if (code_ == Code::first) {
    const Tensor magnitude = ladder.last - rungs_of(ladder, table_, y, {}, u);
    const Tensor sign = ((x < 0) & (magnitude > 0)).to(at::kInt).mul_(128);
    return {magnitude.add(sign).to(at::kByte), scales, {}};
  }
  const Tensor shifts = shifts_of(y);
  const Tensor codes = (ladder.last + 1 - rungs_of(ladder, table_, y, shifts, u)).masked_fill_(y == 0, 0);
  return {codes.to(at::kByte), scales, shifts.to(at::kByte)};
}

}  // namespace icrl
