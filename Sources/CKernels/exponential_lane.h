#pragma once

#include <stdint.h>
#include <string.h>

// exp(x) in single precision, branch-free so that loops over it vectorise.
//
// x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by the degree-6 polynomial of Cephes' expf, times 2^n put into the exponent
// bits. Relative error below 1.2e-7 (1 ulp) for x in [-87.3, 88]. Below that the result is 0, above it exp(88); NaN stays NaN.
static inline __attribute__((always_inline)) float crvq_exp_lane(float x) {
  float clamped = x < -87.3f ? -87.3f : x;
  clamped = clamped > 88.0f ? 88.0f : clamped;
  // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits of the mantissa.
  float shifted = clamped * 1.44269504088896341f + 12582912.0f;
  float n = shifted - 12582912.0f;
  uint32_t exponent;
  memcpy(&exponent, &shifted, sizeof exponent);
  exponent = (exponent - 0x4b400000u + 127u) << 23;
  float power;
  memcpy(&power, &exponent, sizeof power);
  // ln 2 in two parts: n times the first is exact.
  float r = clamped - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return x < -87.3f ? 0.0f : p * power;
}
