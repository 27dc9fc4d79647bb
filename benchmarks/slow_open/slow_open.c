/* Makes every opening of a file below SLOW_OPEN_FOLDER take longer, as one on a distant store does: for LD_PRELOAD. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *folder;
static size_t length;
static struct timespec delay;

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("SLOW_OPEN_SECONDS");
    folder = getenv("SLOW_OPEN_FOLDER");
    if (folder && seconds) {
        double value = atof(seconds);
        length = strlen(folder);
        delay.tv_sec = (time_t)value;
        delay.tv_nsec = (long)((value - (double)delay.tv_sec) * 1e9);
    }
}

static void wait_for(const char *path) {
    if (length && !strncmp(path, folder, length)) nanosleep(&delay, NULL);
}

#define OPEN(name)                                                                  \
    int name(const char *path, int flags, ...) {                                    \
        static int (*next)(const char *, int, ...);                                 \
        va_list rest;                                                               \
        mode_t mode;                                                                \
        va_start(rest, flags);                                                      \
        mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;          \
        va_end(rest);                                                               \
        if (!next) next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        wait_for(path);                                                             \
        return next(path, flags, mode);                                             \
    }

#define OPENAT(name)                                                                     \
    int name(int at, const char *path, int flags, ...) {                                 \
        static int (*next)(int, const char *, int, ...);                                 \
        va_list rest;                                                                    \
        mode_t mode;                                                                     \
        va_start(rest, flags);                                                           \
        mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;               \
        va_end(rest);                                                                    \
        if (!next) next = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        wait_for(path);                                                                  \
        return next(at, path, flags, mode);                                              \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
