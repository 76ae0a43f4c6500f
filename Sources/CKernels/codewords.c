#include "codewords.h"

#include "dispatch.h"
#include "nearest.h"

ALWAYS void nearest(const float *queries, size_t n, const size_t d, const float *table, const float *norms,
                    size_t stride, uint16_t *codes, float *scores) {
  for (size_t i = 0; i < n; i += 4) {
    size_t valid = n - i < 4 ? n - i : 4;
    float twice[4 * 16] = {0};
    for (size_t t = 0; t < valid * d; t++) twice[t] = 2 * queries[i * d + t];
    lanes best[4];
    lanes_index index[4];
    nearest_to_four(twice, d, table, norms, stride, best, index);
    for (size_t q = 0; q < valid; q++) reduce_best(&best[q], &index[q], codes + i + q, scores + i + q);
  }
}

CRVQ_DISPATCHED
void crvq_nearest_codewords(const float *queries, size_t n, size_t d, const float *table, const float *norms,
                            size_t stride, uint16_t *codes, float *scores) {
  switch (d) {
    case 4: nearest(queries, n, 4, table, norms, stride, codes, scores); break;
    case 8: nearest(queries, n, 8, table, norms, stride, codes, scores); break;
    default: nearest(queries, n, 16, table, norms, stride, codes, scores); break;
  }
}

CRVQ_DISPATCHED
void crvq_codeword_norms(const float *table, size_t count, size_t stride, size_t d, const float *a, float *norms) {
  for (size_t k = 0; k < stride; k += 16) {
    lanes sum = (lanes){};
    for (size_t t = 0; t < d; t++) {
      lanes product = (lanes){};
      for (size_t u = 0; u < d; u++) product = product + *(const lanes *)(table + u * stride + k) * a[t * d + u];
      sum = sum + product * *(const lanes *)(table + t * stride + k);
    }
    *(lanes *)(norms + k) = sum;
  }
  for (size_t k = count; k < stride; k++) norms[k] = INFINITY;
}

ALWAYS void rank_update(const float *delta, size_t n, const size_t d, const float *h, size_t ldh, float *y, size_t ldy,
                        size_t columns) {
  for (size_t i = 0; i < n; i++) {
    const float *by = delta + i * d;
    int changed = 0;
    for (size_t t = 0; t < d; t++) changed |= by[t] != 0;
    if (!changed) continue;
    float *row = y + i * ldy;
    size_t c = 0;
    for (; c + 16 <= columns; c += 16) {
      lanes sum = *(const lanes *)(row + c);
#pragma clang loop unroll(full)
      for (size_t t = 0; t < d; t++) sum = sum + *(const lanes *)(h + t * ldh + c) * by[t];
      *(lanes *)(row + c) = sum;
    }
    for (; c < columns; c++) {
      float sum = row[c];
      for (size_t t = 0; t < d; t++) sum = sum + h[t * ldh + c] * by[t];
      row[c] = sum;
    }
  }
}

CRVQ_DISPATCHED
void crvq_rank_update(const float *delta, size_t n, size_t d, const float *h, size_t ldh, float *y, size_t ldy,
                      size_t columns) {
  switch (d) {
    case 4: rank_update(delta, n, 4, h, ldh, y, ldy, columns); break;
    case 8: rank_update(delta, n, 8, h, ldh, y, ldy, columns); break;
    default: rank_update(delta, n, 16, h, ldh, y, ldy, columns); break;
  }
}

ALWAYS void group_queries(const float *x, size_t ldx, const float *inverse_scale, const float *b, const float *u,
                          size_t ldu, const float *a, size_t n, const size_t d, float *out) {
  for (size_t i = 0; i < n; i++) {
    const float *from = x + i * ldx;
    float *to = out + i * d;
    float sum[16] = {0};
    if (b) {
      for (size_t t = 0; t < d; t++) {
        float value = from[t] * inverse_scale[i];
        for (size_t c = 0; c < d; c++) sum[c] += value * b[t * d + c];
      }
    } else {
      for (size_t t = 0; t < d; t++) sum[t] = from[t] * inverse_scale[i];
    }
    if (u) {
      const float *add = u + i * ldu;
      for (size_t t = 0; t < d; t++) {
        for (size_t c = 0; c < d; c++) sum[c] += add[t] * a[t * d + c];
      }
    }
    for (size_t t = 0; t < d; t++) to[t] = sum[t];
  }
}

CRVQ_DISPATCHED
void crvq_group_queries(const float *x, size_t ldx, const float *inverse_scale, const float *b, const float *u,
                        size_t ldu, const float *a, size_t n, size_t d, float *out) {
  switch (d) {
    case 4: group_queries(x, ldx, inverse_scale, b, u, ldu, a, n, 4, out); break;
    case 8: group_queries(x, ldx, inverse_scale, b, u, ldu, a, n, 8, out); break;
    default: group_queries(x, ldx, inverse_scale, b, u, ldu, a, n, 16, out); break;
  }
}

ALWAYS void gather(const uint16_t *codes, size_t groups, const float *codebook, const size_t d, int accumulate,
                   float *out) {
  for (size_t g = 0; g < groups; g++) {
    const float *from = codebook + (size_t)codes[g] * d;
    float *to = out + g * d;
    if (accumulate) {
      for (size_t t = 0; t < d; t++) to[t] = to[t] + from[t];
    } else {
      for (size_t t = 0; t < d; t++) to[t] = from[t];
    }
  }
}

CRVQ_DISPATCHED
void crvq_gather_codewords(const uint16_t *codes, size_t groups, const float *codebook, size_t d, int accumulate,
                           float *out) {
  switch (d) {
    case 4: gather(codes, groups, codebook, 4, accumulate, out); break;
    case 8: gather(codes, groups, codebook, 8, accumulate, out); break;
    default: gather(codes, groups, codebook, 16, accumulate, out); break;
  }
}

ALWAYS void scatter(const uint16_t *codes, size_t groups, const float *r, const size_t d, float factor, float *sums) {
  for (size_t g = 0; g < groups; g++) {
    float *to = sums + (size_t)codes[g] * d;
    const float *from = r + g * d;
    for (size_t t = 0; t < d; t++) to[t] = to[t] + factor * from[t];
  }
}

CRVQ_DISPATCHED
void crvq_scatter_codewords(const uint16_t *codes, size_t groups, const float *r, size_t d, float factor, float *sums) {
  switch (d) {
    case 4: scatter(codes, groups, r, 4, factor, sums); break;
    case 8: scatter(codes, groups, r, 8, factor, sums); break;
    default: scatter(codes, groups, r, 16, factor, sums); break;
  }
}
