#include "annealing.h"

#include "dispatch.h"
#include "nearest.h"

// SplitMix64's finaliser over a place: eight uniform bytes a call.
ALWAYS uint64_t mix(uint64_t key, size_t row, size_t group, size_t half) {
  uint64_t z = key ^ ((uint64_t)row * 0x9e3779b97f4a7c15u) ^ ((uint64_t)(2 * group + half) * 0xd1b54a32d192ed03u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// A uniform byte less its mean, over its standard deviation.
ALWAYS void add_noise(float *query, const size_t d, float noise, uint64_t key, size_t row, size_t group) {
  const float unit = noise / 73.9f;
  for (size_t start = 0; start < d; start += 8) {
    uint64_t bytes = mix(key, row, group, start / 8);
    for (size_t t = 0; t < (d < 8 ? d : 8); t++) {
      query[start + t] += unit * ((float)(int32_t)((bytes >> (8 * t)) & 255) - 127.5f);
    }
  }
}

void crvq_add_noise(float *queries, size_t n, size_t d, float noise, uint64_t key, size_t first_row, size_t group) {
  for (size_t i = 0; i < n; i++) add_noise(queries + i * d, d, noise, key, first_row + i, group);
}

// Rows that go through all groups together: their part of y stays in the first cache, and rows of H are read once for all.
enum { TILE = 16 };

ALWAYS void change(const struct crvq_block *b, const size_t d, size_t g, float scale, const float *from, const float *to,
                   float *y, float *e) {
  float delta[16];
  for (size_t t = 0; t < d; t++) {
    delta[t] = scale * (from[t] - to[t]);
    e[g * d + t] += delta[t];
  }
  const float *h = b->h + g * d * b->ldh;
  size_t columns = b->groups * d;
  size_t c = 0;
  for (; c + 16 <= columns; c += 16) {
    lanes sum = *(const lanes *)(y + c);
#pragma clang loop unroll(full)
    for (size_t t = 0; t < d; t++) sum = sum + *(const lanes *)(h + t * b->ldh + c) * delta[t];
    *(lanes *)(y + c) = sum;
  }
  for (; c < columns; c++) {
    float sum = y[c];
    for (size_t t = 0; t < d; t++) sum = sum + h[t * b->ldh + c] * delta[t];
    y[c] = sum;
  }
}

ALWAYS void anneal(const struct crvq_block *b, const size_t d, size_t n, const float *scale, const float *inverse_scale,
                   float *y, size_t ldy, float *e, size_t lde, uint16_t *codes, size_t ldc, size_t sweeps, float noise,
                   uint64_t key, size_t first_row, size_t first_group) {
  for (size_t top = 0; top < n; top += TILE) {
    size_t bottom = top + TILE < n ? top + TILE : n;
    for (size_t sweep = 0; sweep < sweeps; sweep++) {
      uint64_t sweep_key = key + sweep * 0x9fb21c651e98df25u;
      for (size_t g = 0; g < b->groups; g++) {
        const float *a = b->diagonal + g * d * d;
        for (size_t i = top; i < bottom; i += 4) {
          size_t valid = bottom - i < 4 ? bottom - i : 4;
          float twice[4 * 16] = {0};
          for (size_t q = 0; q < valid; q++) {
            const float *from = y + (i + q) * ldy + g * d;
            const float *old = b->codebook + codes[(i + q) * ldc + g] * d;
            float query[16];
            for (size_t t = 0; t < d; t++) query[t] = from[t] * inverse_scale[i + q];
            for (size_t t = 0; t < d; t++) {
              for (size_t c = 0; c < d; c++) query[c] += old[t] * a[t * d + c];
            }
            if (noise > 0) add_noise(query, d, noise, sweep_key, first_row + i + q, first_group + g);
            for (size_t t = 0; t < d; t++) twice[q * d + t] = 2 * query[t];
          }
          lanes best[4];
          lanes_index index[4];
          nearest_to_four(twice, d, b->table, b->norms + g * b->stride, b->stride, best, index);
          for (size_t q = 0; q < valid; q++) {
            uint16_t code, old = codes[(i + q) * ldc + g];
            float score;
            reduce_best(&best[q], &index[q], &code, &score);
            if (code == old) continue;
            codes[(i + q) * ldc + g] = code;
            change(b, d, g, scale[i + q], b->codebook + old * d, b->codebook + code * d, y + (i + q) * ldy,
                   e + (i + q) * lde);
          }
        }
      }
    }
  }
}

CRVQ_DISPATCHED
void crvq_anneal_block(const struct crvq_block *b, size_t n, const float *scale, const float *inverse_scale, float *y,
                       size_t ldy, float *e, size_t lde, uint16_t *codes, size_t ldc, size_t sweeps, float noise,
                       uint64_t key, size_t first_row, size_t first_group) {
  switch (b->d) {
    case 4:
      anneal(b, 4, n, scale, inverse_scale, y, ldy, e, lde, codes, ldc, sweeps, noise, key, first_row, first_group);
      break;
    case 8:
      anneal(b, 8, n, scale, inverse_scale, y, ldy, e, lde, codes, ldc, sweeps, noise, key, first_row, first_group);
      break;
    default:
      anneal(b, 16, n, scale, inverse_scale, y, ldy, e, lde, codes, ldc, sweeps, noise, key, first_row, first_group);
      break;
  }
}
