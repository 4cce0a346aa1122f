// How a C++ failure becomes a status of the C API. Nothing may escape into the caller: an exception kills Bun.
#pragma once
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "../icrl.h"

namespace icrl {

// The caller's bug, or a call out of order.
struct InvalidArgument : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void require(bool holds, const char* message) {
  if (!holds) throw InvalidArgument(message);
}

void set_error(const std::string& message);

// An error that is not of memory: of the device where the runtime, a library or (ours, kernels/cuda.cpp) the driver says so.
inline int32_t failure(const std::string& what) {
  set_error(what);
  const bool of_device = what.find("CUDA error") != std::string::npos || what.find("CUDA driver error") != std::string::npos;
  return of_device ? ICRL_STATUS_DEVICE : ICRL_STATUS_INTERNAL;
}

// Nothing here is differentiated by torch, so no operation asks its autograd on the way: a good part of what a launch costs the host.
template <typename F> int32_t guard(F body) noexcept {
  try {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    body();
    return ICRL_STATUS_OK;
  } catch (const InvalidArgument& e) {
    set_error(e.what());
    return ICRL_STATUS_INVALID_ARGUMENT;
  } catch (const std::invalid_argument& e) {
    set_error(e.what());
    return ICRL_STATUS_INVALID_ARGUMENT;
  } catch (const std::bad_alloc&) {
    set_error("out of memory");
    return ICRL_STATUS_OUT_OF_MEMORY;
  } catch (const c10::OutOfMemoryError& e) {
    set_error(e.what_without_backtrace());
    return ICRL_STATUS_OUT_OF_MEMORY;
  } catch (const c10::Error& e) {
    return failure(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return failure(e.what());
  } catch (...) {
    set_error("an unknown exception");
    return ICRL_STATUS_INTERNAL;
  }
}

}  // namespace icrl
