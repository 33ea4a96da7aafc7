/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

/* --- times --- */

/* -1: not said; 0: said in a way that cannot be read, so stale (section 4.2.1). */
static int64_t life_of(const struct edged_proxy_answer *answer, const struct control *control, int64_t date)
{
	int64_t said = control->s_maxage != CONTROL_NONE ? control->s_maxage : control->max_age;
	if (said != CONTROL_NONE)
		return said > 0 ? said : 0;
	struct edged_slice expires = field_value(answer->fields, answer->field_count, "expires");
	if (!expires.ptr)
		return -1;
	int64_t until = date_parse(expires);
	if (until <= date)
		return 0;
	return until - date < CONTROL_MOST ? until - date : CONTROL_MOST;
}

static int64_t age_of(const struct edged_proxy_answer *answer)
{
	/* The first of its items counts; what is no number does not (section 5.1). */
	struct edged_slice left = field_value(answer->fields, answer->field_count, "age"), item;
	int64_t age = 0;
	if (!left.len || !items_next(&left, &item))
		return 0;
	for (size_t i = 0; i < item.len; i++) {
		if (item.ptr[i] < '0' || item.ptr[i] > '9')
			return 0;
		if (age < CONTROL_MOST)
			age = age * 10 + (item.ptr[i] - '0');
	}
	return age < CONTROL_MOST ? age : CONTROL_MOST;
}

struct freshness rules_freshness(const struct edged_proxy_answer *answer,
        const struct edged_proxy_answer *came, const struct moment *moment)
{
	struct control control = control_of(answer->fields, answer->field_count);
	int64_t date = date_parse(field_value(came->fields, came->field_count, "date"));
	if (date < 0)
		date = moment->wall_s; /* RFC 9110 section 6.6.1 */
	int64_t life = life_of(answer, &control, date);
	return (struct freshness){
		.life_ms = life > 0 ? life * 1000 : 0,
		.age_ms = age_of(came) * 1000 + (int64_t)(moment->now_ms - moment->asked_ms),
		.since_ms = moment->now_ms,
		.validate = control.no_cache,
		/* s-maxage is proxy-revalidate, too (section 5.2.2.10) */
		.never_stale = control.must_revalidate || control.proxy_revalidate || control.no_cache ||
		               control.s_maxage != CONTROL_NONE,
		.error_ms = control.stale_if_error >= 0 ? control.stale_if_error * 1000 : -1,
	};
}

static int64_t age_ms(const struct freshness *fresh, uint64_t now_ms)
{
	return fresh->age_ms + (int64_t)(now_ms - fresh->since_ms);
}

int64_t rules_left(const struct freshness *fresh, uint64_t now_ms)
{
	return fresh->life_ms - age_ms(fresh, now_ms);
}

int64_t rules_age_s(const struct freshness *fresh, uint64_t now_ms)
{
	return age_ms(fresh, now_ms) / 1000;
}

/* --- storing --- */

/* Final ones whose meaning is known here, but 206 and 304, which are parts of something. */
static bool is_known(int status)
{
	static const short known[] = { 200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410,
		414, 421, 451, 500, 501, 502, 503, 504 };
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (status == known[i])
			return true;
	return false;
}

static bool varies_by_all(const struct edged_proxy_answer *answer)
{
	for (size_t i = 0; i < answer->field_count; i++) {
		struct edged_slice left = answer->fields[i].value, item;
		while (field_is(&answer->fields[i], "vary") && items_next(&left, &item))
			if (edged_slice_is(item, "*"))
				return true;
	}
	return false;
}

static bool has(const struct edged_proxy_answer *answer, const char *name)
{
	return field_value(answer->fields, answer->field_count, name).ptr != NULL;
}

bool rules_may_store(const struct edged_proxy_request *request, const struct edged_proxy_answer *answer,
        const struct freshness *fresh)
{
	struct control said = control_of(answer->fields, answer->field_count);
	bool authorized = field_value(request->fields, request->field_count, "authorization").ptr != NULL;
	/* Without a life it is of use only to who can validate it, or when there is an error. */
	bool useful = (fresh->life_ms > 0 && !fresh->validate) || has(answer, "etag") ||
	              has(answer, "last-modified") || fresh->error_ms > 0;
	bool has_life =
	        said.s_maxage != CONTROL_NONE || said.max_age != CONTROL_NONE || has(answer, "expires");
	if (said.no_store || said.is_private || !is_known(answer->status) || varies_by_all(answer) ||
	        has(answer, "set-cookie"))
		return false;
	if (authorized && !said.is_public && !said.must_revalidate && said.s_maxage == CONTROL_NONE)
		return false;
	return useful && (has_life || said.no_cache);
}

/* --- giving --- */

enum rules_use rules_use(const struct freshness *fresh, const struct control *request, uint64_t now_ms)
{
	int64_t left = rules_left(fresh, now_ms), age = age_ms(fresh, now_ms);
	if (fresh->validate)
		return RULES_STALE;
	if (request->no_cache || request->max_age == CONTROL_BAD || request->min_fresh == CONTROL_BAD)
		return RULES_REQUEST;
	if (request->max_age >= 0 && age > request->max_age * 1000)
		return RULES_REQUEST;
	if (request->min_fresh >= 0 && left < request->min_fresh * 1000)
		return left > 0 ? RULES_REQUEST : RULES_STALE;
	if (left > 0)
		return RULES_GIVE;
	bool accepted = request->any_stale || (request->max_stale >= 0 && -left <= request->max_stale * 1000);
	return accepted && !fresh->never_stale ? RULES_GIVE : RULES_STALE;
}

bool rules_use_on_error(const struct freshness *fresh, const struct control *request, uint64_t now_ms)
{
	int64_t left = rules_left(fresh, now_ms);
	if (request->no_cache || fresh->never_stale)
		return false;
	return (fresh->error_ms >= 0 && -left <= fresh->error_ms) ||
	       (request->stale_if_error >= 0 && -left <= request->stale_if_error * 1000);
}

bool rules_is_error(int status)
{
	return status == 500 || (status >= 502 && status <= 504);
}

bool rules_is_safe(struct edged_slice method)
{
	return edged_slice_is(method, "GET") || edged_slice_is(method, "HEAD") ||
	       edged_slice_is(method, "OPTIONS") || edged_slice_is(method, "TRACE");
}

bool rules_not_modified(
        const struct edged_proxy_request *request, const struct edged_http_field *stored, size_t count)
{
	const struct edged_http_field *fields = request->fields;
	if (field_value(fields, request->field_count, "if-none-match").ptr)
		return tags_hold(
		        fields, request->field_count, "if-none-match", field_value(stored, count, "etag"));
	int64_t since = date_parse(field_value(fields, request->field_count, "if-modified-since"));
	int64_t modified = date_parse(field_value(stored, count, "last-modified"));
	return since >= 0 && modified >= 0 && modified <= since;
}
