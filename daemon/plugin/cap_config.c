/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "conf/conf.h"

/* A value that a plugin has read: it stays as it was, whatever happens to the configuration meanwhile. */
struct copy {
	struct list link;
	struct edged_slice text; /* terminated */
	char *key;
	bool json;
	bool old; /* a reload gave another value: only who holds it still reads it */
};

enum { KEY_SIZE = 256 };

static const char *key_of(struct plugin_context *context, const char *name, char key[KEY_SIZE])
{
	int n = snprintf(key, KEY_SIZE, "plugins.%s%s%s", context->name, name ? "." : "", name ? name : "");
	if (n < 0 || n >= KEY_SIZE) {
		log_error(context->name, "asks for a setting with a name of %d characters", n);
		abort();
	}
	return key;
}

static struct copy *find(struct plugin_context *context, const char *key, bool json)
{
	list_each (node, &context->config) {
		struct copy *copy = list_entry(node, struct copy, link);
		if (!copy->old && copy->json == json && strcmp(copy->key, key) == 0)
			return copy;
	}
	return NULL;
}

/* Keeps a copy; the program cannot go on without its settings, so lack of memory ends it. */
static struct copy *keep(struct plugin_context *context, const char *key, bool json, struct edged_slice text)
{
	struct copy *copy = malloc(sizeof(*copy) + strlen(key) + 1 + text.len + 1);
	if (!copy) {
		log_error(context->name, "no memory for the setting %s", key);
		abort();
	}
	copy->key = (char *)(copy + 1);
	memcpy(copy->key, key, strlen(key) + 1);
	char *bytes = copy->key + strlen(key) + 1;
	if (text.len)
		memcpy(bytes, text.ptr, text.len);
	bytes[text.len] = 0;
	copy->text = edged_slice(bytes, text.len);
	copy->json = json;
	copy->old = false;
	list_append(&context->config, &copy->link);
	return copy;
}

static int64_t integer(struct edged_host *host, const char *name)
{
	char key[KEY_SIZE];
	return conf_int(context_of(host)->deps->conf, key_of(context_of(host), name, key));
}

static const char *string(struct edged_host *host, const char *name)
{
	struct plugin_context *context = context_of(host);
	char key[KEY_SIZE];
	const struct copy *copy = find(context, key_of(context, name, key), false);
	if (!copy)
		copy = keep(context, key, false, edged_str(conf_string(context->deps->conf, key)));
	return copy->text.ptr;
}

static struct edged_slice json(struct edged_host *host, const char *name)
{
	struct plugin_context *context = context_of(host);
	char key[KEY_SIZE];
	const struct copy *copy = find(context, key_of(context, name, key), true);
	if (!copy)
		copy = keep(context, key, true, conf_json(context->deps->conf, key));
	return copy->text;
}

const struct edged_config_1 cap_config = {
	.struct_size = sizeof(cap_config), .integer = integer, .string = string, .json = json
};

/* Only what changed is copied anew, so that reloads cost nothing that grows. */
void cap_config_reload(struct plugin_context *context)
{
	const struct conf *conf = context->deps->conf;
	list_each (node, &context->config) {
		struct copy *copy = list_entry(node, struct copy, link);
		struct edged_slice now =
		        copy->json ? conf_json(conf, copy->key) : edged_str(conf_string(conf, copy->key));
		if (now.ptr && (now.len != copy->text.len || memcmp(now.ptr, copy->text.ptr, now.len) != 0))
			copy->old = true;
	}
}

void cap_config_fini(struct plugin_context *context)
{
	list_each_safe (node, &context->config)
		free(list_entry(node, struct copy, link));
	list_init(&context->config);
}
