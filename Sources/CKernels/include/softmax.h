#pragma once

#include <stddef.h>

/// The largest of `count` >= 1 values.
float crvq_maximum(const float *values, size_t count);

/// values[i] <- exp(values[i] - shift), relative error below 1.2e-7; 0 below -87.3, exp(88) above 88. Returns the sum of the
/// results.
float crvq_exp_shifted(float *values, size_t count, float shift);

/// The sum of exp(values[i] - shift). Leaves the values alone.
float crvq_sum_exp_shifted(const float *values, size_t count, float shift);

/// The gradient of a softmax row: upstream[i] <- probability[i] * (upstream[i] - shift), where the shift is the sum of
/// probability * upstream over the whole row.
void crvq_softmax_backward(const float *probability, float *upstream, size_t count, float shift);

/// values[i] <- values[i] * factor.
void crvq_scale(float *values, size_t count, float factor);
