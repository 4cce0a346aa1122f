// What the programs share that run one kernel under the emulator: random data, the three orders, and the comparison with plain
// loops in double. A program prints one line a check, "<error> <bound> <name>", and exits with 1 when one is out of bounds.
#pragma once
#include <cstdio>

#include "../../kernels/geometry.h"
#include "emulator.h"
// The kernel's own source comes next, in the program.
#include "../../kernels/device.cuh"

using icrl::bf16;
using icrl::narrow;
using icrl::widen;
using icrl::cuda::Geometry;

struct Checks {
  bool ok = true;
  std::mt19937 random{7};

  double normal() { return std::normal_distribution<double>()(random); }
  int below(int end) { return static_cast<int>(random() % unsigned(end)); }

  void claim(const std::string& name, double error, double bound) {
    const bool holds = error <= bound;  // NaN does not
    ok = ok && holds;
    std::printf("%.3g %g %s%s\n", error, bound, name.c_str(), holds ? "" : " FAILED");
  }
};

// An array of exactly its size, so that the sanitizer sees the first access beyond it. Vectors of 16 bytes may start at it, unless
// `shift` elements are left out first.
template <typename T> struct Array {
  std::shared_ptr<unsigned char[]> memory;
  T* data = nullptr;
  size_t n = 0;

  explicit Array(size_t count, size_t shift = 0) : n(count) {
    const size_t bytes = (count + shift) * sizeof(T);
    memory.reset(new unsigned char[bytes + (bytes == 0)]);
    memset(memory.get(), 0xff, bytes);  // NaN
    data = reinterpret_cast<T*>(memory.get()) + shift;
  }
  Array copy(size_t shift = 0) const {
    Array out(n, shift);
    memcpy(out.data, data, n * sizeof(T));
    return out;
  }
  bool same(const Array& other) const { return memcmp(data, other.data, n * sizeof(T)) == 0; }
  T& operator[](size_t i) const { return data[i]; }
  operator T*() const { return data; }
};

template <typename T> double wide(T x) { return widen(x); }
template <typename T> Array<T> random_array(Checks& c, size_t n, double scale = 1, size_t shift = 0) {
  Array<T> out(n, shift);
  for (size_t i = 0; i < n; i++) out[i] = narrow<T>(float(c.normal() * scale));
  return out;
}
template <typename T> std::vector<double> doubles(const Array<T>& a) {
  std::vector<double> out(a.n);
  for (size_t i = 0; i < a.n; i++) out[i] = wide(a[i]);
  return out;
}

// ||got - want|| / ||want||
template <typename T> double relative_error(const Array<T>& got, const std::vector<double>& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < want.size(); i++) {
    difference += (wide(got[i]) - want[i]) * (wide(got[i]) - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / (norm > 0 ? norm : 1));
}

// Rounding of one result: fp32, or bf16's 2^-9 at most.
template <typename T> constexpr double kBound = sizeof(T) == 2 ? 3e-3 : 3e-6;
template <typename T> const char* type_name() { return sizeof(T) == 2 ? "bf16" : "f32"; }

template <typename... P, typename... A> void launch(emulator::Order order, void (*kernel)(P...), const Geometry& g, A... arguments) {
  emulator::launch(order, kernel, dim3{g.x, g.y, 1}, g.threads, g.shared, arguments...);
}

// Runs `body(order)` in all three orders; it returns what it wrote. The results must be the same to the bit; the first is returned.
template <typename F> auto in_every_order(Checks& c, const std::string& name, F body) {
  using emulator::Order;
  auto first = body(Order::forwards);
  for (const Order order : {Order::backwards, Order::shuffled}) {
    const auto other = body(order);
    const bool same = std::apply(
        [&](const auto&... a) { return std::apply([&](const auto&... b) { return (a.same(b) && ...); }, other); }, first);
    c.claim(name + (order == Order::backwards ? ", backwards" : ", shuffled"), same ? 0 : 1, 0);
  }
  return first;
}
