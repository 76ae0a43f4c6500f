#define _GNU_SOURCE
#include "CMapping.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A list that only grows, so that a signal handler can walk it without the lock; what is free is used again.
struct mapping {
  // NULL where it is free. Set last, cleared first.
  _Atomic(const char *) base;
  _Atomic size_t size;
  char *path;
  struct mapping *next;
};

static _Atomic(struct mapping *) first;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *program_name;
static int exit_status;

int crvq_mapping_add(const void *base, size_t size, const char *path) {
  char *copy = strdup(path);
  if (copy == NULL) return ENOMEM;
  pthread_mutex_lock(&lock);
  struct mapping *mapping = atomic_load(&first);
  while (mapping != NULL && atomic_load(&mapping->base) != NULL) mapping = mapping->next;
  if (mapping == NULL) {
    mapping = calloc(1, sizeof *mapping);
    if (mapping == NULL) {
      pthread_mutex_unlock(&lock);
      free(copy);
      return ENOMEM;
    }
    mapping->next = atomic_load(&first);
    atomic_store(&first, mapping);
  }
  mapping->size = size;
  mapping->path = copy;
  atomic_store(&mapping->base, base);
  pthread_mutex_unlock(&lock);
  return 0;
}

void crvq_mapping_remove(const void *base) {
  pthread_mutex_lock(&lock);
  struct mapping *mapping = atomic_load(&first);
  while (mapping != NULL && atomic_load(&mapping->base) != (const char *)base) mapping = mapping->next;
  if (mapping != NULL) {
    atomic_store(&mapping->base, NULL);
    free(mapping->path);
    mapping->path = NULL;
  }
  pthread_mutex_unlock(&lock);
}

void crvq_mapping_touch(const void *base, size_t size) {
  const volatile char *bytes = base;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t at = 0; at < size; at += page) (void)bytes[at];
  if (size > 0) (void)bytes[size - 1];
}

static void write_text(const char *text) {
  // There is nobody to tell where standard error fails.
  if (write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

// Calls only what POSIX allows in a signal handler, and isatty, which asks the system and no more. The mapping it finds is in use by the thread that it interrupted, and stays.
static void on_bus_error(int number, siginfo_t *info, void *context) {
  (void)context;
  const char *address = info->si_addr;
  for (struct mapping *mapping = atomic_load(&first); mapping != NULL; mapping = mapping->next) {
    const char *base = atomic_load(&mapping->base);
    if (base == NULL || address < base || address - base >= (ptrdiff_t)mapping->size) continue;
    // Over a progress display.
    if (isatty(STDERR_FILENO)) write_text("\r\033[J");
    write_text(program_name);
    write_text(": ");
    write_text(mapping->path);
    write_text(": was cut short, or its disk failed, while it was in use; restore it and try again\n");
    _exit(exit_status);
  }
  // The instruction is tried again when this returns.
  signal(number, SIG_DFL);
}

void crvq_mapping_end_when_lost(const char *program, int status) {
  program_name = strdup(program);
  if (program_name == NULL) return;
  exit_status = status;
  struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, NULL);
}
