// Preloaded into a program under test: strikes at its N-th change to files under given paths, and notes what it does to them.
//
// A change is a call that writes, makes, renames, cuts, flushes or removes a file. SQLite's go through the same calls, so the
// count runs over database, artifacts and output alike. What mapped memory changes (SQLite's index of its log) is not counted.
//
//   FAULT_PROGRAM  the program concerned, by the name it was started with; its children are left alone
//   FAULT_PATHS    prefixes of the paths that count, separated by ':'
//   FAULT_AT       which change it strikes at, from 1; 0 never
//   FAULT_KIND     kill: SIGKILL before it. torn: SIGKILL when half of a write is done. full: from then on nothing more fits on
//                  the disk: half of that write is done, later ones fail with ENOSPC
//   FAULT_ONCE     a file that is made when it strikes; where it is there already nothing does
//   FAULT_COUNT    a file that gets the number of changes when the program exits
//   FAULT_LOG      a file that gets a line for each change, its fields between tabs:
//                    write PATH OFFSET HEX    before it is done; OFFSET is -1 where the file's own counts. HEX are the bytes
//                                             where PATH is that of SQLite's log, and of others missing
//                    sync PATH LINES          after it is done; LINES were there when it began
//                    rename FROM TO, make DIRECTORY, remove PATH    before it is done
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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
static const char *once_file;
static const char *count_file;
static atomic_long changes;
static int log_file = -1;
static atomic_long lines;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
  const char *program = getenv("FAULT_PROGRAM");
  paths = getenv("FAULT_PATHS");
  if (!program || !paths || strcmp(program, program_invocation_short_name) != 0) return;
  strike_at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  const char *name = getenv("FAULT_KIND") ? getenv("FAULT_KIND") : "kill";
  kind = !strcmp(name, "torn") ? TORN : !strcmp(name, "full") ? FULL : KILL;
  once_file = getenv("FAULT_ONCE");
  if (once_file && access(once_file, F_OK) == 0) strike_at = 0;
  count_file = getenv("FAULT_COUNT");
  if (getenv("FAULT_LOG")) log_file = REAL(open)(getenv("FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
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

#define PATH_SIZE 4096

// Whether a file that is open counts; `path` gets its name.
static int counts_descriptor(int descriptor, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, PATH_SIZE - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return counts_path(path);
}

// MARK: The log

static void log_bytes(const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t done = REAL(write)(log_file, bytes, count);
    if (done <= 0) abort();
    bytes += done;
    count -= (size_t)done;
  }
}

static void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void log_line(const char *format, ...) {
  if (!is_active || log_file < 0) return;
  char line[2 * PATH_SIZE + 64];
  va_list rest;
  va_start(rest, format);
  int length = vsnprintf(line, sizeof line, format, rest);
  va_end(rest);
  pthread_mutex_lock(&log_lock);
  log_bytes(line, (size_t)length);
  lines += 1;
  pthread_mutex_unlock(&log_lock);
}

static void log_write(int descriptor, const struct iovec *parts, int count, long long offset) {
  char path[PATH_SIZE];
  if (!is_active || log_file < 0 || !counts_descriptor(descriptor, path)) return;
  size_t length = strlen(path), size = 0;
  if (length < 4 || strcmp(path + length - 4, "-wal")) return log_line("write\t%s\t%lld\n", path, offset);
  for (int part = 0; part < count; part++) size += parts[part].iov_len;
  char *line = malloc(PATH_SIZE + 64 + 2 * size);
  if (!line) abort();
  int end = snprintf(line, PATH_SIZE + 64, "write\t%s\t%lld\t", path, offset);
  for (int part = 0; part < count; part++)
    for (size_t byte = 0; byte < parts[part].iov_len; byte++) {
      unsigned value = ((const unsigned char *)parts[part].iov_base)[byte];
      line[end++] = "0123456789abcdef"[value >> 4];
      line[end++] = "0123456789abcdef"[value & 15];
    }
  line[end++] = '\n';
  pthread_mutex_lock(&log_lock);
  log_bytes(line, (size_t)end);
  lines += 1;
  pthread_mutex_unlock(&log_lock);
  free(line);
}

// What a flush gives back; it is noted if it was one.
static int log_sync(int descriptor, int (*flush)(int)) {
  char path[PATH_SIZE];
  int counts = is_active && log_file >= 0 && counts_descriptor(descriptor, path);
  long before = lines;
  int code = flush(descriptor);
  int error = errno;
  if (counts && code == 0) log_line("sync\t%s\t%ld\n", path, before);
  errno = error;
  return code;
}

// MARK: Faults

// Whether the fault strikes now. `counts` says that the call is a change at all.
static int strikes(int counts) {
  if (!is_active || !counts) return 0;
  long number = ++changes;
  if (!strike_at || number < strike_at) return 0;
  if (number == strike_at && once_file) close(REAL(open)(once_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
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
  char path[PATH_SIZE];                                     \
  int strike = is_active ? strikes(counts_descriptor(descriptor, path)) : 0; \
  if (!strike) return whole;                                \
  if (kind == FULL && ((count) < 2 || strike > 1)) return no_space(); \
  ssize_t done = (count) < 2 ? 0 : half;                    \
  if (kind == TORN) kill(getpid(), SIGKILL);                \
  return done;

#define LOG_WRITE(descriptor, bytes, count, offset) \
  log_write(descriptor, &(struct iovec){(void *)(bytes), count}, 1, offset)

ssize_t write(int fd, const void *bytes, size_t count) {
  LOG_WRITE(fd, bytes, count, -1);
  WRITE(fd, count, REAL(write)(fd, bytes, count / 2), REAL(write)(fd, bytes, count))
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  LOG_WRITE(fd, bytes, count, offset);
  WRITE(fd, count, REAL(pwrite)(fd, bytes, count / 2, offset), REAL(pwrite)(fd, bytes, count, offset))
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  LOG_WRITE(fd, bytes, count, offset);
  WRITE(fd, count, REAL(pwrite64)(fd, bytes, count / 2, offset), REAL(pwrite64)(fd, bytes, count, offset))
}

// A torn one of several parts is its first part.
#define WRITE_PARTS(parts, count, offset, half, whole)      \
  log_write(fd, parts, count, offset);                      \
  WRITE(fd, count, half, whole)

ssize_t writev(int fd, const struct iovec *parts, int count) {
  WRITE_PARTS(parts, count, -1, REAL(writev)(fd, parts, count / 2), REAL(writev)(fd, parts, count))
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  WRITE_PARTS(parts, count, offset, REAL(pwritev)(fd, parts, count / 2, offset), REAL(pwritev)(fd, parts, count, offset))
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  WRITE_PARTS(
    parts, count, offset, REAL(pwritev64)(fd, parts, count / 2, offset), REAL(pwritev64)(fd, parts, count, offset))
}

// The body of a change that is done or not. A full disk refuses it if it needs space.
#define CHANGE(counts, needs_space, whole)                  \
  int strike = is_active ? strikes(counts) : 0;             \
  if (strike && kind == TORN) kill(getpid(), SIGKILL);      \
  if (strike && kind == FULL && (needs_space)) return (int)no_space(); \
  return whole;

#define LOG_PATH(path, ...) if (is_active && counts_path(path)) log_line(__VA_ARGS__)

// Of an open file.
#define CHANGE_FILE(fd, whole)                              \
  char path[PATH_SIZE];                                     \
  CHANGE(is_active && counts_descriptor(fd, path), 0, whole)

int fsync(int fd) { CHANGE_FILE(fd, log_sync(fd, REAL(fsync))) }
int fdatasync(int fd) { CHANGE_FILE(fd, log_sync(fd, REAL(fdatasync))) }
int ftruncate(int fd, off_t length) { CHANGE_FILE(fd, REAL(ftruncate)(fd, length)) }
int ftruncate64(int fd, off64_t length) { CHANGE_FILE(fd, REAL(ftruncate64)(fd, length)) }

int unlink(const char *path) {
  LOG_PATH(path, "remove\t%s\n", path);
  CHANGE(counts_path(path), 0, REAL(unlink)(path))
}

int rmdir(const char *path) {
  LOG_PATH(path, "remove\t%s\n", path);
  CHANGE(counts_path(path), 0, REAL(rmdir)(path))
}

int mkdir(const char *path, mode_t mode) {
  LOG_PATH(path, "make\t%s\n", path);
  CHANGE(counts_path(path), 1, REAL(mkdir)(path, mode))
}

int rename(const char *from, const char *to) {
  LOG_PATH(to, "rename\t%s\t%s\n", from, to);
  CHANGE(counts_path(to), 0, REAL(rename)(from, to))
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
  LOG_PATH(to, "rename\t%s\t%s\n", from, to);
  CHANGE(counts_path(to), 0, REAL(renameat)(from_directory, from, to_directory, to))
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
  LOG_PATH(to, "rename\t%s\t%s\n", from, to);
  CHANGE(counts_path(to), 0, REAL(renameat2)(from_directory, from, to_directory, to, flags))
}

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
