#pragma once

#include <stddef.h>

/// y[r, c] <- x[r, c] / sqrt(mean over c of x[r, c]^2 + epsilon) * weight[c]. x and y are [rows, width] and may be the same.
/// `inverse_rms` [rows] receives the factor of each row unless it is null (the backward pass wants it).
void crvq_rmsnorm(const float *x, const float *weight, float epsilon, size_t rows, size_t width, float *y,
                  float *inverse_rms);

/// The gradient of `crvq_rmsnorm`: adds to dx [rows, width] what dy [rows, width] says about x, and to dweight [width]
/// what it says about the weight. inverse_rms [rows] is what the forward pass wrote. dx may not be dy.
void crvq_rmsnorm_backward(const float *x, const float *weight, const float *inverse_rms, const float *dy, size_t rows,
                           size_t width, float *dx, float *dweight);
