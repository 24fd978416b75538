/*
 * Keeps promises about memory, page cache, code and two disks, and says at once when one is broken. A checkpoint that
 * mixes two moments, or loses a request, breaks one of them after it was restored.
 *
 *   witness check DISK_A DISK_B WORKERS [ROUNDS]   works until something is wrong, printing "witness N ok" now and then
 *   witness gap SECONDS                            largest time between two looks at the clock, in microseconds
 *   witness spin SECONDS                           how often a loop of fixed length ran
 *   witness dirty MIB_PER_SECOND MIB SECONDS       writes to memory at a pace; how much of it was done
 *   witness pending DISK COUNT                     keeps so many reads of 4 KiB in flight for ever
 *   witness hash MIB                               fills memory, then hashes it again and again; says when it changes
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, SLOTS = 64, PAGES = 32 };

struct block {
  uint64_t worker, slot, sequence, sum;
  uint64_t words[(BLOCK - 32) / 8];
};

static void broken(const char *what, uint64_t worker, uint64_t expected, uint64_t found) {
  printf("WITNESS BROKEN: %s, worker %llu: expected %llu, found %llu\n", what, (unsigned long long)worker,
         (unsigned long long)expected, (unsigned long long)found);
  fflush(stdout);
  _exit(1);
}

static uint64_t mix(uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 29;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ (value >> 32);
}

static uint64_t sum_of(const struct block *block) {
  uint64_t sum = mix(block->worker) ^ mix(block->slot * 3 + 1) ^ mix(block->sequence * 7 + 5);
  for (size_t i = 0; i < sizeof block->words / 8; i++) sum = mix(sum + block->words[i]);
  return sum;
}

static void fill(struct block *block, uint64_t worker, uint64_t slot, uint64_t sequence) {
  block->worker = worker;
  block->slot = slot;
  block->sequence = sequence;
  for (size_t i = 0; i < sizeof block->words / 8; i++) block->words[i] = mix(sequence * 131 + i + worker);
  block->sum = sum_of(block);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static int open_disk(const char *path) {
  int file = open(path, O_RDWR | O_DIRECT);
  if (file < 0) {
    printf("WITNESS BROKEN: %s: %s\n", path, strerror(errno));
    exit(1);
  }
  return file;
}

static void *aligned(size_t bytes) {
  void *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    printf("WITNESS BROKEN: no memory\n");
    exit(1);
  }
  return at;
}

struct worker {
  int disk_a, disk_b;
  uint64_t number;
  volatile uint64_t rounds;
  /* Sequence numbers that each slot must have. */
  uint64_t expected[SLOTS];
};

static void io(int file, void *block, uint64_t worker, uint64_t slot, int writing) {
  off_t at = (off_t)(worker * SLOTS + slot) * BLOCK;
  ssize_t done = writing ? pwrite(file, block, BLOCK, at) : pread(file, block, BLOCK, at);
  if (done != BLOCK) broken(writing ? "write" : "read", worker, BLOCK, (uint64_t)done);
}

/* A slot holds what memory says, whole. */
static void verify(struct worker *self, int file, uint64_t slot, struct block *block, const char *disk) {
  memset(block, 0x5a, BLOCK);
  io(file, block, self->number, slot, 0);
  if (block->sequence != self->expected[slot]) broken(disk, self->number, self->expected[slot], block->sequence);
  if (self->expected[slot] != 0 && block->sum != sum_of(block)) broken("sum of a block", self->number, block->sum, sum_of(block));
}

typedef uint64_t (*constant)(void);

/* addi a0, zero, N; slli a0, a0, 20; addi a0, a0, M; ret: code that is written anew in each round, and run. */
static void run_code(uint32_t *code, uint64_t worker, uint64_t sequence) {
  uint32_t low = sequence & 0x3ff, high = (sequence >> 10) & 0x3ff;
  code[0] = 0x00000513 | high << 20;
  code[1] = 0x01451513;
  code[2] = 0x00050513 | low << 20;
  code[3] = 0x00008067;
  __builtin___clear_cache((char *)code, (char *)(code + 4));
  uint64_t expected = ((uint64_t)high << 20) + low;
  uint64_t found = ((constant)(void *)code)();
  if (found != expected) broken("code", worker, expected, found);
}

static void *work(void *argument) {
  struct worker *self = argument;
  struct block *block = aligned(BLOCK), *pages = aligned(PAGES * BLOCK), *cached = aligned(BLOCK);
  uint32_t *code = mmap(0, BLOCK, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char name[64];
  snprintf(name, sizeof name, "/tmp/witness-%llu", (unsigned long long)self->number);
  int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
  for (uint64_t i = 0; i < PAGES; i++) fill(&pages[i], self->number, i, 0);
  for (uint64_t sequence = 1;; sequence++) {
    uint64_t slot = mix(sequence + self->number) % SLOTS, other = mix(sequence * 3 + self->number) % SLOTS;
    /* First disk A, then memory's word for it, then disk B. */
    fill(block, self->number, slot, sequence);
    io(self->disk_a, block, self->number, slot, 1);
    uint64_t before = self->expected[slot];
    struct block *second = pages + (sequence % PAGES);
    if (second->sum != sum_of(second)) broken("sum of a page", self->number, second->sum, sum_of(second));
    fill(second, self->number, slot, sequence);
    memset(block, 0, BLOCK);
    io(self->disk_b, block, self->number, slot, 0);
    if (block->sequence != before) broken("disk B before", self->number, before, block->sequence);
    io(self->disk_b, second, self->number, slot, 1);
    self->expected[slot] = sequence;
    verify(self, self->disk_a, other, block, "disk A");
    verify(self, self->disk_b, other, block, "disk B");
    /* The page cache. */
    if (pwrite(file, second, BLOCK, (off_t)slot * BLOCK) != BLOCK || pread(file, cached, BLOCK, (off_t)slot * BLOCK) != BLOCK)
      broken("page cache", self->number, BLOCK, 0);
    if (memcmp(cached, second, BLOCK) != 0) broken("page cache's content", self->number, sequence, cached->sequence);
    run_code(code, self->number, sequence);
    self->rounds = sequence;
  }
  return 0;
}

static int check(int count, char **arguments) {
  if (count < 3) return 2;
  int disk_a = open_disk(arguments[0]), disk_b = open_disk(arguments[1]);
  int workers = atoi(arguments[2]);
  uint64_t most = count > 3 ? strtoull(arguments[3], 0, 10) : ~0ULL;
  struct worker *all = calloc(workers, sizeof *all);
  struct block *zero = aligned(BLOCK);
  for (int i = 0; i < workers; i++) {
    all[i].disk_a = disk_a;
    all[i].disk_b = disk_b;
    all[i].number = i;
    for (int slot = 0; slot < SLOTS; slot++) {
      io(disk_a, zero, i, slot, 1);
      io(disk_b, zero, i, slot, 1);
    }
  }
  for (int i = 0; i < workers; i++) {
    pthread_t thread;
    if (pthread_create(&thread, 0, work, &all[i]) != 0) return 1;
  }
  for (uint64_t said = 0, last = 0;; usleep(100000)) {
    uint64_t total = 0;
    for (int i = 0; i < workers; i++) total += all[i].rounds;
    if (total == last && said > 100) printf("witness stands still at %llu\n", (unsigned long long)total);
    last = total;
    printf("witness %llu ok\n", (unsigned long long)total);
    fflush(stdout);
    said++;
    if (total >= most) break;
  }
  printf("witness done\n");
  return 0;
}

static int gap(double seconds) {
  double end = now() + seconds, last = now(), largest = 0;
  while (last < end) {
    double at = now();
    if (at - last > largest) largest = at - last;
    last = at;
  }
  printf("gap %.0f us\n", largest * 1e6);
  return 0;
}

static int spin(double seconds) {
  double start = now(), end = start + seconds;
  uint64_t rounds = 0;
  volatile uint64_t sink = 0;
  while (now() < end) {
    uint64_t value = rounds;
    for (int i = 0; i < 20000; i++) value = value * 6364136223846793005ULL + 1442695040888963407ULL;
    sink += value;
    rounds++;
  }
  printf("spin %.1f per second\n", rounds / (now() - start));
  return 0;
}

static int dirty(double rate, int mebibytes, double seconds) {
  size_t bytes = (size_t)mebibytes << 20;
  uint64_t *memory = aligned(bytes);
  memset(memory, 1, bytes);
  printf("dirty begins\n");
  fflush(stdout);
  double start = now(), end = start + seconds;
  uint64_t pages = 0, spun = 0;
  for (size_t at = 0; now() < end;) {
    for (int i = 0; i < 16; i++) {
      memory[at / 8] = pages++;
      at = (at + BLOCK) % bytes;
    }
    /* What is left of the time goes into computing, which is counted: a slower machine shows there. */
    while (pages * (double)BLOCK / (1 << 20) > rate * (now() - start)) {
      uint64_t value = spun;
      for (int i = 0; i < 2000; i++) value = value * 6364136223846793005ULL + 1;
      memory[1] = value;
      spun++;
    }
  }
  double took = now() - start;
  printf("dirty %.1f MiB per second, spin %.1f per second\n", pages * (double)BLOCK / (1 << 20) / took, spun / took);
  return 0;
}

static void *read_for_ever(void *argument) {
  int file = *(int *)argument;
  char *block = aligned(BLOCK);
  off_t size = lseek(file, 0, SEEK_END);
  for (uint64_t round = (uint64_t)(uintptr_t)block;; round++) {
    off_t at = (off_t)(mix(round) % (size / BLOCK)) * BLOCK;
    if (pread(file, block, BLOCK, at) != BLOCK) broken("pending read", 0, BLOCK, 0);
  }
  return 0;
}

static int pending(const char *disk, int count) {
  static int file;
  file = open_disk(disk);
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    if (pthread_create(&thread, &attributes, read_for_ever, &file) != 0) return 1;
  }
  printf("pending begins\n");
  fflush(stdout);
  pause();
  return 0;
}

static int hash(int mebibytes) {
  size_t words = ((size_t)mebibytes << 20) / 8;
  uint64_t *memory = aligned(words * 8);
  for (size_t i = 0; i < words; i++) memory[i] = mix(i);
  uint64_t expected = 0;
  for (uint64_t round = 0;; round++) {
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++) sum = sum * 31 + memory[i];
    if (round == 0) expected = sum;
    if (sum != expected) broken("hash of memory", round, expected, sum);
    printf("hash %llu same\n", (unsigned long long)round);
    fflush(stdout);
  }
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "";
  if (strcmp(what, "check") == 0) return check(count - 2, arguments + 2);
  if (strcmp(what, "gap") == 0 && count > 2) return gap(atof(arguments[2]));
  if (strcmp(what, "spin") == 0 && count > 2) return spin(atof(arguments[2]));
  if (strcmp(what, "dirty") == 0 && count > 4) return dirty(atof(arguments[2]), atoi(arguments[3]), atof(arguments[4]));
  if (strcmp(what, "pending") == 0 && count > 3) return pending(arguments[2], atoi(arguments[3]));
  if (strcmp(what, "hash") == 0 && count > 2) return hash(atoi(arguments[2]));
  fprintf(stderr, "witness: see its source\n");
  return 2;
}
