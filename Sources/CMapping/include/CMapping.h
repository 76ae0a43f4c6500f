// What the operating system reports as SIGBUS: bytes of a mapped file that are gone, because it was cut short or its disk failed.

#pragma once

#include <stddef.h>

// Has lost bytes of a file mapped at `base` reported under its path, of which a copy is kept. Returns 0, or ENOMEM.
int crvq_mapping_add(const void *base, size_t size, const char *path);

// Reads a byte of every page, so that lost ones are found here and not in the system, which says only that an address is bad.
void crvq_mapping_touch(const void *base, size_t size);

// Before the file is unmapped.
void crvq_mapping_remove(const void *base);

// From now on ends the process with `status` and a line on standard error that begins with `program`, which is kept, when bytes of
// a mapped file are lost. Without it, and for other bus errors, the process is killed by SIGBUS as usual.
void crvq_mapping_end_when_lost(const char *program, int status);
