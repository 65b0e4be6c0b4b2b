/* Two threads of the host that wake each other through a futex, ns a switch: on one CPU, and on whichever they like. Prints one JSON object. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TRIPS = 50000 };

static atomic_int turn;

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void play(int me) {
  for (int i = 0; i < TRIPS; i++) {
    while (atomic_load(&turn) != me) syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 1 - me, NULL, NULL, 0);
    atomic_store(&turn, 1 - me);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
}

static void *other(void *arg) {
  (void)arg;
  play(1);
  return NULL;
}

static double rounds(void) {
  pthread_t thread;
  atomic_store(&turn, 0);
  double start = now_ns();
  pthread_create(&thread, NULL, other, NULL);
  play(0);
  pthread_join(thread, NULL);
  return (now_ns() - start) / (2.0 * TRIPS);
}

int main(void) {
  double anywhere = rounds();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) return 1;
  printf("{\"anywhere\":%.1f,\"together\":%.1f}\n", anywhere, rounds());
  return 0;
}
