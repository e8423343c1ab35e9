/* Clocks of a node: a wall clock that jumps, and monotonic clocks that run too fast or too slow without ever jumping.

   A speed is only real if waits obey it too, so that every timed wait of the C library that an event loop or an
   interpreter uses is here. Kernel time is `real`, the node's is `fake`. Calls that bypass the C library escape. */

#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

static int64_t in_ns(const struct timespec *t) { return (int64_t)t->tv_sec * HISTRIO_BILLION + t->tv_nsec; }

static struct timespec of_ns(int64_t ns) {
    if (ns < 0) ns = 0;
    return (struct timespec){.tv_sec = ns / HISTRIO_BILLION, .tv_nsec = ns % HISTRIO_BILLION};
}

static int real_clock(clockid_t clock, struct timespec *t) {
    NEXT(clock_gettime)
    return next_clock_gettime(clock, t);
}

static int64_t real_ns(clockid_t clock) {
    struct timespec t;
    real_clock(clock, &t);
    return in_ns(&t);
}

/* ── speed ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* From `real` on, `fake` advances by `rate_ppm` millionths of real time. Anchors are the process's own: after a
   restart the clock begins with the kernel's again, as after a reboot. */
struct anchor {
    int64_t generation, real, fake, rate_ppm;
};

static struct anchor anchors[64] = {{0, 0, 0, HISTRIO_MILLION}};
static struct anchor *current = &anchors[0];
static unsigned anchored;
static int anchoring;
static int64_t latest;

static int64_t advanced(const struct anchor *a, int64_t real) {
    return a->fake + (int64_t)((__int128)(real - a->real) * a->rate_ppm / HISTRIO_MILLION);
}

/* The anchor in force. A new speed begins where the old one has brought the clock: it never jumps. Who does not get
   the lock goes on with the old speed for this call. */
static struct anchor *anchor(void) {
    struct anchor *a = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
    int64_t generation = order(ORDER_RATE_GENERATION);
    if (a->generation == generation || __atomic_exchange_n(&anchoring, 1, __ATOMIC_ACQUIRE)) return a;
    a = current;
    if (a->generation != generation) {
        struct anchor *next = &anchors[++anchored % (sizeof anchors / sizeof anchors[0])];
        int64_t rate = order(ORDER_RATE_PPM), now = real_ns(CLOCK_MONOTONIC);
        *next = (struct anchor){generation, now, advanced(a, now), rate > 0 ? rate : HISTRIO_MILLION};
        __atomic_store_n(&current, next, __ATOMIC_RELEASE);
        a = next;
    }
    __atomic_store_n(&anchoring, 0, __ATOMIC_RELEASE);
    return a;
}

/* Never less than before, in any thread: a thread may have read the kernel's clock before the speed changed. */
static int64_t not_before(int64_t fake) {
    int64_t seen = __atomic_load_n(&latest, __ATOMIC_RELAXED);
    while (fake > seen)
        if (__atomic_compare_exchange_n(&latest, &seen, fake, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return fake;
    return seen;
}

static int is_monotonic(clockid_t clock) {
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_BOOTTIME;
}

static int64_t fake_ns(clockid_t clock, int64_t real) {
    struct anchor *a = anchor();
    if (a->generation == 0) return real;
    if (clock == CLOCK_MONOTONIC) return not_before(advanced(a, real));
    int64_t now = real_ns(CLOCK_MONOTONIC);
    return real + advanced(a, now) - now;
}

/* How long to wait in real time for what is `fake` on the node's clock. */
static int64_t waits(int64_t fake) {
    struct anchor *a = anchor();
    if (a->rate_ppm == HISTRIO_MILLION || fake <= 0) return fake;
    count(COUNT_TIMERS_SHIFTED);
    return (int64_t)((__int128)fake * HISTRIO_MILLION / a->rate_ppm);
}

/* ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

static int64_t wall_shift(void) {
    int64_t shift = order(ORDER_WALL_OFFSET_NS), half = order(ORDER_STROBE_HALF_NS);
    if (half > 0 && (real_ns(CLOCK_MONOTONIC) / half) & 1) shift += order(ORDER_STROBE_NS);
    return shift;
}

/* The node's clock where the kernel's says `real`. */
static int64_t node_ns(clockid_t clock, int64_t real) {
    if (is_wall(clock)) return real + wall_shift();
    return is_monotonic(clock) ? fake_ns(clock, real) : real;
}

/* Notices that the wall clock of this process has jumped against the kernel's, whichever clock was asked for: what any
   part of the node would see that looked. The strobe jumps between looks; how often is a lower bound. */
static void notice_steps(void) {
    static int64_t noticed;
    int64_t shift = wall_shift(), before = __atomic_exchange_n(&noticed, shift, __ATOMIC_RELAXED);
    if (shift != before) count(COUNT_CLOCK_STEPS_SEEN);
}

int clock_gettime(clockid_t clock, struct timespec *t) {
    int failed = real_clock(clock, t);
    if (failed || !histrio_page) return failed;
    notice_steps();
    int64_t real = in_ns(t), fake = node_ns(clock, real);
    if (is_wall(clock) && fake != real) count(COUNT_WALL_READS_SHIFTED);
    if (is_monotonic(clock) && anchor()->rate_ppm != HISTRIO_MILLION) count(COUNT_CLOCK_READS_SHIFTED);
    *t = of_ns(fake);
    return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    if (!failed) *t = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}

/* ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static int scaled_ms(int ms) {
    if (ms <= 0) return ms;
    int64_t ns = waits((int64_t)ms * HISTRIO_MILLION);
    return (int)((ns + HISTRIO_MILLION - 1) / HISTRIO_MILLION);
}

static const struct timespec *scaled(const struct timespec *t, struct timespec *room) {
    if (!t) return NULL;
    *room = of_ns(waits(in_ns(t)));
    return room;
}

int epoll_wait(int fd, struct epoll_event *events, int size, int ms) {
    NEXT(epoll_wait)
    return next_epoll_wait(fd, events, size, scaled_ms(ms));
}

int epoll_pwait(int fd, struct epoll_event *events, int size, int ms, const sigset_t *mask) {
    NEXT(epoll_pwait)
    return next_epoll_pwait(fd, events, size, scaled_ms(ms), mask);
}

int poll(struct pollfd *fds, nfds_t size, int ms) {
    NEXT(poll)
    return next_poll(fds, size, scaled_ms(ms));
}

int ppoll(struct pollfd *fds, nfds_t size, const struct timespec *t, const sigset_t *mask) {
    NEXT(ppoll)
    struct timespec room;
    return next_ppoll(fds, size, scaled(t, &room), mask);
}

int select(int size, fd_set *in, fd_set *out, fd_set *bad, struct timeval *t) {
    NEXT(select)
    if (!t) return next_select(size, in, out, bad, NULL);
    int64_t ns = waits((int64_t)t->tv_sec * HISTRIO_BILLION + (int64_t)t->tv_usec * 1000);
    struct timeval room = {.tv_sec = ns / HISTRIO_BILLION, .tv_usec = ns % HISTRIO_BILLION / 1000};
    return next_select(size, in, out, bad, &room);
}

int nanosleep(const struct timespec *t, struct timespec *rest) {
    NEXT(nanosleep)
    struct timespec room;
    return next_nanosleep(scaled(t, &room), rest);
}

/* An instant on the node's clock as the kernel's; which clock it is of can be told, for they are decades apart. */
static struct timespec instant(clockid_t clock, const struct timespec *t) {
    int64_t real = real_ns(clock), left = in_ns(t) - node_ns(clock, real);
    return of_ns(real + (is_monotonic(clock) ? waits(left) : left));
}

static clockid_t clock_of(const struct timespec *t) {
    int64_t to_monotonic = in_ns(t) - real_ns(CLOCK_MONOTONIC), to_wall = in_ns(t) - real_ns(CLOCK_REALTIME);
    return llabs(to_monotonic) < llabs(to_wall) ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *rest) {
    NEXT(clock_nanosleep)
    struct timespec room = (flags & TIMER_ABSTIME) ? instant(clock, t) : of_ns(waits(in_ns(t)));
    return next_clock_nanosleep(clock, flags, &room, rest);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *t) {
    NEXT(pthread_cond_timedwait)
    struct timespec room = instant(clock_of(t), t);
    return next_pthread_cond_timedwait(cond, mutex, &room);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *t) {
    NEXT(pthread_cond_clockwait)
    struct timespec room = instant(clock, t);
    return next_pthread_cond_clockwait(cond, mutex, clock, &room);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *t) {
    NEXT(sem_timedwait)
    struct timespec room = instant(CLOCK_REALTIME, t);
    return next_sem_timedwait(semaphore, &room);
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *t) {
    NEXT(sem_clockwait)
    struct timespec room = instant(clock, t);
    return next_sem_clockwait(semaphore, clock, &room);
}

void histrio_sleep(int64_t ns) {
    NEXT(nanosleep)
    struct timespec rest = of_ns(ns);
    while (next_nanosleep(&rest, &rest) && errno == EINTR) {
    }
}
