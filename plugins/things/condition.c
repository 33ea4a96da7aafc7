/* SPDX-License-Identifier: Apache-2.0 */
#include "condition.h"

#include <errno.h>
#include "compare.h"

enum set { SET_ONE, SET_ANY, SET_ALL };

struct operand {             /* one value of a condition */
	struct pattern text; /* COMPARE_TEXT, COMPARE_TEXT_ANY_CASE, COMPARE_LIKE */
	struct network network;
	double number;
	bool truth;
};

struct condition {
	const struct condition *next;
	const struct operator* operator;
	uint8_t set; /* ForAnyValue, ForAllValues */
	bool if_exists;
	struct variable key;
	size_t count;
	struct operand *operands;
	int64_t *times; /* the operands of COMPARE_TIME_* */
};

enum { VALUES_MAX = 32 /* of one key of a certificate */ };

/* --- reading ---------------------------------------------------------------------------------------------------- */

static bool take_front(struct edged_slice *text, const char *word)
{
	size_t n = strlen(word);
	if (text->len < n || !text_same(edged_slice(text->ptr, n), edged_str(word)))
		return false;
	*text = edged_slice(text->ptr + n, text->len - n);
	return true;
}

static bool take_back(struct edged_slice *text, const char *word)
{
	size_t n = strlen(word);
	if (text->len < n || !text_same(edged_slice(text->ptr + text->len - n, n), edged_str(word)))
		return false;
	text->len -= n;
	return true;
}

static bool read_truth(struct edged_slice text, bool *ret)
{
	*ret = text_same(text, edged_str("true"));
	return *ret || text_same(text, edged_str("false"));
}

static int read_operand(struct condition *c, size_t i, struct edged_slice text, unsigned flags,
        struct arena *arena, const char **ret_why)
{
	struct operand *to = &c->operands[i];
	enum compare compare = c->operator->compare;
	switch (compare) {
	case COMPARE_TEXT:
	case COMPARE_TEXT_ANY_CASE:
		return pattern_read(text, flags & ~(unsigned)PATTERN_WILDCARDS, arena, &to->text, ret_why);
	case COMPARE_LIKE:
		return pattern_read(text, flags, arena, &to->text, ret_why);
	case COMPARE_BOOL:
	case COMPARE_NULL:
		*ret_why = "the value must be true or false";
		return read_truth(text, &to->truth) ? 0 : -EINVAL;
	case COMPARE_IP:
		*ret_why = "the value must be an address or a network, such as 192.0.2.0/24 or 2001:db8::/32";
		return network_read(text, &to->network) ? 0 : -EINVAL;
	case COMPARE_NUMBER_EQUAL:
	case COMPARE_NUMBER_LESS:
	case COMPARE_NUMBER_LESS_EQUAL:
	case COMPARE_NUMBER_GREATER:
	case COMPARE_NUMBER_GREATER_EQUAL:
		*ret_why = "the value must be a number";
		if (!number_read(text, &to->number))
			return -EINVAL;
		c->times[i] = (int64_t)(to->number < -1e15 ? -1e15 : to->number > 1e15 ? 1e15 : to->number);
		return 0;
	case COMPARE_TIME_EQUAL:
	case COMPARE_TIME_LESS:
	case COMPARE_TIME_LESS_EQUAL:
	case COMPARE_TIME_GREATER:
	case COMPARE_TIME_GREATER_EQUAL:
		*ret_why = "the value must be a time such as 2026-11-26T10:00:00Z, or seconds since 1970";
		return time_read(text, &c->times[i]) ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static bool fits_key(const struct condition *c, const char **ret_why)
{
	enum compare compare = c->operator->compare;
	bool time = compare >= COMPARE_NUMBER_EQUAL;
	*ret_why = "this key is compared with Date or Numeric operators";
	if (c->key.id == VARIABLE_TIME && !time)
		return false;
	*ret_why = "times are compared with aws:CurrentTime or aws:EpochTime";
	if (compare >= COMPARE_TIME_EQUAL && c->key.id != VARIABLE_TIME)
		return false;
	*ret_why =
	        "a key with more than one value needs ForAnyValue: or ForAllValues: in front of the operator";
	return c->set != SET_ONE || (!c->key.list && c->key.id != VARIABLE_ATTRIBUTES) ||
	       compare == COMPARE_NULL;
}

int condition_read(struct edged_slice operator, struct edged_slice key, const struct edged_slice *values,
        size_t count, unsigned flags, const struct condition *next, struct arena *arena,
        const struct condition **ret, const char **ret_why)
{
	struct condition *c = arena_get(arena, sizeof(*c));
	char *name = arena_copy(arena, key.ptr, key.len);
	if (!c || !name)
		return -ENOMEM;
	c->next = next;
	c->set = take_front(&operator, "ForAnyValue:")    ? SET_ANY
	         : take_front(&operator, "ForAllValues:") ? SET_ALL
	                                                  : SET_ONE;
	c->if_exists = take_back(&operator, "IfExists");
	c->operator= operator_find(operator);
	*ret_why = "there is no such operator: StringEquals, StringLike, IpAddress, Bool, NumericLessThan, "
	           "DateLessThan, Null and "
	           "their kin are known";
	if (!c->operator)
		return -EINVAL;
	*ret_why = "there is no such condition key";
	if (!variable_read(edged_slice(name, key.len), &c->key))
		return -EINVAL;
	if (!fits_key(c, ret_why))
		return -EINVAL;
	*ret_why = "at least one value is needed";
	if (count == 0)
		return -EINVAL;
	c->count = count;
	c->operands = arena_get(arena, count * sizeof(*c->operands));
	c->times = arena_get(arena, count * sizeof(*c->times));
	if (!c->operands || !c->times)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int r = read_operand(c, i, values[i], flags, arena, ret_why);
		if (r)
			return r;
	}
	*ret = c;
	return 0;
}

/* --- judging ---------------------------------------------------------------------------------------------------- */

struct context {
	const struct subject *subject;
	struct arena *arena;
	bool unknown; /* an operand's variable has no value */
	bool failed;  /* no memory */
};

static bool text_fits(
        const struct operand *operand, bool any_case, struct edged_slice value, struct context *context)
{
	struct pattern bound;
	int r = pattern_bind(&operand->text, context->subject, context->arena, &bound);
	if (r) {
		context->failed |= r < 0;
		context->unknown = true;
		return false;
	}
	if (!any_case)
		return pattern_match(bound.pieces, bound.count, value);
	return bound.count == 0 ? value.len == 0 : bound.count == 1 && text_same(bound.pieces[0].text, value);
}

static bool operand_fits(
        const struct condition *c, size_t i, struct edged_slice value, struct context *context)
{
	const struct operand *operand = &c->operands[i];
	enum compare compare = c->operator->compare;
	struct network address;
	double number;
	bool truth;
	if (compare == COMPARE_TEXT || compare == COMPARE_LIKE || compare == COMPARE_TEXT_ANY_CASE)
		return text_fits(operand, compare == COMPARE_TEXT_ANY_CASE, value, context);
	if (compare == COMPARE_BOOL)
		return read_truth(value, &truth) && truth == operand->truth;
	if (compare == COMPARE_IP)
		return network_read(value, &address) && network_has(&operand->network, &address);
	return compare < COMPARE_TIME_EQUAL && compare >= COMPARE_NUMBER_EQUAL &&
	       number_read(value, &number) && compare_numbers(compare, number, operand->number);
}

/* Does one value of the key satisfy the operator? */
static bool value_fits(const struct condition *c, struct edged_slice value, struct context *context)
{
	bool any = false;
	for (size_t i = 0; i < c->count && !any; i++)
		any = operand_fits(c, i, value, context);
	return any != c->operator->negated;
}

static bool values_fit(const struct condition *c, const struct edged_slice *values, size_t count, bool allows,
        struct context *context)
{
	bool any = false, all = true;
	if (c->operator->compare == COMPARE_NULL)
		return c->operands[0].truth == (count == 0);
	if (count == 0)
		return c->if_exists || (c->set == SET_ONE ? c->operator->negated : c->set == SET_ALL);
	context->unknown = false;
	for (size_t i = 0; i < count; i++) {
		bool fits = value_fits(c, values[i], context);
		any |= fits;
		all &= fits;
	}
	/* An operand that is not known equals nothing; that alone is no reason to allow. */
	if (context->unknown && c->operator->negated && allows)
		return false;
	return c->set == SET_ALL ? all : any;
}

static uint8_t judge_attributes(const struct condition *c, bool allows, struct context *context)
{
	uint8_t ret = 0;
	for (unsigned set = 0; set <= ATTRIBUTES_NONE; set++) {
		struct edged_slice values[2];
		size_t n = 0;
		if (set != ATTRIBUTES_NONE && (set & ATTRIBUTE_PERSISTENT))
			values[n++] = edged_str("PersistentConnect");
		if (set != ATTRIBUTES_NONE && (set & ATTRIBUTE_WILL))
			values[n++] = edged_str("LastWill");
		if (values_fit(c, values, n, allows, context))
			ret |= (uint8_t)(1u << set);
	}
	return ret;
}

static bool judge_subject(const struct condition *c, bool allows, struct context *context)
{
	struct edged_slice values[VALUES_MAX];
	size_t n = 0;
	unsigned first = c->key.list ? 0 : c->key.index;
	while (n < (c->key.list ? VALUES_MAX : 1) &&
	        context->subject->value(context->subject->arg, &c->key, first + (unsigned)n, &values[n]))
		n++;
	return values_fit(c, values, n, allows, context);
}

static int add_time(const struct condition *c, struct arena *arena, struct condition_rest *rest)
{
	struct time_test *test = arena_get(arena, sizeof(*test));
	if (!test)
		return -ENOMEM;
	enum compare compare = c->operator->compare;
	*test = (struct time_test){
		.next = rest->times, .compare = (uint8_t)compare, .count = c->count, .values = c->times
	};
	test->negated = c->operator->negated;
	rest->times = test;
	return 0;
}

int condition_bind(const struct condition *first, const struct subject *subject, bool allows,
        struct arena *arena, struct condition_rest *ret)
{
	struct context context = { .subject = subject, .arena = arena };
	*ret = (struct condition_rest){ .attributes = (1u << (ATTRIBUTES_NONE + 1)) - 1 };
	for (const struct condition *c = first; c; c = c->next) {
		if (c->key.id == VARIABLE_TIME) {
			int r = add_time(c, arena, ret);
			if (r)
				return r;
		} else if (c->key.id == VARIABLE_ATTRIBUTES) {
			ret->attributes &= judge_attributes(c, allows, &context);
		} else if (!judge_subject(c, allows, &context)) {
			ret->never = true;
		}
	}
	return context.failed ? -ENOMEM : 0;
}

bool condition_times_hold(const struct time_test *first, int64_t now_s)
{
	for (const struct time_test *test = first; test; test = test->next) {
		bool any = false;
		for (size_t i = 0; i < test->count && !any; i++)
			any = compare_numbers(test->compare, (double)now_s, (double)test->values[i]);
		if (any == test->negated)
			return false;
	}
	return true;
}
