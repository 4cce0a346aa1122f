// Adds up what the blocks of a weight gradient have summed, always in the same order: atomics would make it depend on the machine.
#pragma once
#include "device.cuh"

// partial[shares, dim], added to sums[dim]. A block takes 32 columns; its 8 warps take every 8th share.
extern "C" __global__ void __launch_bounds__(256) sum_shares(const float* partial, int shares, int dim, float* sums) {
  DYNAMIC_SHARED(shared);
  float* of_warp = reinterpret_cast<float*>(shared);  // [8][32]
  const int lane = icrl::lane_id(), warp = icrl::warp_id(), column = blockIdx.x * 32 + lane;
  float sum = 0;
  if (column < dim)
    for (int s = warp; s < shares; s += 8) sum += partial[int64_t(s) * dim + column];
  of_warp[warp * 32 + lane] = sum;
  __syncthreads();
  if (warp != 0 || column >= dim) return;
  for (int i = 1; i < 8; i++) sum += of_warp[i * 32 + lane];
  sums[column] += sum;
}
