/* Raw system calls of the host, ns each: what our calls are measured against. Prints one JSON object. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void) {
  static char page[4096];
  int null = open("/dev/null", O_WRONLY);
  int pipes[2];
  long sum = 0;
  if (null < 0 || pipe(pipes) != 0) return 1;
  memset(page, 'x', sizeof page);

  int calls = 300000;
  double start = now_ns();
  for (int i = 0; i < calls; i++) sum += syscall(SYS_getpid);
  double getpid_ns = (now_ns() - start) / calls;

  start = now_ns();
  for (int i = 0; i < calls; i++) sum += syscall(SYS_write, null, page, 1);
  double write_ns = (now_ns() - start) / calls;

  int trips = 100000;
  start = now_ns();
  for (int i = 0; i < trips; i++) {
    sum += syscall(SYS_write, pipes[1], page, sizeof page);
    sum += syscall(SYS_read, pipes[0], page, sizeof page);
  }
  double pipe_ns = (now_ns() - start) / trips;

  printf("{\"getpid\":%.1f,\"devNull\":%.1f,\"pipe\":%.1f,\"sum\":%ld}\n", getpid_ns, write_ns, pipe_ns, sum);
  return 0;
}
