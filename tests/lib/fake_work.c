/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_work.h"

#include <errno.h>
#include <stdlib.h>
#include "edged/cap_loop.h"

struct edged_work {
	bool cancelled;
	void (*done)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

static void told(void *arg)
{
	struct edged_work *work = arg;
	(work->cancelled ? work->drop : work->done)(work->arg);
	free(work);
}

static void dropped(void *arg)
{
	struct edged_work *work = arg;
	work->drop(work->arg);
	free(work);
}

static int begin(struct edged_host *host, void (*fn)(void *arg), void (*done)(void *arg),
        void (*drop)(void *arg), void *arg, struct edged_work **ret)
{
	const struct edged_loop_1 *loop = edged_cap(host, EDGED_LOOP_1);
	struct edged_work *work = malloc(sizeof(*work));
	if (!work)
		return -ENOMEM;
	*work = (struct edged_work){ false, done, drop, arg };
	int r = loop->post(host, loop->loop_self(host), told, dropped, work);
	if (r) {
		free(work);
		return r;
	}
	fn(arg);
	*ret = work;
	return 0;
}

static void cancel(struct edged_work *work)
{
	if (work)
		work->cancelled = true;
}

const struct edged_work_1 fake_work_cap = { sizeof(fake_work_cap), begin, cancel };
