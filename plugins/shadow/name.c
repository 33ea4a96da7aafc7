/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <stdio.h>

static bool allowed(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' ||
	       c == '_' || c == '-';
}

static bool take(char *to, size_t max, struct edged_slice from)
{
	if (from.len > max)
		return false;
	for (size_t i = 0; i < from.len; i++)
		if (!allowed(from.ptr[i]))
			return false;
	if (from.len)
		memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
	return true;
}

bool shadow_name_set(struct shadow_name *ret, struct edged_slice thing, struct edged_slice name)
{
	return thing.len > 0 && take(ret->thing, THING_NAME_MAX, thing) &&
	       take(ret->name, SHADOW_NAME_MAX, name);
}

/* Takes the text up to the next '/' off the front; false at the end of the topic. */
static bool next_level(struct edged_slice *rest, struct edged_slice *ret)
{
	if (!rest->ptr)
		return false;
	const char *slash = memchr(rest->ptr, '/', rest->len);
	size_t n = slash ? (size_t)(slash - rest->ptr) : rest->len;
	*ret = edged_slice(rest->ptr, n);
	*rest = slash ? edged_slice(slash + 1, rest->len - n - 1) : edged_slice(NULL, 0);
	return true;
}

static bool parse_verb(struct edged_slice word, enum shadow_verb *ret)
{
	static const char *const words[] = { "get", "update", "delete" };
	for (unsigned i = 0; i < 3; i++)
		if (edged_slice_is(word, words[i])) {
			*ret = (enum shadow_verb)i;
			return true;
		}
	return false;
}

bool shadow_topic_parse(struct edged_slice topic, struct shadow_name *ret, enum shadow_verb *ret_verb)
{
	static const char prefix[] = "$aws/things/";
	struct edged_slice rest, thing, word, name = { "", 0 };
	if (!edged_slice_starts(topic, prefix))
		return false;
	rest = edged_slice(topic.ptr + sizeof(prefix) - 1, topic.len - (sizeof(prefix) - 1));
	if (!next_level(&rest, &thing) || !next_level(&rest, &word) || !edged_slice_is(word, "shadow") ||
	        !next_level(&rest, &word))
		return false;
	if (edged_slice_is(word, "name") &&
	        (!next_level(&rest, &name) || name.len == 0 || !next_level(&rest, &word)))
		return false;
	return !rest.ptr && parse_verb(word, ret_verb) && shadow_name_set(ret, thing, name);
}

size_t shadow_topic_print(char *topic, const struct shadow_name *name, const char *suffix)
{
	int n = snprintf(topic, SHADOW_TOPIC_MAX, "$aws/things/%s/shadow/%s%s%s%s", name->thing,
	        *name->name ? "name/" : "", name->name, *name->name ? "/" : "", suffix);
	return n < 0 ? 0 : (size_t)n;
}

struct edged_slice shadow_key(char *key, const struct shadow_name *name)
{
	size_t thing = strlen(name->thing), shadow = strlen(name->name);
	memcpy(key, name->thing, thing + 1);
	memcpy(key + thing + 1, name->name, shadow);
	return edged_slice(key, thing + 1 + shadow);
}

bool shadow_key_parse(struct edged_slice key, struct shadow_name *ret)
{
	const char *nul = memchr(key.ptr, '\0', key.len);
	if (!nul)
		return false;
	size_t thing = (size_t)(nul - key.ptr);
	return shadow_name_set(ret, edged_slice(key.ptr, thing), edged_slice(nul + 1, key.len - thing - 1));
}
