/* Makes each flush of a file to the disk take longer, for whatever program it is preloaded into
 * (scripts/with-slow-disk.sh): by as many microseconds as SLOW_DISK_MICROS says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static void take_longer(void) {
    const char *given = getenv("SLOW_DISK_MICROS");
    long micros = given ? atol(given) : 0;
    if (micros > 0) {
        struct timespec time = {micros / 1000000, (micros % 1000000) * 1000};
        /* A signal does not make the disk faster. */
        while (nanosleep(&time, &time) != 0 && errno == EINTR) {}
    }
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    take_longer();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    take_longer();
    return real(file);
}
