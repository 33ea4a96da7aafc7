/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/proxy_head.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "cluster/link.h"
#include "cluster/link_header.h"

/* --- the request --- */

struct edged_slice proxy_rest(struct edged_slice target, unsigned segments)
{
	size_t at = 0;
	for (unsigned slashes = 0; at < target.len && target.ptr[at] != '?'; at++)
		if (target.ptr[at] == '/' && ++slashes == segments + 1)
			return edged_slice(target.ptr + at, target.len - at);
	return edged_str("/");
}

/* A quoted string (RFC 9110 section 5.6.4). */
static int add_quoted(struct buf *text, const char *name, const char *value)
{
	int r = buf_addf(text, "; %s=\"", name);
	for (; *value && !r; value++) {
		unsigned char c = (unsigned char)*value;
		if (c == '"' || c == '\\')
			r = buf_addf(text, "\\%c", c);
		else
			r = buf_add(text, c < ' ' || c == 0x7f ? "?" : value, 1);
	}
	return r ? r : buf_add_str(text, "\"");
}

static int describe_caller(struct buf *text, const struct edged_peer *peer, const char *own_id)
{
	int r = buf_addf(text, "node=\"%s\"", own_id);
	if (!r && peer->address)
		r = add_quoted(text, "address", peer->address);
	if (!r && peer->uid >= 0)
		r = buf_addf(text, "; uid=%lld", (long long)peer->uid);
	if (!r && peer->subject)
		r = add_quoted(text, "subject", peer->subject);
	return r;
}

static bool from_node(const struct edged_peer *peer)
{
	return peer->node_id && peer->trusted;
}

/* The daemon itself asks for a bearer token, and trusts who has it: that is this node's key, and no other node's business. */
static bool is_own_key(const struct header *header, const struct edged_peer *peer)
{
	bool asked = (peer->loopback || peer->trusted) && peer->uid < 0 && !from_node(peer);
	return asked && link_header_is(header->name, "authorization") && header->value.len >= 7 &&
	       strncasecmp(header->value.ptr, "Bearer ", 7) == 0;
}

static int add_caller(
        struct proxy_head *head, struct requests *requests, edged_handle request, const char *own_id)
{
	const struct edged_peer *peer = request_peer(requests, request);
	struct edged_slice caller = request_header(requests, request, "edged-caller");
	int r = 0;
	if (from_node(peer) && caller.len > 0)
		r = buf_add(&head->text, caller.ptr, caller.len);
	else
		r = describe_caller(&head->text, peer, own_id);
	return r;
}

/* Between the client and this node only (RFC 8441 section 5); extensions are not spoken. */
static bool is_handshake(struct edged_slice name)
{
	return link_header_is(name, "sec-websocket-key") || link_header_is(name, "sec-websocket-extensions");
}

static int make_headers(struct proxy_head *head, struct requests *requests, edged_handle request)
{
	static const char digits[] = "123456789";
	const struct edged_peer *peer = request_peer(requests, request);
	size_t count;
	const struct header *headers = request_headers(requests, request, &count);
	struct edged_slice connection = request_header(requests, request, "connection");
	unsigned hops = request_hops(requests, request);
	/* only the service can say whether it serves a client that is not trusted here */
	bool anybody = request_is_websocket(requests, request) &&
	               (!peer->trusted || request_header(requests, request, "edged-anybody").ptr);
	head->headers = calloc(count + 3 + PROXY_CONDITIONS, sizeof(*head->headers));
	if (!head->headers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!link_header_is_hop(headers[i].name, connection) && !is_own_key(&headers[i], peer) &&
		        !is_handshake(headers[i].name))
			head->headers[head->count++] = headers[i];
	if (anybody)
		head->headers[head->count++] = (struct header){ edged_str("edged-anybody"), edged_str("1") };
	head->headers[head->count++] = (struct header){ edged_str("edged-caller"), buf_slice(&head->text) };
	head->headers[head->count++] =
	        (struct header){ edged_str("edged-hops"), edged_slice(digits + (hops < 8 ? hops : 8), 1) };
	return 0;
}

int proxy_head_make(struct proxy_head *ret, struct requests *requests, edged_handle request,
        struct edged_slice target, const char *own_id)
{
	*ret = (struct proxy_head){ .target = target };
	int r = add_caller(ret, requests, request, own_id);
	if (!r)
		r = make_headers(ret, requests, request);
	if (r)
		proxy_head_fini(ret);
	return r;
}

static int copy_conditions(struct buf *text, const struct edged_http_field *fields, size_t count)
{
	int r = 0;
	for (size_t i = 0; i < count && !r; i++) {
		r = buf_add(text, fields[i].name.ptr, fields[i].name.len);
		if (!r)
			r = buf_add(text, fields[i].value.ptr, fields[i].value.len);
	}
	return r;
}

int proxy_head_conditions(struct proxy_head *head, const struct edged_http_field *fields, size_t count)
{
	size_t kept = 0;
	buf_clear(&head->conditions);
	int r = count <= PROXY_CONDITIONS ? copy_conditions(&head->conditions, fields, count) : -EINVAL;
	if (r)
		return r;
	for (size_t i = 0; i < head->count; i++)
		if (!link_header_is(head->headers[i].name, "if-none-match") &&
		        !link_header_is(head->headers[i].name, "if-modified-since"))
			head->headers[kept++] = head->headers[i];
	const char *at = head->conditions.ptr;
	for (size_t i = 0; i < count; i++) {
		struct edged_slice name = edged_slice(at, fields[i].name.len);
		struct edged_slice value = edged_slice(at + name.len, fields[i].value.len);
		head->headers[kept++] = (struct header){ name, value };
		at = value.ptr + value.len;
	}
	head->count = kept;
	return 0;
}

void proxy_head_fini(struct proxy_head *head)
{
	free(head->headers);
	buf_fini(&head->text);
	buf_fini(&head->conditions);
	*head = (struct proxy_head){ .count = 0 };
}

/* --- the answer --- */

struct edged_slice proxy_connection_header(const struct header *headers, size_t count)
{
	const struct header *header = link_header_find(headers, count, "connection");
	return header ? header->value : edged_str("");
}

bool proxy_header_stays(const struct header *header, struct edged_slice connection)
{
	return link_header_is_hop(header->name, connection) || link_header_is(header->name, "date");
}

bool proxy_header_is_type(const struct header *header)
{
	return link_header_is(header->name, "content-type");
}

const char *proxy_subprotocol(const struct header *headers, size_t count)
{
	const struct header *header = link_header_find(headers, count, "sec-websocket-protocol");
	return header ? header->value.ptr : "";
}

bool proxy_is_of_device(const struct header *headers, size_t count)
{
	return link_header_find(headers, count, "edged-device") != NULL;
}

/* --- failures --- */

static const struct verdict {
	int status;
	const char *type, *title, *advice;
} verdicts[] = {
	[LINK_UNKNOWN] = { 404, "node-unknown", "No such node",
	        "GET /mds/v1/nodes lists the nodes that are known." },
	[LINK_NO_ADDRESS] = { 502, "node-unreachable", "The node cannot be reached",
	        "Let it listen on a secure port that the network reaches (tls=*:8443)." },
	[LINK_UNREACHABLE] = { 502, "node-unreachable", "The node cannot be reached",
	        "Check that it runs and that no firewall closes its secure port." },
	[LINK_WRONG_NODE] = { 502, "node-unreachable", "Another node answers at its address",
	        "Its address has changed; the cluster learns the new one within seconds." },
	[LINK_UNTRUSTED] = { 403, "node-not-trusted", "That node is not of this node's account",
	        "Join both to one account: edgectl invite on one, edgectl join TOKEN on the other." },
	[LINK_BUSY] = { 503, "link-busy", "Too much goes to that node", "Try again in a moment." },
	[LINK_TIMEOUT] = { 504, "node-timeout", "The node did not answer in time",
	        "It may be overloaded, or just have left the network; try again." },
	[LINK_BROKEN] = { 502, "node-lost", "The node broke the answer off",
	        "Whether it did what was asked is not known: look before you send it again." },
	[LINK_REJECTED] = { 502, "link-rejected", "That cannot be carried between nodes",
	        "Make headers and body smaller." },
	[LINK_STOPPED] = { 503, "node-stopping", "This node is stopping", "Try again later." },
};

void proxy_answer_failure(struct requests *requests, edged_handle request, const struct node_record *target,
        const struct link_failure *failure)
{
	const struct verdict *verdict = &verdicts[failure->cause];
	const bool tried = failure->address[0];
	(void)request_problemf(requests, request, verdict->status, verdict->type, verdict->title,
	        "Node %s%s%s%s%s%s: %s. %s", target->self ? "self" : target->id, target->name[0] ? " (" : "",
	        target->name, target->name[0] ? ")" : "", tried ? " at " : "", failure->address, failure->why,
	        verdict->advice);
}
