// The table of one instruction set. ICRL_ISA names it.
#pragma once
#include "attention-backward.simd.h"
#include "attention.simd.h"
#include "gemm.simd.h"
#include "rows.simd.h"

#define ICRL_TEXT_(x) #x
#define ICRL_TEXT(x) ICRL_TEXT_(x)
#define ICRL_JOIN_(a, b) a##b
#define ICRL_JOIN(a, b) ICRL_JOIN_(a, b)

namespace icrl {
template <typename T> static CpuKernels<T> table() {
  return {ICRL_TEXT(ICRL_ISA), rmsnorm<T>,   rmsnorm_backward<T>, rope<T>,
          rope_backward<T>,    swiglu<T>,    swiglu_backward<T>,  attention_scratch<T>,
          attention<T>,        attention_backward<T>, logprob<T>, logprob_backward<T>,
          sample<T>,           kPanel<T>,             pack_panels<T>,       gemm_panels<T>,
          gemm_few<T>,         gemm_very_few<T>,      add_transposed<T>,    gemm_input_grad<T>,
          gemm_weight_grad<T>, transpose<T>};
}
CpuKernels<float> ICRL_JOIN(cpu_kernels_f32_, ICRL_ISA)() { return table<float>(); }
CpuKernels<double> ICRL_JOIN(cpu_kernels_f64_, ICRL_ISA)() { return table<double>(); }
}  // namespace icrl
