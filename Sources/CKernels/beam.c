#include "beam.h"

#include <string.h>

#include "dispatch.h"
#include "nearest.h"

struct hypothesis {
  float cost;
  float sum[16];
  uint16_t codes[CRVQ_MAXIMUM_CODEBOOKS];
};

struct candidate {
  float cost;
  int32_t code;
  int32_t parent;
};

// Keeps `best` sorted; the first found of equals stays in front.
ALWAYS void insert(struct candidate *best, size_t *count, size_t width, struct candidate new) {
  if (*count == width && new.cost >= best[width - 1].cost) return;
  size_t at = *count < width ? (*count)++ : width - 1;
  for (; at > 0 && best[at - 1].cost > new.cost; at--) best[at] = best[at - 1];
  best[at] = new;
}

ALWAYS size_t extend(const struct hypothesis *from, size_t count, const float *query, const size_t d, const float *a,
                     const struct crvq_codebook *book, size_t width, struct candidate *best) {
  size_t found = 0;
  for (size_t first = 0; first < count; first += 4) {
    size_t valid = count - first < 4 ? count - first : 4;
    float twice[4 * 16] = {0};
    for (size_t q = 0; q < valid; q++) {
      const float *sum = from[first + q].sum;
      float rest[16];
      for (size_t c = 0; c < d; c++) rest[c] = query[c];
      for (size_t t = 0; t < d; t++) {
        for (size_t c = 0; c < d; c++) rest[c] -= sum[t] * a[t * d + c];
      }
      for (size_t c = 0; c < d; c++) twice[q * d + c] = 2 * rest[c];
    }
    lanes score[4];
    lanes_index index[4];
    nearest_to_four(twice, d, book->table, book->norms, book->stride, score, index);
    for (size_t q = 0; q < valid; q++) {
      for (int lane = 0; lane < 16; lane++) {
        // Lanes of padding alone hold infinity.
        if (!(score[q][lane] < INFINITY)) continue;
        insert(best, &found, width,
               (struct candidate){from[first + q].cost + score[q][lane], index[q][lane], (int32_t)(first + q)});
      }
    }
  }
  return found;
}

ALWAYS void beam(const float *queries, size_t n, const size_t d, const float *a, const struct crvq_codebook *books,
                 size_t m, size_t width, uint16_t *codes, float *costs) {
  struct hypothesis now[CRVQ_MAXIMUM_BEAM], next[CRVQ_MAXIMUM_BEAM];
  struct candidate best[CRVQ_MAXIMUM_BEAM];
  for (size_t i = 0; i < n; i++) {
    size_t count = 1;
    memset(now, 0, sizeof now[0]);
    for (size_t j = 0; j < m; j++) {
      size_t found = extend(now, count, queries + i * d, d, a, &books[j], width, best);
      for (size_t h = 0; h < found; h++) {
        next[h] = now[best[h].parent];
        next[h].cost = best[h].cost;
        next[h].codes[j] = (uint16_t)best[h].code;
        const float *codeword = books[j].codebook + (size_t)best[h].code * d;
        for (size_t t = 0; t < d; t++) next[h].sum[t] += codeword[t];
      }
      memcpy(now, next, found * sizeof next[0]);
      count = found;
    }
    memcpy(codes + i * m, now[0].codes, m * sizeof codes[0]);
    costs[i] = now[0].cost;
  }
}

CRVQ_DISPATCHED
void crvq_beam_codewords(const float *queries, size_t n, size_t d, const float *a, const struct crvq_codebook *books,
                         size_t m, size_t width, uint16_t *codes, float *costs) {
  switch (d) {
    case 4: beam(queries, n, 4, a, books, m, width, codes, costs); break;
    case 8: beam(queries, n, 8, a, books, m, width, codes, costs); break;
    default: beam(queries, n, 16, a, books, m, width, codes, costs); break;
  }
}
