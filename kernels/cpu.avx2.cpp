#define ICRL_ISA avx2
#include "table.simd.h"
