#pragma once

#include <stddef.h>

/// gate[i] <- gate[i] / (1 + exp(-gate[i])) * up[i]. In place, because a third pointer that may alias stays scalar.
void crvq_swiglu(float *gate, const float *up, size_t count);
