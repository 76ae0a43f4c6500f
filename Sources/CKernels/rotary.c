#include "rotary.h"

#include "dispatch.h"

CRVQ_DISPATCHED
void crvq_rotary(float *x, size_t rows, size_t stride, size_t heads, size_t half, const float *cosine,
                 const float *sine) {
  for (size_t r = 0; r < rows; r++) {
    const float *restrict c = cosine + r * half;
    const float *restrict s = sine + r * half;
    for (size_t h = 0; h < heads; h++) {
      float *restrict low = x + r * stride + h * 2 * half;
      float *restrict high = low + half;
      for (size_t i = 0; i < half; i++) {
        float a = low[i], b = high[i];
        low[i] = a * c[i] - b * s[i];
        high[i] = b * c[i] + a * s[i];
      }
    }
  }
}
