#include "softmax.h"

#include "dispatch.h"
#include "exponential_lane.h"

// A running maximum a lane: the language fixes the order of comparisons of a plain loop, which then stays scalar.
CRVQ_DISPATCHED
float crvq_maximum(const float *values, size_t count) {
  enum { lanes = 32 };
  float best = values[0];
  size_t i = 0;
  if (count >= lanes) {
    float lane[lanes];
    for (size_t j = 0; j < lanes; j++) lane[j] = values[j];
    for (i = lanes; i + lanes <= count; i += lanes) {
      for (size_t j = 0; j < lanes; j++) lane[j] = values[i + j] > lane[j] ? values[i + j] : lane[j];
    }
    for (size_t j = 0; j < lanes; j++) best = lane[j] > best ? lane[j] : best;
  }
  for (; i < count; i++) best = values[i] > best ? values[i] : best;
  return best;
}

CRVQ_DISPATCHED
float crvq_exp_shifted(float *values, size_t count, float shift) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (size_t i = 0; i < count; i++) {
    float value = crvq_exp_lane(values[i] - shift);
    values[i] = value;
    sum += value;
  }
  return sum;
}

CRVQ_DISPATCHED
float crvq_sum_exp_shifted(const float *values, size_t count, float shift) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (size_t i = 0; i < count; i++) sum += crvq_exp_lane(values[i] - shift);
  return sum;
}

CRVQ_DISPATCHED
void crvq_softmax_backward(const float *restrict probability, float *restrict upstream, size_t count, float shift) {
  for (size_t i = 0; i < count; i++) upstream[i] = probability[i] * (upstream[i] - shift);
}

CRVQ_DISPATCHED
void crvq_scale(float *values, size_t count, float factor) {
  for (size_t i = 0; i < count; i++) values[i] *= factor;
}
