#include "rmsnorm.h"

#include <math.h>

#include "dispatch.h"

CRVQ_DISPATCHED
void crvq_rmsnorm(const float *x, const float *weight, float epsilon, size_t rows, size_t width, float *y,
                  float *inverse_rms) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++) {
    const float *source = x + r * width;
    float *target = y + r * width;
    float squares = 0;
    for (size_t c = 0; c < width; c++) squares += source[c] * source[c];
    float factor = 1.0f / sqrtf(squares / (float)width + epsilon);
    for (size_t c = 0; c < width; c++) target[c] = source[c] * factor * weight[c];
    if (inverse_rms) inverse_rms[r] = factor;
  }
}
