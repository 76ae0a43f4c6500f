#pragma once

#include <stddef.h>
#include <stdint.h>

/// Widens `count` IEEE 754 binary16 values to binary32. Exact for every input, subnormals and NaN payloads included.
void crvq_half_to_float(const uint16_t *source, float *destination, size_t count);

/// Narrows `count` binary32 values to binary16, rounding to nearest, ties to even; overflow becomes infinity.
void crvq_float_to_half(const float *source, uint16_t *destination, size_t count);

/// Widens `count` bfloat16 values to binary32. Exact.
void crvq_bfloat16_to_float(const uint16_t *source, float *destination, size_t count);
