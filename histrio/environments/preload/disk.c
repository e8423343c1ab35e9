/* A node's disk: writes and syncs that fail, wait, or only pretend; every refusal is counted, also the kernel's own. */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_disk_error(int error) {
    return error == EIO || error == ENOSPC || error == EROFS || error == EDQUOT || error == EFBIG;
}

static int something_ordered(void) {
    return order(ORDER_FULL) || order(ORDER_READ_ONLY) || order(ORDER_FAIL_WRITES) || journal_on();
}

/* What a change of ours comes to before it reaches the kernel: 0 or the error that it fails with. */
static int ordered_error(int needs_room) {
    int error = order(ORDER_FAIL_WRITES) ? EIO : order(ORDER_READ_ONLY) ? EROFS : 0;
    if (!error && needs_room && order(ORDER_FULL)) error = ENOSPC;
    if (error) count(COUNT_WRITE_ERRORS);
    return error;
}

static void note_refusal(int fd) {
    char path[PATH_MAX];
    int error = errno;
    if (is_disk_error(error) && histrio_ours(fd, path)) count(COUNT_WRITE_ERRORS);
    errno = error;
}

/* One way to write, `CALL`, at `OFFSET` (-1: where the descriptor stands). */
#define CHANGED(KIND, FD, OFFSET, LENGTH, RESULT, CALL)                        \
    do {                                                                       \
        char path[PATH_MAX];                                                   \
        int of_ours = histrio_page && something_ordered() && histrio_ours(FD, path); \
        if (of_ours) {                                                         \
            int error = ordered_error(KIND == RECORD_WRITE);                   \
            if (error) {                                                       \
                errno = error;                                                 \
                return -1;                                                     \
            }                                                                  \
        }                                                                      \
        int journalled = of_ours && journal_on();                              \
        if (journalled) {                                                      \
            journal_lock();                                                    \
            journal_change(KIND, FD, OFFSET, LENGTH);                          \
        }                                                                      \
        RESULT done = CALL;                                                    \
        if (done < 0 && histrio_page) note_refusal(FD);                        \
        if (journalled) journal_unlock();                                      \
        return done;                                                           \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t size) {
    NEXT(write)
    CHANGED(RECORD_WRITE, fd, -1, (int64_t)size, ssize_t, next_write(fd, bytes, size));
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    NEXT(pwrite64)
    CHANGED(RECORD_WRITE, fd, offset, (int64_t)size, ssize_t, next_pwrite64(fd, bytes, size, offset));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) { return pwrite64(fd, bytes, size, offset); }

static int64_t total(const struct iovec *parts, int size) {
    int64_t sum = 0;
    for (int i = 0; i < size; i++) sum += (int64_t)parts[i].iov_len;
    return sum;
}

ssize_t writev(int fd, const struct iovec *parts, int size) {
    NEXT(writev)
    CHANGED(RECORD_WRITE, fd, -1, total(parts, size), ssize_t, next_writev(fd, parts, size));
}

ssize_t pwritev64(int fd, const struct iovec *parts, int size, off64_t offset) {
    NEXT(pwritev64)
    CHANGED(RECORD_WRITE, fd, offset, total(parts, size), ssize_t, next_pwritev64(fd, parts, size, offset));
}

ssize_t pwritev(int fd, const struct iovec *parts, int size, off_t offset) {
    return pwritev64(fd, parts, size, offset);
}

int ftruncate64(int fd, off64_t size) {
    NEXT(ftruncate64)
    CHANGED(RECORD_TRUNCATE, fd, size, 0, int, next_ftruncate64(fd, size));
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
    NEXT(fallocate64)
    CHANGED(RECORD_WRITE, fd, offset, size, int, next_fallocate64(fd, mode, offset, size));
}

int fallocate(int fd, int mode, off_t offset, off_t size) { return fallocate64(fd, mode, offset, size); }

/* ── syncs ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!histrio_page || !histrio_ours(fd, path)) return real(fd);
    if (order(ORDER_STOP_AT_SYNC)) {
        count(COUNT_STOPS);
        kill(getpid(), SIGSTOP); /* which the first process of a container does not do to itself */
        while (order(ORDER_STOP_AT_SYNC)) histrio_sleep(HISTRIO_MILLION);
    }
    if (order(ORDER_HANG)) {
        count(COUNT_SYNCS_HELD);
        while (order(ORDER_HANG)) histrio_sleep(HISTRIO_MILLION);
    }
    int64_t delay = order(ORDER_SYNC_DELAY_NS);
    if (delay > 0) {
        count(COUNT_SYNCS_DELAYED);
        histrio_sleep(delay);
    }
    int error = order(ORDER_FAIL_SYNCS) ? EIO : order(ORDER_READ_ONLY) ? EROFS : 0;
    if (error) {
        count(COUNT_SYNC_ERRORS);
        errno = error;
        return -1;
    }
    if (order(ORDER_LIE)) {
        count(COUNT_SYNCS_LIED);
        return 0;
    }
    int64_t covers = journal_position();
    int failed = real(fd);
    if (failed && is_disk_error(errno)) count(COUNT_SYNC_ERRORS);
    if (!failed && journal_on()) journal_synced(fd, covers);
    return failed;
}

int fsync(int fd) {
    NEXT(fsync)
    return synced(fd, next_fsync);
}

int fdatasync(int fd) {
    NEXT(fdatasync)
    return synced(fd, next_fdatasync);
}

/* ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int failing_read(int fd) {
    char path[PATH_MAX];
    if (!order(ORDER_FAIL_READS) || !histrio_ours(fd, path)) return 0;
    count(COUNT_READ_ERRORS);
    errno = EIO;
    return 1;
}

ssize_t read(int fd, void *bytes, size_t size) {
    NEXT(read)
    return failing_read(fd) ? -1 : next_read(fd, bytes, size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset) {
    NEXT(pread64)
    return failing_read(fd) ? -1 : next_pread64(fd, bytes, size, offset);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset) { return pread64(fd, bytes, size, offset); }

/* ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

int renameat(int from, const char *source, int to, const char *target) {
    NEXT(renameat)
    char path[PATH_MAX], old[PATH_MAX];
    if (!histrio_page || !something_ordered() || !histrio_ours_name(to, target, path) ||
        !histrio_ours_name(from, source, old))
        return next_renameat(from, source, to, target);
    int error = ordered_error(0);
    if (error) {
        errno = error;
        return -1;
    }
    journal_lock();
    journal_renaming(old, path);
    int failed = next_renameat(from, source, to, target);
    journal_unlock();
    return failed;
}

int rename(const char *source, const char *target) { return renameat(AT_FDCWD, source, AT_FDCWD, target); }

int unlinkat(int directory, const char *name, int flags) {
    NEXT(unlinkat)
    char path[PATH_MAX];
    if (flags || !histrio_page || !something_ordered() || !histrio_ours_name(directory, name, path))
        return next_unlinkat(directory, name, flags);
    int error = ordered_error(0);
    if (error) {
        errno = error;
        return -1;
    }
    journal_lock();
    journal_unlinking(path);
    int failed = next_unlinkat(directory, name, flags);
    journal_unlock();
    return failed;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

/* ── opening, and the limit on descriptors (limits.c has the others) ───────────────────────────────────────────── */

static int opened(int directory, const char *name, int flags, mode_t mode) {
    NEXT(openat64)
    char path[PATH_MAX];
    int changes = (flags & (O_CREAT | O_TRUNC)) && histrio_page && something_ordered();
    int of_ours = changes && histrio_ours_name(directory, name, path);
    int error = of_ours ? ordered_error(flags & O_CREAT) : 0;
    if (error) {
        errno = error;
        return -1;
    }
    int journalled = of_ours && journal_on(), existed = 1;
    if (journalled) {
        journal_lock();
        existed = !access(path, F_OK);
        if (existed && (flags & O_TRUNC)) {
            int old = next_openat64(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
            if (old >= 0) journal_change(RECORD_TRUNCATE, old, 0, 0), close(old);
        }
    }
    int fd = next_openat64(directory, name, flags, mode);
    if (journalled && fd >= 0 && !existed) journal_created(path);
    if (journalled) journal_unlock();
    if (fd < 0 && errno == EMFILE) count(COUNT_FILE_ERRORS);
    if (fd < 0 && is_disk_error(errno) && histrio_ours_name(directory, name, path)) count(COUNT_WRITE_ERRORS);
    return fd;
}

#define MODE(flags)                                      \
    mode_t mode = 0;                                     \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {             \
        va_list rest;                                    \
        va_start(rest, flags);                           \
        mode = va_arg(rest, mode_t);                     \
        va_end(rest);                                    \
    }

int open64(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}

int open(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}

int openat64(int directory, const char *name, int flags, ...) {
    MODE(flags)
    return opened(directory, name, flags, mode);
}

int openat(int directory, const char *name, int flags, ...) {
    MODE(flags)
    return opened(directory, name, flags, mode);
}
