#pragma once

#include <stddef.h>
#include <stdint.h>

enum { CRVQ_MAXIMUM_BEAM = 64, CRVQ_MAXIMUM_CODEBOOKS = 8 };

/// A codebook as a search wants it: [count, d] and its table [d, stride], with norms for the group at hand, [stride].
struct crvq_codebook {
  const float *codebook;
  const float *table;
  const float *norms;
  size_t stride;
};

/// Additive codes of one group for `n` rows: minimises q A qᵀ - 2 <query, q> over q = Σ_j C_j[c_j] by a beam of `width`
/// hypotheses, extended by one codebook after another; of each hypothesis the best codeword of every sixteenth part of a
/// codebook is a candidate. queries [n, d], a [d, d]; codes [n, m], costs [n].
void crvq_beam_codewords(const float *queries, size_t n, size_t d, const float *a, const struct crvq_codebook *books,
                         size_t m, size_t width, uint16_t *codes, float *costs);
