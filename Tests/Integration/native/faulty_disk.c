// Preloaded into a program under test: strikes at its N-th change to files under given paths.
//
// A change is a call that writes, makes, renames, cuts, flushes or removes a file. SQLite's go through the same calls, so the
// count runs over database, artifacts and output alike. What mapped memory changes (SQLite's index of its log) is not counted.
//
//   FAULT_PROGRAM  the program concerned, by the name it was started with; its children are left alone
//   FAULT_PATHS    prefixes of the paths that count, separated by ':'
//   FAULT_AT       which change it strikes at, from 1; 0 never
//   FAULT_KIND     kill: SIGKILL before it. torn: SIGKILL when half of a write is done. full: from then on nothing more fits on
//                  the disk: half of that write is done, later ones fail with ENOSPC
//   FAULT_COUNT    a file that gets the number of changes when the program exits
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { KILL, TORN, FULL };

static int is_active;
static long strike_at;
static enum kind kind;
static const char *paths;
static const char *count_file;
static atomic_long changes;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
  const char *program = getenv("FAULT_PROGRAM");
  paths = getenv("FAULT_PATHS");
  if (!program || !paths || strcmp(program, program_invocation_short_name) != 0) return;
  strike_at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  const char *name = getenv("FAULT_KIND") ? getenv("FAULT_KIND") : "kill";
  kind = !strcmp(name, "torn") ? TORN : !strcmp(name, "full") ? FULL : KILL;
  count_file = getenv("FAULT_COUNT");
  is_active = 1;
}

__attribute__((destructor)) static void end(void) {
  if (!is_active || !count_file) return;
  is_active = 0;
  FILE *file = fopen(count_file, "w");
  if (!file) return;
  fprintf(file, "%ld\n", (long)changes);
  fclose(file);
}

static int counts_path(const char *path) {
  for (const char *prefix = paths; *prefix;) {
    size_t length = strcspn(prefix, ":");
    if (length && strncmp(path, prefix, length) == 0) return 1;
    prefix += length + (prefix[length] == ':');
  }
  return 0;
}

static int counts_descriptor(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return counts_path(path);
}

// Whether the fault strikes now. `counts` says that the call is a change at all.
static int strikes(int counts) {
  if (!is_active || !counts) return 0;
  long number = ++changes;
  if (!strike_at || number < strike_at) return 0;
  if (kind == FULL) return number == strike_at ? 1 : 2;
  if (number > strike_at) return 0;
  if (kind == KILL) kill(getpid(), SIGKILL);
  return 1;
}

static ssize_t no_space(void) {
  errno = ENOSPC;
  return -1;
}

// The body of a write of `count` bytes: `half` and `whole` are the real call with half and all of them.
#define WRITE(descriptor, count, half, whole)               \
  int strike = is_active ? strikes(counts_descriptor(descriptor)) : 0; \
  if (!strike) return whole;                                \
  if (kind == FULL && ((count) < 2 || strike > 1)) return no_space(); \
  ssize_t done = (count) < 2 ? 0 : half;                    \
  if (kind == TORN) kill(getpid(), SIGKILL);                \
  return done;

ssize_t write(int fd, const void *bytes, size_t count) {
  WRITE(fd, count, REAL(write)(fd, bytes, count / 2), REAL(write)(fd, bytes, count))
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  WRITE(fd, count, REAL(pwrite)(fd, bytes, count / 2, offset), REAL(pwrite)(fd, bytes, count, offset))
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  WRITE(fd, count, REAL(pwrite64)(fd, bytes, count / 2, offset), REAL(pwrite64)(fd, bytes, count, offset))
}

// The body of a change that is done or not. A full disk refuses it if it needs space.
#define CHANGE(counts, needs_space, whole)                  \
  int strike = is_active ? strikes(counts) : 0;             \
  if (strike && kind == TORN) kill(getpid(), SIGKILL);      \
  if (strike && kind == FULL && (needs_space)) return (int)no_space(); \
  return whole;

int fsync(int fd) { CHANGE(counts_descriptor(fd), 0, REAL(fsync)(fd)) }
int fdatasync(int fd) { CHANGE(counts_descriptor(fd), 0, REAL(fdatasync)(fd)) }
int ftruncate(int fd, off_t length) { CHANGE(counts_descriptor(fd), 0, REAL(ftruncate)(fd, length)) }
int ftruncate64(int fd, off64_t length) { CHANGE(counts_descriptor(fd), 0, REAL(ftruncate64)(fd, length)) }
int unlink(const char *path) { CHANGE(counts_path(path), 0, REAL(unlink)(path)) }
int rmdir(const char *path) { CHANGE(counts_path(path), 0, REAL(rmdir)(path)) }
int mkdir(const char *path, mode_t mode) { CHANGE(counts_path(path), 1, REAL(mkdir)(path, mode)) }
int rename(const char *from, const char *to) { CHANGE(counts_path(to), 0, REAL(rename)(from, to)) }

static int makes_file(const char *path, int flags) {
  return is_active && (flags & O_CREAT) && counts_path(path) && access(path, F_OK) != 0;
}

#define OPEN(name)                                          \
  int name(const char *path, int flags, ...) {              \
    mode_t mode = 0;                                        \
    if (flags & (O_CREAT | O_TMPFILE)) {                    \
      va_list rest;                                         \
      va_start(rest, flags);                                \
      mode = va_arg(rest, mode_t);                          \
      va_end(rest);                                         \
    }                                                       \
    CHANGE(makes_file(path, flags), 1, REAL(name)(path, flags, mode)) \
  }
OPEN(open)
OPEN(open64)
