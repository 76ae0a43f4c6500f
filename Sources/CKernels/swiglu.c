#include "swiglu.h"

#include "dispatch.h"
#include "exponential_lane.h"

CRVQ_DISPATCHED
void crvq_swiglu(float *gate, const float *up, size_t count) {
  for (size_t i = 0; i < count; i++) gate[i] = gate[i] / (1.0f + crvq_exp_lane(-gate[i])) * up[i];
}

CRVQ_DISPATCHED
void crvq_swiglu_backward(float *restrict gate, float *restrict up, float *restrict upstream, size_t count) {
  for (size_t i = 0; i < count; i++) {
    float g = gate[i], u = up[i], d = upstream[i];
    float sigmoid = 1.0f / (1.0f + crvq_exp_lane(-g));
    float silu = g * sigmoid;
    gate[i] = d * u * (sigmoid + silu * (1.0f - sigmoid));
    up[i] = d * silu;
    upstream[i] = silu * u;
  }
}
