// Our own CUDA kernels (kernels/*.cu, compiled to fatbins where nvcc is): loading them through the driver API, and launching them on
// torch's current stream. Off unless asked for: a kernel is used only where it was loaded with `use`, and until then every operation
// is libtorch's. They serve fp32 and bf16 (attention: fp32 and f16); a double policy never uses them.
//
// No GPU has run this yet. What only a GPU can show is in `driver` of cuda.cpp (the real libcuda) and `current_stream`; all else,
// the launchers' arguments included, runs in tests on CPU tensors through an emulated driver (ICRL_CUDA_DRIVER names it).
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "cpu.h"
#include "geometry.h"

namespace icrl {
struct DeviceGroup;
}

namespace icrl::cuda {

using at::Tensor;

enum class Kernel { rmsnorm, rope, swiglu, logprob, sample, adamw, attention, count };
const char* name_of(Kernel kernel);

// Takes the compiled file of one kernel for a device. use: from now on it replaces libtorch's operations there. Throws
// std::invalid_argument for an unknown name, std::runtime_error with the driver's words where there is none or it refuses.
void load(at::Device device, const std::string& name, const void* bytes, bool use);
bool is_loaded(at::Device device, Kernel kernel);

namespace detail {
extern bool any_used;
bool is_used(const Tensor& t, Kernel kernel);
}  // namespace detail
// Whether this kernel works on this tensor. Costs nothing where none was loaded.
inline bool uses(const Tensor& t, Kernel kernel) { return detail::any_used && detail::is_used(t, kernel); }

// Launches a function of a loaded kernel on the current stream of the device. Each parameter points to an argument.
void launch(at::Device device, Kernel kernel, const std::string& function, const Geometry& geometry, void** parameters);
template <typename... A>
void launch(const Tensor& on, Kernel kernel, const std::string& function, const Geometry& geometry, A... arguments) {
  void* parameters[] = {&arguments...};
  launch(on.device(), kernel, function, geometry, parameters);
}

// The launchers: what the functions of the same names in kernels.h say, for float and bf16.
void rmsnorm(const Tensor& x, const Tensor& w, double eps, const Tensor& y, const Tensor& rstd);
// sum = x + delta (sum may be x), y = norm(sum) * w
void add_rmsnorm(const Tensor& x, const Tensor& delta, const Tensor& w, double eps, const Tensor& sum, const Tensor& y,
                 const Tensor& rstd);
void rmsnorm_backward(const Tensor& x, const Tensor& w, const Tensor& rstd, const Tensor& d_y, const Tensor& d_x,
                      const Tensor& d_w);
void rope(const Tensor& in, const Tensor& out, const Tensor& norm, double eps, const Tensor& rstd, const Tensor& table,
          const Tensor& positions);
void rope_backward(const Tensor& in, const Tensor& d, const Tensor& norm, const Tensor& rstd, const Tensor& d_norm,
                   const Tensor& table, const Tensor& positions);
// qkv[T, (heads + 2 kv_heads) dim]: queries in place; keys and values to slots[T] (int32) of keys, values [slots, kv_heads, dim],
// which are in float, or in f16 where qkv is in bf16.
void rope_cache(const Tensor& qkv, int64_t heads, const Tensor& q_norm, const Tensor& k_norm, double eps, const Tensor& table,
                const Tensor& positions, const Tensor& slots, const Tensor& keys, const Tensor& values);
void swiglu(const Tensor& gate_up, const Tensor& out);
void swiglu_backward(const Tensor& gate_up, const Tensor& d_out, const Tensor& d_gate_up);
void logprob(const Tensor& logits, const Tensor& ids, double temperature, double* logprobs, double* entropies);
void logprob_backward(const Tensor& logits, const Tensor& ids, double temperature, const double* d_logprobs,
                      const double* d_entropies);
// As sample_on_device.
Tensor sample(const Tensor& logits, const Tensor& uniforms, double temperature);

// The numbers of one step of AdamW, after any clipping; as adamw.cu has them.
struct AdamW {
  float decay, beta1, beta2, eps, step_size, root_correction;
  uint32_t noise, noise_next, first;
};
AdamW adamw_options(double learning_rate, double weight_decay, double beta1, double beta2, double eps, int32_t steps);
// Flat tensors of one length; grad and moments in float. master in float beside a bf16 weight; without one the weight itself
// moves, and a bf16 weight is rounded stochastically by the noise of the options.
void adamw(const Tensor& master, const Tensor& weight, const Tensor& grad, const Tensor& first, const Tensor& second,
           const AdamW& options);

// Heads that attention.cu computes on tensor cores, in f16. Others take its plain arithmetic, far slower than flash attention.
inline bool attends_on_cores(int64_t head_dim) { return head_dim == 64 || head_dim == 128; }
// As icrl::varlen_attention, for float and f16; out and lse are in float.
std::pair<Tensor, Tensor> varlen_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DeviceGroup& group,
                                           double scale);

}  // namespace icrl::cuda
