#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether this processor has an instruction for CRC-32C.
bool crc32c_has_instruction(void);

// Goes on with a CRC-32C (not yet inverted) over `count` bytes. Only where crc32c_has_instruction() is true.
uint32_t crc32c_update(uint32_t value, const uint8_t *bytes, size_t count);
