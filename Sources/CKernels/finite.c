#include "finite.h"

#include <stdint.h>
#include <string.h>

#include "dispatch.h"

static inline __attribute__((always_inline)) uint32_t is_nonfinite(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (bits & 0x7f800000u) == 0x7f800000u;
}

CRVQ_DISPATCHED
size_t crvq_first_nonfinite(const float *values, size_t count) {
  enum { chunk = 1024 };
  for (size_t start = 0; start < count; start += chunk) {
    size_t end = count - start < chunk ? count : start + chunk;
    uint32_t found = 0;
    for (size_t i = start; i < end; i++) found |= is_nonfinite(values[i]);
    if (!found) continue;
    for (size_t i = start; i < end; i++) {
      if (is_nonfinite(values[i])) return i;
    }
  }
  return count;
}
