/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_store.h"

#include <errno.h>
#include <stdlib.h>
#include "store/store.h"

/* A call that waits for its answer: charged to the plugin, and found when the plugin stops. */
struct call {
	struct ledger_entry entry;
	union {
		void (*done)(void *arg, int result);
		void (*found)(void *arg, int result, struct edged_slice value);
	};
	int (*record)(void *arg, struct edged_slice record);
	int (*row)(void *arg, struct edged_slice key, struct edged_slice value);
	void *arg;
};

/* By then the space has gone, and nobody answers any more. A call cannot be taken back: none is left behind. */
static bool silence(struct ledger_entry *entry)
{
	(void)entry;
	return false;
}

static void cancel_entry(struct ledger_entry *entry)
{
	ledger_remove(entry);
	free(CONTAINER_OF(entry, struct call, entry));
}

static int call_new(struct plugin_context *context, void *arg, struct call **ret)
{
	struct call *call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->arg = arg;
	int r = ledger_add(context->ledger, LEDGER_STORE_CALLS, &call->entry, silence, cancel_entry);
	if (r)
		free(call);
	else
		*ret = call;
	return r;
}

static int put(struct edged_host *host, const char *table, struct edged_slice key, struct edged_slice value)
{
	struct store_space *space = context_of(host)->space;
	return space ? store_put(space, table, key, value) : -ESHUTDOWN;
}

static int del(struct edged_host *host, const char *table, struct edged_slice key)
{
	struct store_space *space = context_of(host)->space;
	return space ? store_del(space, table, key) : -ESHUTDOWN;
}

static void on_done(void *arg, int result)
{
	struct call *call = arg;
	struct loop_charge charge;
	loop_enter(&charge, ledger_owner(call->entry.ledger));
	if (call->done)
		call->done(call->arg, result);
	loop_leave(&charge);
	cancel_entry(&call->entry);
}

static int commit(struct edged_host *host, void (*done)(void *arg, int result), void *arg)
{
	struct plugin_context *context = context_of(host);
	if (!context->space)
		return -ESHUTDOWN;
	if (!done)
		return store_commit(context->space, NULL, NULL);
	struct call *call;
	int r = call_new(context, arg, &call);
	if (r)
		return r;
	call->done = done;
	r = store_commit(context->space, on_done, call);
	if (r)
		cancel_entry(&call->entry);
	return r;
}

static int joint(struct edged_host *host, unsigned parts, struct edged_joint **ret)
{
	(void)host;
	return store_joint_new(parts, ret);
}

static void leave_joint(struct edged_host *host, struct edged_joint *joint)
{
	store_joint_leave(context_of(host)->deps->store, joint);
}

static int commit_joint(
        struct edged_host *host, struct edged_joint *joint, void (*done)(void *arg, int result), void *arg)
{
	struct plugin_context *context = context_of(host);
	struct call *call = NULL;
	int r = context->space ? call_new(context, arg, &call) : -ESHUTDOWN;
	if (r) {
		leave_joint(host, joint);
		return r;
	}
	call->done = done;
	r = store_commit_joint(context->space, joint, on_done, call);
	if (r)
		cancel_entry(&call->entry);
	return r;
}

static void on_found(void *arg, int result, struct edged_slice value)
{
	struct call *call = arg;
	struct loop_charge charge;
	loop_enter(&charge, ledger_owner(call->entry.ledger));
	call->found(call->arg, result, value);
	loop_leave(&charge);
	cancel_entry(&call->entry);
}

static int get(struct edged_host *host, const char *table, struct edged_slice key,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg)
{
	struct plugin_context *context = context_of(host);
	if (!context->space)
		return -ESHUTDOWN;
	struct call *call;
	int r = call_new(context, arg, &call);
	if (r)
		return r;
	call->found = found;
	r = store_get(context->space, table, key, on_found, call);
	if (r)
		cancel_entry(&call->entry);
	return r;
}

static int on_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct call *call = arg;
	struct loop_charge charge;
	loop_enter(&charge, ledger_owner(call->entry.ledger));
	int r = call->row(call->arg, key, value);
	loop_leave(&charge);
	return r;
}

static int scan(struct edged_host *host, const char *table, struct edged_slice from, struct edged_slice to,
        size_t limit, int (*row)(void *arg, struct edged_slice key, struct edged_slice value),
        void (*end)(void *arg, int result), void *arg)
{
	struct plugin_context *context = context_of(host);
	if (!context->space)
		return -ESHUTDOWN;
	struct call *call;
	int r = call_new(context, arg, &call);
	if (r)
		return r;
	call->row = row;
	call->done = end;
	r = store_scan(context->space, table, from, to, limit, on_row, on_done, call);
	if (r)
		cancel_entry(&call->entry);
	return r;
}

static int append(struct edged_host *host, const char *log, struct edged_slice record)
{
	struct store_space *space = context_of(host)->space;
	return space ? store_append(space, log, record) : -ESHUTDOWN;
}

static int extent(struct edged_host *host, const char *log, uint64_t *ret_begin, uint64_t *ret_end)
{
	struct store_space *space = context_of(host)->space;
	return space ? store_extent(space, log, ret_begin, ret_end) : -ESHUTDOWN;
}

static int trim(struct edged_host *host, const char *log, uint64_t position)
{
	struct store_space *space = context_of(host)->space;
	return space ? store_trim(space, log, position) : -ESHUTDOWN;
}

static int on_record(void *arg, struct edged_slice record)
{
	struct call *call = arg;
	struct loop_charge charge;
	loop_enter(&charge, ledger_owner(call->entry.ledger));
	int r = call->record(call->arg, record);
	loop_leave(&charge);
	return r;
}

static int replay(struct edged_host *host, const char *log,
        int (*record)(void *arg, struct edged_slice record), void (*end)(void *arg, int result), void *arg)
{
	struct plugin_context *context = context_of(host);
	if (!context->space)
		return -ESHUTDOWN;
	struct call *call;
	int r = call_new(context, arg, &call);
	if (r)
		return r;
	call->record = record;
	call->done = end;
	r = store_replay(context->space, log, on_record, on_done, call);
	if (r)
		cancel_entry(&call->entry);
	return r;
}

const struct edged_store_1 cap_store = {
	.struct_size = sizeof(cap_store),
	.put = put,
	.del = del,
	.commit = commit,
	.get = get,
	.scan = scan,
	.append = append,
	.extent = extent,
	.trim = trim,
	.replay = replay,
	.joint = joint,
	.commit_joint = commit_joint,
	.leave_joint = leave_joint,
};

int cap_store_open(struct plugin_context *context)
{
	return context->space ? 0 : store_space_new(context->deps->store, context->name, &context->space);
}

void cap_store_fini(struct plugin_context *context)
{
	store_space_free(context->space);
	context->space = NULL;
}
