#include "CChecksum.h"

#include <string.h>

#if defined(__x86_64__)

bool crc32c_has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) uint32_t crc32c_update(uint32_t value, const uint8_t *bytes, size_t count) {
  uint64_t wide = value;
  for (; count >= 8; bytes += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  uint32_t narrow = (uint32_t)wide;
  for (; count > 0; bytes++, count--) narrow = __builtin_ia32_crc32qi(narrow, *bytes);
  return narrow;
}

#else

bool crc32c_has_instruction(void) { return false; }

uint32_t crc32c_update(uint32_t value, const uint8_t *bytes, size_t count) {
  (void)bytes, (void)count;
  return value;
}

#endif
