#define ICRL_ISA avx512
#include "table.simd.h"
