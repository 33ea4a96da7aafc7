/* SPDX-License-Identifier: Apache-2.0 */
/* Starts in the background, and says that it did not work. */
#include "edged/plugin.h"

struct probe;
static int slow_start(struct probe *probe);
#define NAME         "slow-fails"
#define START(probe) slow_start(probe)
#include "probe.h"

static int slow_start(struct probe *probe)
{
	probe->host->v1->started(probe->host, -EIO, "the other side does not answer");
	return EDGED_LATER;
}
