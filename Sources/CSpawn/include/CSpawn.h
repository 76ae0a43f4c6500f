// What posix_spawn can do on Linux beyond POSIX, which Swift's own view of the C library leaves out.

#pragma once

#include <spawn.h>

// Has the child close all descriptors from `from` on. Returns 0 or an error number.
int crvq_spawn_close_from(posix_spawn_file_actions_t *actions, int from);
