/* SPDX-License-Identifier: MIT
 *
 * A library for LD_PRELOAD that makes one call of a program fail.
 *
 *   FAULT_FAMILY   which calls count: write, read, open, rename, link, mkdir, sync, close, unlink, truncate, flock, thread,
 *                  or change, which is every call that changes a filesystem
 *   FAULT_NTH      the one that fails, from 1; 0 counts all and lets none fail
 *   FAULT_ERROR    the effect: the number of an error; `short`, a part of what was asked for; `kill` and `stop`, a
 *                  signal to the process before the call
 *   FAULT_COUNT    a file that gets the number of calls at the end
 *
 * Only regular files count for write and read, so that what goes to a terminal or a pipe is not touched.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum family { WRITE, READ, OPEN, RENAME, LINK, MKDIR, SYNC, CLOSE, UNLINK, TRUNCATE, FLOCK, THREAD, CHANGE, NONE };
static const char *const NAMES[] = {
	"write", "read", "open", "rename", "link", "mkdir", "sync", "close", "unlink", "truncate", "flock", "thread", "change",
};

static enum family family = NONE;
static long nth;
static const char *error = "0";
static atomic_long count;

__attribute__((constructor)) static void start(void)
{
	const char *name = getenv("FAULT_FAMILY");
	for (int i = 0; name && i < NONE; i++)
		if (!strcmp(name, NAMES[i]))
			family = i;
	nth = getenv("FAULT_NTH") ? atol(getenv("FAULT_NTH")) : 0;
	error = getenv("FAULT_ERROR") ? getenv("FAULT_ERROR") : "5";
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("FAULT_COUNT");
	FILE *file = path ? (family = NONE, fopen(path, "w")) : NULL;
	if (file) {
		fprintf(file, "%ld\n", atomic_load(&count));
		fclose(file);
	}
}

/* Whether this call is the one. It is made after all for a signal and for a short count. */
static int is_hit(enum family call, int changes)
{
	if (family != call && !(family == CHANGE && changes))
		return 0;
	if (atomic_fetch_add(&count, 1) + 1 != nth)
		return 0;
	if (!strcmp(error, "kill"))
		raise(SIGKILL);
	if (!strcmp(error, "stop"))
		return raise(SIGSTOP), 0;
	errno = atoi(error);
	return 1;
}

static int is_short(void)
{
	return !strcmp(error, "short");
}

static int is_file(int fd)
{
	struct stat found;
	int saved = errno, is = !fstat(fd, &found) && S_ISREG(found.st_mode);
	errno = saved;
	return is;
}

#define REAL(result, name, ...) \
	static result (*real)(__VA_ARGS__); \
	if (!real) \
		real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

/* A call without a count. */
#define CALL(name, call, changes, parameters, arguments, ...) \
	int name parameters \
	{ \
		REAL(int, name, __VA_ARGS__); \
		return is_hit(call, changes) ? -1 : real arguments; \
	}

CALL(rename, RENAME, 1, (const char *from, const char *to), (from, to), const char *, const char *)
CALL(renameat, RENAME, 1, (int f, const char *from, int t, const char *to), (f, from, t, to), int, const char *, int,
     const char *)
CALL(link, LINK, 1, (const char *from, const char *to), (from, to), const char *, const char *)
CALL(linkat, LINK, 1, (int f, const char *from, int t, const char *to, int flags), (f, from, t, to, flags), int,
     const char *, int, const char *, int)
CALL(symlink, LINK, 1, (const char *text, const char *path), (text, path), const char *, const char *)
CALL(symlinkat, LINK, 1, (const char *text, int d, const char *path), (text, d, path), const char *, int, const char *)
CALL(mkdir, MKDIR, 1, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
CALL(mkdirat, MKDIR, 1, (int d, const char *path, mode_t mode), (d, path, mode), int, const char *, mode_t)
CALL(mknodat, MKDIR, 1, (int d, const char *path, mode_t mode, dev_t device), (d, path, mode, device), int, const char *,
     mode_t, dev_t)
CALL(fsync, SYNC, 1, (int fd), (fd), int)
CALL(fdatasync, SYNC, 1, (int fd), (fd), int)
CALL(syncfs, SYNC, 1, (int fd), (fd), int)
CALL(unlink, UNLINK, 1, (const char *path), (path), const char *)
CALL(unlinkat, UNLINK, 1, (int d, const char *path, int flags), (d, path, flags), int, const char *, int)
CALL(rmdir, UNLINK, 1, (const char *path), (path), const char *)
CALL(ftruncate64, TRUNCATE, 1, (int fd, off64_t size), (fd, size), int, off64_t)
CALL(ftruncate, TRUNCATE, 1, (int fd, off_t size), (fd, size), int, off_t)
CALL(flock, FLOCK, 0, (int fd, int operation), (fd, operation), int, int)

/* It is closed all the same, as Linux does it. */
int close(int fd)
{
	REAL(int, close, int);
	if (!is_hit(CLOSE, 0))
		return real(fd);
	int hit = errno;
	real(fd);
	errno = hit;
	return -1;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	return is_hit(THREAD, 0) ? errno : real(thread, attributes, run, argument);
}

/* Calls that open: those that make a file change something. */
#define OPENS(name, first, call) \
	int name(first int flags, ...) \
	{ \
		va_list rest; \
		va_start(rest, flags); \
		mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
		va_end(rest); \
		call; \
	}
#define COMMA ,
OPENS(open64, const char *path COMMA, REAL(int, open64, const char *, int, ...);
      return is_hit(OPEN, flags & O_CREAT) ? -1 : real(path, flags, mode))
OPENS(open, const char *path COMMA, REAL(int, open, const char *, int, ...);
      return is_hit(OPEN, flags & O_CREAT) ? -1 : real(path, flags, mode))
OPENS(openat64, int d COMMA const char *path COMMA, REAL(int, openat64, int, const char *, int, ...);
      return is_hit(OPEN, flags & O_CREAT) ? -1 : real(d, path, flags, mode))
OPENS(openat, int d COMMA const char *path COMMA, REAL(int, openat, int, const char *, int, ...);
      return is_hit(OPEN, flags & O_CREAT) ? -1 : real(d, path, flags, mode))

void *opendir(const char *path)
{
	REAL(void *, opendir, const char *);
	return is_hit(OPEN, 0) ? NULL : real(path);
}

/* Calls that move bytes: a short count is half of what was wanted, or all of a single byte. */
#define MOVES(name, call, changes, fd, parameters, full, half, ...) \
	ssize_t name parameters \
	{ \
		REAL(ssize_t, name, __VA_ARGS__); \
		if (!is_file(fd) || !is_hit(call, changes)) \
			return real full; \
		return is_short() ? real half : -1; \
	}
#define HALF(size) ((size) > 1 ? (size) / 2 : (size))

MOVES(write, WRITE, 1, fd, (int fd, const void *bytes, size_t size), (fd, bytes, size), (fd, bytes, HALF(size)), int,
      const void *, size_t)
MOVES(pwrite64, WRITE, 1, fd, (int fd, const void *bytes, size_t size, off64_t at), (fd, bytes, size, at),
      (fd, bytes, HALF(size), at), int, const void *, size_t, off64_t)
MOVES(writev, WRITE, 1, fd, (int fd, const struct iovec *pieces, int number), (fd, pieces, number), (fd, pieces, 1), int,
      const struct iovec *, int)
MOVES(sendfile64, WRITE, 1, to, (int to, int from, off64_t *at, size_t size), (to, from, at, size),
      (to, from, at, HALF(size)), int, int, off64_t *, size_t)
MOVES(copy_file_range, WRITE, 1, to,
      (int from, off64_t *at, int to, off64_t *to_at, size_t size, unsigned flags), (from, at, to, to_at, size, flags),
      (from, at, to, to_at, HALF(size), flags), int, off64_t *, int, off64_t *, size_t, unsigned)
MOVES(read, READ, 0, fd, (int fd, void *bytes, size_t size), (fd, bytes, size), (fd, bytes, HALF(size)), int, void *,
      size_t)
MOVES(pread64, READ, 0, fd, (int fd, void *bytes, size_t size, off64_t at), (fd, bytes, size, at),
      (fd, bytes, HALF(size), at), int, void *, size_t, off64_t)
MOVES(readv, READ, 0, fd, (int fd, const struct iovec *pieces, int number), (fd, pieces, number), (fd, pieces, 1), int,
      const struct iovec *, int)
