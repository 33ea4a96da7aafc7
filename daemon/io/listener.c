/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/list.h"
#include "base/log.h"
#include "io/listen_spec.h"
#include "io/port_holder.h"
#include "io/source.h"
#include "io/stream.h"
#include "io/tls.h"

#define BACKLOG         512
#define ACCEPT_AT_ONCE  64
#define PAUSE_MS        250   /* out of descriptors or memory: so long nobody is accepted */
#define SAY_EVERY_MS    10000 /* one line about refusals */
#define SERVED_MAX      16
#define FIRST_BYTE_MQTT 0x10 /* CONNECT */

struct listener {
	struct list link;
	struct listeners *all;
	struct listen_spec spec;
	char *text;
	struct tls_context *tls;
	struct watch *watch;
	int fd;
	dev_t dev; /* of the Unix socket's file, so that we remove no other one */
	ino_t ino;
	struct listener_info info;
};

struct served {
	const char *protocol; /* NULL: free */
	const struct edged_stream_handler *handler;
	void *self;
};

struct listeners {
	struct loops *loops;
	struct listener_limits limits;
	struct sources *sources;
	struct list open;
	struct list closed; /* their names live on, streams point at them */
	struct timer *pause;
	unsigned next_loop;
	uint64_t said_ms, refused;
	pthread_mutex_t lock; /* of `served`; looked at by all loops */
	struct served served[SERVED_MAX];
};

/* --- who serves what --- */

static struct served *find_served(const struct listeners *all, const char *protocol)
{
	for (size_t i = 0; i < SERVED_MAX; i++)
		if (all->served[i].protocol && strcmp(all->served[i].protocol, protocol) == 0)
			return (struct served *)&all->served[i];
	return NULL;
}

static int serve(
        struct listeners *all, const char *protocol, const struct edged_stream_handler *handler, void *self)
{
	if (find_served(all, protocol))
		return -EEXIST;
	for (size_t i = 0; i < SERVED_MAX; i++)
		if (!all->served[i].protocol) {
			char *name = strdup(protocol);
			if (!name)
				return -ENOMEM;
			all->served[i] = (struct served){ name, handler, self };
			return 0;
		}
	return -ENOSPC;
}

int listeners_serve(
        struct listeners *all, const char *protocol, const struct edged_stream_handler *handler, void *self)
{
	pthread_mutex_lock(&all->lock);
	int r = serve(all, protocol, handler, self);
	pthread_mutex_unlock(&all->lock);
	return r;
}

void listeners_unserve(struct listeners *all, const char *protocol)
{
	struct served was = { 0 };
	pthread_mutex_lock(&all->lock);
	struct served *served = find_served(all, protocol);
	if (served) {
		was = *served;
		*served = (struct served){ 0 };
	}
	pthread_mutex_unlock(&all->lock);
	if (was.protocol)
		streams_end(all->loops, was.handler, was.self);
	free((char *)was.protocol);
}

const struct edged_stream_handler *listeners_handler(
        const struct listeners *all, const char *protocol, void **ret_self)
{
	const struct edged_stream_handler *handler = NULL;
	pthread_mutex_lock((pthread_mutex_t *)&all->lock);
	struct served *served = find_served(all, protocol);
	if (served) {
		handler = served->handler;
		*ret_self = served->self;
	}
	pthread_mutex_unlock((pthread_mutex_t *)&all->lock);
	return handler;
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
	*ret_handler = protocol ? listeners_handler(l->all, protocol, ret_self) : NULL;
	if (!*ret_handler) {
		log_debug("listener", "%s: %s, closed", l->text,
		        protocol ? protocol : "a protocol nobody knows");
		return -ENOPROTOOPT;
	}
	stream_set_trusted(stream, is_trusted(stream_functions.peer(stream), protocol));
	return 0;
}

/* --- accepting --- */

/* An accepted connection on its way to its loop. */
struct accepted {
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
	struct accepted *a = CONTAINER_OF(post, struct accepted, post);
	begin(a->listener, loop_self(), &a->origin);
	free(a);
}

static void drop_accepted(struct post *post)
{
	struct accepted *a = CONTAINER_OF(post, struct accepted, post);
	close(a->origin.fd);
	sources_give_back(a->origin.owner);
	free(a);
}

static int send_to(struct listener *l, struct loop *loop, const struct stream_origin *origin)
{
	struct accepted *a = calloc(1, sizeof(*a));
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

static int64_t uid_of(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) ? -1 : (int64_t)who.uid;
}

static void refuse(struct listener *l, int fd, const char *address, int why)
{
	struct listeners *all = l->all;
	uint64_t now = loop_now(loops_at(all->loops, 0));
	close(fd);
	stream_count_refused();
	all->refused++;
	if (all->said_ms && now - all->said_ms < SAY_EVERY_MS)
		return;
	log_warning("listener", "%s: refused %s: %s (%llu refused since the last such line)", l->text,
	        address,
	        why == -ENOSPC   ? "too many connections"
	        : why == -EMFILE ? "too many connections from there"
	        : why == -EAGAIN ? "they come too fast"
	                         : strerror(-why),
	        (unsigned long long)all->refused);
	all->said_ms = now;
	all->refused = 0;
}

static void welcome(struct listener *l, int fd, const struct sockaddr_storage *from, socklen_t len)
{
	struct listeners *all = l->all;
	bool local = from->ss_family == AF_UNIX;
	char address[ADDRESS_TEXT] = "unix";
	if (!local)
		address_text(from, len, address);
	struct stream_origin origin = {
		.fd = fd,
		.tls = l->tls,
		.listener = l->text,
		.address = address,
		.loopback = address_is_loopback(from),
		.uid = local ? uid_of(fd) : -1,
		.handshake_ms = all->limits.handshake_ms,
	};
	int r = sources_take(all->sources, from, loop_now(loops_at(all->loops, 0)), &origin.owner);
	if (r) {
		refuse(l, fd, address, r);
		return;
	}
	int on = 1;
	if (!local)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	stream_count_accepted();
	/* only the broker works on all loops; what may still become something else starts on the main loop */
	bool spread = l->spec.serves && strcmp(l->spec.serves, "mqtt") == 0;
	struct loop *loop = loops_at(all->loops, spread ? all->next_loop++ % loops_count(all->loops) : 0);
	if (loop_index(loop) == 0) {
		begin(l, loop, &origin);
	} else if ((r = send_to(l, loop, &origin))) {
		sources_give_back(origin.owner);
		refuse(l, fd, address, r);
	}
}

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
			welcome(l, fd, &from, len);
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
	return err_set(err, -error, "cannot listen on %s (%s): %s%s%s", address, l->text, strerror(error),
	        *holder ? " by " : "", holder);
}

/* A socket file that nobody answers at is left from a process that died. */
static int remove_stale(const char *path)
{
	struct stat st;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED)
		return error == 0 || error == EAGAIN ? EADDRINUSE : error;
	return unlink(path) && errno != ENOENT ? errno : 0;
}

static const char *unix_path(const struct listener *l)
{
	const struct sockaddr_un *un = (const void *)&l->spec.address;
	return un->sun_family == AF_UNIX ? un->sun_path : NULL;
}

/* The mode is right from the first moment on: the file takes it over from the socket. */
static int bind_unix(struct listener *l)
{
	struct stat st;
	const char *path = unix_path(l);
	int error = remove_stale(path);
	if (error)
		return error;
	if (fchmod(l->fd, 0660) || bind(l->fd, (struct sockaddr *)&l->spec.address, l->spec.address_len) ||
	        chmod(path, 0660) || lstat(path, &st))
		return errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

static int bind_ip(struct listener *l)
{
	int on = 1, off = 0;
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (l->spec.address.ss_family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, l->spec.any ? &off : &on, sizeof(on));
	return bind(l->fd, (struct sockaddr *)&l->spec.address, l->spec.address_len) ? errno : 0;
}

/* A kernel without IPv6 still has all of IPv4. */
static void fall_back_to_ipv4(struct listen_spec *spec)
{
	uint16_t port = address_port(&spec->address);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	memset(&spec->address, 0, sizeof(spec->address));
	memcpy(&spec->address, &in, sizeof(in));
	spec->address_len = sizeof(in);
}

static int make_socket(struct listener *l)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	l->fd = socket(l->spec.address.ss_family, type, 0);
	if (l->fd < 0 && l->spec.any && errno == EAFNOSUPPORT) {
		fall_back_to_ipv4(&l->spec);
		l->fd = socket(AF_INET, type, 0);
	}
	if (l->fd < 0)
		return errno;
	int error = unix_path(l) ? bind_unix(l) : bind_ip(l);
	if (!error && listen(l->fd, BACKLOG))
		error = errno;
	return error;
}

static void describe(struct listener *l)
{
	struct sockaddr_storage real = { 0 };
	socklen_t len = sizeof(real);
	if (unix_path(l) || getsockname(l->fd, (struct sockaddr *)&real, &len)) {
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
	struct stat st;
	const char *path = unix_path(l);
	watch_free(TAKE(l->watch));
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	if (path && l->ino && lstat(path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(path);
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
	int error = make_socket(l);
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
	pthread_mutex_init(&all->lock, NULL);
	int r = sources_new(limits, &all->sources);
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
	for (size_t i = 0; i < SERVED_MAX; i++)
		if (all->served[i].protocol)
			listeners_unserve(all, all->served[i].protocol);
	streams_end_owned(all->loops, sources_gone);
	list_each_safe (node, &all->closed)
		listener_free(list_entry(node, struct listener, link));
	timer_free(all->pause);
	sources_free(all->sources);
	pthread_mutex_destroy(&all->lock);
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
