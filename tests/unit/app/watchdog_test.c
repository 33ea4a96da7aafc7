/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog is fed while all loops turn, and starves when one hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "heap.h"
#include "io/loop.h"
#include "watchdog.h"

static struct loops *loops;
static struct watchdog *watchdog;
static int manager;
static sem_t hang, hangs;
static int fed_while_hanging, fed_afterwards;

/* Datagrams to the service manager that say it is alive, up to `most`, waiting `ms` for each. */
static int count_fed(int most, int ms)
{
	char text[100];
	int n = 0;
	struct pollfd wait = { .fd = manager, .events = POLLIN };
	while (n < most && poll(&wait, 1, ms) == 1) {
		ssize_t got = recv(manager, text, sizeof(text) - 1, 0);
		text[got > 0 ? got : 0] = '\0';
		n += strcmp(text, "WATCHDOG=1") == 0;
	}
	return n;
}

static void stand_still(struct post *post)
{
	(void)post;
	sem_post(&hangs);
	sem_wait(&hang);
}

static struct post still = { .fn = stand_still };

static void *play(void *arg)
{
	if (count_fed(3, 5000) < 3)
		fed_while_hanging = -1;
	loop_post(loops_at(loops, 1), &still);
	sem_wait(&hangs);
	(void)count_fed(2, 100); /* what was under way */
	fed_while_hanging += count_fed(100, 200);
	sem_post(&hang);
	fed_afterwards = count_fed(2, 5000);
	loops_stop(loops);
	return arg;
}

static void set_up(const char *usec)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(sa_family_t);
	char name[120];
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&address, n), 0); /* the kernel finds a name */
	n = sizeof(address);
	assert_int_equal(getsockname(manager, (struct sockaddr *)&address, &n), 0);
	snprintf(name, sizeof(name), "@%.*s", (int)(n - sizeof(sa_family_t) - 1), address.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
	unsetenv("WATCHDOG_PID");
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	else
		unsetenv("WATCHDOG_USEC");
	assert_int_equal(loops_new(2, &loops), 0);
	assert_int_equal(watchdog_new(loops, &watchdog), 0);
}

static void tear_down(void)
{
	watchdog_free(watchdog);
	loops_free(loops);
	close(manager);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
}

static void it_starves_when_a_loop_hangs(void **state)
{
	(void)state;
	pthread_t thread;
	sem_init(&hang, 0, 0);
	sem_init(&hangs, 0, 0);
	set_up("40000"); /* fed each 20 ms */
	assert_int_equal(pthread_create(&thread, NULL, play, NULL), 0);
	assert_int_equal(loops_run(loops), 0);
	pthread_join(thread, NULL);
	assert_int_equal(fed_while_hanging, 0);
	assert_int_equal(fed_afterwards, 2);
	tear_down();
}

static void stop_now(void *arg)
{
	(void)arg;
	loops_stop(loops);
}

static void without_a_watcher_nothing_is_fed(void **state)
{
	(void)state;
	struct timer *timer;
	set_up(NULL);
	assert_int_equal(timer_new(loops_at(loops, 0), stop_now, NULL, &timer), 0);
	timer_set(timer, 50);
	assert_int_equal(loops_run(loops), 0);
	assert_int_equal(count_fed(1, 0), 0);
	timer_free(timer);
	tear_down();
}

static void lack_of_memory_is_told(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	struct watchdog *none = NULL;
	assert_int_equal(loops_new(2, &loops), 0);
	for (int n = 0; n < 2; n++) {
		heap_fail_at(n);
		assert_int_not_equal(watchdog_new(loops, &none), 0);
		heap_fail_at(-1);
		assert_null(none);
	}
	loops_free(loops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_starves_when_a_loop_hangs),
		cmocka_unit_test(without_a_watcher_nothing_is_fed),
		cmocka_unit_test(lack_of_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
