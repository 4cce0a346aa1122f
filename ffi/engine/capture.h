// A recorded sequence of launches that is replayed as one. Never run: it needs a CUDA device.
#pragma once
#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <utility>

namespace icrl {

// Who shares a pool shares memory; graphs of one pool are never replayed at the same time here.
using GraphPool = std::pair<unsigned long long, unsigned long long>;

class CapturedGraph {
 public:
  virtual ~CapturedGraph() = default;
  virtual void begin(GraphPool pool) = 0;  // {0, 0}: a pool of its own
  virtual void end() = 0;
  virtual void replay() = 0;
  virtual GraphPool pool() = 0;
};

// Whether this libtorch, with its CUDA half loaded, can capture.
bool can_capture();
// Runs work once on a stream of its own and records what it launches; nothing of it is computed. It must not wait for the
// device, and memory that it leaves behind belongs to the graph.
std::unique_ptr<CapturedGraph> capture(c10::Device device, GraphPool pool, const std::function<void()>& work);

}  // namespace icrl
