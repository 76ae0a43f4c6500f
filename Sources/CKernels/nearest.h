#pragma once

#include <math.h>
#include <stdint.h>

// The search for the nearest codeword, shared by the kernels that need one.

// Sixteen lanes whatever the machine: the compiler splits them where registers are narrower. Alignment of a float, since
// tables and rows start anywhere.
typedef float lanes __attribute__((vector_size(64), aligned(4)));
typedef int32_t lanes_index __attribute__((vector_size(64), aligned(4)));

#define ALWAYS static inline __attribute__((always_inline))

#define FOLD(value, index, ...)                                                          \
  do {                                                                                   \
    lanes other = __builtin_shufflevector(value, value, __VA_ARGS__);                    \
    lanes_index other_at = __builtin_shufflevector(index, index, __VA_ARGS__);           \
    lanes_index better = (other < value) | ((other == value) & (other_at < index));      \
    value = __builtin_elementwise_min(value, other);                                     \
    index = (better & other_at) | (~better & index);                                     \
  } while (0)

// The best of sixteen lanes; lanes interleave the codewords, so that "the first of equals" has to be asked for.
ALWAYS void reduce_best(const lanes *best, const lanes_index *index, uint16_t *code, float *score) {
  lanes value = *best;
  lanes_index at = *index;
  FOLD(value, at, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  FOLD(value, at, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  FOLD(value, at, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  FOLD(value, at, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  *code = (uint16_t)at[0];
  *score = value[0];
}

// Four queries, given doubled, share each load of the table; one pass keeps a running minimum a lane.
ALWAYS void nearest_to_four(const float *twice, const size_t d, const float *table, const float *norms, size_t stride,
                            lanes *best, lanes_index *index) {
  lanes_index k_of_lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int q = 0; q < 4; q++) {
    best[q] = (lanes){} + INFINITY;
    index[q] = (lanes_index){};
  }
  for (size_t k = 0; k < stride; k += 16) {
    lanes start = *(const lanes *)(norms + k);
    lanes score[4] = {start, start, start, start};
#pragma clang loop unroll(full)
    for (size_t t = 0; t < d; t++) {
      lanes column = *(const lanes *)(table + t * stride + k);
      for (int q = 0; q < 4; q++) score[q] = score[q] - column * twice[q * d + t];
    }
    for (int q = 0; q < 4; q++) {
      lanes_index closer = score[q] < best[q];
      best[q] = __builtin_elementwise_min(best[q], score[q]);
      index[q] = (closer & k_of_lane) | (~closer & index[q]);
    }
    k_of_lane += 16;
  }
}
