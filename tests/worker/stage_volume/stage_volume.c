/* Makes folders behave as mounted Snowflake stages do: for LD_PRELOAD.

   https://docs.snowflake.com/en/developer-guide/snowpark-container-services/snowflake-stage-volume
   A file is written once, from beginning to end: appending and writing elsewhere fail, and so do renaming, links, locks
   and truncation. Nothing can be flushed. A file reaches the stage when it is closed, which may fail; other mounts
   see it later, and until then may make another one of the same name, which replaces it.

   STAGE_VOLUME_FOLDERS   the folders, with ':' between them
   STAGE_VOLUME_STATE     a folder elsewhere, with folders "made" and "closed": what the mounts know of each other
   STAGE_VOLUME_MOUNT     the name of this mount: processes with the same one see their files at once, if they are of one
                          replica (SNOWFLAKE_JOB_INDEX)
   STAGE_VOLUME_SECONDS   how late others see a file
   STAGE_VOLUME_LOSES     "NUMBER PART": closing the first NUMBER files fails whose path has PART in it;
                          STATE/lost counts them */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST_FILES 4096
#define REAL(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define REFUSE do { errno = ENOTSUP; return -1; } while (0)

static const char *folders, *state;
static char mount[200];
static double seconds;

/* What is being written, by file descriptor. A forked process that closes its copy changes nothing. */
static struct written { pid_t by; char key[300], path[PATH_MAX]; } files[MOST_FILES];

__attribute__((constructor)) static void begin(void) {
    state = getenv("STAGE_VOLUME_STATE");
    const char *name = getenv("STAGE_VOLUME_MOUNT"), *replica = getenv("SNOWFLAKE_JOB_INDEX");
    if (name) snprintf(mount, sizeof mount, "%s-%s", name, replica ? replica : "0");
    if (getenv("STAGE_VOLUME_SECONDS")) seconds = atof(getenv("STAGE_VOLUME_SECONDS"));
    if (state && name) folders = getenv("STAGE_VOLUME_FOLDERS");
}

/* The whole path, for the few cases in which it is given relative to a folder. */
static const char *whole(int at, const char *path, char *buffer) {
    char folder[PATH_MAX], link[64];
    ssize_t size;
    if (!path || path[0] == '/') return path;
    if (at == AT_FDCWD) strcpy(link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    size = readlink(link, folder, sizeof folder - 1);
    if (size < 0) return path;
    folder[size] = 0;
    if ((size_t)size + strlen(path) + 2 > PATH_MAX) return path;
    strcpy(buffer, folder);
    strcat(strcat(buffer, "/"), path);
    return buffer;
}

static int inside(const char *path) {
    const char *folder = folders;
    while (path && folder && *folder) {
        size_t length = strcspn(folder, ":");
        if (!strncmp(path, folder, length) && (path[length] == '/' || !path[length])) return 1;
        folder += length + (folder[length] == ':');
    }
    return 0;
}

static int descriptor_inside(int descriptor) {
    char link[64], path[PATH_MAX];
    ssize_t size;
    if (!folders) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return inside(path);
}

static int look(const char *path, struct stat *found) {
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}

static void key_of(const char *path, ino_t inode, char *key) {
    const char *name = strrchr(path, '/');
    snprintf(key, 300, "%llu %s", (unsigned long long)inode, name ? name + 1 : path);
}

static double age(const struct stat *file) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)(now.tv_sec - file->st_mtim.tv_sec) + (double)(now.tv_nsec - file->st_mtim.tv_nsec) / 1e9;
}

/* Whether this mount does not see a file yet. */
static int hidden(const char *path) {
    struct stat file, closed;
    char key[300], place[PATH_MAX], maker[256];
    int descriptor, process = 0;
    ssize_t size;
    if (!inside(path) || look(path, &file) || !S_ISREG(file.st_mode)) return 0;
    key_of(path, file.st_ino, key);
    snprintf(place, sizeof place, "%s/made/%s", state, key);
    descriptor = (int)syscall(SYS_openat, AT_FDCWD, place, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0) return 0;
    size = read(descriptor, maker, sizeof maker - 1);
    syscall(SYS_close, descriptor);
    if (size <= 0) return 0;
    maker[size] = 0;
    char *rest = strchr(maker, ' ');
    if (!rest) return 0;
    *rest = 0;
    if (!strcmp(maker, mount)) return 0;
    process = atoi(rest + 1);
    snprintf(place, sizeof place, "%s/closed/%s", state, key);
    if (!look(place, &closed)) return age(&closed) < seconds;
    /* A process that is killed closes its files, whatever they hold by then. */
    if (!kill(process, 0) || errno == EPERM) return 1;
    return age(&file) < seconds;
}

static int hidden_here(const char *path) {
    int before = errno, found = hidden(path);
    errno = before;
    return found;
}

static void note(const char *kind, const char *key, const char *text) {
    char place[PATH_MAX];
    snprintf(place, sizeof place, "%s/%s/%s", state, kind, key);
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, place, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) return;
    if (write(descriptor, text, strlen(text)) < 0) abort();
    syscall(SYS_close, descriptor);
}

/* Whether opening is refused or fails; else what is replaced has been removed, so that it can go on as usual. */
static int before_open(const char *path, int *flags) {
    struct stat file;
    int there;
    if (!inside(path)) return 0;
    there = !look(path, &file) && S_ISREG(file.st_mode);
    if (there && hidden(path)) {
        if (!(*flags & O_CREAT)) { errno = ENOENT; return -1; }
        syscall(SYS_unlinkat, AT_FDCWD, path, 0);
        there = 0;
    }
    if ((*flags & O_ACCMODE) == O_RDONLY) return 0;
    if (*flags & O_APPEND) REFUSE;
    if (there && (*flags & O_CREAT) && (*flags & O_EXCL)) return 0;
    if (there && !(*flags & O_TRUNC)) REFUSE;
    /* Not the old one in another state: a new one takes its place. */
    if (there && !syscall(SYS_unlinkat, AT_FDCWD, path, 0)) *flags |= O_CREAT;
    return 0;
}

static void after_open(int descriptor, const char *path, int flags) {
    struct stat file;
    char text[300];
    if (descriptor < 0 || descriptor >= MOST_FILES || (flags & O_ACCMODE) == O_RDONLY || !inside(path)) return;
    if (look(path, &file) || !S_ISREG(file.st_mode)) return;
    key_of(path, file.st_ino, files[descriptor].key);
    snprintf(files[descriptor].path, PATH_MAX, "%s", path);
    files[descriptor].by = getpid();
    snprintf(text, sizeof text, "%s %d", mount, (int)getpid());
    note("made", files[descriptor].key, text);
    snprintf(text, sizeof text, "%s/closed/%s", state, files[descriptor].key);
    syscall(SYS_unlinkat, AT_FDCWD, text, 0);
}

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...) {                       \
        char buffer[PATH_MAX];                                         \
        const char *place;                                             \
        va_list rest;                                                  \
        mode_t mode = 0;                                               \
        REAL(name);                                                    \
        va_start(rest, flags);                                         \
        if (flags & (O_CREAT | __O_TMPFILE)) mode = va_arg(rest, mode_t); \
        va_end(rest);                                                  \
        if (!folders) return next(path, flags, mode);                  \
        place = whole(AT_FDCWD, path, buffer);                         \
        if (before_open(place, &flags)) return -1;                     \
        int descriptor = next(path, flags, mode ? mode : 0666);        \
        int before = errno;                                            \
        after_open(descriptor, place, flags);                          \
        errno = before;                                                \
        return descriptor;                                             \
    }
#define OPENAT(name)                                                   \
    int name(int at, const char *path, int flags, ...) {               \
        char buffer[PATH_MAX];                                         \
        const char *place;                                             \
        va_list rest;                                                  \
        mode_t mode = 0;                                               \
        REAL(name);                                                    \
        va_start(rest, flags);                                         \
        if (flags & (O_CREAT | __O_TMPFILE)) mode = va_arg(rest, mode_t); \
        va_end(rest);                                                  \
        if (!folders) return next(at, path, flags, mode);              \
        place = whole(at, path, buffer);                               \
        if (before_open(place, &flags)) return -1;                     \
        int descriptor = next(at, path, flags, mode ? mode : 0666);    \
        int before = errno;                                            \
        after_open(descriptor, place, flags);                          \
        errno = before;                                                \
        return descriptor;                                             \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* Whether this is one of the files whose closing is to fail. */
static int loses(const char *path) {
    const char *wanted = getenv("STAGE_VOLUME_LOSES");
    char place[PATH_MAX], *part;
    struct stat file;
    long number;
    if (!wanted) return 0;
    number = strtol(wanted, &part, 10);
    if (!strstr(path, part + 1)) return 0;
    snprintf(place, sizeof place, "%s/lost", state);
    int count = (int)syscall(SYS_openat, AT_FDCWD, place, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (count < 0) return 0;
    flock(count, LOCK_EX);
    int lose = !fstat(count, &file) && file.st_size < number && write(count, "x", 1) == 1;
    syscall(SYS_close, count);
    return lose;
}

int close(int descriptor) {
    REAL(close);
    struct written *file = descriptor >= 0 && descriptor < MOST_FILES ? &files[descriptor] : NULL;
    if (!file || !file->by || file->by != getpid()) return next(descriptor);
    file->by = 0;
    int done = next(descriptor);
    if (loses(file->path)) {
        syscall(SYS_unlinkat, AT_FDCWD, file->path, 0);
        errno = EIO;
        return -1;
    }
    int before = errno;
    note("closed", file->key, "");
    errno = before;
    return done;
}

static int written_elsewhere(int descriptor, off64_t place) {
    struct stat file;
    if (descriptor < 0 || descriptor >= MOST_FILES || files[descriptor].by != getpid() || fstat(descriptor, &file)) return 0;
    return (place < 0 ? lseek64(descriptor, 0, SEEK_CUR) : place) != file.st_size;
}

ssize_t write(int descriptor, const void *data, size_t size) {
    REAL(write);
    if (written_elsewhere(descriptor, -1)) REFUSE;
    return next(descriptor, data, size);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t place) {
    REAL(pwrite);
    if (written_elsewhere(descriptor, place)) REFUSE;
    return next(descriptor, data, size, place);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t place) {
    REAL(pwrite64);
    if (written_elsewhere(descriptor, place)) REFUSE;
    return next(descriptor, data, size, place);
}

#define FOR_A_DESCRIPTOR(name, arguments, given, error)           \
    int name arguments {                                          \
        REAL(name);                                               \
        if (descriptor_inside(descriptor)) { errno = error; return -1; } \
        return next given;                                        \
    }
FOR_A_DESCRIPTOR(ftruncate, (int descriptor, off_t size), (descriptor, size), ENOTSUP)
FOR_A_DESCRIPTOR(ftruncate64, (int descriptor, off64_t size), (descriptor, size), ENOTSUP)
FOR_A_DESCRIPTOR(flock, (int descriptor, int operation), (descriptor, operation), ENOTSUP)
FOR_A_DESCRIPTOR(lockf, (int descriptor, int command, off_t size), (descriptor, command, size), ENOTSUP)
FOR_A_DESCRIPTOR(lockf64, (int descriptor, int command, off64_t size), (descriptor, command, size), ENOTSUP)
FOR_A_DESCRIPTOR(fsync, (int descriptor), (descriptor), EINVAL)
FOR_A_DESCRIPTOR(fdatasync, (int descriptor), (descriptor), EINVAL)

#define MAP(name, offset)                                                                       \
    void *name(void *address, size_t size, int protection, int flags, int descriptor, offset place) { \
        REAL(name);                                                                             \
        if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && descriptor_inside(descriptor)) { \
            errno = ENODEV;                                                                     \
            return MAP_FAILED;                                                                  \
        }                                                                                       \
        return next(address, size, protection, flags, descriptor, place);                       \
    }
MAP(mmap, off_t)
MAP(mmap64, off64_t)

#define TRUNCATE(name, offset)                                                       \
    int name(const char *path, offset size) {                                        \
        char buffer[PATH_MAX];                                                       \
        REAL(name);                                                                  \
        if (folders && inside(whole(AT_FDCWD, path, buffer))) REFUSE;                \
        return next(path, size);                                                     \
    }
TRUNCATE(truncate, off_t)
TRUNCATE(truncate64, off64_t)

#define TWO_PATHS(name)                                                    \
    int name(const char *from, const char *to) {                           \
        char buffers[2][PATH_MAX];                                         \
        REAL(name);                                                        \
        if (folders && (inside(whole(AT_FDCWD, from, buffers[0])) || inside(whole(AT_FDCWD, to, buffers[1])))) REFUSE; \
        return next(from, to);                                             \
    }
TWO_PATHS(rename)
TWO_PATHS(link)
TWO_PATHS(symlink)

int renameat(int at, const char *from, int there, const char *to) {
    char buffers[2][PATH_MAX];
    REAL(renameat);
    if (folders && (inside(whole(at, from, buffers[0])) || inside(whole(there, to, buffers[1])))) REFUSE;
    return next(at, from, there, to);
}

int renameat2(int at, const char *from, int there, const char *to, unsigned int flags) {
    char buffers[2][PATH_MAX];
    REAL(renameat2);
    if (folders && (inside(whole(at, from, buffers[0])) || inside(whole(there, to, buffers[1])))) REFUSE;
    return next(at, from, there, to, flags);
}

int linkat(int at, const char *from, int there, const char *to, int flags) {
    char buffers[2][PATH_MAX];
    REAL(linkat);
    if (folders && (inside(whole(at, from, buffers[0])) || inside(whole(there, to, buffers[1])))) REFUSE;
    return next(at, from, there, to, flags);
}

#define ABSENT(at, path)                                           \
    if (folders) {                                                 \
        char buffer[PATH_MAX];                                     \
        if (hidden_here(whole(at, path, buffer))) { errno = ENOENT; return -1; } \
    }
int stat(const char *path, struct stat *found) { REAL(stat); ABSENT(AT_FDCWD, path) return next(path, found); }
int lstat(const char *path, struct stat *found) { REAL(lstat); ABSENT(AT_FDCWD, path) return next(path, found); }
int stat64(const char *path, struct stat64 *found) { REAL(stat64); ABSENT(AT_FDCWD, path) return next(path, found); }
int lstat64(const char *path, struct stat64 *found) { REAL(lstat64); ABSENT(AT_FDCWD, path) return next(path, found); }
int fstatat(int at, const char *path, struct stat *found, int flags) {
    REAL(fstatat);
    ABSENT(at, path)
    return next(at, path, found, flags);
}
int fstatat64(int at, const char *path, struct stat64 *found, int flags) {
    REAL(fstatat64);
    ABSENT(at, path)
    return next(at, path, found, flags);
}
int access(const char *path, int mode) { REAL(access); ABSENT(AT_FDCWD, path) return next(path, mode); }
int unlink(const char *path) { REAL(unlink); ABSENT(AT_FDCWD, path) return next(path); }
int unlinkat(int at, const char *path, int flags) { REAL(unlinkat); ABSENT(at, path) return next(at, path, flags); }

#define READDIR(name, entry)                                                  \
    struct entry *name(DIR *folder) {                                         \
        struct entry *found;                                                  \
        char buffer[PATH_MAX];                                                \
        REAL(name);                                                           \
        do found = next(folder);                                              \
        while (found && folders && hidden_here(whole(dirfd(folder), found->d_name, buffer))); \
        return found;                                                         \
    }
READDIR(readdir, dirent)
READDIR(readdir64, dirent64)
