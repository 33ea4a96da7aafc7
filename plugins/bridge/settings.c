/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "../broker/codec.h"
#include "../broker/topic.h"
#include "json_read.h"

/* --- the parts of a bridge ---------------------------------------------------------------------------------------------- */

static int split_address(const struct reading *in, const char *text, struct bridge_settings *b)
{
	const char *host = text, *end = strchr(text, ']'), *colon;
	size_t n;
	if (*text == '[' && end) {
		host++;
		n = (size_t)(end - host);
		colon = end[1] == ':' ? end + 1 : NULL;
		if (end[1] && !colon)
			n = 0;
	} else {
		colon = strrchr(text, ':');
		n = colon ? (size_t)(colon - text) : strlen(text);
	}
	char *rest = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &rest, 10) : b->port;
	if (n == 0 || n > 253 || memchr(host, '/', n) || port == 0 || port > 65535 ||
	        (colon && (*rest || !isdigit((unsigned char)colon[1]))))
		return read_wrong(in, "address",
		        "\"%.80s\" is no HOST or HOST:PORT, such as \"broker.example.com:8883\" or "
		        "\"[2001:db8::7]:1883\"",
		        text);
	b->port = (uint16_t)port;
	b->host = strndup(host, n);
	return b->host ? 0 : -ENOMEM;
}

static int read_address(const struct reading *in, json_t *object, struct bridge_settings *b)
{
	char *text = NULL;
	int r = read_text(in, object, "address", 260, &text);
	b->port = b->tls ? 8883 : 1883;
	if (!r && !text)
		r = read_wrong(in, "address",
		        "is missing: where the other broker is, such as \"broker.example.com:8883\"");
	if (!r)
		r = split_address(in, text, b);
	free(text);
	return r;
}

static int read_tls(struct reading *in, json_t *object, struct bridge_settings *b)
{
	static const char *const known[] = { "ca", "certificate", "key", "alpn", "server_name", NULL };
	json_t *tls = json_object_get(object, "tls");
	if (!tls || json_is_boolean(tls)) {
		b->tls = json_is_true(tls);
		return 0;
	}
	if (!json_is_object(tls))
		return read_wrong(in, "tls",
		        "must be true, false, or an object with ca, certificate, key, alpn or "
		        "server_name");
	b->tls = true;
	snprintf(in->where, sizeof(in->where), "tls");
	int r = read_keys(in, tls, known);
	if (!r)
		r = read_text(in, tls, "ca", 1000, &b->ca);
	if (!r)
		r = read_text(in, tls, "certificate", 1000, &b->certificate);
	if (!r)
		r = read_text(in, tls, "key", 1000, &b->key);
	if (!r)
		r = read_text(in, tls, "alpn", 255, &b->alpn);
	if (!r)
		r = read_text(in, tls, "server_name", 253, &b->server_name);
	if (!r && !b->certificate != !b->key)
		r = read_wrong(
		        in, b->key ? "certificate" : "key", "is missing: certificate and key go together");
	in->where[0] = '\0';
	return r;
}

static int join(const char *prefix, const char *filter, char **ret)
{
	size_t a = prefix ? strlen(prefix) : 0, b = strlen(filter);
	*ret = malloc(a + b + 1);
	if (!*ret)
		return -ENOMEM;
	if (a)
		memcpy(*ret, prefix, a);
	memcpy(*ret + a, filter, b + 1);
	return 0;
}

static int judge_rule(const struct reading *in, const struct rule *rule)
{
	/* With the bridge's name it is a key in the store, of at most 1,024 bytes. */
	static const struct topic_limits limits = { 990, 200 };
	const char *const prefixes[] = { rule->local_prefix, rule->remote_prefix };
	const char *const filters[] = { rule->local_filter, rule->remote_filter };
	for (int i = 0; i < 2; i++) {
		struct filter parsed;
		const char *key = i ? "remote_prefix" : "local_prefix";
		if (prefixes[i] && strpbrk(prefixes[i], "+#"))
			return read_wrong(in, key, "must not have wildcards");
		if (!utf8_valid(edged_str(filters[i])) ||
		        !filter_parse(edged_str(filters[i]), &limits, &parsed) || parsed.group.len)
			return read_wrong(in, "filter",
			        "with its prefix, \"%.80s\" is no filter of MQTT: \"+\" stands for a whole "
			        "level, "
			        "\"#\" for all that follow",
			        filters[i]);
	}
	return 0;
}

static int read_rule(const struct reading *in, json_t *object, struct rule *rule)
{
	static const char *const known[] = { "filter", "direction", "qos", "local_prefix", "remote_prefix",
		NULL };
	static const char *const ways[] = { "", "in", "out", "both", NULL };
	static const struct range qos_range = { 0, 2, "0, 1 or 2" };
	char *filter = NULL;
	uint64_t qos = 1;
	unsigned way = 0;
	if (!json_is_object(object))
		return read_wrong(in, "", "must be an object with filter and direction");
	int r = read_keys(in, object, known);
	if (!r)
		r = read_text(in, object, "filter", TOPIC_MOST, &filter);
	if (!r && !filter)
		r = read_wrong(in, "filter", "is missing: which topics, such as \"sensors/#\"");
	if (!r)
		r = read_choice(in, object, "direction", ways, &way);
	if (!r && !way)
		r = read_wrong(in, "direction", "must be \"in\", \"out\" or \"both\", seen from here");
	if (!r)
		r = read_number(in, object, "qos", read_plain, &qos_range, &qos);
	if (!r)
		r = read_text(in, object, "local_prefix", TOPIC_MOST, &rule->local_prefix);
	if (!r)
		r = read_text(in, object, "remote_prefix", TOPIC_MOST, &rule->remote_prefix);
	if (!r)
		r = join(rule->local_prefix, filter, &rule->local_filter);
	if (!r)
		r = join(rule->remote_prefix, filter, &rule->remote_filter);
	free(filter);
	rule->ways = (uint8_t)way; /* in is 1, out is 2 */
	rule->qos = (uint8_t)qos;
	return r ? r : judge_rule(in, rule);
}

static int read_rules(struct reading *in, json_t *object, struct bridge_settings *b)
{
	json_t *list = json_object_get(object, "topics");
	size_t count = json_array_size(list);
	if (count == 0 || count > RULES_MOST)
		return read_wrong(in, "topics", "must be a list of 1 to %d objects with filter and direction",
		        RULES_MOST);
	b->rules = calloc(count, sizeof(*b->rules));
	if (!b->rules)
		return -ENOMEM;
	int r = 0;
	while (b->rule_count < count && !r) {
		snprintf(in->where, sizeof(in->where), "topics[%zu]", b->rule_count);
		r = read_rule(in, json_array_get(list, b->rule_count), &b->rules[b->rule_count]);
		b->rule_count++;
	}
	in->where[0] = '\0';
	return r;
}

static int read_queue(struct reading *in, json_t *object, struct bridge_settings *b)
{
	static const char *const known[] = { "messages", "bytes", "when_full", NULL };
	static const char *const policies[] = { "drop-new", "drop-old", NULL };
	static const struct range messages_range = { 1, 1000000, "a whole number from 1 to 1000000" },
	                          bytes_range = { 1024, UINT64_C(17179869184),
		                          "a size such as \"64k\" or \"16M\", from 1k to 16G" };
	json_t *queue = json_object_get(object, "queue");
	uint64_t messages = b->queue_messages;
	unsigned policy = 0;
	if (queue && !json_is_object(queue))
		return read_wrong(in, "queue", "must be an object with messages, bytes or when_full");
	snprintf(in->where, sizeof(in->where), "queue");
	int r = read_keys(in, queue, known);
	if (!r)
		r = read_number(in, queue, "messages", read_plain, &messages_range, &messages);
	if (!r)
		r = read_number(in, queue, "bytes", read_sizes, &bytes_range, &b->queue_bytes);
	if (!r)
		r = read_choice(in, queue, "when_full", policies, &policy);
	in->where[0] = '\0';
	b->queue_messages = (uint32_t)messages;
	b->drop_oldest = policy == 1;
	return r;
}

static int read_times(const struct reading *in, json_t *object, struct bridge_settings *b)
{
	static const struct range alive = { 5000, 65535000, "a duration from \"5s\" to \"18h\"" },
	                          expiry = { 60000, UINT64_C(31536000000),
		                          "a duration from \"1m\" to \"365d\"" },
	                          backoff = { 10, 3600000, "a duration from \"10ms\" to \"1h\"" },
	                          timeout = { 100, 120000, "a duration from \"100ms\" to \"2m\"" },
	                          guard = { 0, 600000, "a duration from \"0s\" to \"10m\"" };
	uint64_t keep_alive = 60000, session_expiry = 7 * UINT64_C(86400000);
	int r = read_number(in, object, "keep_alive", read_durations, &alive, &keep_alive);
	if (!r)
		r = read_number(in, object, "session_expiry", read_durations, &expiry, &session_expiry);
	if (!r)
		r = read_number(in, object, "backoff_min", read_durations, &backoff, &b->backoff_min);
	if (!r)
		r = read_number(in, object, "backoff_max", read_durations, &backoff, &b->backoff_max);
	if (!r)
		r = read_number(in, object, "timeout", read_durations, &timeout, &b->timeout);
	if (!r)
		r = read_number(in, object, "loop_guard", read_durations, &guard, &b->loop_guard);
	if (!r && b->backoff_min > b->backoff_max)
		r = read_wrong(in, "backoff_min", "must not be above backoff_max");
	b->keep_alive = (uint16_t)(keep_alive / 1000);
	b->session_expiry = (uint32_t)(session_expiry / 1000);
	return r;
}

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static int read_login(const struct reading *in, json_t *object, struct bridge_settings *b)
{
	int r = read_text(in, object, "user", 1000, &b->user);
	if (!r)
		r = read_text(in, object, "password_file", 1000, &b->password_file);
	if (!r)
		r = read_text(in, object, "client_id", 256, &b->client_id);
	if (!r && json_object_get(object, "password"))
		return read_wrong(in, "password",
		        "does not belong here: put it into a file of mode 0600, and name that in "
		        "\"password_file\"");
	if (!r && b->password_file && !b->user)
		return read_wrong(in, "user", "is missing: a password goes with a user");
	if (!r && b->password_file && !b->tls && !is_loopback(b->host))
		return read_wrong(
		        in, "tls", "must be on, or the password goes over the network for everybody to read");
	return r;
}

static int read_protocol(const struct reading *in, json_t *object, struct bridge_settings *b)
{
	static const char *const words[] = { "5", "3.1.1", NULL };
	static const struct range flight = { 1, 1000, "a whole number from 1 to 1000" },
	                          packet = { 1024, 16777216, "a size from \"1k\" to \"16M\"" };
	unsigned word = 0;
	uint64_t in_flight = 100, most = 256 * 1024;
	int r = read_choice(in, object, "mqtt", words, &word);
	b->version = word ? MQTT_3_1_1 : MQTT_5;
	b->bridge_bit = true;
	if (!r)
		r = read_bool(in, object, "bridge_bit", &b->bridge_bit);
	if (!r)
		r = read_number(in, object, "in_flight", read_plain, &flight, &in_flight);
	if (!r)
		r = read_number(in, object, "packet", read_sizes, &packet, &most);
	if (!r)
		r = read_bool(in, object, "paused", &b->paused);
	b->in_flight = (uint16_t)in_flight;
	b->packet = (uint32_t)most;
	return r;
}

/* --- a bridge ------------------------------------------------------------------------------------------------------------ */

static bool name_valid(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return n > 0 && n <= 32;
}

static int read_bridge(struct reading *in, json_t *object, struct bridge_settings *b)
{
	static const char *const known[] = { "address", "tls", "mqtt", "bridge_bit", "user", "password_file",
		"password", "client_id", "keep_alive", "session_expiry", "backoff_min", "backoff_max",
		"timeout", "in_flight", "packet", "paused", "loop_guard", "queue", "topics", NULL };
	*b = (struct bridge_settings){ .queue_messages = 10000,
		.queue_bytes = 16 * 1024 * 1024,
		.backoff_min = 1000,
		.backoff_max = 60000,
		.timeout = 15000 };
	if (!name_valid(in->bridge))
		return read_wrong(in, "", "a bridge's name is 1 to 32 letters, digits, \"-\" or \"_\"");
	if (!json_is_object(object))
		return read_wrong(in, "", "must be an object with address and topics");
	b->name = strdup(in->bridge);
	b->text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	int r = b->name && b->text ? read_keys(in, object, known) : -ENOMEM;
	if (!r)
		r = read_tls(in, object, b);
	if (!r)
		r = read_address(in, object, b);
	if (!r)
		r = read_protocol(in, object, b);
	if (!r)
		r = read_login(in, object, b);
	if (!r)
		r = read_times(in, object, b);
	if (!r)
		r = read_queue(in, object, b);
	return r ? r : read_rules(in, object, b);
}

static int read_all(json_t *root, struct bridges_settings *ret, struct reading *in)
{
	const char *name;
	json_t *object;
	if (!json_is_object(root) || json_object_size(root) > BRIDGES_MOST) {
		snprintf(in->why, in->why_size, "bridges: must be an object of at most %d bridges by name",
		        BRIDGES_MOST);
		return -EINVAL;
	}
	ret->all = calloc(json_object_size(root) + 1, sizeof(*ret->all));
	if (!ret->all)
		return -ENOMEM;
	json_object_foreach(root, name, object)
	{
		in->bridge = name;
		int r = read_bridge(in, object, &ret->all[ret->count++]);
		if (r)
			return r;
	}
	return 0;
}

int settings_parse(struct edged_slice json, struct bridges_settings *ret, char *why, size_t why_size)
{
	struct reading in = { .why = why, .why_size = why_size };
	json_error_t error;
	*ret = (struct bridges_settings){ 0 };
	*why = '\0';
	json_t *root = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		snprintf(why, why_size, "bridges: %s", error.text);
		return -EINVAL;
	}
	int r = read_all(root, ret, &in);
	json_decref(root);
	if (r == -ENOMEM)
		snprintf(why, why_size, "bridges: no memory");
	return r;
}

void bridge_settings_fini(struct bridge_settings *b)
{
	char *const texts[] = { b->name, b->text, b->host, b->ca, b->certificate, b->key, b->alpn,
		b->server_name, b->user, b->password_file, b->client_id };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	for (size_t i = 0; i < b->rule_count; i++) {
		free(b->rules[i].local_prefix);
		free(b->rules[i].remote_prefix);
		free(b->rules[i].local_filter);
		free(b->rules[i].remote_filter);
	}
	free(b->rules);
	*b = (struct bridge_settings){ 0 };
}

void settings_free(struct bridges_settings *settings)
{
	for (size_t i = 0; i < settings->count; i++)
		bridge_settings_fini(&settings->all[i]);
	free(settings->all);
	*settings = (struct bridges_settings){ 0 };
}
