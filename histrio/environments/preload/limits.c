/* Limits of a node: nothing is refused here, the kernel's refusals are counted. */

#include "shim.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static int descriptor(int fd) {
    if (fd < 0 && errno == EMFILE) count(COUNT_FILE_ERRORS);
    return fd;
}

int socket(int domain, int type, int protocol) {
    NEXT(socket)
    return descriptor(next_socket(domain, type, protocol));
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
    NEXT(accept)
    return descriptor(next_accept(fd, address, length));
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags) {
    NEXT(accept4)
    return descriptor(next_accept4(fd, address, length, flags));
}

int dup(int fd) {
    NEXT(dup)
    return descriptor(next_dup(fd));
}

int pipe2(int fds[2], int flags) {
    NEXT(pipe2)
    return descriptor(next_pipe2(fds, flags));
}
