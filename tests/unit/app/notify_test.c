/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the service manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

/* A service manager's end: a datagram socket with an abstract name of the kernel's choice, or a path. */
static int manager(const char *path, char *ret_name, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(sa_family_t);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (path)
		n = (socklen_t)(n +
		                (socklen_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) +
		                1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
	n = sizeof(address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	snprintf(ret_name, size, "%s%.*s", path ? "" : "@", (int)(n - sizeof(sa_family_t)) - (path ? 0 : 1),
	        address.sun_path + (path ? 0 : 1));
	return fd;
}

static void assert_message(int fd, const char *expected)
{
	char message[300];
	ssize_t n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT);
	assert_true(n >= 0);
	message[n] = '\0';
	assert_memory_equal(message, expected, strlen(expected));
}

static void messages_arrive(void **state)
{
	(void)state;
	char folder[] = "/tmp/notify_test.XXXXXX", path[64], name[128];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	for (int abstract = 0; abstract < 2; abstract++) {
		int fd = manager(abstract ? NULL : path, name, sizeof(name));
		setenv("NOTIFY_SOCKET", name, 1);
		notify_ready();
		assert_message(fd, "READY=1");
		notify_reloading();
		assert_message(fd, "RELOADING=1\nMONOTONIC_USEC=");
		notify_status("all is well\nREADY=0");
		assert_message(fd, "STATUS=all is well");
		notify_watchdog();
		assert_message(fd, "WATCHDOG=1");
		notify_stopping();
		assert_message(fd, "STOPPING=1");
		close(fd);
	}
	remove(path);
	remove(folder);
}

static void without_a_manager_nothing_happens(void **state)
{
	(void)state;
	static const char *const names[] = { "", "/", "relative", "/nonexistent/socket",
		"@edged-notify-test-nobody" };
	char longest[200];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_ready();
	}
	setenv("NOTIFY_SOCKET", longest, 1);
	notify_ready();
	unsetenv("NOTIFY_SOCKET");
	notify_ready();
}

static void the_watchdog_is_fed_twice_in_its_time(void **state)
{
	(void)state;
	char pid[24];
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(notify_watchdog_interval_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_interval_ms(), 15000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_interval_ms(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_watchdog_interval_ms(), 15000);
	setenv("WATCHDOG_USEC", "-1", 1);
	assert_int_equal(notify_watchdog_interval_ms(), 0);
	setenv("WATCHDOG_USEC", "99999999999999999999999", 1);
	assert_int_equal(notify_watchdog_interval_ms(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive),
		cmocka_unit_test(without_a_manager_nothing_happens),
		cmocka_unit_test(the_watchdog_is_fed_twice_in_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
