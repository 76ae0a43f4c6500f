#pragma once

#include <stddef.h>
#include <stdint.h>

/// One row of a packed linear, in packed order: out[g · d + t] = binary16(v · scale), where v is the codeword of codebook 1
/// plus, for g < critical, those of codebooks 2 … m in this order, each addition and the product rounded to binary32.
/// `codebooks` and `codes` hold m pointers; codes[0] has `groups` entries, the others `critical`.
void crvq_decode_row(const float *const *codebooks, const uint16_t *const *codes, size_t m, size_t groups,
                     size_t critical, size_t d, float scale, uint16_t *out);
