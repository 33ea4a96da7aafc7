/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/auth_door.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Texts are written one behind the other, each with its length before it and a NUL behind it, so that equal doors have
 * equal bytes. */
struct out {
	char *at; /* NULL: only counting */
	size_t n;
};

static void put(struct out *out, const void *bytes, size_t n)
{
	if (out->at)
		memcpy(out->at + out->n, bytes, n);
	out->n += n;
}

/* Where the copy is; NULL stays NULL. */
static const char *put_text(struct out *out, const char *text, size_t len)
{
	uint32_t n = text ? (uint32_t)len + 1 : 0;
	put(out, &n, sizeof(n));
	if (!text)
		return NULL;
	const char *copy = out->at ? out->at + out->n : NULL;
	put(out, text, len);
	put(out, "", 1);
	return copy;
}

static const char *put_string(struct out *out, const char *text)
{
	return put_text(out, text, text ? strlen(text) : 0);
}

static struct edged_slice put_slice(struct out *out, struct edged_slice text)
{
	return edged_slice(put_text(out, text.ptr ? text.ptr : "", text.len), text.len);
}

/* "192.0.2.7:4242" and "[2001:db8::7]:4242" without port and brackets; what has neither stays as it is. */
static const char *put_address(struct out *out, const char *address)
{
	if (!address)
		return put_string(out, NULL);
	const char *first = strchr(address, ':'), *last = strrchr(address, ':');
	bool brackets = *address == '[' && last > address && last[-1] == ']';
	if (brackets)
		return put_text(out, address + 1, (size_t)(last - address) - 2);
	return put_text(out, address, first && first == last ? (size_t)(first - address) : strlen(address));
}

static void write_peer(struct out *out, const struct edged_peer *from, struct edged_peer *to)
{
	const bool flags[] = { from->loopback, from->tls, from->trusted, from->websocket,
		from->bad_signature };
	*to = *from;
	to->address = put_address(out, from->address);
	to->listener = put_string(out, from->listener);
	to->subject = put_string(out, from->subject);
	to->fingerprint = put_string(out, from->fingerprint);
	to->node_id = put_string(out, from->node_id);
	to->server_name = put_string(out, from->server_name);
	to->signer = put_string(out, from->signer);
	put(out, &from->uid, sizeof(from->uid));
	put(out, flags, sizeof(flags));
}

static void write_door(
        struct out *out, const struct edged_door *from, const struct edged_peer *peer, struct door *to)
{
	const bool flags[] = { from->has_user, from->persistent, from->will, peer != NULL };
	to->door = *from;
	to->door.protocol = put_string(out, from->protocol);
	to->door.client_id = put_slice(out, from->client_id);
	to->door.user = put_slice(out, from->user);
	to->door.password = put_slice(out, from->password);
	put(out, flags, sizeof(flags));
	if (peer)
		write_peer(out, peer, &to->peer);
}

/* Plugins of other times know other sizes. */
static void take(void *to, size_t size, const void *from, uint32_t their_size)
{
	memset(to, 0, size);
	memcpy(to, from, their_size < size ? their_size : size);
}

int door_copy(const struct edged_door *door, bool secrets, struct door *ret)
{
	struct edged_door from;
	struct edged_peer peer;
	take(&from, sizeof(from), door, door->struct_size);
	if (from.peer)
		take(&peer, sizeof(peer), from.peer, from.peer->struct_size);
	if (!secrets) {
		from.has_password = false;
		from.password = edged_slice(NULL, 0);
	}
	struct out out = { NULL, 0 };
	write_door(&out, &from, from.peer ? &peer : NULL, ret);
	ret->size = out.n;
	ret->text = malloc(out.n);
	if (!ret->text)
		return -ENOMEM;
	out = (struct out){ ret->text, 0 };
	write_door(&out, &from, from.peer ? &peer : NULL, ret);
	ret->door.struct_size = sizeof(ret->door);
	ret->peer.struct_size = sizeof(ret->peer);
	ret->door.peer = from.peer ? &ret->peer : NULL;
	return 0;
}

void door_fini(struct door *door)
{
	if (door->text)
		explicit_bzero(door->text, door->size);
	free(door->text);
	door->text = NULL;
}
