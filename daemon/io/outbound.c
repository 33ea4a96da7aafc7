/* SPDX-License-Identifier: Apache-2.0 */
#include "io/outbound.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/thread.h"
#include "io/dial.h"
#include "io/listen_spec.h"
#include "io/tls.h"

enum { PEM_MOST = 256 * 1024, ADDRESSES = 8 };

/* What the thread works on. It and the loop hold one reference each: who leaves last frees it, for a name server that does
 * not answer cannot be made to. */
struct lookup {
	atomic_uint refs;
	int done_fd; /* eventfd: the thread has finished */
	char *host, *ca_file, *certificate_file, *key_file;
	char port[8];
	bool tls;
	/* results */
	char addresses[ADDRESSES][ADDRESS_TEXT];
	unsigned count;
	struct tls_context *context;
	int result;
	struct err why;
};

struct outbound {
	struct loop *loop;
	struct lookup *lookup;
	struct watch *watch;
	struct timer *limit;
	struct dial *dial;
	struct edged_dial_options options; /* texts that dial() needs are our own */
	char *alpn, *server_name;
	uint64_t deadline;
	void (*over)(void *arg);
	void *arg;
};

/* --- on the thread ------------------------------------------------------------------------------------------------------- */

static void lookup_unref(struct lookup *l)
{
	if (atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	if (l->done_fd >= 0)
		close(l->done_fd);
	tls_context_free(l->context);
	free(l->host);
	free(l->ca_file);
	free(l->certificate_file);
	free(l->key_file);
	free(l);
}

static int read_all(int fd, const char *path, char **ret, struct err *err)
{
	struct stat status;
	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > PEM_MOST)
		return err_set(err, -EINVAL, "%s is no file of at most %d KiB", path, PEM_MOST / 1024);
	char *text = malloc(PEM_MOST + 1);
	ssize_t n = 0, got = 0;
	while (text && n < PEM_MOST && (got = read(fd, text + n, (size_t)(PEM_MOST - n))) > 0)
		n += got;
	if (!text || got < 0) {
		int error = text ? -errno : -ENOMEM;
		free(text);
		return error;
	}
	text[n] = '\0';
	*ret = text;
	return 0;
}

static int read_pem(const char *path, bool secret, char **ret, struct err *err)
{
	if (!path)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, -errno, "%s cannot be opened: %s", path, strerror(errno));
	struct stat status;
	int r = 0;
	if (secret && fstat(fd, &status) == 0 && (status.st_mode & 077))
		r = err_set(err, -EACCES, "%s may be read by others: chmod 600 it", path);
	if (!r)
		r = read_all(fd, path, ret, err);
	close(fd);
	if (r && !err->text[0])
		(void)err_set(err, r, "%s cannot be read: %s", path, strerror(-r));
	return r;
}

static int make_context(struct lookup *l)
{
	CLEANUP(free_charp) char *ca = NULL;
	CLEANUP(free_charp) char *certificate = NULL;
	CLEANUP(free_charp) char *key = NULL;
	int r = read_pem(l->ca_file, false, &ca, &l->why);
	if (!r)
		r = read_pem(l->certificate_file, false, &certificate, &l->why);
	if (!r)
		r = read_pem(l->key_file, true, &key, &l->why);
	struct tls_options options = { .certificate_pem = certificate,
		.key_pem = key,
		.min_version = 0x0303,
		.verify = true,
		.ca_pem = ca };
	if (!r)
		r = tls_context_new(&options, &l->context, &l->why);
	if (key)
		explicit_bzero(key, strlen(key));
	return r;
}

static int look_up(struct lookup *l)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	int r = getaddrinfo(l->host, l->port, &hints, &list);
	if (r == EAI_ADDRFAMILY || r == EAI_NONAME) { /* on a host with nothing but loopback */
		const struct addrinfo any = { .ai_socktype = SOCK_STREAM };
		r = getaddrinfo(l->host, l->port, &any, &list);
	}
	if (r)
		return err_set(&l->why, r == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH,
		        "the name %s cannot be looked up: %s", l->host, gai_strerror(r));
	for (const struct addrinfo *at = list; at && l->count < ADDRESSES; at = at->ai_next) {
		struct sockaddr_storage address = { 0 };
		memcpy(&address, at->ai_addr, at->ai_addrlen);
		address_text(&address, at->ai_addrlen, l->addresses[l->count++]);
	}
	freeaddrinfo(list);
	return 0;
}

static void *work(void *arg)
{
	struct lookup *l = arg;
	l->result = l->tls ? make_context(l) : 0;
	if (!l->result)
		l->result = look_up(l);
	uint64_t one = 1;
	ssize_t n = write(l->done_fd, &one, sizeof(one));
	(void)n; /* the counter of an eventfd has room for one */
	lookup_unref(l);
	return NULL;
}

/* --- on the loop --------------------------------------------------------------------------------------------------------- */

static void outbound_free(struct outbound *o)
{
	watch_free(o->watch);
	timer_free(o->limit);
	if (o->lookup)
		lookup_unref(o->lookup);
	free(o->alpn);
	free(o->server_name);
	free(o);
}

static void fail(struct outbound *o, int error, const char *why)
{
	void (*failed)(void *arg, int error, const char *why) = o->options.failed;
	void *arg = o->options.arg;
	struct err text;
	snprintf(text.text, sizeof(text.text), "%s", why && *why ? why : strerror(-error));
	o->over(o->arg);
	outbound_free(o);
	failed(arg, error, text.text);
}

static void dial_failed(void *arg, int error, const char *why)
{
	fail(arg, error, why);
}

static void dial_opened(void *arg)
{
	struct outbound *o = arg;
	o->over(o->arg);
	outbound_free(o);
}

static void looked_up(void *arg, int what)
{
	(void)what;
	struct outbound *o = arg;
	struct lookup *l = o->lookup;
	watch_free(TAKE(o->watch));
	timer_cancel(o->limit);
	if (l->result) {
		fail(o, l->result, l->why.text);
		return;
	}
	const char *addresses[ADDRESSES + 1] = { NULL };
	for (unsigned i = 0; i < l->count; i++)
		addresses[i] = l->addresses[i];
	uint64_t now = loop_now(o->loop);
	const struct dial_options options = {
		.addresses = addresses,
		.tls = l->context,
		.alpn = l->context ? o->alpn : NULL,
		.server_name = l->context ? o->server_name : NULL,
		.timeout_ms = now < o->deadline ? o->deadline - now : 1,
		.handler = o->options.handler,
		.self = o->options.self,
		.opened = dial_opened,
		.failed = dial_failed,
		.arg = o,
	};
	int r = dial_start(o->loop, &options, &o->dial);
	if (r)
		fail(o, r, "it has no address that can be dialled");
}

static void too_late(void *arg)
{
	fail(arg, -ETIMEDOUT, "its name was not looked up in time");
}

static int copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int lookup_new(const struct edged_dial_options *options, struct lookup **ret)
{
	struct lookup *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	*ret = l;
	atomic_init(&l->refs, 1);
	l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->done_fd < 0)
		return -errno;
	snprintf(l->port, sizeof(l->port), "%u", options->port);
	l->tls = options->tls;
	int r = copy(options->host, &l->host);
	if (!r)
		r = copy(options->ca_file, &l->ca_file);
	if (!r)
		r = copy(options->certificate_file, &l->certificate_file);
	return r ? r : copy(options->key_file, &l->key_file);
}

static int start_thread(struct lookup *l)
{
	pthread_t thread;
	atomic_fetch_add(&l->refs, 1);
	int r = thread_start(&thread, 0, work, l);
	if (r)
		atomic_fetch_sub(&l->refs, 1);
	else
		pthread_detach(thread);
	return r;
}

static int set_up(struct outbound *o, const struct edged_dial_options *options)
{
	int r = copy(options->alpn, &o->alpn);
	if (!r)
		r = copy(options->server_name ? options->server_name : options->host, &o->server_name);
	if (!r)
		r = lookup_new(options, &o->lookup);
	if (!r)
		r = timer_new(o->loop, too_late, o, &o->limit);
	if (!r)
		r = watch_new(o->loop, o->lookup->done_fd, WATCH_READ, looked_up, o, &o->watch);
	return r ? r : start_thread(o->lookup);
}

int outbound_start(struct loop *loop, const struct edged_dial_options *options, void (*over)(void *arg),
        void *arg, struct outbound **ret)
{
	if (!options->host || !*options->host || !options->port)
		return -EINVAL;
	struct outbound *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->loop = loop;
	o->options = *options;
	o->deadline = loop_now(loop) + options->timeout_ms;
	o->over = over;
	o->arg = arg;
	int r = set_up(o, options);
	if (r) {
		outbound_free(o);
		return r;
	}
	timer_set(o->limit, options->timeout_ms);
	*ret = o;
	return 0;
}

void outbound_cancel(struct outbound *o)
{
	if (!o)
		return;
	dial_cancel(o->dial);
	outbound_free(o);
}
