#include "decode.h"

#include "codewords.h"
#include "half.h"

// Sum first, multiply afterwards in a statement of its own: a fused multiply-add would round once where the format says twice.
void crvq_decode_row(const float *const *codebooks, const uint16_t *const *codes, size_t m, size_t groups,
                     size_t critical, size_t d, float scale, uint16_t *out) {
  enum { span = 64 };
  float values[span * 16];
  for (size_t first = 0; first < groups; first += span) {
    size_t count = groups - first < span ? groups - first : span;
    crvq_gather_codewords(codes[0] + first, count, codebooks[0], d, 0, values);
    size_t extended = first >= critical ? 0 : critical - first < count ? critical - first : count;
    for (size_t j = 1; j < m && extended > 0; j++) {
      crvq_gather_codewords(codes[j] + first, extended, codebooks[j], d, 1, values);
    }
    for (size_t i = 0; i < count * d; i++) values[i] *= scale;
    crvq_float_to_half(values, out + first * d, count * d);
  }
}
