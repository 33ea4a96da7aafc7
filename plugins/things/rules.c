/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include "matcher.h"
#include "statement.h"

struct matchers { /* of one target */
	size_t count;
	struct matcher *list;
};

struct rule { /* a statement */
	uint32_t actions;
	uint8_t attributes; /* see struct condition_rest */
	bool not_resource;
	size_t count;
	struct matchers *targets;
	const struct time_test *times;
};

struct rules {
	uint32_t refs; /* atomic */
	struct arena arena;
	size_t policy_count, count;
	size_t denies; /* so many at the front of the list */
	bool timed;
	struct policy **policies; /* what is bound points into them */
	struct rule *list;
};

/* --- binding ------------------------------------------------------------------------------------------------------ */

enum { USE, LEAVE_OUT, GIVE_UP };

/* An Allow must not come to allow more, nor a Deny to deny less, by a value that is missing or means something. */
static int outcome_of(const struct statement *s, int bound)
{
	if (bound == BOUND)
		return USE;
	if (s->deny)
		return bound == BOUND_UNSAFE && !s->not_resource ? USE : LEAVE_OUT;
	return s->not_resource ? GIVE_UP : LEAVE_OUT;
}

static int bind_target(const struct statement *s, const struct target *target, const struct subject *subject,
        struct arena *arena, struct rule *rule)
{
	struct pattern bound;
	if (target->never)
		return USE;
	int r = pattern_bind(&target->pattern, subject, arena, &bound);
	if (r < 0)
		return r;
	int outcome = outcome_of(s, r);
	if (outcome != USE)
		return outcome;
	struct matchers *to = &rule->targets[rule->count];
	r = matchers_make(&bound, arena, &to->list, &to->count);
	if (!r)
		rule->count++;
	return r;
}

/* 0 and a rule in the list, or none when the statement can never say anything. */
static int bind_statement(const struct statement *s, const struct subject *subject, struct rules *rules)
{
	struct condition_rest rest;
	struct rule *rule = &rules->list[rules->count];
	int r = condition_bind(s->conditions, subject, !s->deny, &rules->arena, &rest);
	if (r || rest.never)
		return r;
	*rule = (struct rule){ .actions = s->actions,
		.attributes = rest.attributes,
		.times = rest.times,
		.not_resource = s->not_resource,
		.targets = arena_get(&rules->arena, (s->target_count + 1) * sizeof(*rule->targets)) };
	if (!rule->targets)
		return -ENOMEM;
	for (size_t i = 0; i < s->target_count; i++) {
		r = bind_target(s, &s->targets[i], subject, &rules->arena, rule);
		if (r < 0)
			return r;
		if (r == GIVE_UP)
			return 0;
	}
	rules->timed |= rest.times != NULL;
	rules->count++;
	return 0;
}

static int bind_all(struct rules *rules, bool deny, const struct subject *subject)
{
	int r = 0;
	for (size_t p = 0; p < rules->policy_count && !r; p++)
		for (size_t i = 0; i < rules->policies[p]->count && !r; i++)
			if (rules->policies[p]->statements[i].deny == deny)
				r = bind_statement(&rules->policies[p]->statements[i], subject, rules);
	return r;
}

int rules_bind(
        struct policy *const *policies, size_t count, const struct subject *subject, struct rules **ret)
{
	size_t statements = 0;
	for (size_t i = 0; i < count; i++)
		statements += policies[i]->count;
	struct rules *rules = calloc(1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	rules->refs = 1;
	rules->list = arena_get(&rules->arena, (statements + 1) * sizeof(*rules->list));
	rules->policies = arena_get(&rules->arena, (count + 1) * sizeof(*rules->policies));
	int r = rules->list && rules->policies ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && !r; i++)
		rules->policies[rules->policy_count++] = policy_ref(policies[i]);
	if (!r)
		r = bind_all(rules, true, subject);
	rules->denies = rules->count;
	if (!r)
		r = bind_all(rules, false, subject);
	if (r)
		rules_unref(rules);
	else
		*ret = rules;
	return r;
}

struct rules *rules_ref(struct rules *rules)
{
	__atomic_fetch_add(&rules->refs, 1, __ATOMIC_RELAXED);
	return rules;
}

void rules_unref(struct rules *rules)
{
	if (!rules || __atomic_sub_fetch(&rules->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (size_t i = 0; i < rules->policy_count; i++)
		policy_unref(rules->policies[i]);
	arena_fini(&rules->arena);
	free(rules);
}

bool rules_timed(const struct rules *rules)
{
	return rules->timed;
}

/* --- judging ------------------------------------------------------------------------------------------------------ */

static bool means(const struct rule *rule, const struct policy_request *request)
{
	for (size_t i = 0; i < rule->count; i++)
		for (size_t k = 0; k < rule->targets[i].count; k++)
			if (matcher_fits(&rule->targets[i].list[k], request->resource, request->name))
				return true;
	return false;
}

static bool applies(const struct rule *rule, const struct policy_request *request)
{
	return (rule->actions & 1u << request->action) && (rule->attributes & 1u << request->attributes) &&
	       means(rule, request) != rule->not_resource &&
	       condition_times_hold(rule->times, request->now_s);
}

enum verdict rules_judge(const struct rules *rules, const struct policy_request *request)
{
	for (size_t i = 0; i < rules->count; i++)
		if (applies(&rules->list[i], request))
			return i < rules->denies ? VERDICT_DENY : VERDICT_ALLOW;
	return VERDICT_NONE;
}
