#include "swiglu.h"

#include "dispatch.h"
#include "exponential_lane.h"

CRVQ_DISPATCHED
void crvq_swiglu(float *gate, const float *up, size_t count) {
  for (size_t i = 0; i < count; i++) gate[i] = gate[i] / (1.0f + crvq_exp_lane(-gate[i])) * up[i];
}
