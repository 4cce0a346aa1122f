// Chooses the kernels for this machine, once.
#include "cpu.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace icrl {

CpuKernels<float> cpu_kernels_f32_base();
CpuKernels<float> cpu_kernels_f32_avx2();
CpuKernels<float> cpu_kernels_f32_avx512();
CpuKernels<double> cpu_kernels_f64_base();
CpuKernels<double> cpu_kernels_f64_avx2();
CpuKernels<double> cpu_kernels_f64_avx512();

static int best_level() {
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx512) return 2;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
}
// ICRL_ISA=base or avx2 asks for less than the machine has: for tests, and to find out whether an instruction set is to blame.
static int isa_level() {
  const char* asked = std::getenv("ICRL_ISA");
  const int most = !asked ? 2 : std::strcmp(asked, "base") == 0 ? 0 : std::strcmp(asked, "avx2") == 0 ? 1 : 2;
  return std::min(most, best_level());
}

bool wants_cpu_kernels() {
  static const char* asked = std::getenv("ICRL_ISA");
  static const bool wanted = !asked || std::strcmp(asked, "none") != 0;
  return wanted;
}

template <> const CpuKernels<float>& cpu_kernels<float>() {
  static const CpuKernels<float> table = isa_level() == 2   ? cpu_kernels_f32_avx512()
                                         : isa_level() == 1 ? cpu_kernels_f32_avx2()
                                                            : cpu_kernels_f32_base();
  return table;
}
template <> const CpuKernels<double>& cpu_kernels<double>() {
  static const CpuKernels<double> table = isa_level() == 2   ? cpu_kernels_f64_avx512()
                                          : isa_level() == 1 ? cpu_kernels_f64_avx2()
                                                             : cpu_kernels_f64_base();
  return table;
}

}  // namespace icrl
