/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/list.h"
#include "base/log.h"
#include "io/listen_socket.h"
#include "io/listen_spec.h"
#include "io/network.h"
#include "io/port_holder.h"
#include "io/proxy_door.h"
#include "io/served.h"
#include "io/source.h"
#include "io/stream.h"
#include "io/tls.h"

#define ACCEPT_AT_ONCE  64
#define PAUSE_MS        250   /* out of descriptors or memory: so long nobody is accepted */
#define SAY_EVERY_MS    10000 /* one line about refusals */
#define FIRST_BYTE_MQTT 0x10  /* CONNECT */

struct listener {
	struct list link;
	struct listeners *all;
	struct listen_spec spec;
	char *text;
	struct tls_context *tls;
	struct watch *watch;
	int fd;
	struct socket_file file;
	struct listener_info info;
};

struct listeners {
	struct loops *loops;
	struct listener_limits limits;
	struct sources *sources;
	struct proxy_door *door;
	struct network *proxies; /* whose headers are believed */
	size_t proxy_count;
	struct list open;
	struct list closed; /* their names live on, streams point at them */
	struct timer *pause;
	unsigned next_loop;
	uint64_t said_ms, refused;
	struct served served; /* looked at by all loops */
};

/* --- who serves what --- */

int listeners_serve(
        struct listeners *all, const char *protocol, const struct edged_stream_handler *handler, void *self)
{
	return served_add(&all->served, protocol, handler, self);
}

void listeners_unserve(struct listeners *all, const char *protocol)
{
	void *self = NULL;
	const struct edged_stream_handler *handler = served_remove(&all->served, protocol, &self);
	if (handler)
		streams_end(all->loops, handler, self);
}

const struct edged_stream_handler *listeners_handler(
        const struct listeners *all, const char *protocol, void **ret_self)
{
	return served_find((struct served *)&all->served, protocol, ret_self);
}

/* --- which protocol it is --- */

static const char *by_alpn(struct edged_slice alpn)
{
	static const char *const names[][2] = {
		{ "x-amzn-mqtt-ca", "mqtt" },
		{ "mqtt", "mqtt" },
		{ "x-amzn-http-ca", "http" },
		{ "http/1.1", "http" },
		{ "edged-link/1", "edged-link/1" },
		{ "edged-mesh/1", "edged-mesh/1" },
		{ "edged-pair/1", "edged-pair/1" },
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (edged_slice_is(alpn, names[i][0]))
			return names[i][1];
	return NULL;
}

static const char *by_first_bytes(struct edged_slice bytes)
{
	if ((uint8_t)bytes.ptr[0] == FIRST_BYTE_MQTT)
		return "mqtt";
	for (size_t i = 0; i < bytes.len && bytes.ptr[i] != ' '; i++)
		if (bytes.ptr[i] < 'A' || bytes.ptr[i] > 'Z')
			return NULL;
	return bytes.ptr[0] == ' ' ? NULL : "http";
}

/* A peer with a certificate was judged already. Else MQTT is free for programs of this machine, and the owner and root
 * may use the Unix socket; who comes over HTTP from loopback still has to show the key. */
static bool is_trusted(const struct edged_peer *peer, const char *protocol)
{
	if (peer->tls)
		return peer->trusted;
	if (peer->uid >= 0 && (peer->uid == 0 || peer->uid == (int64_t)geteuid()))
		return true;
	return peer->loopback && strcmp(protocol, "mqtt") == 0;
}

static int choose(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	struct listener *l = arg;
	const char *protocol = by_alpn(alpn);
	if (!protocol)
		protocol = l->spec.serves;
	if (!protocol && first_bytes.len == 0)
		return STREAM_NEED_MORE;
	if (!protocol)
		protocol = by_first_bytes(first_bytes);
	/* Devices may speak TLS 1.2 at the same port; two nodes never have to, so somebody in between wants it. */
	if (protocol && edged_slice_starts(edged_str(protocol), "edged-") && !stream_is_tls13(stream)) {
		log_debug("listener", "%s: %s over a TLS older than 1.3, closed", l->text, protocol);
		return -EPROTONOSUPPORT;
	}
	*ret_handler = protocol ? listeners_handler(l->all, protocol, ret_self) : NULL;
	if (!*ret_handler) {
		log_debug("listener", "%s: %s, closed", l->text,
		        protocol ? protocol : "a protocol nobody knows");
		return -ENOPROTOOPT;
	}
	stream_set_trusted(stream, is_trusted(stream_functions.peer(stream), protocol));
	return 0;
}

/* --- whom to let in --- */

/* An accepted connection on its way to its loop. */
struct arrival {
	struct post post;
	struct listener *listener;
	struct stream_origin origin;
	char address[ADDRESS_TEXT];
};

static void begin(struct listener *l, struct loop *loop, const struct stream_origin *origin)
{
	struct stream_chooser chooser = {
		.choose = choose, .arg = l, .wants_bytes = !l->spec.serves && !l->spec.tls
	};
	struct stream_owner *owner = origin->owner;
	if (stream_new(loop, origin, &chooser, NULL))
		sources_give_back(owner);
}

static void begin_there(struct post *post)
{
	struct arrival *a = CONTAINER_OF(post, struct arrival, post);
	begin(a->listener, loop_self(), &a->origin);
	free(a);
}

static void drop_accepted(struct post *post)
{
	struct arrival *a = CONTAINER_OF(post, struct arrival, post);
	close(a->origin.fd);
	sources_give_back(a->origin.owner);
	free(a);
}

static int send_to(struct listener *l, struct loop *loop, const struct stream_origin *origin)
{
	struct arrival *a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->post = (struct post){ .fn = begin_there, .drop = drop_accepted };
	a->listener = l;
	a->origin = *origin;
	snprintf(a->address, sizeof(a->address), "%s", origin->address);
	a->origin.address = a->address;
	loop_post(loop, &a->post);
	return 0;
}

static bool unix_listener(const struct listener *l)
{
	return l->spec.address.ss_family == AF_UNIX;
}

static int64_t uid_of(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) ? -1 : (int64_t)who.uid;
}

static const char *reason(int why)
{
	switch (why) {
	case -ENOSPC:
		return "too many connections";
	case -EMFILE:
		return "too many connections from there";
	case -EAGAIN:
		return "they come too fast";
	case -EACCES:
		return "it is no proxy that net.proxies lists";
	case -ETIMEDOUT:
		return "no PROXY header in time";
	case -EPROTO:
		return "not a PROXY header";
	case -EMSGSIZE:
		return "the PROXY header is too long";
	case -EBADMSG:
		return "the PROXY header has a wrong check sum";
	default:
		return strerror(-why);
	}
}

static void refuse(struct listener *l, int fd, const char *address, int why)
{
	struct listeners *all = l->all;
	uint64_t now = loop_now(loops_at(all->loops, 0));
	close(fd);
	all->refused++;
	if (all->said_ms && now - all->said_ms < SAY_EVERY_MS)
		return;
	log_warning("listener", "%s: refused %s: %s (%llu refused since the last such line)", l->text,
	        address, reason(why), (unsigned long long)all->refused);
	all->said_ms = now;
	all->refused = 0;
}

/* Who is at the other end of an accepted connection. */
struct caller {
	const struct sockaddr_storage *from;
	socklen_t len;
	uint64_t waited_ms;
	bool proxied; /* then it is as far away as can be, whatever its address says */
};

static void welcome(struct listener *l, int fd, const struct caller *caller)
{
	struct listeners *all = l->all;
	bool local = caller->from->ss_family == AF_UNIX;
	char address[ADDRESS_TEXT] = "unix";
	if (!local)
		address_text(caller->from, caller->len, address);
	struct stream_origin origin = {
		.fd = fd,
		.tls = l->tls,
		.listener = l->text,
		.address = address,
		.loopback = !caller->proxied && address_is_loopback(caller->from),
		.uid = local && !caller->proxied ? uid_of(fd) : -1,
		.handshake_ms = all->limits.handshake_ms,
		.waited_ms = caller->waited_ms,
	};
	uint64_t now = loop_now(loops_at(all->loops, 0));
	int r = sources_take(all->sources, caller->from, origin.loopback, now, &origin.owner);
	if (r) {
		stream_count_refused();
		refuse(l, fd, address, r);
		return;
	}
	int on = 1;
	if (!unix_listener(l))
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	stream_count_accepted();
	/* only the broker works on all loops; what may still become something else starts on the main loop */
	bool spread = l->spec.serves && strcmp(l->spec.serves, "mqtt") == 0;
	struct loop *loop = loops_at(all->loops, spread ? all->next_loop++ % loops_count(all->loops) : 0);
	if (loop_index(loop) == 0) {
		begin(l, loop, &origin);
	} else if ((r = send_to(l, loop, &origin))) {
		sources_give_back(origin.owner);
		stream_count_refused();
		refuse(l, fd, address, r);
	}
}

/* --- those that come through a proxy --- */

static void refuse_proxy(struct listener *l, const struct proxy_guest *guest, int why)
{
	char address[ADDRESS_TEXT];
	address_text(&guest->proxy, guest->proxy_len, address);
	stream_count_proxy_refused();
	refuse(l, guest->fd, address, why);
}

static bool is_proxy(const struct listener *l, const struct proxy_guest *guest)
{
	if (unix_listener(l)) {
		int64_t uid = uid_of(guest->fd);
		return uid == 0 || uid == (int64_t)geteuid();
	}
	for (size_t i = 0; i < l->all->proxy_count; i++)
		if (network_has(&l->all->proxies[i], &guest->proxy))
			return true;
	return false;
}

static void on_proxy_header(void *arg, const struct proxy_guest *guest, int result,
        const struct proxy_header *header, uint64_t waited_ms)
{
	(void)arg;
	struct listener *l = guest->listener;
	sources_give_back(guest->owner);
	if (result) {
		refuse_proxy(l, guest, result);
		return;
	}
	const struct caller caller = {
		.from = header->relayed ? &header->client : &guest->proxy,
		.len = header->relayed ? header->client_len : guest->proxy_len,
		.waited_ms = waited_ms,
		.proxied = true,
	};
	welcome(l, guest->fd, &caller);
}

/* While it waits it counts as one of all connections; what its client may do is asked once it is known. */
static void await_proxy_header(struct listener *l, struct proxy_guest *guest)
{
	struct listeners *all = l->all;
	uint64_t now = loop_now(loops_at(all->loops, 0));
	int r = is_proxy(l, guest) ? 0 : -EACCES;
	if (!r)
		r = sources_take(all->sources, &guest->proxy, true, now, &guest->owner);
	if (!r) {
		r = proxy_door_wait(all->door, guest, all->limits.handshake_ms);
		if (r)
			sources_give_back(guest->owner);
	}
	if (r)
		refuse_proxy(l, guest, r);
}

static void accepted(struct listener *l, int fd, const struct sockaddr_storage *from, socklen_t len)
{
	struct proxy_guest guest = { .listener = l, .proxy = *from, .proxy_len = len, .fd = fd };
	const struct caller caller = { from, len, 0, false };
	if (l->spec.proxied)
		await_proxy_header(l, &guest);
	else
		welcome(l, fd, &caller);
}

/* --- accepting --- */

static void watch_all(struct listeners *all, int what)
{
	list_each (node, &all->open) {
		struct listener *l = list_entry(node, struct listener, link);
		if (watch_change(l->watch, what))
			log_error("listener", "%s: no memory to watch it", l->text);
	}
}

static void end_pause(void *arg)
{
	watch_all(arg, WATCH_READ);
}

/* The connection stays in the backlog and would wake us at once again: look away for a while. */
static void pause_accepting(struct listener *l, int error)
{
	log_warning("listener", "%s: cannot accept: %s; again in %d ms", l->text, strerror(error), PAUSE_MS);
	watch_all(l->all, 0);
	timer_set(l->all->pause, PAUSE_MS);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_connections(void *arg, int what)
{
	(void)what;
	struct listener *l = arg;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			accepted(l, fd, &from, len);
		} else if (is_shortage(errno)) {
			pause_accepting(l, errno);
			return;
		} else if (errno == EAGAIN) {
			return;
		} /* else that connection went away before we came to it */
	}
}

/* --- opening --- */

static int fail(struct listener *l, int error, struct err *err)
{
	char address[ADDRESS_TEXT], holder[128] = "";
	address_text(&l->spec.address, l->spec.address_len, address);
	if (error == EADDRINUSE)
		port_holder(address_port(&l->spec.address), holder, sizeof(holder));
	const char *hint = error == EACCES && !unix_listener(l)
	                           ? "; ports below 1024 need CAP_NET_BIND_SERVICE, see edged(8)"
	                           : "";
	return err_set(err, -error, "cannot listen on %s (%s): %s%s%s%s", address, l->text, strerror(error),
	        *holder ? " by " : "", holder, hint);
}

static void describe(struct listener *l)
{
	struct sockaddr_storage real = { 0 };
	socklen_t len = sizeof(real);
	if (unix_listener(l) || getsockname(l->fd, (struct sockaddr *)&real, &len)) {
		real = l->spec.address;
		len = l->spec.address_len;
	}
	l->info = (struct listener_info){
		.spec = l->text, .protocol = l->spec.protocol, .tls = l->spec.tls, .port = address_port(&real)
	};
	address_text(&real, len, l->info.address);
}

static void shut(struct listener *l)
{
	watch_free(TAKE(l->watch));
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	listen_socket_remove(&l->spec, &l->file);
}

static void listener_free(struct listener *l)
{
	shut(l);
	tls_context_free(l->tls);
	free(l->text);
	free(l);
}

static int start(struct listener *l, struct err *err)
{
	int error = listen_socket_open(&l->spec, &l->fd, &l->file);
	if (error)
		return fail(l, error, err);
	describe(l);
	if (watch_new(loops_at(l->all->loops, 0), l->fd, WATCH_READ, on_connections, l, &l->watch))
		return err_set(err, -ENOMEM, "no memory to listen on %s", l->info.address);
	return 0;
}

int listeners_open(struct listeners *all, const char *text, struct tls_context *tls, struct err *err)
{
	struct listen_spec spec;
	int r = listen_spec_parse(text, &spec, err);
	if (r)
		return r;
	if (spec.tls && !tls)
		return err_set(err, -EINVAL, "%s wants TLS, and there is no certificate", text);
	struct listener *l = calloc(1, sizeof(*l));
	if (!l || !(l->text = strdup(text))) {
		free(l);
		return err_set(err, -ENOMEM, "no memory to listen on %s", text);
	}
	l->all = all;
	l->spec = spec;
	l->fd = -1;
	l->tls = spec.tls ? tls_context_ref(tls) : NULL;
	r = start(l, err);
	if (r)
		listener_free(l);
	else
		list_append(&all->open, &l->link);
	return r;
}

static void close_listener(struct listener *l)
{
	shut(l);
	list_remove(&l->link);
	list_append(&l->all->closed, &l->link);
}

bool listeners_close_one(struct listeners *all, const char *spec)
{
	list_each (node, &all->open) {
		struct listener *l = list_entry(node, struct listener, link);
		if (strcmp(l->info.spec, spec) == 0) {
			close_listener(l);
			return true;
		}
	}
	return false;
}

void listeners_close(struct listeners *all)
{
	timer_cancel(all->pause);
	list_each_safe (node, &all->open)
		close_listener(list_entry(node, struct listener, link));
}

void listeners_set_limits(struct listeners *all, const struct listener_limits *limits)
{
	all->limits = *limits;
	sources_set_limits(all->sources, limits);
}

int listeners_set_proxies(struct listeners *all, const struct network *proxies, size_t count)
{
	struct network *copy = malloc((count ? count : 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, proxies, count * sizeof(*copy));
	free(all->proxies);
	all->proxies = copy;
	all->proxy_count = count;
	return 0;
}

/* --- all of them --- */

int listeners_new(struct loops *loops, const struct listener_limits *limits, struct listeners **ret)
{
	struct listeners *all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->loops = loops;
	all->limits = *limits;
	list_init(&all->open);
	list_init(&all->closed);
	served_init(&all->served);
	int r = sources_new(limits, &all->sources);
	if (!r)
		r = proxy_door_new(loops_at(loops, 0), on_proxy_header, all, &all->door);
	if (!r)
		r = timer_new(loops_at(loops, 0), end_pause, all, &all->pause);
	if (r)
		listeners_free(all);
	else
		*ret = all;
	return r;
}

void listeners_free(struct listeners *all)
{
	if (!all)
		return;
	if (all->pause)
		listeners_close(all);
	for (const char *protocol; (protocol = served_first(&all->served));)
		listeners_unserve(all, protocol);
	proxy_door_free(all->door, sources_gone);
	streams_end_owned(all->loops, sources_gone);
	list_each_safe (node, &all->closed)
		listener_free(list_entry(node, struct listener, link));
	timer_free(all->pause);
	sources_free(all->sources);
	free(all->proxies);
	served_fini(&all->served);
	free(all);
}

bool listeners_info(const struct listeners *all, unsigned i, struct listener_info *ret)
{
	list_each (node, &all->open)
		if (i-- == 0) {
			*ret = list_entry(node, struct listener, link)->info;
			return true;
		}
	return false;
}
