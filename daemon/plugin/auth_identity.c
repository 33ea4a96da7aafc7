/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/auth_identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void identity_free(struct edged_identity *identity)
{
	struct auth *auth = identity->auth;
	door_fini(&identity->door);
	free(identity->key);
	free(identity);
	auth_unref(auth);
}

/* --- references --- */

struct edged_identity *identity_hold(struct edged_identity *identity)
{
	__atomic_fetch_add(&identity->refs, 1, __ATOMIC_RELAXED);
	return identity;
}

static void reap(struct post *post)
{
	struct auth *auth = CONTAINER_OF(post, struct auth, reap);
	auth_reap(auth);
	auth_unref(auth);
}

static void reap_dropped(struct post *post)
{
	auth_unref(CONTAINER_OF(post, struct auth, reap));
}

/* Rights are the decider's and go back on the main loop. Under the lock. */
static void leave_rights(struct auth *auth, struct rights *rights)
{
	list_append(&auth->unused, &rights->link);
	if (auth->reaping)
		return;
	auth->reaping = true;
	auth_ref(auth);
	auth->reap = (struct post){ .fn = reap, .drop = reap_dropped };
	loop_post(loops_at(auth->loops, 0), &auth->reap);
}

void identity_drop(struct edged_identity *identity)
{
	if (!identity)
		return;
	uint32_t refs = __atomic_load_n(&identity->refs, __ATOMIC_RELAXED);
	while (refs > 1)
		if (__atomic_compare_exchange_n(
		            &identity->refs, &refs, refs - 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return;
	/* It may be the last one: who finds it in the map takes another one, and does so under the lock. */
	struct auth *auth = identity->auth;
	pthread_mutex_lock(&auth->lock);
	bool last = __atomic_sub_fetch(&identity->refs, 1, __ATOMIC_ACQ_REL) == 0;
	if (last)
		(void)map_remove(&auth->identities, edged_slice(identity->key, identity->key_len));
	if (last && identity->rights)
		leave_rights(auth, identity->rights);
	pthread_mutex_unlock(&auth->lock);
	if (last)
		identity_free(identity);
}

void identities_unused(struct auth *auth, struct list *ret)
{
	pthread_mutex_lock(&auth->lock);
	auth->reaping = false;
	while (!list_empty(&auth->unused)) {
		struct list *node = auth->unused.next;
		list_remove(node);
		list_append(ret, node);
	}
	pthread_mutex_unlock(&auth->lock);
}

void identities_strip(struct auth *auth, struct list *ret)
{
	pthread_mutex_lock(&auth->lock);
	for (struct map_entry *e = map_first(&auth->identities); e; e = map_next(&auth->identities, e)) {
		struct edged_identity *identity = map_value(e);
		struct rights *rights = __atomic_exchange_n(&identity->rights, NULL, __ATOMIC_ACQ_REL);
		if (rights)
			list_append(ret, &rights->link);
	}
	pthread_mutex_unlock(&auth->lock);
}

/* --- finding --- */

static int make(
        struct auth *auth, const struct door *door, const char *principal, struct edged_identity **ret)
{
	struct edged_identity *identity = calloc(1, sizeof(*identity));
	if (!identity)
		return -ENOMEM;
	size_t n = strlen(principal) + 1;
	identity->auth = auth;
	identity->refs = 1;
	identity->key_len = n + door->size;
	identity->key = malloc(identity->key_len);
	auth_ref(auth);
	if (!identity->key || door_copy(&door->door, false, &identity->door)) {
		identity_free(identity);
		return -ENOMEM;
	}
	memcpy(identity->key, principal, n);
	memcpy(identity->key + n, door->text, door->size);
	*ret = identity;
	return 0;
}

int identity_get(
        struct auth *auth, const struct door *door, const char *principal, struct edged_identity **ret)
{
	struct edged_identity *fresh;
	int r = make(auth, door, principal, &fresh);
	if (r)
		return r;
	struct edged_slice key = edged_slice(fresh->key, fresh->key_len);
	pthread_mutex_lock(&auth->lock);
	struct edged_identity *known = map_get(&auth->identities, key);
	if (known)
		*ret = identity_hold(known);
	else
		r = map_add(&auth->identities, key, fresh);
	pthread_mutex_unlock(&auth->lock);
	if (known || r)
		identity_free(fresh);
	else
		*ret = fresh;
	return r;
}

int identities_all(struct auth *auth, struct edged_identity ***ret, size_t *ret_count)
{
	pthread_mutex_lock(&auth->lock);
	size_t n = 0;
	struct edged_identity **all = malloc((auth->identities.count + 1) * sizeof(struct edged_identity *));
	for (struct map_entry *e = all ? map_first(&auth->identities) : NULL; e;
	        e = map_next(&auth->identities, e))
		all[n++] = identity_hold(map_value(e));
	pthread_mutex_unlock(&auth->lock);
	*ret = all;
	*ret_count = n;
	return all ? 0 : -ENOMEM;
}
