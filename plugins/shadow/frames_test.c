/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes say to each other about shadows: frames, claims, what is stored, and the union of two documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "frames.h"

static struct shadow_name name_of(const char *thing, const char *shadow)
{
	struct shadow_name name;
	assert_true(shadow_name_set(&name, edged_str(thing), edged_str(shadow)));
	return name;
}

/* Writes and reads it; every shorter piece must be refused when `fixed`, else at least be harmless. */
static struct frame back(const struct frame *frame, uint8_t *bytes, size_t size)
{
	struct frame ret;
	assert_true(frame_size(frame) <= size);
	size_t n = frame_write(frame, bytes, size);
	assert_true(n > 0 && n <= frame_size(frame));
	assert_int_equal(frame_write(frame, bytes, n - 1), 0);
	assert_int_equal(frame_write(frame, bytes, size), n);
	for (size_t i = 0; i < n; i++)
		(void)frame_read(edged_slice(bytes, i), &ret);
	assert_true(frame_read(edged_slice(bytes, n), &ret));
	assert_int_equal(ret.type, frame->type);
	return ret;
}

static void frames_are_read_as_they_were_written(void **state)
{
	(void)state;
	uint8_t bytes[2000];
	struct frame f = { .type = FRAME_HELLO, .wants = true };
	assert_true(back(&f, bytes, sizeof(bytes)).wants && !back(&f, bytes, sizeof(bytes)).begins);
	f = (struct frame){ .type = FRAME_SYNC, .id = 7 };
	assert_int_equal(back(&f, bytes, sizeof(bytes)).name.thing[0], '\0');
	f.name = name_of("lamp", "n");
	f = back(&f, bytes, sizeof(bytes));
	assert_true(f.id == 7 && strcmp(f.name.thing, "lamp") == 0 && strcmp(f.name.name, "n") == 0);
	f = (struct frame){ .type = FRAME_HAVE, .name = f.name, .claim = { 5, 100, 2, true } };
	f = back(&f, bytes, sizeof(bytes));
	assert_true(f.claim.version == 5 && f.claim.made == 100 && f.claim.moves == 2 && f.claim.exists);
	f = (struct frame){ .type = FRAME_COPY,
		.id = 9,
		.name = f.name,
		.home = edged_str("node"),
		.seconds = 77,
		.body = edged_str("text") };
	f = back(&f, bytes, sizeof(bytes));
	assert_true(f.id == 9 && f.seconds == 77 && edged_slice_is(f.home, "node") &&
	            edged_slice_is(f.body, "text"));
	f = (struct frame){ .type = FRAME_REQUEST,
		.id = 1,
		.verb = SHADOW_DELETE,
		.flags = ASK_MIRROR,
		.number = -1,
		.name = name_of("lamp", ""),
		.body = edged_str("{}") };
	f = back(&f, bytes, sizeof(bytes));
	assert_true(f.verb == SHADOW_DELETE && f.flags == ASK_MIRROR && f.number == -1);
	f.verb = SHADOW_HAND; /* nobody may be told to give something away */
	size_t n = frame_write(&f, bytes, sizeof(bytes));
	assert_false(frame_read(edged_slice(bytes, n), &f));
	f = (struct frame){ .type = FRAME_ANSWER,
		.id = 1,
		.code = 409,
		.number = 4,
		.seconds = -1,
		.text = edged_str("why"),
		.body = edged_str("b") };
	f = back(&f, bytes, sizeof(bytes));
	assert_true(f.code == 409 && f.number == 4 && f.seconds == -1 && edged_slice_is(f.text, "why") &&
	            edged_slice_is(f.body, "b"));
	assert_false(frame_read(edged_str("\xff"), &f)); /* of a later version */
	assert_false(frame_read(edged_str(""), &f));
	assert_false(frame_read(edged_slice("\x08\0\0\0\1\0\0", 7), &f));
}

static void rows_are_read_to_their_end(void **state)
{
	(void)state;
	uint8_t bytes[3 * ROW_MAX];
	struct writer w = writer(bytes, sizeof(bytes));
	struct shadow_name a = name_of("a", ""), b = name_of("b", "x"), name;
	const struct claim claim = { 3, 50, 0, false };
	struct claim got;
	row_write(&w, &a, &claim);
	row_write(&w, &b, &claim);
	struct reader r = reader(bytes, (size_t)(w.at - bytes));
	assert_true(row_read(&r, &name, &got) && strcmp(name.thing, "a") == 0 && !got.exists);
	assert_true(row_read(&r, &name, &got) && strcmp(name.name, "x") == 0 && got.made == 50);
	assert_false(row_read(&r, &name, &got));
	r = reader(bytes, (size_t)(w.at - bytes) - 1);
	assert_true(row_read(&r, &name, &got));
	assert_false(row_read(&r, &name, &got));
}

static void of_two_claims_one_is_better(void **state)
{
	(void)state;
	static const struct claim claims[] = { { 1, 100, 1, true }, { 9, 50, 0, true }, { 1, 100, 0, true } };
	for (size_t i = 0; i < 3;
	        i++) /* in order: the moved one, the older one, and of two equal ones the lower id */
		for (size_t k = 0; k < 3; k++) {
			bool better = claim_better(&claims[i], "a", &claims[k], "b");
			assert_int_equal(better, i <= k);
			assert_int_equal(better, !claim_better(&claims[k], "b", &claims[i], "a"));
		}
}

/* --- documents ----------------------------------------------------------------------------------------------------------- */

static void update(struct document *document, const char *text, int64_t now)
{
	static const struct document_limits limits = { 8192, 8 };
	struct shadow_request request;
	struct shadow_error error = { 0 };
	struct printed before = { 0 };
	assert_int_equal(shadow_request_parse_update(&request, edged_str(text), &limits, &error), 0);
	assert_int_equal(document_update(document, &request, now, &limits, &before, &error), 0);
	printed_fini(&before);
	shadow_request_fini(&request);
}

static void remove_it(struct document *document, int64_t now)
{
	const struct shadow_request request = { 0 };
	struct shadow_error error;
	struct printed before = { 0 };
	assert_int_equal(document_delete(document, &request, now, &before, &error), 0);
	printed_fini(&before);
}

static bool unite(struct document *document, const struct document *other)
{
	struct printed before = { 0 };
	bool changed;
	assert_int_equal(document_unite(document, other, &before, &changed), 0);
	printed_fini(&before);
	return changed;
}

static void assert_state(const struct document *document, const char *expected, int64_t version)
{
	json_t *state = json_loads(expected, 0, NULL);
	assert_non_null(state);
	if (!json_equal(state, document->state))
		fail_msg("%.*s", (int)document->now.state, document->now.text);
	json_decref(state);
	assert_int_equal(document->now.version, version);
}

static void the_stored_form_says_what_it_is(void **state)
{
	(void)state;
	struct document document, again;
	struct claim claim;
	assert_int_equal(document_init(&document), 0);
	/* what is inside must not be taken for what is behind it */
	update(&document,
	        "{\"state\":{\"desired\":{\"x\":\",\\\"version\\\":99,\",\"version\":98,\"made\":1}}}", 700);
	update(&document, "{\"state\":{\"desired\":{\"y\":1}}}", 800);
	document.moves = 3;
	char *text = document_print(&document);
	assert_true(document_peek(edged_str(text), &claim));
	assert_true(claim.version == 2 && claim.made == 700 && claim.moves == 3 && claim.exists);
	assert_int_equal(document_parse(&again, edged_str(text)), 0);
	assert_true(again.made == 700 && again.moves == 3);
	document_fini(&again);
	free(text);
	remove_it(&document, 900);
	text = document_print(&document);
	assert_true(document_peek(edged_str(text), &claim) && !claim.exists);
	free(text);
	document_fini(&document);
	/* as it was stored before this was noted */
	const char *old = "{\"state\":{},\"metadata\":{},\"version\":4,\"timestamp\":5,\"exists\":true}";
	assert_true(document_peek(edged_str(old), &claim) && claim.version == 4 && claim.made == 0);
	assert_false(document_peek(edged_str("{}"), &claim));
	assert_false(document_peek(edged_str(""), &claim));
}

static void the_later_of_each_value_stays(void **state)
{
	(void)state;
	struct document a, b;
	assert_int_equal(document_init(&a), 0);
	assert_int_equal(document_init(&b), 0);
	update(&a, "{\"state\":{\"desired\":{\"x\":1,\"only\":{\"a\":1}},\"reported\":{\"l\":[1,2]}}}", 100);
	update(&b, "{\"state\":{\"desired\":{\"x\":2,\"only\":{\"b\":2}},\"reported\":{\"l\":[3]}}}", 90);
	update(&b, "{\"state\":{\"desired\":{\"x\":3}}}", 110);
	update(&b, "{\"state\":{\"reported\":{\"n\":0}}}", 95);
	assert_true(unite(&a, &b));
	assert_state(&a,
	        "{\"desired\":{\"x\":3,\"only\":{\"a\":1,\"b\":2}},\"reported\":{\"l\":[1,2],\"n\":0}}", 4);
	assert_int_equal(a.made, 100);
	/* the same again changes nothing */
	assert_false(unite(&a, &b));
	assert_int_equal(a.now.version, 4);
	/* and what is not of this node yet is taken as it is */
	struct document c;
	assert_int_equal(document_init(&c), 0);
	assert_true(unite(&c, &a));
	assert_true(c.now.version == a.now.version && c.made == 100 && c.now.exists &&
	            json_equal(c.state, a.state));
	document_fini(&a);
	document_fini(&b);
	document_fini(&c);
}

static void of_a_deletion_and_a_change_the_later_stays(void **state)
{
	(void)state;
	for (int later = 0; later < 2; later++) {
		struct document a, b;
		assert_int_equal(document_init(&a), 0);
		assert_int_equal(document_init(&b), 0);
		update(&a, "{\"state\":{\"desired\":{\"x\":1}}}", 100);
		update(&b, "{\"state\":{\"desired\":{\"x\":2}}}", 110);
		remove_it(&a, later ? 120 : 105);
		assert_true(unite(&a, &b) || later);
		assert_int_equal(a.now.exists, !later);
		assert_state(&a, later ? "{}" : "{\"desired\":{\"x\":2}}", 2);
		/* the other way round */
		update(&a, "{\"state\":{\"desired\":{\"x\":5}}}", 130);
		remove_it(&b, later ? 140 : 125);
		(void)unite(&a, &b);
		assert_int_equal(a.now.exists, !later);
		document_fini(&a);
		document_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_read_as_they_were_written),
		cmocka_unit_test(rows_are_read_to_their_end),
		cmocka_unit_test(of_two_claims_one_is_better),
		cmocka_unit_test(the_stored_form_says_what_it_is),
		cmocka_unit_test(the_later_of_each_value_stays),
		cmocka_unit_test(of_a_deletion_and_a_change_the_later_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
