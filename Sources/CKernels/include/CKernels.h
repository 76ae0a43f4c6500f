#pragma once

#include "annealing.h"
#include "beam.h"
#include "codewords.h"
#include "decode.h"
#include "finite.h"
#include "half.h"
#include "rmsnorm.h"
#include "rotary.h"
#include "softmax.h"
#include "swiglu.h"
