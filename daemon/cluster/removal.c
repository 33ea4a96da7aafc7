/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/removal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "cluster/files.h"
#include "cluster/identity_impl.h"
#include "cluster/trust.h"

static const char removed_file[] = "removed";

const struct removal_list *identity_removed(const struct identity *identity)
{
	static const struct removal_list none = { 0 };
	return identity->removed ? identity->removed : &none;
}

struct edged_slice identity_removed_text(const struct identity *identity)
{
	return buf_slice(&identity->removed_text);
}

bool identity_is_removed(const struct identity *identity, const uint8_t id[32])
{
	return trust_is_removed(identity->trust, id);
}

void identity_on_removed(struct identity *identity,
        void (*removed)(void *arg, const struct removal_list *before, const struct removal_list *now),
        void *arg)
{
	identity->list_changed = removed;
	identity->list_changed_arg = arg;
}

/* From now on; takes both. Connections that are judged while others still hear of it are judged by the new list. */
static void use(struct identity *identity, struct removal_list *list, struct buf *text)
{
	static const struct removal_list none = { 0 };
	struct removal_list *before = identity->removed;
	trust_set_removed(identity->trust, list);
	identity->removed = list;
	buf_fini(&identity->removed_text);
	identity->removed_text = *text;
	*text = (struct buf)BUF_EMPTY;
	if (identity->list_changed)
		identity->list_changed(
		        identity->list_changed_arg, before ? before : &none, identity_removed(identity));
	signer_list_changed(identity);
	free(before);
}

void removal_forget(struct identity *identity)
{
	trust_set_removed(identity->trust, NULL);
	free(TAKE(identity->removed));
	buf_fini(&identity->removed_text);
	identity->removed_text = (struct buf)BUF_EMPTY;
}

static int read_list(const struct identity *identity, struct edged_slice text, struct removal_list **ret)
{
	CLEANUP(free_charp) char *memory = malloc(sizeof(struct removal_list));
	struct removal_list *list = (void *)memory;
	if (!list)
		return -ENOMEM;
	int r = removal_list_read(text, identity->account.id, X509_get0_pubkey(identity->account.ca), list);
	if (r)
		return r;
	memory = NULL;
	*ret = list;
	return 0;
}

int removal_load(struct identity *identity, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = { .limit = REMOVALS_TEXT };
	struct removal_list *list;
	if (!identity->account.ca)
		return 0;
	int r = file_read(identity->folder, removed_file, &text, err);
	if (r)
		return r == -ENOENT ? 0 : r;
	r = read_list(identity, buf_slice(&text), &list);
	if (r == -ESTALE)
		return 0; /* of an account that this node belonged to earlier */
	if (r)
		return err_set(err, r,
		        "%s/%s is damaged: restore it from a backup, or remove it; then the node gets the "
		        "list of "
		        "removed nodes from the others of its account",
		        identity->folder, removed_file);
	use(identity, list, &text);
	return 0;
}

int identity_take_removed(struct identity *identity, struct edged_slice text)
{
	CLEANUP(buf_fini) struct buf copy = BUF_EMPTY;
	struct removal_list *list;
	struct err err;
	if (!identity->account.ca)
		return -ESTALE;
	int r = read_list(identity, text, &list);
	if (r)
		return r;
	if (list->version <= identity_removed(identity)->version) {
		free(list);
		return REMOVED_KNOWN;
	}
	if (buf_add(&copy, text.ptr, text.len)) {
		free(list);
		return -ENOMEM;
	}
	if (file_replace(identity->folder, removed_file, text, &err))
		log_error("identity", "the list of removed nodes holds until the next start only: %s",
		        err.text);
	use(identity, list, &copy);
	return 0;
}

/* --- where the account's key is --- */

static void copy_signers(const struct removal_list *now, uint64_t ms, struct removal_list *next)
{
	for (unsigned i = 0; i < now->signer_count; i++)
		if (!now->signers[i].until_ms || now->signers[i].until_ms + TRUST_GRACE_MS >= ms)
			next->signers[next->signer_count++] = now->signers[i];
	for (unsigned i = 0; i < now->former_count; i++)
		if (now->former[i].until_ms >= ms)
			next->former[next->former_count++] = now->former[i];
}

struct removal_list *removal_next_list(struct identity *identity)
{
	const struct removal_list *now = identity_removed(identity);
	struct removal_list *next = calloc(1, sizeof(*next));
	uint64_t ms = identity_time(identity);
	if (!next)
		return NULL;
	/* The clock makes lists from before and after a restored backup differ. */
	next->version = ms > now->version ? ms : now->version + 1;
	for (unsigned i = 0; i < now->count; i++)
		if (now->removed[i].until_ms >= ms)
			next->removed[next->count++] = now->removed[i];
	copy_signers(now, ms, next);
	return next;
}

struct removal removal_former_line(struct identity *identity, const uint8_t id[32])
{
	const struct removal_list *list = identity_removed(identity);
	const struct removal *signer = removal_find_signer(list, id), *former = removal_find_former(list, id);
	uint64_t since = identity_time(identity), latest = 0;
	if (signer && signer->until_ms > ACCOUNT_SIGNER_MS)
		latest = signer->until_ms - ACCOUNT_SIGNER_MS + REMOVAL_SIGNED_MS;
	since = latest > since ? latest : since;
	/* Its certificate begins within a second of that, if it is a signer again. */
	if (former && former->since_ms + 2000 > since)
		since = former->since_ms + 2000;
	struct removal line = { .since_ms = since,
		.until_ms = since + ACCOUNT_SIGNER_MS + ACCOUNT_SKEW_MS + TRUST_GRACE_MS };
	memcpy(line.id, id, sizeof(line.id));
	return line;
}

int removal_publish(struct identity *identity, struct removal_list *next, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	int r = removal_list_write(next, identity->account.id, identity->account.ca_key, &text);
	if (r)
		err_set(err, r, "no memory to sign the list of removed nodes");
	else
		r = file_replace(identity->folder, removed_file, buf_slice(&text), err);
	if (r)
		free(next);
	else
		use(identity, next, &text);
	return r;
}

int identity_remove(struct identity *identity, const char *node_id, struct err *err)
{
	uint8_t id[32];
	if (!identity_holds_ca(identity))
		return err_set(err, -EACCES, "the account's key is not on this node");
	if (!node_id_parse(edged_str(node_id), id) || strcmp(node_id, identity->node_id) == 0)
		return err_set(err, -EINVAL, "no other node has this id");
	if (identity_is_removed(identity, id))
		return err_set(err, -EALREADY, "it was removed before");
	struct removal_list *next = removal_next_list(identity);
	if (!next)
		return err_set(err, -ENOMEM, "no memory for the list of removed nodes");
	if (next->count == REMOVALS_MAX) {
		free(next);
		return err_set(err, -ENOSPC, "%d nodes are on the list", REMOVALS_MAX);
	}
	uint64_t now = identity_time(identity);
	struct removal *removal = &next->removed[next->count++];
	*removal = (struct removal){ .since_ms = now,
		.until_ms = now + ACCOUNT_LEAF_MS + ACCOUNT_SKEW_MS + TRUST_GRACE_MS };
	memcpy(removal->id, id, sizeof(id));
	/* Its own line ends before what it signed does. */
	const struct removal former = removal_former_line(identity, id);
	removal_drop_signer(next, &former);
	return removal_publish(identity, next, err);
}

int identity_readmit(struct identity *identity, const char *node_id, struct err *err)
{
	uint8_t id[32];
	if (!node_id_parse(edged_str(node_id), id) || !removal_find(identity_removed(identity), id))
		return 0;
	if (!identity_holds_ca(identity))
		return identity_is_removed(identity, id)
		               ? err_set(err, -EACCES, "the account's key is not on this node")
		               : 0;
	struct removal_list *next = removal_next_list(identity);
	if (!next)
		return err_set(err, -ENOMEM, "no memory for the list of removed nodes");
	for (unsigned i = 0; i < next->count; i++)
		if (!memcmp(next->removed[i].id, id, sizeof(id)))
			next->removed[i--] = next->removed[--next->count];
	return removal_publish(identity, next, err);
}
