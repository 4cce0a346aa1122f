// The C API of icrl.h as bun:ffi sees it. A test compares the two. Arrays and handles are pointers; out-parameters come last.
import type { FFIFunction } from "bun:ffi";

/** The ABI of icrl.h that these symbols describe. */
export const ABI = 3;

const batch = ["i32", "ptr", "ptr", "i32", "ptr", "i32", "ptr", "ptr"] as const;

export const symbols = {
  icrl_abi: { args: [], returns: "i32" },
  icrl_error_message: { args: ["ptr", "i32"], returns: "i32" },
  icrl_torch_version: { args: ["ptr", "i32"], returns: "i32" },
  icrl_cuda_device_count: { args: ["ptr"], returns: "i32" },
  icrl_threads_set: { args: ["i32"], returns: "i32" },
  icrl_counters_read: { args: ["ptr"], returns: "i32" },
  icrl_counters_reset_peak: { args: [], returns: "i32" },
  icrl_memory_limit_set: { args: ["i64"], returns: "i32" },
  icrl_kernel_check: { args: ["ptr", "ptr", "i32", "ptr"], returns: "i32" },

  icrl_device_open: { args: ["i32", "i32", "ptr"], returns: "i32" },
  icrl_device_describe: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  icrl_device_limits: { args: ["ptr", "ptr"], returns: "i32" },
  icrl_device_kernel_load: { args: ["ptr", "ptr", "ptr", "i64", "i32"], returns: "i32" },
  icrl_device_close: { args: ["ptr"], returns: "void" },

  icrl_policy_open: { args: ["ptr", "ptr", "ptr", "i32", "ptr"], returns: "i32" },
  icrl_policy_close: { args: ["ptr"], returns: "void" },
  icrl_policy_randomize: { args: ["ptr", "u32", "f64"], returns: "i32" },
  icrl_policy_tensor_count: { args: ["ptr", "ptr"], returns: "i32" },
  icrl_policy_tensor_describe: { args: ["ptr", "i32", "ptr", "i32", "ptr", "ptr"], returns: "i32" },
  icrl_policy_tensor_write: { args: ["ptr", "ptr", "i32", "ptr", "i64"], returns: "i32" },
  icrl_policy_tensor_read: { args: ["ptr", "ptr", "i32", "ptr", "i64"], returns: "i32" },
  icrl_policy_copy: { args: ["ptr", "ptr"], returns: "i32" },
  icrl_policy_version: { args: ["ptr", "ptr"], returns: "i32" },
  icrl_policy_logprobs: { args: ["ptr", ...batch, "f64", "ptr", "ptr"], returns: "i32" },

  icrl_cache_open: { args: ["ptr", "i32", "i32", "ptr"], returns: "i32" },
  icrl_cache_close: { args: ["ptr"], returns: "void" },
  icrl_cache_reset: { args: ["ptr"], returns: "i32" },
  icrl_cache_forward: {
    args: [
      "ptr", "i32", "ptr", "ptr", "ptr", "i32", "ptr", "i32", "ptr", "i32", "ptr", "ptr", "u32", "f64", "ptr", "ptr", "ptr",
      "ptr",
    ],
    returns: "i32",
  },

  icrl_trainer_open: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  icrl_trainer_close: { args: ["ptr"], returns: "void" },
  icrl_trainer_logprobs: { args: ["ptr", ...batch, "f64", "i32", "ptr", "ptr"], returns: "i32" },
  icrl_trainer_backward: { args: ["ptr", "i32", "ptr", "ptr"], returns: "i32" },
  icrl_trainer_zero: { args: ["ptr"], returns: "i32" },
  icrl_trainer_step: { args: ["ptr", "f64", "f64", "f64", "ptr"], returns: "i32" },
  icrl_trainer_steps_read: { args: ["ptr", "ptr"], returns: "i32" },
  icrl_trainer_steps_write: { args: ["ptr", "i32"], returns: "i32" },
  icrl_trainer_tensor_read: { args: ["ptr", "i32", "ptr", "i32", "ptr", "i64"], returns: "i32" },
  icrl_trainer_tensor_write: { args: ["ptr", "i32", "ptr", "i32", "ptr", "i64"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>;

export type SymbolName = keyof typeof symbols;
