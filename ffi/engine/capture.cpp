// libtorch 2.13 and newer have a graph for any accelerator. 2.11 has CUDA's only, whose header needs CUDA's own, so that class
// is reached by its exported names; they are looked up when first asked for, as a processor's libtorch has none of them.
#include "capture.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/accelerator/Graph.h>
#define ICRL_ACCELERATOR_GRAPH 1
#else
#include <dlfcn.h>
#endif

namespace icrl {
namespace {

#ifdef ICRL_ACCELERATOR_GRAPH

class AcceleratorGraph final : public CapturedGraph {
 public:
  void begin(GraphPool pool) override { graph_.capture_begin(pool); }
  void end() override { graph_.capture_end(); }
  void replay() override { graph_.replay(); }
  GraphPool pool() override { return graph_.pool(); }

 private:
  at::accelerator::Graph graph_;
};
std::unique_ptr<CapturedGraph> make_graph() { return std::make_unique<AcceleratorGraph>(); }

#else

// at::cuda::CUDAGraph of 2.11: (bool keep_graph), capture_begin(pool, cudaStreamCaptureMode), and so on.
struct CudaGraphCalls {
  void (*construct)(void*, bool);
  void (*destroy)(void*);
  void (*begin)(void*, GraphPool, int);
  void (*end)(void*);
  void (*replay)(void*);
  GraphPool (*pool)(void*);

  CudaGraphCalls() {
    const auto find = [](auto& call, const char* name) {
      call = reinterpret_cast<std::remove_reference_t<decltype(call)>>(dlsym(RTLD_DEFAULT, name));
    };
    find(construct, "_ZN2at4cuda9CUDAGraphC1Eb");
    find(destroy, "_ZN2at4cuda9CUDAGraphD1Ev");
    find(begin, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
    find(end, "_ZN2at4cuda9CUDAGraph11capture_endEv");
    find(replay, "_ZN2at4cuda9CUDAGraph6replayEv");
    find(pool, "_ZN2at4cuda9CUDAGraph4poolEv");
  }
  bool complete() const { return construct && destroy && begin && end && replay && pool; }
};
const CudaGraphCalls& cuda_graph_calls() {
  static const CudaGraphCalls calls;
  return calls;
}

constexpr size_t kGraphBytes = 4096;  // the object takes a few hundred
constexpr int kCaptureModeGlobal = 0;

class CudaGraph final : public CapturedGraph {
 public:
  CudaGraph() { cuda_graph_calls().construct(object_, false); }
  ~CudaGraph() override { cuda_graph_calls().destroy(object_); }
  void begin(GraphPool pool) override { cuda_graph_calls().begin(object_, pool, kCaptureModeGlobal); }
  void end() override { cuda_graph_calls().end(object_); }
  void replay() override { cuda_graph_calls().replay(object_); }
  GraphPool pool() override { return cuda_graph_calls().pool(object_); }

 private:
  alignas(64) unsigned char object_[kGraphBytes];
};
std::unique_ptr<CapturedGraph> make_graph() { return std::make_unique<CudaGraph>(); }

#endif

// The current stream is another one while this lives: the default stream cannot be captured.
class SideStream {
 public:
  explicit SideStream(c10::Device device)
      : guard_(device.type()), before_(guard_.exchangeStream(guard_.getStreamFromGlobalPool(device))) {}
  ~SideStream() { guard_.exchangeStream(before_); }
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;

 private:
  c10::impl::VirtualGuardImpl guard_;
  c10::Stream before_;
};

}  // namespace

bool can_capture() {
#ifdef ICRL_ACCELERATOR_GRAPH
  return at::accelerator::getAccelerator() == at::kCUDA;
#else
  return cuda_graph_calls().complete();
#endif
}

std::unique_ptr<CapturedGraph> capture(c10::Device device, GraphPool pool, const std::function<void()>& work) {
  TORCH_CHECK(can_capture(), "this libtorch cannot capture graphs");
  at::accelerator::synchronizeDevice(device.index());
  const SideStream side(device);
  std::unique_ptr<CapturedGraph> graph = make_graph();
  graph->begin(pool);
  try {
    work();
  } catch (...) {
    graph->end();
    throw;
  }
  graph->end();
  return graph;
}

}  // namespace icrl
