/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"

/* A message that cannot be sent is lost: nobody could do anything about it, and the manager has time limits
 * of its own. */
static void notify_send(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	if (n < 2 || n >= sizeof(address.sun_path) || !strchr("/@", path[0]))
		return;
	memcpy(address.sun_path, path, n);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	while (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0 &&
	        errno == EINTR)
		;
}

void notify_ready(void)
{
	notify_send("READY=1");
}

void notify_reloading(void)
{
	char message[64];
	snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_us());
	notify_send(message);
}

void notify_stopping(void)
{
	notify_send("STOPPING=1");
}

void notify_status(const char *text)
{
	char message[256];
	snprintf(message, sizeof(message), "STATUS=%.*s", (int)strcspn(text, "\n"), text);
	notify_send(message);
}

void notify_watchdog(void)
{
	notify_send("WATCHDOG=1");
}

static uint64_t number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	return errno || *end ? 0 : value;
}

uint64_t notify_watchdog_interval_ms(void)
{
	uint64_t pid = number("WATCHDOG_PID");
	if (getenv("WATCHDOG_PID") && pid != (uint64_t)getpid())
		return 0;
	return number("WATCHDOG_USEC") / 2000;
}
