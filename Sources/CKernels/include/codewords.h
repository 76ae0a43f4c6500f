#pragma once

#include <stddef.h>
#include <stdint.h>

// Kernels over codewords of `d` values, d = 4, 8 or 16. A *table* is a codebook transposed and padded: [d][stride], where
// stride is the number of codewords rounded up to a multiple of 16, and `norms` has `stride` entries, infinite past the last
// codeword, so that padding is never chosen.

/// For each of `n` queries [n, d]: the codeword k that minimises norms[k] - 2 <query, C_k>, the first of equals, and that
/// minimum. `queries` are read as they are; both outputs have n entries.
void crvq_nearest_codewords(const float *queries, size_t n, size_t d, const float *table, const float *norms,
                            size_t stride, uint16_t *codes, float *scores);

/// norms[k] = C_k A C_kᵀ for a symmetric A [d, d], k below `count`; infinite from there to `stride`.
void crvq_codeword_norms(const float *table, size_t count, size_t stride, size_t d, const float *a, float *norms);

/// y[i, c] += Σ_t delta[i, t] · h[t, c] for i < n, t < d, c < columns. Rows whose delta is zero are skipped.
void crvq_rank_update(const float *delta, size_t n, size_t d, const float *h, size_t ldh, float *y, size_t ldy,
                      size_t columns);

/// out[i, :] = inverse_scale[i] · x[i, :] · b + u[i, :] · a, for n rows of d values; b and a are [d, d].
/// A null b stands for the identity, a null u for zero. x and u are strided, out is [n, d].
void crvq_group_queries(const float *x, size_t ldx, const float *inverse_scale, const float *b, const float *u,
                        size_t ldu, const float *a, size_t n, size_t d, float *out);

/// One row: out[g · d + t] (+)= codebook[codes[g] · d + t] for g < groups. Adds if `accumulate`, otherwise assigns.
void crvq_gather_codewords(const uint16_t *codes, size_t groups, const float *codebook, size_t d, int accumulate,
                           float *out);

/// One row, the transpose of the gather: sums[codes[g] · d + t] += factor · r[g · d + t] for g < groups.
void crvq_scatter_codewords(const uint16_t *codes, size_t groups, const float *r, size_t d, float factor, float *sums);
