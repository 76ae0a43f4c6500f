#pragma once

#include <stddef.h>
#include <stdint.h>

/// The groups of a block of columns and everything that is the same for all rows.
struct crvq_block {
  size_t groups;
  /// 4, 8 or 16.
  size_t d;
  /// H of the block's columns, [groups · d, groups · d] with row stride ldh.
  const float *h;
  size_t ldh;
  /// Its blocks on the diagonal, [groups, d, d].
  const float *diagonal;
  /// The codebook [count, d], its table [d, stride], and the norms of its codewords in each group, [groups, stride].
  const float *codebook;
  const float *table;
  const float *norms;
  size_t stride;
};

/// Sweeps of coordinate descent over the groups of a block, for `n` rows. Each group takes the codeword k that minimises
/// C_k A C_kᵀ - 2 <query + noise, C_k>, with all others held fixed; a change updates e and y.
///
/// scale and inverse_scale [n]; y [n, ldy] holds (W-Ŵ)·H and e [n, lde] holds W-Ŵ of the block's columns; codes [n, ldc].
/// The noise has standard deviation `noise` in every coordinate and depends on key, sweep, first_row + row and
/// first_group + group alone.
void crvq_anneal_block(const struct crvq_block *block, size_t n, const float *scale, const float *inverse_scale, float *y,
                       size_t ldy, float *e, size_t lde, uint16_t *codes, size_t ldc, size_t sweeps, float noise,
                       uint64_t key, size_t first_row, size_t first_group);

/// The noise of one group, for `n` rows from first_row on: queries [n, d] += noise · z.
void crvq_add_noise(float *queries, size_t n, size_t d, float noise, uint64_t key, size_t first_row, size_t group);
