/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/elsewhere.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "cluster/link.h"
#include "cluster/proxy.h"
#include "io/loop.h"

/* What came of a search. */
struct outcome {
	uint64_t key, until_ms;   /* until 0: empty */
	char id[NODE_ID_LEN + 1]; /* "": no node has it */
};

struct elsewhere {
	struct elsewhere_deps deps;
	struct list open;
	struct outcome outcomes[ELSEWHERE_SLOTS];
	struct elsewhere_counts counts;
};

struct search;

/* To one node. */
struct question {
	struct search *search;
	struct link_call *call; /* NULL: free */
	const char *id;
};

struct search {
	struct list node;
	struct elsewhere *elsewhere;
	edged_handle request; /* 0: over */
	struct deferred later;
	struct timer *timer;
	uint64_t key;
	const char *type, *title;
	char *probe, *detail;
	struct buf ids;  /* of the nodes to ask, NODE_ID_LEN + 1 bytes each */
	size_t next;     /* in ids */
	unsigned silent; /* nodes that gave no answer */
	struct question questions[ELSEWHERE_ASKED];
};

static uint64_t now_of(const struct elsewhere *elsewhere)
{
	return loop_now(elsewhere->deps.loop);
}

/* --- outcomes that are known --- */

static struct outcome *slot_of(struct elsewhere *elsewhere, uint64_t key)
{
	return &elsewhere->outcomes[key % ELSEWHERE_SLOTS];
}

static void remember(struct elsewhere *elsewhere, uint64_t key, const char *id)
{
	struct outcome *slot = slot_of(elsewhere, key);
	slot->key = key;
	slot->until_ms = now_of(elsewhere) + (*id ? ELSEWHERE_KNOWN_MS : ELSEWHERE_NONE_MS);
	snprintf(slot->id, sizeof(slot->id), "%s", id);
}

/* NULL: nothing is known. */
static const char *recall(struct elsewhere *elsewhere, uint64_t key)
{
	const struct outcome *slot = slot_of(elsewhere, key);
	return slot->key == key && slot->until_ms > now_of(elsewhere) ? slot->id : NULL;
}

/* --- the end of a search --- */

static void search_free(struct search *search)
{
	for (size_t i = 0; i < ELSEWHERE_ASKED; i++)
		if (search->questions[i].call)
			link_call_cancel(search->questions[i].call);
	deferred_cancel(&search->later);
	timer_free(search->timer);
	list_remove(&search->node);
	free(search->probe);
	free(search->detail);
	buf_fini(&search->ids);
	free(search);
}

static void free_later(struct deferred *deferred)
{
	search_free(CONTAINER_OF(deferred, struct search, later));
}

/* No question is open from now on; the rest goes once no callback is on the stack. */
static void search_end(struct search *search)
{
	search->request = 0;
	for (size_t i = 0; i < ELSEWHERE_ASKED; i++)
		if (search->questions[i].call)
			link_call_cancel(TAKE(search->questions[i].call));
	search->elsewhere->counts.open--;
	timer_cancel(search->timer);
	loop_defer(search->elsewhere->deps.loop, &search->later);
}

static void on_gone(void *arg)
{
	search_end(arg);
}

static int pass(struct elsewhere *elsewhere, edged_handle request, const char *id)
{
	elsewhere->counts.found++;
	int r = proxy_pass(elsewhere->deps.proxy, request, id);
	return r == -ENOENT ? request_problem(elsewhere->deps.requests, request, 503, "service-unavailable",
	                              "The node that has it is gone", "Try again.")
	                    : r;
}

static void found(struct search *search, const char *id)
{
	struct elsewhere *elsewhere = search->elsewhere;
	edged_handle request = search->request;
	remember(elsewhere, search->key, id);
	search_end(search);
	int r = pass(elsewhere, request, id);
	if (r)
		(void)request_fail(elsewhere->deps.requests, request, r);
}

static int answer_none(struct elsewhere *elsewhere, edged_handle request, const char *type, const char *title,
        const char *detail)
{
	elsewhere->counts.none++;
	return request_problem(elsewhere->deps.requests, request, 404, type, title, detail);
}

static void not_found(struct search *search)
{
	struct elsewhere *elsewhere = search->elsewhere;
	edged_handle request = search->request;
	unsigned silent = search->silent;
	search_end(search);
	if (silent) {
		elsewhere->counts.unknown++;
		(void)request_problemf(elsewhere->deps.requests, request, 503, "nodes-silent",
		        "It is not here, and not all nodes could be asked",
		        "%u nodes of the account gave no answer. GET /mds/v1/nodes?clusters=account lists "
		        "them; "
		        "/nodes/{id}/... addresses one.",
		        silent);
		return;
	}
	remember(elsewhere, search->key, "");
	(void)answer_none(elsewhere, request, search->type, search->title, search->detail);
}

/* --- questions --- */

static void ask_more(struct search *search);

static void on_head(void *arg, const struct link_message *answer)
{
	const struct question *question = arg;
	if (answer->status == 200)
		found(question->search, question->id);
	else if (answer->status >= 500)
		question->search->silent++;
}

static void on_data(void *arg, struct edged_slice bytes)
{
	struct question *question = arg;
	link_call_consume(question->call, bytes.len);
}

static void on_end(void *arg, const struct link_failure *failure)
{
	struct question *question = arg;
	question->call = NULL;
	question->search->silent += failure != NULL;
	ask_more(question->search);
}

static bool ask(struct search *search, struct question *question)
{
	static const struct link_reply reply = { .head = on_head, .data = on_data, .end = on_end };
	struct elsewhere *elsewhere = search->elsewhere;
	struct link_failure failure;
	question->search = search;
	question->id = search->ids.ptr + search->next++ * (NODE_ID_LEN + 1);
	const struct link_request request = {
		.node_id = question->id,
		.send = { .method = edged_str("HEAD"),
		        .target = edged_str(search->probe),
		        .authority = edged_str(question->id) },
		.answer_ms = ELSEWHERE_MS,
		.reply = &reply,
		.arg = question,
	};
	elsewhere->counts.questions++;
	if (links_request(elsewhere->deps.links, &request, &question->call, &failure) == 0)
		return true;
	question->call = NULL;
	search->silent++;
	return false;
}

/* Asks as many as may be; at the end nobody has it. */
static void ask_more(struct search *search)
{
	bool waits = false;
	for (size_t i = 0; i < ELSEWHERE_ASKED; i++) {
		struct question *question = &search->questions[i];
		while (!question->call && search->next * (NODE_ID_LEN + 1) < search->ids.len)
			if (ask(search, question))
				break;
		waits |= question->call != NULL;
	}
	if (!waits)
		not_found(search);
}

static void on_timer(void *arg)
{
	struct search *search = arg;
	for (size_t i = 0; i < ELSEWHERE_ASKED; i++)
		search->silent += search->questions[i].call != NULL;
	not_found(search);
}

/* --- the beginning --- */

struct nodes {
	struct search *search; /* NULL: only is `known` there? */
	const char *known;
	bool is_there;
	int result;
};

static void consider(void *arg, const char *id, bool there)
{
	struct nodes *nodes = arg;
	if (!there) {
		if (nodes->search)
			nodes->search->silent++;
		return;
	}
	nodes->is_there |= nodes->known && strcmp(nodes->known, id) == 0;
	if (nodes->search && !nodes->result)
		nodes->result = buf_add(&nodes->search->ids, id, NODE_ID_LEN + 1);
}

/* Also the texts. */
static int find_nodes(
        struct search *search, struct edged_slice service, struct edged_slice probe, const char *detail)
{
	const struct elsewhere_deps *deps = &search->elsewhere->deps;
	struct nodes nodes = { .search = search };
	search->probe = strndup(probe.ptr, probe.len);
	search->detail = strdup(detail);
	if (!search->probe || !search->detail)
		return -ENOMEM;
	deps->offering(deps->arg, service, consider, &nodes);
	return nodes.result;
}

static int begin(struct elsewhere *elsewhere, edged_handle request, uint64_t key, struct edged_slice service,
        struct edged_slice probe, const char *type, const char *title, const char *detail)
{
	struct search *search = calloc(1, sizeof(*search));
	if (!search)
		return -ENOMEM;
	*search = (struct search){ .elsewhere = elsewhere, .key = key, .type = type, .title = title };
	deferred_init(&search->later, free_later);
	buf_init(&search->ids, SIZE_MAX);
	list_append(&elsewhere->open, &search->node);
	int r = timer_new(elsewhere->deps.loop, on_timer, search, &search->timer);
	if (!r)
		r = find_nodes(search, service, probe, detail);
	if (!r)
		r = request_on_gone(elsewhere->deps.requests, request, on_gone, search);
	if (r) {
		search_free(search);
		return r;
	}
	search->request = request;
	elsewhere->counts.open++;
	request_set_owner(elsewhere->deps.requests, request, elsewhere);
	timer_set(search->timer, ELSEWHERE_MS);
	ask_more(search);
	return 0;
}

static int refuse(struct elsewhere *elsewhere, edged_handle request)
{
	struct requests *requests = elsewhere->deps.requests;
	elsewhere->counts.unknown++;
	(void)request_set_header(requests, request, "Retry-After", "1");
	return request_problemf(requests, request, 503, "too-many-searches", "Too many searches are open",
	        "It is not here, and %d requests wait already for other nodes to say whether they have it.",
	        ELSEWHERE_OPEN);
}

int elsewhere_pass(struct elsewhere *elsewhere, edged_handle request, struct edged_slice service,
        struct edged_slice probe, const char *type, const char *title, const char *detail)
{
	const struct elsewhere_deps *deps = &elsewhere->deps;
	const struct edged_peer *peer = request_peer(deps->requests, request);
	if (!peer)
		return -ENOENT;
	if (peer->node_id)
		return answer_none(elsewhere, request, type, title, detail);
	uint64_t key = map_hash(probe);
	const char *known = recall(elsewhere, key);
	if (known && !*known)
		return answer_none(elsewhere, request, type, title, detail);
	struct nodes nodes = { .known = known };
	deps->offering(deps->arg, service, consider, &nodes);
	if (nodes.is_there)
		return pass(elsewhere, request, known);
	if (elsewhere->counts.open >= ELSEWHERE_OPEN)
		return refuse(elsewhere, request);
	return begin(elsewhere, request, key, service, probe, type, title, detail);
}

/* --- life --- */

int elsewhere_new(const struct elsewhere_deps *deps, struct elsewhere **ret)
{
	struct elsewhere *elsewhere = calloc(1, sizeof(*elsewhere));
	if (!elsewhere)
		return -ENOMEM;
	elsewhere->deps = *deps;
	list_init(&elsewhere->open);
	*ret = elsewhere;
	return 0;
}

void elsewhere_free(struct elsewhere *elsewhere)
{
	if (!elsewhere)
		return;
	requests_abandon(elsewhere->deps.requests, elsewhere);
	list_each_safe (node, &elsewhere->open)
		search_free(list_entry(node, struct search, node));
	free(elsewhere);
}

struct elsewhere_counts elsewhere_counts(const struct elsewhere *elsewhere)
{
	return elsewhere->counts;
}
