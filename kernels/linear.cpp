// The products of a linear layer: forward, gradient of the input, gradient of the weight. On the CPU by gemm.simd.h, three
// ways to cut the forward: a packed weight (given, or packed for many rows), few rows (the input is transposed instead, the weight
// is read as it lies), and very few, where the weight's bytes are all that counts: dot products with its rows.
#include <ATen/ATen.h>

#include "dispatch.h"
#include "kernels.h"

namespace icrl {
namespace {

constexpr int64_t kVeryFewRows = 4, kFewRows = 192;
constexpr int64_t kWideElements = int64_t(1) << 25;  // of a weight's gradient that exist beside it

bool has_gemm(const Tensor& x, const Tensor& w) {
  return has_cpu_kernel(x) && w.scalar_type() == x.scalar_type() && x.is_contiguous() && w.is_contiguous();
}

template <typename T>
void linear_panels(const Tensor& x, const Tensor& w, const Tensor& panels, const Tensor& y, bool accumulate) {
  const int64_t N = w.size(0), K = w.size(1);
  at::parallel_for(0, x.size(0), std::max<int64_t>(6, (int64_t(1) << 20) / (N * K)), [&](int64_t begin, int64_t end) {
    cpu_kernels<T>().gemm_panels(x.const_data_ptr<T>() + begin * K, end - begin, K, panels.const_data_ptr<T>(), N,
                                 y.data_ptr<T>() + begin * N, accumulate);
  });
}

template <typename T> void linear_few(const Tensor& x, const Tensor& w, const Tensor& y, bool accumulate) {
  const auto& kernels = cpu_kernels<T>();
  const int64_t rows = x.size(0), N = w.size(0), K = w.size(1), ld = (rows + 15) / 16 * 16;
  const Tensor x_t = at::zeros({K, ld}, x.options()), y_t = at::empty({N, ld}, x.options());
  kernels.transpose(x.const_data_ptr<T>(), K, x_t.data_ptr<T>(), ld, rows, K);
  at::parallel_for(0, N, std::max<int64_t>(24, 131072 / (K * ld)), [&](int64_t begin, int64_t end) {
    kernels.gemm_few(w.const_data_ptr<T>(), K, x_t.const_data_ptr<T>(), ld, begin, end, y_t.data_ptr<T>());
    kernels.add_transposed(y_t.const_data_ptr<T>(), ld, y.data_ptr<T>(), rows, N, begin, end, accumulate);
  });
}

template <typename T> void linear_very_few(const Tensor& x, const Tensor& w, const Tensor& y, bool accumulate) {
  const int64_t N = w.size(0), K = w.size(1);
  at::parallel_for(0, N, std::max<int64_t>(24, 131072 / K), [&](int64_t begin, int64_t end) {
    cpu_kernels<T>().gemm_very_few(x.const_data_ptr<T>(), x.size(0), K, w.const_data_ptr<T>(), N, begin, end, y.data_ptr<T>(),
                                   accumulate);
  });
}

}  // namespace

Tensor pack_linear(const Tensor& w) {
  Tensor panels;
  with_scalar(w, [&](auto tag) {
    using T = decltype(tag);
    const auto& kernels = cpu_kernels<T>();
    const int64_t N = w.size(0), K = w.size(1), count = (N + kernels.panel - 1) / kernels.panel;
    panels = at::empty({count, K, kernels.panel}, w.options());
    at::parallel_for(0, count, std::max<int64_t>(1, 65536 / (K * kernels.panel)), [&](int64_t begin, int64_t end) {
      kernels.pack_panels(w.const_data_ptr<T>(), N, K, begin, end, panels.data_ptr<T>());
    });
  });
  return panels;
}

void linear(const Tensor& x, const Tensor& w, const Tensor& panels, const Tensor& y, bool accumulate) {
  if (!has_gemm(x, w)) return reference::linear(x, w, y, accumulate);
  with_scalar(x, [&](auto tag) {
    using T = decltype(tag);
    if (x.size(0) > 0 && x.size(0) < kVeryFewRows) linear_very_few<T>(x, w, y, accumulate);
    else if (panels.defined()) linear_panels<T>(x, w, panels, y, accumulate);
    else if (x.size(0) <= kFewRows) linear_few<T>(x, w, y, accumulate);
    else linear_panels<T>(x, w, pack_linear(w), y, accumulate);
  });
}

void linear_input_grad(const Tensor& d_y, const Tensor& w, const Tensor& d_x) {
  if (!has_gemm(d_y, w)) return reference::linear_input_grad(d_y, w, d_x);
  with_scalar(d_y, [&](auto tag) {
    using T = decltype(tag);
    const int64_t N = w.size(0), K = w.size(1);
    at::parallel_for(0, d_y.size(0), 48, [&](int64_t begin, int64_t end) {
      cpu_kernels<T>().gemm_input_grad(d_y.const_data_ptr<T>() + begin * N, end - begin, N, w.const_data_ptr<T>(), K,
                                       d_x.data_ptr<T>() + begin * K);
    });
  });
}

void linear_weight_grad(const Tensor& d_y, const Tensor& x, const Tensor& d_w) {
  if (!has_gemm(d_y, x) || d_w.scalar_type() != x.scalar_type()) return reference::linear_weight_grad(d_y, x, d_w);
  with_scalar(d_y, [&](auto tag) {
    using T = decltype(tag);
    const int64_t M = x.size(0), N = d_w.size(0), K = d_w.size(1);
    at::parallel_for(0, N, 24, [&](int64_t begin, int64_t end) {
      constexpr int64_t kShare = 512;  // rows whose transposed block stays in the cache
      const Tensor scratch = at::empty({std::min(kShare, end - begin), kWeightGradBlock}, x.options());
      for (int64_t n = begin; n < end; n += kShare)
        cpu_kernels<T>().gemm_weight_grad(d_y.const_data_ptr<T>(), x.const_data_ptr<T>(), M, N, K, n,
                                          std::min(n + kShare, end), d_w.data_ptr<T>(), scratch.data_ptr<T>());
    });
  });
}

namespace reference {

// Products of narrower matrices in fp32, never rounded to theirs, written or added to where they belong: the tensor cores do that in
// one launch and without a copy of a gigabyte of logits or of a weight's gradient. For CUDA alone, and never run on a GPU.
static void write_wide_product(Tensor out, const Tensor& a, const Tensor& b) { at::mm_out(out, a, b, at::kFloat); }
static void add_wide_product(Tensor out, const Tensor& a, const Tensor& b) { at::addmm_out(out, out, a, b, at::kFloat); }

// The same on the CPU, which widens its inputs.
static Tensor widened_product(const Tensor& a, const Tensor& b) { return at::mm(a.to(at::kFloat), b.to(at::kFloat)); }

// y in fp32, x and w narrower.
static void wide_linear(const Tensor& x, const Tensor& w, const Tensor& y, bool accumulate) {
  if (x.is_cuda()) accumulate ? add_wide_product(y, x, w.t()) : write_wide_product(y, x, w.t());
  else if (accumulate) y.add_(at::mm(x, w.t()));
  else y.copy_(widened_product(x, w.t()));
}

void linear(const Tensor& x, const Tensor& w, const Tensor& y, bool accumulate) {
  Tensor out = y;
  if (y.scalar_type() != x.scalar_type()) wide_linear(x, w, y, accumulate);
  else if (accumulate) out.addmm_(x, w.t());
  else at::mm_out(out, x, w.t());
}

void linear_input_grad(const Tensor& d_y, const Tensor& w, const Tensor& d_x) {
  Tensor out = d_x;
  at::mm_out(out, d_y, w);
}

void linear_weight_grad(const Tensor& d_y, const Tensor& x, const Tensor& d_w) {
  if (d_w.scalar_type() == x.scalar_type()) {
    d_w.addmm_(d_y.t(), x);
    return;
  }
  if (x.is_cuda()) return add_wide_product(d_w, d_y.t(), x);
  const int64_t N = d_w.size(0), share = std::max<int64_t>(1, kWideElements / d_w.size(1));  // rows at once
  for (int64_t n = 0; n < N; n += share) {
    const int64_t rows = std::min(share, N - n);
    d_w.narrow(0, n, rows).add_(widened_product(d_y.narrow(1, n, rows).t(), x));
  }
}

}  // namespace reference
}  // namespace icrl
