#pragma once

#include <stddef.h>

/// y[r, c] <- x[r, c] / sqrt(mean over c of x[r, c]^2 + epsilon) * weight[c]. x and y are [rows, width] and may be the same.
/// `inverse_rms` [rows] receives the factor of each row unless it is null (the backward pass wants it).
void crvq_rmsnorm(const float *x, const float *weight, float epsilon, size_t rows, size_t width, float *y,
                  float *inverse_rms);
