#define ICRL_ISA base
#include "table.simd.h"
