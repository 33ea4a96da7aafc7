/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD that gives a process another wall clock: the real one, moved by as many seconds as the file
 * EDGED_CLOCK says (eight bytes, signed, of this machine's order). The file is mapped, so that a test can set the clock of
 * a daemon while it runs. Other clocks stay as they are.
 */
#undef _FORTIFY_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define OVERRIDE __attribute__((visibility("default")))

static const volatile int64_t *moved;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("EDGED_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*moved), PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		abort();
	moved = at;
	close(fd);
}

OVERRIDE int clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret);
	if (r == 0 && moved && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ret->tv_sec += *moved;
	return r;
}

OVERRIDE int gettimeofday(struct timeval *ret, void *zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	ret->tv_sec = now.tv_sec;
	ret->tv_usec = now.tv_nsec / 1000;
	return 0;
}

OVERRIDE time_t time(time_t *ret)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}
