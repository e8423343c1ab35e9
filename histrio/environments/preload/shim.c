/* Loading: the page is mapped before anything of the node runs; without it every call goes through unchanged. */

#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

volatile int64_t *histrio_page;

static char data[PATH_MAX];
static size_t data_length;

void *histrio_next(const char *name) {
    /* The first version of this function that x86-64 had differs; a plain look-up may find that one. */
    void *found = strcmp(name, "pthread_cond_timedwait") ? NULL : dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return found ? found : dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void load(void) {
    const char *page = getenv("HISTRIO_SHIM_PAGE"), *directory = getenv("HISTRIO_SHIM_DATA");
    if (!page) return;
    int fd = open(page, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, HISTRIO_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) return;
    if (directory && realpath(directory, data)) data_length = strlen(data);
    histrio_page = mapped;
    count(COUNT_STARTS);
    if (order(ORDER_JOURNAL) && data_length) journal_open();
}

static int below_data(const char *path) {
    return data_length && !strncmp(path, data, data_length) && (path[data_length] == '/' || !path[data_length]);
}

int histrio_ours(int fd, char path[]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int kept = errno;
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = kept;
    if (length <= 0) return 0;
    path[length] = 0;
    return below_data(path);
}

int histrio_ours_name(int directory, const char *name, char path[]) {
    char start[PATH_MAX] = "";
    if (!name) return 0;
    if (name[0] != '/' && directory == AT_FDCWD && !getcwd(start, sizeof start)) return 0;
    if (name[0] != '/' && directory != AT_FDCWD && !histrio_ours(directory, start)) return 0;
    char whole[2 * PATH_MAX];
    snprintf(whole, sizeof whole, name[0] == '/' ? "%s%s" : "%s/%s", start, name);
    char *last = strrchr(whole, '/');
    char parent[PATH_MAX];
    *last = 0;
    int kept = errno, known = realpath(last == whole ? "/" : whole, parent) != NULL;
    errno = kept;
    if (!known || snprintf(path, PATH_MAX, "%s/%s", parent, last + 1) >= PATH_MAX) return 0;
    return below_data(path);
}
