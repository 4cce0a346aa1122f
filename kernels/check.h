// What the kernel checks share.
#pragma once
#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "kernels.h"

namespace icrl {

// Random inputs in double that the working type holds exactly, the kernel's copy in that type, and the largest relative error so far.
struct Bench {
  at::Device device;
  at::ScalarType type = at::kFloat;
  double error = 0;

  Tensor random(at::IntArrayRef shape) const { return at::randn(shape, at::kDouble).to(type).to(at::kDouble); }
  Tensor work(const Tensor& x) const { return as(x, type); }
  // What stays in float whatever the working type is: statistics, tables, gradients of weights.
  Tensor wide(const Tensor& x) const { return as(x, at::kFloat); }
  void compare(const Tensor& got, const Tensor& want) {
    const Tensor a = got.to(at::kCPU, at::kDouble), b = want.to(at::kCPU, at::kDouble);
    error = std::max(error, ((a - b).norm() / b.norm()).item<double>());
  }

 private:
  Tensor as(const Tensor& x, at::ScalarType to) const {
    return x.scalar_type() == at::kDouble ? x.to(device, to).clone() : x.to(device);
  }
};

// One of our CUDA kernels, "rmsnorm" or "rmsnorm.bf16"; the device must have it loaded. Throws std::invalid_argument for others.
void check_cuda_kernel(const std::string& name, Bench& bench);

}  // namespace icrl
