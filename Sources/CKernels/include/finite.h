#pragma once

#include <stddef.h>

/// The index of the first NaN or infinity, or `count` if all values are finite.
size_t crvq_first_nonfinite(const float *values, size_t count);
