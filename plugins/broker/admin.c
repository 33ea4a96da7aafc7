/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "admin.h"
#include "client.h"
#include "publish.h"
#include "queue.h"
#include "rest.h"

#define MAX_REMOVED 10000 /* retained messages that one request removes: the loop has other work, too */

/* A request on its way: to the loop that owns the session, to the disk, and back to the main loop. */
struct task {
	struct broker *broker;
	edged_handle request;
	int (*act)(struct task *task, struct shard *shard); /* on that loop: 0 or -ENOENT */
	bool with_session, without_will, wrote, more;
	bool aws; /* the shape of the answer */
	int result;
	uint32_t count; /* of messages removed */
	bool counted;   /* and that is the answer */
	size_t len;
	char id[];
};

static void answer_aws(const struct task *task)
{
	struct broker *b = task->broker;
	if (task->result == -ENOENT)
		(void)rest_aws_reply(b, task->request, 404, "ResourceNotFoundException",
		        "No client with this id is connected.");
	else if (task->result)
		(void)rest_aws_reply(b, task->request, 503, "ServiceUnavailableException",
		        "The change could not be stored; see the daemon's log.");
	else
		(void)b->http->reply(b->host, task->request, 200, NULL, edged_slice(NULL, 0));
}

static void answer(void *arg)
{
	struct task *task = arg;
	struct broker *b = task->broker;
	if (task->aws)
		answer_aws(task);
	else if (task->result == -ENOENT)
		(void)b->http->problem(b->host, task->request, 404, "not-found", "There is no such client",
		        "GET /pubsub/v1/clients lists those that are connected, GET /pubsub/v1/sessions also "
		        "those that are away.");
	else if (task->result)
		(void)b->http->problem(b->host, task->request, 507, "not-stored",
		        "The change could not be stored",
		        "There is no room on the disk or in memory; see the daemon's log.");
	else if (!task->counted)
		(void)b->http->reply(b->host, task->request, 204, NULL, edged_slice(NULL, 0));
	else
		(void)rest_reply(b, task->request, 200,
		        json_pack("{s:I, s:b}", "removed", (json_int_t)task->count, "more", task->more));
	free(task);
}

/* On the loop that did it, once it is on the disk. */
static void done(void *arg, int result)
{
	struct task *task = arg;
	if (result == -ECANCELED) {
		free(task);
		return;
	}
	if (result)
		task->result = result;
	if (task->broker->loop->post(task->broker->host, 0, answer, free, task))
		free(task); /* the request's time runs out */
}

static void run(struct task *task, struct shard *shard)
{
	const struct todo todo = { .kind = TODO_CALL, .fn = done, .arg = task };
	task->result = task->act(task, shard);
	if (task->wrote && (turn_wrote(shard) || turn_todo(shard, &todo)))
		done(task, -ENOMEM);
	else if (!task->wrote)
		done(task, 0);
}

static void run_there(void *arg)
{
	struct task *task = arg;
	struct broker *b = task->broker;
	run(task, b->shards[b->loop->loop_self(b->host)]);
}

/* `how` has act and the flags. */
static int start(struct broker *b, edged_handle request, const struct task *how)
{
	struct edged_slice id = b->http->param(b->host, request, "id");
	struct task *task = calloc(1, sizeof(*task) + id.len + 1);
	if (!task)
		return -ENOMEM;
	*task = *how;
	task->broker = b;
	task->request = request;
	task->len = id.len;
	if (id.len)
		memcpy(task->id, id.ptr, id.len);
	int r = b->loop->post(b->host, shard_of(b, id), run_there, free, task);
	if (r)
		free(task);
	return r;
}

/* --- clients and sessions --------------------------------------------------------------------------------------------------- */

static struct session *session_of(const struct task *task, const struct shard *shard)
{
	return session_find(shard, edged_slice(task->id, task->len));
}

/* Ends the connection, if there is one; the session as the client's expiry says, or at once. */
static void end(struct task *task, struct session *s, bool with_session)
{
	task->wrote = s->row != 0;
	session_hold(s);
	if (task->without_will) {
		message_unref(s->will);
		s->will = NULL;
	}
	if (s->client)
		client_close(s->client, REASON_ADMIN);
	if (with_session && !s->dead)
		session_end(s);
	session_release(s);
}

static int kick(struct task *task, struct shard *shard)
{
	struct session *s = session_of(task, shard);
	if (!s || !s->client)
		return -ENOENT;
	end(task, s, task->with_session);
	return 0;
}

static int end_session(struct task *task, struct shard *shard)
{
	struct session *s = session_of(task, shard);
	if (!s)
		return -ENOENT;
	end(task, s, true);
	return 0;
}

static int purge(struct task *task, struct shard *shard)
{
	struct session *s = session_of(task, shard);
	if (!s)
		return -ENOENT;
	task->counted = true;
	task->count = session_purge(s);
	task->wrote = s->row != 0;
	return 0;
}

static bool read_flag(const struct broker *b, edged_handle request, const char *name, bool *ret)
{
	struct edged_slice text = b->http->query(b->host, request, name);
	*ret = edged_slice_is(text, "true");
	return !text.ptr || *ret || edged_slice_is(text, "false");
}

int delete_client(void *self, edged_handle request)
{
	struct broker *b = self;
	struct task how = { .act = kick };
	if (!read_flag(b, request, "session", &how.with_session))
		return b->http->problem(b->host, request, 400, "bad-parameter",
		        "The query parameter session is true or false", NULL);
	return start(b, request, &how);
}

int delete_connection(void *self, edged_handle request)
{
	struct broker *b = self;
	struct task how = { .act = kick, .aws = true };
	if (!read_flag(b, request, "cleanSession", &how.with_session) ||
	        !read_flag(b, request, "preventWillMessage", &how.without_will))
		return rest_aws_reply(b, request, 400, "InvalidRequestException",
		        "The query parameters cleanSession and preventWillMessage are true or false.");
	return start(b, request, &how);
}

int delete_session(void *self, edged_handle request)
{
	return start(self, request, &(struct task){ .act = end_session });
}

int delete_queue(void *self, edged_handle request)
{
	return start(self, request, &(struct task){ .act = purge });
}

/* --- retained messages ------------------------------------------------------------------------------------------------------ */

struct found {
	struct message **list;
	uint32_t count;
	bool more;
};

static int find(void *arg, struct message *m)
{
	struct found *found = arg;
	if (found->count == MAX_REMOVED) {
		found->more = true;
		return 1;
	}
	found->list[found->count++] = message_ref(m);
	return 0;
}

static int remove_all(struct task *task, struct found *found)
{
	struct shard *shard = task->broker->shards[0];
	int r = 0;
	for (uint32_t i = 0; i < found->count; i++) {
		if (!r)
			r = shard_forget_retained(shard, message_topic(found->list[i]));
		if (!r)
			task->count++;
		message_unref(found->list[i]);
	}
	task->wrote = task->count > 0;
	return r;
}

static int forget(struct task *task, struct shard *shard)
{
	struct found found = { .list = malloc(MAX_REMOVED * sizeof(struct message *)) };
	if (!found.list)
		return -ENOMEM;
	retained_match(&shard->retained, edged_slice(task->id, task->len), find, &found);
	int r = remove_all(task, &found);
	free(found.list);
	task->counted = true;
	task->more = found.more;
	return r;
}

/* Retained messages are the main loop's: the task stays here. */
static int start_forget(struct broker *b, edged_handle request, struct edged_slice filter)
{
	struct task *task = calloc(1, sizeof(*task) + filter.len);
	if (!task)
		return -ENOMEM;
	*task = (struct task){ .broker = b, .request = request, .act = forget, .len = filter.len };
	memcpy(task->id, filter.ptr, filter.len);
	run(task, b->shards[0]);
	return 0;
}

int delete_retained(void *self, edged_handle request)
{
	struct broker *b = self;
	struct edged_slice topic = b->http->param(b->host, request, "topic");
	if (!topic_valid(topic, &b->limits.topic) || !retained_get(&b->shards[0]->retained, topic))
		return b->http->problem(b->host, request, 404, "not-found",
		        "There is no retained message on this topic",
		        "GET /pubsub/v1/retained lists the topics that have one.");
	return start_forget(b, request, topic);
}

int delete_retained_by_filter(void *self, edged_handle request)
{
	struct broker *b = self;
	struct edged_slice text = b->http->query(b->host, request, "filter");
	struct filter filter;
	if (!filter_parse(text, &b->limits.topic, &filter) || filter.group.len)
		return b->http->problem(b->host, request, 400, "bad-filter", "This is not a topic filter",
		        "Give ?filter= an MQTT topic filter, for instance sensors/%23 for sensors/#.");
	return start_forget(b, request, filter.filter);
}
