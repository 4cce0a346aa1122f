// How a kernel over tensors reaches the CPU table: dtype dispatch and splitting rows over torch's threads.
#pragma once
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include "cpu.h"

namespace icrl {

inline bool has_cpu_kernel(const at::Tensor& t) {
  return wants_cpu_kernels() && t.device().is_cpu() && (t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble);
}

// Calls body(type tag) with float or double.
template <typename F> inline void with_scalar(const at::Tensor& t, F body) {
  if (t.scalar_type() == at::kDouble) body(double{});
  else body(float{});
}

// Rows in contiguous shares, one a thread, none smaller than waking a thread costs (about 20 us).
template <typename F> inline void parallel_rows(int64_t rows, int64_t row_elements, F body) {
  const int64_t grain = std::max<int64_t>(1, 131072 / std::max<int64_t>(1, row_elements));
  at::parallel_for(0, rows, grain, body);
}

// Tasks in contiguous shares of about equal cost, one a thread; body(share, first task, end task).
template <typename F> inline void parallel_shares(const std::vector<int64_t>& costs, int64_t shares, F body) {
  int64_t total = 0;
  for (int64_t c : costs) total += c;
  std::vector<int64_t> bounds(shares + 1, static_cast<int64_t>(costs.size()));
  int64_t sum = 0, next = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(costs.size()); i++) {
    while (next < shares && sum * shares >= next * total) bounds[next++] = i;
    sum += costs[i];
  }
  bounds[0] = 0;
  at::parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; s++) body(s, bounds[s], bounds[s + 1]);
  });
}

}  // namespace icrl
