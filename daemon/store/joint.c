/* SPDX-License-Identifier: Apache-2.0 */
#include "joint.h"

#include <errno.h>
#include <stdlib.h>

#include "queue.h"

int joint_new(unsigned parts, struct edged_joint **ret)
{
	struct edged_joint *joint = calloc(1, sizeof(*joint));
	if (!joint)
		return -ENOMEM;
	joint->parts = joint->holds = parts;
	*ret = joint;
	return 0;
}

void joint_release(struct edged_joint *joint)
{
	if (joint && __atomic_sub_fetch(&joint->holds, 1, __ATOMIC_ACQ_REL) == 0)
		free(joint);
}

static struct edged_joint *joint_of(const struct op *op)
{
	return op->kind == OP_BATCH ? op->u.batch.joint : NULL;
}

/* Whether this operation must stay: it is behind one that stays, or part of a joint that does. The queue is walked in
 * order, with the marks of the channels cleared before. */
static bool stays(const struct op *op)
{
	struct edged_joint *joint = joint_of(op);
	if (op->channel->held || (joint && joint->held))
		op->channel->held = true;
	return op->channel->held;
}

static void clear_marks(struct list *queue)
{
	list_each (node, queue)
		list_entry(node, struct op, link)->channel->held = false;
}

/* Joints that cannot go: the incomplete ones, those behind them, those of which one part is behind those, and so on. */
static void hold_joints(struct store *store)
{
	list_each (node, &store->queue) {
		struct edged_joint *joint = joint_of(list_entry(node, struct op, link));
		if (!joint)
			continue;
		joint->failed |= store->closing && joint->come < joint->parts;
		joint->held = joint->come < joint->parts && !joint->failed;
	}
	for (bool more = true; more;) {
		more = false;
		clear_marks(&store->queue);
		list_each (node, &store->queue) {
			const struct op *op = list_entry(node, struct op, link);
			struct edged_joint *joint = joint_of(op);
			if (!stays(op) || !joint || joint->held)
				continue;
			joint->held = more = true;
		}
	}
}

void joints_take(struct store *store, struct list *group)
{
	hold_joints(store);
	clear_marks(&store->queue);
	list_each_safe (node, &store->queue) {
		struct op *op = list_entry(node, struct op, link);
		if (stays(op))
			continue;
		list_remove(&op->link);
		list_append(group, &op->link);
	}
	store->stuck = list_empty(group) && !list_empty(&store->queue);
}
