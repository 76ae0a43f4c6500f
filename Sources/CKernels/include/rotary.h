#pragma once

#include <stddef.h>

/// Rotates pairs (i, i + half) of each head by the angle of (row, i): the half-rotation layout of transformers.
/// x holds `rows` rows of `stride` values, of which the first heads * 2 * half are heads; cosine and sine are [rows, half].
/// Negated sines rotate back, which is also the gradient.
void crvq_rotary(float *x, size_t rows, size_t stride, size_t heads, size_t half, const float *cosine,
                 const float *sine);
