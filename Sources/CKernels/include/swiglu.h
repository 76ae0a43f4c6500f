#pragma once

#include <stddef.h>

/// gate[i] <- gate[i] / (1 + exp(-gate[i])) * up[i]. In place, because a third pointer that may alias stays scalar.
void crvq_swiglu(float *gate, const float *up, size_t count);

/// The gradient of `crvq_swiglu`, in place: `upstream` holds the gradient of the result and receives the result itself;
/// gate and up, as they were before the forward pass, receive their gradients.
void crvq_swiglu_backward(float *gate, float *up, float *upstream, size_t count);
