/* SPDX-License-Identifier: Apache-2.0 */
#include "greeting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "former.h"
#include "inward.h"
#include "outward.h"

enum { SECRET_MOST = 4096, HELLO_ROOM = 200 };

/* The first line of a small file; only its owner may read it. Returns its length, or < 0 with a sentence in l->error. */
static ssize_t read_secret(struct link *l, char out[SECRET_MOST])
{
	const char *path = l->settings.password_file;
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		link_fail(l, "the password file %s cannot be opened: %s", path, strerror(errno));
		return -1;
	}
	ssize_t n = -1;
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || (status.st_mode & 077))
		link_fail(l, "the password file %s may be read by others, or is no file: chmod 600 %s", path,
		        path);
	else if ((n = read(fd, out, SECRET_MOST)) < 0)
		link_fail(l, "the password file %s cannot be read: %s", path, strerror(errno));
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (out[i] == '\n' || out[i] == '\r')
			n = i;
	return n;
}

static struct edged_slice client_id(const struct link *l, char out[80])
{
	if (l->settings.client_id)
		return edged_str(l->settings.client_id);
	snprintf(out, 80, "edged-%s-%s", l->deps->node, l->settings.name);
	return edged_str(out);
}

void greeting_send(struct link *l)
{
	char secret[SECRET_MOST], id[80];
	ssize_t n = l->settings.password_file ? read_secret(l, secret) : 0;
	if (n < 0)
		return;
	struct hello hello = { .version = l->settings.version,
		.bridge_bit = l->bridge_bit,
		.keep_alive = l->settings.keep_alive,
		.receive_max = l->settings.in_flight,
		.session_expiry = l->settings.session_expiry,
		.packet = l->settings.packet,
		.client_id = client_id(l, id),
		.node = edged_str(l->deps->node) };
	hello.user = l->settings.user ? edged_str(l->settings.user) : edged_slice(NULL, 0);
	hello.password = l->settings.password_file ? edged_slice(secret, (size_t)n) : edged_slice(NULL, 0);
	uint8_t bytes[SECRET_MOST + HELLO_ROOM + 2048];
	struct writer w = writer(bytes, sizeof(bytes));
	write_connect(&w, &hello);
	link_write(l, bytes, (size_t)(w.at - bytes));
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(bytes, sizeof(bytes));
}

/* A memory of what was sent, where nothing else tells our own messages when they come back. */
static void set_up_guard(struct link *l)
{
	uint8_t ways = 0;
	for (size_t i = 0; i < l->settings.rule_count; i++)
		ways |= l->settings.rules[i].ways;
	bool blind = l->settings.version != MQTT_5 && !l->bridge_bit && ways == (WAY_IN | WAY_OUT);
	if (l->guard || (!blind && !l->settings.loop_guard))
		return;
	l->guard = calloc(1, sizeof(*l->guard));
	if (l->guard && getrandom(&l->guard->key, sizeof(l->guard->key), 0) < 0)
		l->guard->key = l->deps->loop->now(l->deps->host);
}

static void greeted(struct link *l)
{
	const struct edged_session_1 *session = l->deps->session;
	const struct welcome *w = &l->welcome;
	uint16_t window = w->receive_max < l->settings.in_flight ? w->receive_max : l->settings.in_flight;
	snprintf(l->remote_node, sizeof(l->remote_node), "%.*s", EDGED_SLICE_FMT(w->node));
	l->keep_alive = w->keep_alive ? w->keep_alive : l->settings.keep_alive;
	l->connected_at = l->deps->loop->now(l->deps->host);
	l->logged[0] = '\0';
	l->next = 0;
	l->deps->stream->deadline(l->stream, 0);
	l->deps->loop->timer_set(l->timer, l->keep_alive * UINT64_C(1000));
	set_up_guard(l);
	count_one(l->figures->connects);
	link_move(l, LINK_CONNECTED);
	l->deps->log->log(l->deps->host, EDGED_INFO, "%s: connected to %s port %u, %s", l->settings.name,
	        l->settings.host, l->settings.port,
	        w->present ? "which remembers us" : "which begins a new session for us");
	former_take_back(l->former, w->present);
	inward_subscribe(l);
	int r = outward_subscribe(l, !w->present && l->was_connected);
	if (!r)
		r = session->attach(session->ctx, l->session, window, !w->present);
	l->was_connected = true;
	if (r)
		link_fail(l, "our own broker could not go on with the bridge's session: %s", strerror(-r));
}

int greeting_connack(struct link *l, const struct frame *frame)
{
	if (l->state != LINK_GREETING || !parse_connack(frame, l->settings.version, &l->welcome))
		return REASON_PROTOCOL;
	uint8_t reason = l->welcome.reason;
	if (reason == 0) {
		greeted(l);
		return 0;
	}
	if (l->bridge_bit && l->settings.version != MQTT_5 && reason == REASON_VERSION) {
		l->bridge_bit =
		        false; /* it does not know bridges: the next attempt is that of a plain client */
		link_fail(l, "%s does not know the mark of a bridge; it is left out from now on",
		        l->settings.host);
		return 0;
	}
	link_fail(l, "%s refused the connection with reason 0x%02x: %s%s%.*s", l->settings.host, reason,
	        refusal_text(reason), l->welcome.text.len ? ". It says: " : "",
	        l->welcome.text.len > 150 ? 150 : EDGED_SLICE_FMT(l->welcome.text));
	return 0;
}

int greeting_disconnect(struct link *l, const struct frame *frame)
{
	uint8_t reason;
	struct edged_slice text;
	if (l->settings.version != MQTT_5 || !parse_disconnect(frame, &reason, &text))
		return REASON_PROTOCOL;
	link_fail(l, "%s ended the connection with reason 0x%02x: %s%s%.*s", l->settings.host, reason,
	        refusal_text(reason), text.len ? ". It says: " : "",
	        text.len > 150 ? 150 : EDGED_SLICE_FMT(text));
	return 0;
}
