/* Makes calls on files below a path slow, and counts how long each kind of thread has waited. Loaded before libc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Of the process's first thread, then of all others: calls, nanoseconds. */
static uint64_t nowhere[4];
static uint64_t *counts = nowhere;
static const char *part;
static uint64_t delay;

__attribute__((constructor)) static void begin(void) {
  const char *milliseconds = getenv("SLOW_MILLISECONDS");
  const char *file = getenv("SLOW_COUNTS");
  part = getenv("SLOW_PART");
  if (milliseconds == NULL || file == NULL || part == NULL) return;
  int descriptor = open(file, O_RDWR);
  if (descriptor < 0) return;
  void *shared = mmap(NULL, sizeof nowhere, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (shared == MAP_FAILED) return;
  counts = shared;
  delay = strtoull(milliseconds, NULL, 10) * 1000000;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void wait_for(int descriptor) {
  if (delay == 0) return;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  if (strstr(path, part) == NULL) return;
  uint64_t began = now();
  struct timespec time = {.tv_sec = (time_t)(delay / 1000000000), .tv_nsec = (long)(delay % 1000000000)};
  nanosleep(&time, NULL);
  int at = syscall(SYS_gettid) == getpid() ? 0 : 2;
  __atomic_add_fetch(&counts[at], 1, __ATOMIC_RELAXED);
  __atomic_add_fetch(&counts[at + 1], now() - began, __ATOMIC_RELAXED);
}

#define SLOW(result, name, parameters, ...)                        \
  result name parameters {                                         \
    static result(*real) parameters;                               \
    if (real == NULL) real = (result(*) parameters)dlsym(RTLD_NEXT, #name); \
    wait_for(fd);                                                  \
    return real(__VA_ARGS__);                                      \
  }

SLOW(ssize_t, pread64, (int fd, void *to, size_t size, off64_t at), fd, to, size, at)
SLOW(ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), fd, from, size, at)
SLOW(ssize_t, preadv, (int fd, const struct iovec *to, int count, off_t at), fd, to, count, at)
SLOW(ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), fd, from, count, at)
SLOW(ssize_t, preadv64, (int fd, const struct iovec *to, int count, off64_t at), fd, to, count, at)
SLOW(ssize_t, pwritev64, (int fd, const struct iovec *from, int count, off64_t at), fd, from, count, at)
SLOW(int, fsync, (int fd), fd)
SLOW(int, fdatasync, (int fd), fd)
