/* What is preloaded into a node: the page that the harness writes its orders to and reads the counts from.

   Every order is a whole word that is read afresh at each call, so a fault begins and ends at the next call. Counts are
   added to atomically and never reset: a killed node's successor goes on with them. Slots are those of page.py. */

#ifndef HISTRIO_SHIM_H
#define HISTRIO_SHIM_H

#define _GNU_SOURCE
#include <stdint.h>
#include <sys/types.h>

#define HISTRIO_PAGE_BYTES 4096
#define HISTRIO_DIRTY_SLOTS 64
#define HISTRIO_MILLION 1000000
#define HISTRIO_BILLION 1000000000

enum order {
    ORDER_WALL_OFFSET_NS = 1, /* added to the wall clock */
    ORDER_STROBE_NS,          /* added to the wall clock in every other half period */
    ORDER_STROBE_HALF_NS,     /* length of a half period; 0: no strobe */
    ORDER_RATE_PPM,           /* speed of the monotonic clocks, in millionths */
    ORDER_RATE_GENERATION,    /* changes with the speed, after it */
    ORDER_FULL,               /* from here on, not 0 is yes: what needs room fails with ENOSPC */
    ORDER_READ_ONLY,          /* what changes anything fails with EROFS */
    ORDER_FAIL_WRITES,        /* with EIO; the same for the next two */
    ORDER_FAIL_SYNCS,
    ORDER_FAIL_READS,
    ORDER_HANG,         /* syncs wait until it is 0 */
    ORDER_SYNC_DELAY_NS,
    ORDER_LIE,          /* syncs do nothing and report success */
    ORDER_STOP_AT_SYNC, /* the process stops itself before its next sync */
    ORDER_JOURNAL,      /* keep the undo journal; read when the process starts */
};

enum count {
    COUNT_STARTS = 32, /* processes that the shim was loaded into */
    COUNT_WALL_READS_SHIFTED,
    COUNT_CLOCK_STEPS_SEEN, /* the wall clock of the process was seen to have left the kernel's, or to be back */
    COUNT_CLOCK_READS_SHIFTED,
    COUNT_TIMERS_SHIFTED, /* waits whose length was changed */
    COUNT_SYNCS_DELAYED,
    COUNT_SYNCS_HELD,
    COUNT_SYNCS_LIED,
    COUNT_STOPS,
    COUNT_WRITE_ERRORS, /* EIO, ENOSPC, EROFS, EDQUOT or EFBIG, whoever refused */
    COUNT_SYNC_ERRORS,
    COUNT_READ_ERRORS,
    COUNT_FILE_ERRORS, /* EMFILE */
    COUNT_RECORDS,     /* of the undo journal, so far */
};

/* Files and directories with records in the journal that no sync covers: inode and number of its last record. */
#define DIRTY_FIRST 128

extern volatile int64_t *histrio_page;

static inline int64_t order(enum order slot) {
    return histrio_page ? __atomic_load_n(&histrio_page[slot], __ATOMIC_RELAXED) : 0;
}

static inline void count(enum count slot) {
    if (histrio_page) __atomic_fetch_add(&histrio_page[slot], 1, __ATOMIC_RELAXED);
}

/* The next definition of a function, which is the C library's. */
void *histrio_next(const char *name);
#define NEXT(name)                        \
    static __typeof__(&name) next_##name; \
    if (!next_##name) next_##name = (__typeof__(&name))histrio_next(#name);

/* Whether the descriptor is of something below the data directory, whose absolute path is put into `path`. */
int histrio_ours(int fd, char path[]);
/* The same for a name; `directory` is AT_FDCWD or a descriptor. The last component need not exist. */
int histrio_ours_name(int directory, const char *name, char path[]);
void histrio_sleep(int64_t ns);

/* The undo journal (journal.c). All take the lock that keeps records in the order of what they record. */
enum record { RECORD_WRITE = 1, RECORD_TRUNCATE, RECORD_CREATE, RECORD_RENAME, RECORD_UNLINK, RECORD_SYNC };
int journal_on(void);
void journal_open(void);
void journal_lock(void);
void journal_unlock(void);
void journal_change(enum record kind, int fd, int64_t offset, int64_t length);
void journal_created(const char *path);
void journal_renaming(const char *source, const char *target);
void journal_unlinking(const char *path);
int64_t journal_position(void);
void journal_synced(int fd, int64_t covers);

#endif
