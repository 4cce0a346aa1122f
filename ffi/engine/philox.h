// Counter-based noise: Philox 4x32-10 (Salmon et al. 2011). A number depends on its name only, never on what was drawn before.
#pragma once
#include <cstdint>

namespace icrl {

// stream: group, sample, position. In (0, 1), 32 bits.
inline double philox_uniform(uint32_t seed, const int32_t* stream) {
  uint32_t c[4] = {uint32_t(stream[2]), uint32_t(stream[1]), uint32_t(stream[0]), 0};
  uint32_t key[2] = {seed, 0};
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t(0xD2511F53u) * c[0], b = uint64_t(0xCD9E8D57u) * c[2];
    const uint32_t next[4] = {uint32_t(b >> 32) ^ c[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ key[1], uint32_t(a)};
    for (int i = 0; i < 4; i++) c[i] = next[i];
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return (double(c[0]) + 0.5) / 4294967296.0;
}

}  // namespace icrl
