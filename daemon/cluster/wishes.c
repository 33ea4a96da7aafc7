/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/wishes.h"

#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "cluster/files.h"

static const char wishes_file[] = "roles";

const char *wish_name(enum wish wish)
{
	static const char *const names[] = { "none", "pin", "veto" };
	return names[wish];
}

enum wish wish_of(const struct wishes *wishes, enum role role)
{
	return wishes->vetoed >> role & 1 ? WISH_VETO : wishes->pinned >> role & 1 ? WISH_PIN : WISH_NONE;
}

static void set(struct wishes *wishes, enum role role, enum wish wish)
{
	const uint8_t bit = (uint8_t)(1u << role);
	wishes->pinned = (uint8_t)(wish == WISH_PIN ? wishes->pinned | bit : wishes->pinned & ~bit);
	wishes->vetoed = (uint8_t)(wish == WISH_VETO ? wishes->vetoed | bit : wishes->vetoed & ~bit);
}

static int read_line(struct edged_slice line, struct wishes *ret)
{
	enum role role;
	for (int i = WISH_PIN; i < WISH_COUNT; i++) {
		size_t n = strlen(wish_name((enum wish)i));
		if (line.len <= n || memcmp(line.ptr, wish_name((enum wish)i), n) != 0 || line.ptr[n] != ' ')
			continue;
		if (!role_by_name(edged_slice(line.ptr + n + 1, line.len - n - 1), &role))
			return -EINVAL;
		set(ret, role, (enum wish)i);
		return 0;
	}
	return -EINVAL;
}

int wishes_load(const char *folder, struct wishes *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = { .limit = 4096 };
	struct wishes wishes = { 0 };
	int r = file_read(folder, wishes_file, &text, err);
	if (r && r != -ENOENT)
		return r;
	struct edged_slice left = buf_slice(&text);
	for (r = 0; left.len && !r;) {
		const char *end = memchr(left.ptr, '\n', left.len);
		size_t n = end ? (size_t)(end - left.ptr) : left.len;
		r = read_line(edged_slice(left.ptr, n), &wishes);
		n += end ? 1 : 0;
		left = edged_slice(left.ptr + n, left.len - n);
	}
	if (r)
		return err_set(err, r,
		        "%s/%s is damaged: remove it, and pin or veto roles again with edgectl role", folder,
		        wishes_file);
	*ret = wishes;
	return 0;
}

int wishes_set(struct wishes *wishes, const char *folder, enum role role, enum wish wish, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	struct wishes next = *wishes;
	int r = 0;
	set(&next, role, wish);
	for (int i = 0; i < ROLE_COUNT && !r; i++)
		if (wish_of(&next, (enum role)i) != WISH_NONE)
			r = buf_addf(&text, "%s %s\n", wish_name(wish_of(&next, (enum role)i)),
			        role_name((enum role)i));
	if (r)
		return err_set(err, r, "no memory for the roles");
	r = file_replace(folder, wishes_file, buf_slice(&text), err);
	if (!r)
		*wishes = next;
	return r;
}
