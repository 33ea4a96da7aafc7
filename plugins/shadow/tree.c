/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <errno.h>

json_t *tree_stamp(const json_t *value, json_t *stamp)
{
	if (!json_is_object(value) && !json_is_array(value))
		return json_incref(stamp);
	json_t *stamps = json_is_object(value) ? json_object() : json_array();
	const char *key;
	json_t *item;
	size_t i;
	int r = stamps ? 0 : -1;
	if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, item) r |=
		        json_object_set_new(stamps, key, tree_stamp(item, stamp));
	} else {
		json_array_foreach(value, i, item) r |=
		        json_array_append_new(stamps, tree_stamp(item, stamp));
	}
	if (r) {
		json_decref(stamps);
		return NULL;
	}
	return stamps;
}

json_t *tree_read_stamps(json_t *written)
{
	json_t *stamp = json_object_get(written, "timestamp"), *item;
	const char *key;
	size_t i;
	if (json_is_integer(stamp))
		return json_object_size(written) == 1 ? json_incref(stamp) : NULL;
	if (!json_is_object(written) && !json_is_array(written))
		return NULL;
	json_t *stamps = json_is_object(written) ? json_object() : json_array();
	int r = stamps ? 0 : -1;
	if (json_is_object(written)) {
		json_object_foreach(written, key, item) r |=
		        json_object_set_new(stamps, key, tree_read_stamps(item));
	} else {
		json_array_foreach(written, i, item) r |=
		        json_array_append_new(stamps, tree_read_stamps(item));
	}
	if (r) {
		json_decref(stamps);
		return NULL;
	}
	return stamps;
}

static bool has_null(const json_t *value)
{
	const char *key;
	json_t *item;
	if (json_is_null(value))
		return true;
	json_object_foreach((json_t *)(uintptr_t)value, key, item) if (has_null(item)) return true;
	return false;
}

/* A new subtree without its nulls; *ret is NULL when only nulls were in it. What has none is shared. */
static int without_nulls(const json_t *value, json_t **ret)
{
	*ret = NULL;
	if (json_is_null(value))
		return 0;
	if (!json_is_object(value) || !has_null(value)) {
		*ret = json_incref((json_t *)(uintptr_t)value);
		return 0;
	}
	json_t *copy = json_object();
	const char *key;
	json_t *item;
	int r = copy ? 0 : -ENOMEM;
	json_object_foreach((json_t *)(uintptr_t)value, key, item)
	{
		json_t *kept = NULL;
		if (!r)
			r = without_nulls(item, &kept);
		if (!r && kept && json_object_set_new(copy, key, kept))
			r = -ENOMEM;
	}
	if (r || json_object_size(copy) == 0) {
		json_decref(copy);
		return r;
	}
	*ret = copy;
	return 0;
}

static int replace(json_t *target, json_t *metadata, const char *key, const json_t *value, json_t *stamp)
{
	json_t *fresh;
	int r = without_nulls(value, &fresh);
	if (r)
		return r;
	if (!fresh) {
		(void)json_object_del(target, key);
		(void)json_object_del(metadata, key);
		return 0;
	}
	r = json_object_set_new(metadata, key, tree_stamp(fresh, stamp));
	r |= json_object_set_new(target, key, fresh);
	return r ? -ENOMEM : 0;
}

int tree_merge(json_t *target, json_t *metadata, const json_t *patch, json_t *stamp)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)patch, key, value)
	{
		json_t *old = json_is_object(value) ? json_object_get(target, key) : NULL;
		json_t *stamps = json_is_object(old) ? json_object_get(metadata, key) : NULL;
		int r = json_is_object(stamps) ? tree_merge(old, stamps, value, stamp)
		                               : replace(target, metadata, key, value, stamp);
		if (r)
			return r;
	}
	return 0;
}

bool tree_equal(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b)) {
		if (json_is_integer(a) && json_is_integer(b))
			return json_integer_value(a) == json_integer_value(b);
		double x = json_number_value(a), y = json_number_value(b);
		return !(x < y) && !(x > y);
	}
	if (json_typeof(a) != json_typeof(b))
		return false;
	const char *key;
	json_t *item;
	size_t i;
	if (json_is_object(a)) {
		if (json_object_size(a) != json_object_size(b))
			return false;
		json_object_foreach((json_t *)(uintptr_t)a, key, item)
		{
			json_t *other = json_object_get(b, key);
			if (!other || !tree_equal(item, other))
				return false;
		}
		return true;
	}
	if (json_is_array(a)) {
		if (json_array_size(a) != json_array_size(b))
			return false;
		json_array_foreach(a, i, item) if (!tree_equal(item, json_array_get(b, i))) return false;
		return true;
	}
	return json_equal(a, b);
}

static int take_difference(json_t *delta, json_t *stamps, const char *key, const json_t *value,
        const json_t *reported, json_t *metadata)
{
	if (json_is_object(value) && json_is_object(reported)) {
		int error = 0;
		json_t *inner_stamps = NULL;
		json_t *inner = tree_delta(value, reported, metadata, &inner_stamps, &error);
		if (!inner)
			return error;
		error = json_object_set_new(delta, key, inner);
		error |= json_object_set_new(stamps, key, inner_stamps);
		return error ? -ENOMEM : 0;
	}
	if (reported && tree_equal(value, reported))
		return 0;
	int r = json_object_set(delta, key, (json_t *)(uintptr_t)value);
	if (metadata)
		r |= json_object_set(stamps, key, metadata);
	return r ? -ENOMEM : 0;
}

json_t *tree_delta(const json_t *desired, const json_t *reported, const json_t *metadata,
        json_t **ret_metadata, int *ret_error)
{
	json_t *delta = json_object(), *stamps = json_object();
	int r = delta && stamps ? 0 : -ENOMEM;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)desired, key, value)
	{
		if (!r)
			r = take_difference(delta, stamps, key, value, json_object_get(reported, key),
			        json_object_get(metadata, key));
	}
	*ret_error = r;
	if (r || json_object_size(delta) == 0) {
		json_decref(delta);
		json_decref(stamps);
		return NULL;
	}
	*ret_metadata = stamps;
	return delta;
}

unsigned tree_depth(const json_t *value)
{
	unsigned deepest = 0;
	const char *key;
	json_t *item;
	size_t i;
	if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, item)
		{
			unsigned depth = tree_depth(item);
			deepest = depth > deepest ? depth : deepest;
		}
		return deepest + 1;
	}
	if (!json_is_array(value))
		return 0;
	json_array_foreach(value, i, item)
	{
		unsigned depth = tree_depth(item);
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

bool tree_has_null_in_array(const json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;
	if (json_is_object(value)) {
		json_object_foreach(
		        (json_t *)(uintptr_t)value, key, item) if (tree_has_null_in_array(item)) return true;
	} else if (json_is_array(value)) {
		json_array_foreach(
		        value, i, item) if (json_is_null(item) || tree_has_null_in_array(item)) return true;
	}
	return false;
}
