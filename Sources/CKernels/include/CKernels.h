#pragma once

#include "codewords.h"
#include "decode.h"
#include "half.h"
