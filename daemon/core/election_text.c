/* SPDX-License-Identifier: Apache-2.0 */
#include "core/election_text.h"

#include "core/election_impl.h"
#include "core/nodeid.h"

static int add_name(const struct election *e, const struct member *m, struct buf *out)
{
	char id[NODE_ID_LEN + 1];
	node_id_format(m ? m->id : members_self_id(e->members), id);
	const char *name = m ? m->record.name : members_self(e->members)->name;
	return *name ? buf_addf(out, "%s (%.8s)", name, id) : buf_addf(out, "%.8s", id);
}

static int add_value(enum rank_field field, uint8_t value, struct buf *out)
{
	const char *name = rank_value_name(field, value);
	return name ? buf_addf(out, "%s %s", rank_field_label(field), name)
	            : buf_addf(out, "%s %u", rank_field_label(field), value);
}

/* The fittest of all (this node too) but one; *ret NULL is this node. False: there is none. */
static bool runner_up(const struct election *e, const struct member *leader, const struct member **ret)
{
	const struct member *m, *best = NULL;
	bool found = leader != NULL; /* then we are one of the others */
	for (unsigned i = 0; (m = members_at(e->members, i)); i++) {
		if (m == leader || !election_is_peer(e, m) || !m->record.version)
			continue;
		struct rank a = election_rank(e, m), b = election_rank(e, best);
		const uint8_t *best_id = best ? best->id : members_self_id(e->members);
		if (!found || rank_compare_ids(&a, m->id, &b, best_id) > 0) {
			best = m;
			found = true;
		}
	}
	*ret = best;
	return found;
}

static int add_comparison(const struct election *e, const struct member *leader, struct buf *out)
{
	const struct member *other;
	if (!runner_up(e, leader, &other))
		return buf_add_str(out, ".");
	struct rank a = election_rank(e, leader), b = election_rank(e, other);
	enum rank_field field = RANK_COUNT;
	int d = rank_compare(&a, &b, &field);
	int r = d >= 0 ? buf_add_str(out, ". Of the others ")
	               : buf_add_str(out, ". It stays while it works, although ");
	r = r ? r : add_name(e, other, out);
	if (!d)
		return r ? r : buf_add_str(out, " is next: its values are the same, its id is higher.");
	r = r ? r : buf_add_str(out, d > 0 ? " is next: it has " : " has ");
	r = r ? r : add_value(field, rank_value(&b, field), out);
	r = r ? r : buf_add_str(out, ", the supernode has ");
	r = r ? r : add_value(field, rank_value(&a, field), out);
	return r ? r : buf_add_str(out, ".");
}

int election_explain(const struct election *e, struct buf *out)
{
	static const char *const reasons[] = {
#define ELECTION_TEXT(name, text) [ELECTION_BY_##name] = (text),
		ELECTION_REASONS(ELECTION_TEXT)
#undef ELECTION_TEXT
	};
	if (!e->has_leader) {
		bool may = members_self(e->members)->rank.eligible;
		return buf_addf(out, "There is no supernode now%s.",
		        may ? "" : "; this node is configured not to become one");
	}
	const struct member *leader = members_find(e->members, e->leader);
	int r = add_name(e, leader, out);
	r = r ? r
	      : buf_addf(out, " is supernode in epoch %llu because %s", (unsigned long long)e->epoch,
	                reasons[e->reason]);
	return r ? r : add_comparison(e, leader, out);
}
