/* SPDX-License-Identifier: Apache-2.0 */
#include "rest_keys.h"

#include <errno.h>
#include "doc.h"
#include "keys.h"
#include "routes.h"

/* Takes the document. */
static int write_key(struct things *t, edged_handle request, json_t *doc)
{
	struct key_pair pair;
	int r = key_make(&pair);
	json_t *once = r ? NULL : json_pack("{s:s}", "secret", pair.secret);
	if (!r)
		r = once && json_object_set(doc, "secret", json_object_get(once, "secret")) == 0 ? 0
		                                                                                 : -ENOMEM;
	if (!r) {
		const struct change change = { KIND_KEY, edged_str(pair.id), doc };
		r = rest_write(t, request, &change, 1, 201, once);
		once = NULL;
	}
	explicit_bzero(&pair, sizeof(pair));
	json_decref(once);
	json_decref(doc);
	return r;
}

int create_key(void *self, edged_handle request)
{
	struct things *t = self;
	json_t *body = NULL;
	char why[DOC_WHY_MAX];
	int r = rest_body(t, request, true, &body);
	if (!r && doc_check(t->registry, KIND_KEY, body, why))
		r = rest_problem(t, request, 400, "bad-member", "The key is not valid", why);
	if (!r)
		r = write_key(t, request, json_incref(body));
	json_decref(body);
	return rest_done(r);
}
