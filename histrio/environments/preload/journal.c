/* The undo journal: what it takes to take back every change that no sync has covered (read by undo.py).

   One record before each change, under a lock, so that records stand in the order of the changes. A record becomes
   void when its inode is synced: a file's for its content, a directory's for the names in it. When nothing is left that
   could be lost the journal is emptied, so that it stays as short as what is at stake. Changes through mmap escape. */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As struct.Struct("<IIQQqqqII") in undo.py; then the path, the other path, the old bytes. */
struct __attribute__((packed)) header {
    uint32_t kind, path_size;
    uint64_t number, inode;
    int64_t offset, length, old_size; /* of a sync: `offset` is the number of the last record that it covers */
    uint32_t other_size, old_bytes;
};

static int journal = -1;
static char saved[PATH_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int journal_on(void) { return journal >= 0; }

void journal_open(void) {
    const char *path = getenv("HISTRIO_SHIM_JOURNAL");
    if (!path) return;
    snprintf(saved, sizeof saved, "%s.saved", path);
    journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

void journal_lock(void) { pthread_mutex_lock(&lock); }

void journal_unlock(void) { pthread_mutex_unlock(&lock); }

int64_t journal_position(void) { return order((enum order)COUNT_RECORDS); }

static ssize_t raw_write(int fd, const void *bytes, size_t size) {
    NEXT(write)
    return next_write(fd, bytes, size);
}

/* Slots of the page: (inode, number of its last record) pairs; inode 0: free. A full table is never cleared. */
static void mark_dirty(uint64_t inode, int64_t number) {
    volatile int64_t *free_slot = NULL;
    for (int i = 0; i < HISTRIO_DIRTY_SLOTS; i++) {
        volatile int64_t *slot = &histrio_page[DIRTY_FIRST + 2 * i];
        if ((uint64_t)slot[0] == inode) {
            slot[1] = number;
            return;
        }
        if (!slot[0] && !free_slot) free_slot = slot;
    }
    if (!free_slot) free_slot = &histrio_page[DIRTY_FIRST], number = INT64_MAX, inode = UINT64_MAX;
    free_slot[1] = number;
    free_slot[0] = (int64_t)inode;
}

static int nothing_dirty(uint64_t inode, int64_t covers) {
    int dirty = 0;
    for (int i = 0; i < HISTRIO_DIRTY_SLOTS; i++) {
        volatile int64_t *slot = &histrio_page[DIRTY_FIRST + 2 * i];
        if ((uint64_t)slot[0] == inode && slot[1] <= covers) slot[0] = 0;
        dirty |= slot[0] != 0;
    }
    return !dirty;
}

static void append(struct header head, const char *path, const char *other, const void *old) {
    static char record[sizeof(struct header) + 2 * PATH_MAX];
    head.path_size = (uint32_t)strlen(path);
    head.other_size = (uint32_t)strlen(other);
    count(COUNT_RECORDS);
    head.number = (uint64_t)journal_position();
    size_t size = sizeof head;
    char *whole = head.old_bytes ? malloc(sizeof record + head.old_bytes) : record;
    if (!whole) abort(); /* a gap in the journal would be a lie later */
    memcpy(whole, &head, sizeof head);
    memcpy(whole + size, path, head.path_size), size += head.path_size;
    memcpy(whole + size, other, head.other_size), size += head.other_size;
    if (head.old_bytes) memcpy(whole + size, old, head.old_bytes), size += head.old_bytes;
    if (raw_write(journal, whole, size) != (ssize_t)size) abort();
    if (whole != record) free(whole);
    if (head.kind != RECORD_SYNC) mark_dirty(head.inode, (int64_t)head.number);
}

void journal_change(enum record kind, int fd, int64_t offset, int64_t length) {
    NEXT(pread64)
    struct stat file;
    char path[PATH_MAX];
    int kept = errno;
    if (fstat(fd, &file) || !S_ISREG(file.st_mode) || !histrio_ours(fd, path)) return;
    if (offset < 0) offset = (fcntl(fd, F_GETFL) & O_APPEND) ? file.st_size : lseek(fd, 0, SEEK_CUR);
    int64_t end = kind == RECORD_TRUNCATE ? file.st_size : offset + length;
    int64_t old = (end < file.st_size ? end : file.st_size) - offset;
    char *bytes = old > 0 ? malloc((size_t)old) : NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reading = bytes ? open(link, O_RDONLY | O_CLOEXEC) : -1; /* the node's may be open for writing only */
    int64_t got = 0;
    while (reading >= 0 && got < old) {
        ssize_t n = next_pread64(reading, bytes + got, (size_t)(old - got), offset + got);
        if (n <= 0) break;
        got += n;
    }
    if (reading >= 0) close(reading);
    struct header head = {.kind = kind, .inode = file.st_ino, .offset = offset, .length = length,
                          .old_size = file.st_size, .old_bytes = (uint32_t)got};
    append(head, path, "", bytes);
    free(bytes);
    errno = kept;
}

static uint64_t inode_of(const char *path) {
    struct stat file;
    return stat(path, &file) ? 0 : file.st_ino;
}

static uint64_t parent_of(const char *path) {
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = 0;
    return inode_of(parent);
}

/* A second name for what is about to lose its name; "" where there is nothing, or it cannot be had on this disk. */
static void keep(const char *path, char *name) {
    snprintf(name, PATH_MAX, "%.4000s.%lld", saved, (long long)journal_position() + 1);
    if (link(path, name)) name[0] = 0;
}

void journal_created(const char *path) {
    struct header head = {.kind = RECORD_CREATE, .inode = parent_of(path), .offset = (int64_t)inode_of(path)};
    append(head, path, "", NULL);
}

void journal_renaming(const char *source, const char *target) {
    char name[PATH_MAX];
    int kept = errno;
    if (!journal_on()) return;
    keep(target, name);
    struct header head = {.kind = RECORD_RENAME, .inode = parent_of(target), .old_size = name[0] != 0,
                          .offset = (int64_t)inode_of(source)};
    append(head, source, target, NULL);
    errno = kept;
}

void journal_unlinking(const char *path) {
    char name[PATH_MAX];
    int kept = errno;
    if (!journal_on()) return;
    keep(path, name);
    struct header head = {.kind = RECORD_UNLINK, .inode = parent_of(path), .old_size = name[0] != 0};
    if (name[0]) append(head, path, "", NULL);
    errno = kept;
}

void journal_synced(int fd, int64_t covers) {
    struct stat file;
    if (fstat(fd, &file)) return;
    journal_lock();
    struct header head = {.kind = RECORD_SYNC, .inode = file.st_ino, .offset = covers};
    append(head, "", "", NULL);
    if (nothing_dirty(file.st_ino, covers)) (void)!ftruncate(journal, 0);
    journal_unlock();
}
