// Runs CUDA kernels on the CPU, so that they are tested where there is no GPU: a .cu file compiled as C++ after this header.
// The threads of a block are fibers; a fiber runs until a barrier, a shuffle or its end, then another one does. Blocks run one
// after the other. What it finds: wrong results, barriers that not all threads reach, reads of shared memory that nobody wrote
// (it starts as NaN), copies used before their wait, and, since fibers and blocks run forwards, backwards and shuffled, results
// that depend on the order. With the sanitizers of the compiler also accesses out of bounds and vectors out of alignment.
// What it is not: a model of time, of memory order between blocks, or of the rounding of the device's own exp and log.
#pragma once
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace emulator {

enum class Order { forwards, backwards, shuffled };

// A copy into shared memory that has been asked for and not waited for.
struct PendingCopy {
  void* to;
  const void* from;
  size_t bytes;
  int group;
};

enum class State { ready, at_block_barrier, at_warp_barrier, done };

struct Fiber {
  ucontext_t context;  // of its first entry
  void* resume[5];     // of every later one
  bool started = false;
  std::unique_ptr<char[]> stack;
  void* fake_stack = nullptr;
  State state = State::ready;
  unsigned thread = 0;
  int shuffles = 0;  // so far; its parity names the buffer
  std::vector<PendingCopy> copies;
  int copy_groups = 0;
};

struct Warp {
  unsigned char slots[2][32][32];
};

struct Machine {
  dim3 grid, block, block_index;
  std::vector<Fiber> fibers;  // at least `threads`; they stay from launch to launch
  unsigned threads = 0;
  std::vector<Warp> warps;
  std::unique_ptr<unsigned char[]> shared;
  const std::function<void()>* body = nullptr;
  Fiber* current = nullptr;
  void* scheduler_resume[5];
  const void* scheduler_stack = nullptr;
  size_t scheduler_bytes = 0;
};
inline Machine machine;

constexpr size_t kStackBytes = 128 << 10;

inline void enter_fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(machine.current->fake_stack, &machine.scheduler_stack, &machine.scheduler_bytes);
#endif
}

// What a function leaves for another fiber the compiler must not see through: everything may have changed when it comes back.
#if defined(__GNUC__) && !defined(__clang__)
#define EMULATOR_OPAQUE __attribute__((noipa))
#else
#define EMULATOR_OPAQUE __attribute__((noinline, optnone))
#endif

// swapcontext asks the kernel to save a signal mask, which costs a hundred times the switch itself.
// The two builtins may not stand in one function.
EMULATOR_OPAQUE inline void go(void** to) { __builtin_longjmp(to, 1); }
EMULATOR_OPAQUE inline void jump(void** save, void** to) {
  if (__builtin_setjmp(save) == 0) go(to);
}

// From a fiber to the scheduler.
inline void leave_fiber(State state) {
  Fiber& fiber = *machine.current;
  fiber.state = state;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fiber.fake_stack, machine.scheduler_stack, machine.scheduler_bytes);
#endif
  jump(fiber.resume, machine.scheduler_resume);
  enter_fiber();
}

// A fiber runs the kernel once a block, and then waits for the next.
inline void fiber_main() {
  enter_fiber();
  for (;;) {
    (*machine.body)();
    leave_fiber(State::done);
  }
}

EMULATOR_OPAQUE inline void enter_first(Fiber& fiber) {
  if (__builtin_setjmp(machine.scheduler_resume) == 0) setcontext(&fiber.context);
}

inline void run(Fiber& fiber) {
  machine.current = &fiber;
#if defined(__SANITIZE_ADDRESS__)
  void* own = nullptr;
  __sanitizer_start_switch_fiber(&own, fiber.stack.get(), kStackBytes);
#endif
  if (fiber.started) jump(machine.scheduler_resume, fiber.resume);
  else fiber.started = true, enter_first(fiber);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#endif
}

inline void make(Fiber& fiber, unsigned thread) {
  fiber.thread = thread;
  fiber.stack.reset(new char[kStackBytes]);
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fiber_main, 0);
}

inline void start_block(Fiber& fiber) {
  fiber.state = State::ready;
  fiber.shuffles = fiber.copy_groups = 0;
  fiber.copies.clear();
}

// Lets go what waits for a barrier that all have reached; throws where no barrier can ever be complete.
inline bool release() {
  const auto all = [](size_t begin, size_t end, State state) {
    for (size_t i = begin; i < end; i++)
      if (machine.fibers[i].state != state) return false;
    for (size_t i = begin; i < end; i++) machine.fibers[i].state = State::ready;
    return true;
  };
  const size_t n = machine.threads;
  if (all(0, n, State::at_block_barrier)) return true;
  bool any = false;
  for (size_t warp = 0; warp < n; warp += 32)
    if (machine.fibers[warp].state == State::at_warp_barrier) any = all(warp, warp + 32, State::at_warp_barrier) || any;
  if (any) return true;
  for (size_t i = 0; i < n; i++)
    if (machine.fibers[i].state != State::done)
      throw std::runtime_error("thread " + std::to_string(i) + " waits at a barrier that others never reach");
  return false;
}

template <typename T> void arrange(std::vector<T>& items, Order order, std::mt19937& random) {
  if (order == Order::backwards) std::reverse(items.begin(), items.end());
  if (order == Order::shuffled) std::shuffle(items.begin(), items.end(), random);
}

inline void run_block(Order order, std::mt19937& random) {
  std::vector<unsigned> turns(machine.threads);
  for (unsigned i = 0; i < turns.size(); i++) start_block(machine.fibers[turns[i] = i]);
  arrange(turns, order, random);
  do {
    for (const unsigned i : turns)
      if (machine.fibers[i].state == State::ready) run(machine.fibers[i]);
  } while (release());
}

// kernel<<<grid, block, shared>>>(arguments), in an order of threads and blocks.
template <typename... P, typename... A>
void launch(Order order, void (*kernel)(P...), dim3 grid, unsigned threads, size_t shared, A... arguments) {
  if (threads == 0 || threads % 32 != 0 || threads > 1024) throw std::runtime_error("a block is not of whole warps");
  const std::function<void()> body = [&] { kernel(static_cast<P>(arguments)...); };
  machine.grid = grid;
  machine.block = {threads, 1, 1};
  machine.body = &body;
  machine.threads = threads;
  if (machine.fibers.size() < threads) {
    machine.fibers = std::vector<Fiber>(threads);
    for (unsigned i = 0; i < threads; i++) make(machine.fibers[i], i);
  }
  machine.warps.resize(threads / 32);
  std::mt19937 random(threads + grid.x);
  std::vector<dim3> blocks;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) blocks.push_back({x, y, z});
  arrange(blocks, order, random);
  for (const dim3& index : blocks) {
    machine.block_index = index;
    machine.shared.reset(new unsigned char[shared + (shared == 0)]);
    memset(machine.shared.get(), 0xff, shared);
    run_block(order, random);
  }
}

inline unsigned char* dynamic_shared() { return machine.shared.get(); }

// Every lane gives a value and receives all of its warp's.
template <typename T> const unsigned char (*exchange(const T& value))[32] {
  static_assert(sizeof(T) <= 32);
  Fiber& fiber = *machine.current;
  auto& slots = machine.warps[fiber.thread / 32].slots[fiber.shuffles++ % 2];
  memcpy(slots[fiber.thread % 32], &value, sizeof(T));
  leave_fiber(State::at_warp_barrier);
  return slots;
}

struct ThreadIndex {
  struct X {
    operator unsigned() const { return machine.current->thread; }
  } x;
};

}  // namespace emulator

inline emulator::ThreadIndex threadIdx;
#define blockIdx (emulator::machine.block_index)
#define blockDim (emulator::machine.block)
#define gridDim (emulator::machine.grid)

inline void __syncthreads() { emulator::leave_fiber(emulator::State::at_block_barrier); }
inline void __syncwarp() { emulator::leave_fiber(emulator::State::at_warp_barrier); }

template <typename T> T __shfl_sync(unsigned mask, T value, int lane) {
  if (mask != 0xffffffffu) throw std::runtime_error("a shuffle of a part of a warp");
  const auto* slots = emulator::exchange(value);
  T out;
  memcpy(&out, slots[lane & 31], sizeof(T));
  return out;
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int bits) {
  return __shfl_sync(mask, value, int(threadIdx.x & 31) ^ bits);
}
// Below the first lane a thread keeps its own value.
template <typename T> T __shfl_up_sync(unsigned mask, T value, int distance) {
  const int lane = int(threadIdx.x & 31);
  return __shfl_sync(mask, value, lane < distance ? lane : lane - distance);
}
inline bool __any_sync(unsigned mask, bool value) {
  if (mask != 0xffffffffu) throw std::runtime_error("a vote of a part of a warp");
  const auto* slots = emulator::exchange(value);
  for (int i = 0; i < 32; i++)
    if (slots[i][0]) return true;
  return false;
}

template <typename To, typename From> To bits_as(From from) {
  To to;
  static_assert(sizeof(To) == sizeof(From));
  memcpy(&to, &from, sizeof(To));
  return to;
}
inline float __uint_as_float(uint32_t bits) { return bits_as<float>(bits); }
inline uint32_t __float_as_uint(float x) { return bits_as<uint32_t>(x); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline uint32_t __umulhi(uint32_t a, uint32_t b) { return uint32_t((uint64_t(a) * b) >> 32); }
using std::max;
using std::min;
inline int atomicMin(int* address, int value) {
  const int old = *address;
  *address = min(old, value);
  return old;
}
inline int atomicMax(int* address, int value) {
  const int old = *address;
  *address = max(old, value);
  return old;
}
