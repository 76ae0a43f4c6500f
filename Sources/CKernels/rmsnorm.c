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

// With u = x * r and r = inverse rms: dx = r * (dy * w - u * mean(dy * w * u)), dw = sum over rows of dy * u.
CRVQ_DISPATCHED
void crvq_rmsnorm_backward(const float *x, const float *weight, const float *inverse_rms, const float *dy, size_t rows,
                           size_t width, float *dx, float *dweight) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++) {
    const float *source = x + r * width;
    const float *upper = dy + r * width;
    float *lower = dx + r * width;
    float factor = inverse_rms[r];
    float product = 0;
    for (size_t c = 0; c < width; c++) product += upper[c] * weight[c] * source[c];
    float pull = product * factor * factor / (float)width;
    for (size_t c = 0; c < width; c++) {
      lower[c] += factor * (upper[c] * weight[c] - source[c] * pull);
      dweight[c] += upper[c] * source[c] * factor;
    }
  }
}
