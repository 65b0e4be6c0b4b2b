/* Page faults of the host, ns each: the first store to fresh pages, and to pages that a child shares. Prints one JSON object. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGES = 16384, PAGE = 4096, ROUNDS = 5 };

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static double touch(volatile char *area) {
  double start = now_ns();
  for (long at = 0; at < PAGES; at++) area[at * PAGE] = (char)(at | 1);
  return (now_ns() - start) / PAGES;
}

int main(void) {
  double minor = 1e9, cow = 1e9;
  for (int round = 0; round < ROUNDS; round++) {
    char *area = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return 1;
    /* Small pages, as the emulated machine has. */
    if (madvise(area, (size_t)PAGES * PAGE, MADV_NOHUGEPAGE) != 0) return 1;
    double fresh = touch(area);
    if (fresh < minor) minor = fresh;
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      pause();
      _exit(0);
    }
    double copied = touch(area);
    if (copied < cow) cow = copied;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    munmap(area, (size_t)PAGES * PAGE);
  }
  printf("{\"minor\":%.1f,\"cow\":%.1f}\n", minor, cow);
  return 0;
}
