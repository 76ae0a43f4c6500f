#include "half.h"

#include <string.h>

#include "dispatch.h"

static inline float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t bits_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Branch-free in the vectoriser's eyes: a subnormal half is an integer times 2^-24, everything else a shifted exponent.
CRVQ_DISPATCHED
void crvq_half_to_float(const uint16_t *source, float *destination, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t half = source[i];
    uint32_t sign = (half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    uint32_t normal = (magnitude << 13) + 0x38000000u;
    uint32_t special = (magnitude << 13) | 0x7f800000u;
    uint32_t subnormal = bits_from_float((float)(int32_t)magnitude * 0x1p-24f);
    uint32_t bits = magnitude >= 0x7c00u ? special : normal;
    bits = magnitude < 0x0400u ? subnormal : bits;
    destination[i] = float_from_bits(bits | sign);
  }
}

CRVQ_DISPATCHED
void crvq_float_to_half(const float *source, uint16_t *destination, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = bits_from_float(source[i]);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    // Normal halves: rebias, add half an ulp less one plus the last kept bit, and drop 13 bits.
    uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    // Subnormal halves: adding 0.5 leaves the rounded count of 2^-24 in the low mantissa bits.
    uint32_t subnormal = bits_from_float(float_from_bits(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
    half = magnitude >= 0x477ff000u ? 0x7c00u : half;
    half = magnitude > 0x7f800000u ? nan : half;
    destination[i] = (uint16_t)(half | sign);
  }
}

CRVQ_DISPATCHED
void crvq_bfloat16_to_float(const uint16_t *source, float *destination, size_t count) {
  for (size_t i = 0; i < count; i++) {
    destination[i] = float_from_bits((uint32_t)source[i] << 16);
  }
}
