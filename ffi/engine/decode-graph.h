// Decode steps in a few shapes: a step is padded to the next one, so that its launches can be captured once and replayed. Asked
// for with ICRL_CUDA_GRAPHS=1, off until a GPU has shown it. On a CPU the padding is all there is, for tests.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "capture.h"
#include "decoder.h"

struct icrl_cache;

namespace icrl {

struct CacheStep;

class DecodeGraphs {
 public:
  // Null where nobody asked for graphs.
  static std::unique_ptr<DecodeGraphs> open(const icrl_policy& policy);
  // Steps without prefill, which sample, in a type that flash attention takes; the padded blocks have no fixed shape.
  bool takes(const icrl_policy& policy, const CacheStep& step) const;
  // [3, N or more] of sample_on_device.
  Tensor run(icrl_cache& cache, const CacheStep& step);

 private:
  struct Entry {
    Tensor inputs;   // where the graph reads its integers
    Tensor samples;  // where it writes
    std::unique_ptr<CapturedGraph> graph;  // from the second step of this shape on
  };
  // Graphs hold addresses of the policy's tensors.
  void forget_if_moved(const icrl_policy& policy);

  std::map<std::vector<int64_t>, Entry> entries_;
  GraphPool pool_{0, 0};
  std::vector<const void*> addresses_;
};

}  // namespace icrl
