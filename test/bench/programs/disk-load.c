// Load on a block device from within a guest, past its page cache:
//   disk-load DEVICE read|write order|random REQUEST-BYTES JOBS SECONDS
// Prints requests per second. Each job is a process that has one request in flight; in order, each has its own part.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **words) {
  if (count != 7) return 2;
  int write_it = !strcmp(words[2], "write"), random_it = !strcmp(words[3], "random");
  size_t bytes = atol(words[4]);
  int jobs = atoi(words[5]);
  double seconds = atof(words[6]);
  int device = open(words[1], O_RDWR | O_DIRECT);
  if (device < 0) return perror(words[1]), 1;
  uint64_t places = lseek(device, 0, SEEK_END) / bytes;
  volatile uint64_t *done = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  double begin = now();
  for (int job = 0; job < jobs; job++) {
    if (fork() > 0) continue;
    char *buffer = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(buffer, 0x5a, bytes);
    uint64_t state = 88172645463325252ull + job, next = places / jobs * job;
    while (now() - begin < seconds) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      uint64_t place = random_it ? state % places : next++ % places;
      off_t at = place * bytes;
      ssize_t moved = write_it ? pwrite(device, buffer, bytes, at) : pread(device, buffer, bytes, at);
      if (moved != (ssize_t)bytes) _exit(1);
      done[job]++;
    }
    _exit(0);
  }
  int status, failed = 0;
  while (wait(&status) > 0) failed |= status;
  double took = now() - begin;
  uint64_t total = 0;
  for (int job = 0; job < jobs; job++) total += done[job];
  printf("rate %.1f\n", failed ? 0.0 : total / took);
  return failed != 0;
}
