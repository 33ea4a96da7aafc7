/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shadows across nodes: several nodes with all their parts, on stores and channels that do what the test tells them, in any
 * order. The last test lets chance cut them off from each other, and asks whether what was acknowledged is there afterwards.
 */
#include "homes_rig_test.h"

/* --- asking -------------------------------------------------------------------------------------------------------------- */

static struct shadow_name names[SHADOWS];

struct outcome {
	bool there;
	int code;
	int64_t version, age;
	char body[2000];
};

static void answered(void *arg, const struct shadow_outcome *outcome)
{
	struct outcome *o = arg;
	assert_false(o->there);
	*o = (struct outcome){ true, outcome->error->code, outcome->version, outcome->age, "" };
	snprintf(o->body, sizeof(o->body), "%.*s", EDGED_SLICE_FMT(outcome->body));
}

static void ask(int node, const struct shadow_name *name, enum shadow_verb verb, const char *payload,
        struct outcome *ret)
{
	const struct shadow_call call = { .verb = verb,
		.payload = edged_str(payload),
		.match = SHADOW_MATCH_NONE,
		.mirror = true,
		.answer = answered,
		.arg = ret };
	*ret = (struct outcome){ 0 };
	service_run(nodes[node].service, name, &call);
}

static struct outcome ask_now(int node, enum shadow_verb verb, const char *payload)
{
	struct outcome o;
	ask(node, &names[0], verb, payload, &o);
	settle();
	assert_true(o.there);
	return o;
}

static bool is_home(int node, const struct shadow_name *name)
{
	char key[SHADOW_KEY_MAX];
	return find_row(&nodes[node], SHADOW_TABLE, shadow_key(key, name)) != NULL;
}

#define UPDATE(node, state) ask_now(node, SHADOW_UPDATE, "{\"state\":{\"reported\":" state "}}")

static bool reads(int node, const char *state)
{
	struct outcome o = ask_now(node, SHADOW_GET, "");
	return o.code == 0 && strncmp(o.body, state, strlen(state)) == 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static void loaded(void *arg, int result)
{
	struct node *node = arg;
	assert_int_equal(result, 0);
	assert_int_equal(peers_start(node->peers, node->service), 0);
}

static void make_node(int i)
{
	struct node *node = &nodes[i];
	node->host.v1 = &host_1;
	memset(node->id, 'a' + i, HOME_ID);
	node->channel = (struct edged_channel_1){ .struct_size = sizeof(node->channel),
		.ctx = node,
		.open = open_channel,
		.close = close_channel,
		.say = say };
	struct service_deps deps = { .host = &node->host,
		.log = &log_1,
		.store = &store,
		.pubsub = &pubsub,
		.metrics = &metrics,
		.limits = { 8192, 8 },
		.loop = &loop,
		.in_flight = 100,
		.cache_bytes = 4000,
		.payload = 1000,
		.now = now };
	const struct others_deps others = { &node->host, &log_1, &store, &metrics, 100, 100000 };
	const struct asks_deps asks = { &node->host, &loop, &metrics, 100, 5000 };
	assert_int_equal(others_new(&others, &node->others), 0);
	assert_int_equal(asks_new(&asks, &node->asks), 0);
	const struct peers_deps peers = { deps, &node->channel, &node_1, node->others, node->asks, 3600000 };
	assert_int_equal(peers_new(&peers, &node->peers), 0);
	deps.away = &node->peers->away;
	assert_int_equal(service_new(&deps, &node->service), 0);
	assert_int_equal(others_load(node->others, loaded, node), 0);
	settle();
}

static void end_node(int i)
{
	struct node *node = &nodes[i];
	peers_stop(node->peers);
	while (node->store.count)
		event_free(take(&node->store));
	service_free(node->service);
	peers_free(node->peers);
	asks_free(node->asks);
	others_free(node->others);
	node->timer_count = 0;
}

static int begin(void **state)
{
	(void)state;
	keeper = -1;
	full = false;
	seconds = 1000;
	memset(cut, 0, sizeof(cut));
	for (int i = 0; i < SHADOWS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "t%d", i);
		assert_true(shadow_name_set(&names[i], edged_str(name), edged_str(i == 2 ? "named" : "")));
	}
	for (int i = 0; i < NODES; i++)
		make_node(i);
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++)
		end_node(i);
	for (int i = 0; i < NODES; i++) {
		for (int k = 0; k < NODES; k++)
			while (nodes[i].frames[k].count)
				event_free(take(&nodes[i].frames[k]));
		for (size_t r = 0; r < ROWS; r++)
			free(nodes[i].rows[r].value);
		nodes[i] = (struct node){ 0 };
	}
	return 0;
}

/* As after kill -9: what is stored stays. */
static void restart(int i)
{
	bool before[NODES];
	memcpy(before, cut[i], sizeof(before));
	for (int k = 0; k < NODES; k++)
		if (k != i)
			part(i, k);
	end_node(i);
	for (int k = 0; k < NODES; k++) /* nobody sees it yet */
		cut[i][k] = cut[k][i] = k != i;
	nodes[i].handler = NULL;
	make_node(i);
	for (int k = 0; k < NODES; k++)
		if (k != i && !before[k])
			join(i, k);
	settle();
}

/* --- the tests ----------------------------------------------------------------------------------------------------------- */

static void changes_reach_the_home(void **state)
{
	(void)state;
	assert_int_equal(UPDATE(0, "{\"a\":1}").version, 1);
	assert_int_equal(UPDATE(1, "{\"b\":2}").version, 2);
	assert_int_equal(UPDATE(2, "{\"b\":3}").version, 3);
	assert_true(is_home(0, &names[0]) && !is_home(1, &names[0]) && !is_home(2, &names[0]));
	for (int i = 0; i < NODES; i++)
		assert_true(reads(i, "{\"state\":{\"reported\":{\"a\":1,\"b\":3}}"));
	/* what is told is told by the home, what is read by who asked */
	unsigned there = nodes[0].published, here = nodes[1].published;
	(void)UPDATE(1, "{\"c\":1}");
	assert_int_equal(nodes[1].published, here);
	assert_true(nodes[0].published > there);
	there = nodes[0].published;
	assert_int_equal(ask_now(1, SHADOW_GET, "").age, -1);
	assert_int_equal(nodes[1].published, here + 1);
	assert_int_equal(nodes[0].published, there);
	/* refused by the home */
	struct outcome o = ask_now(2, SHADOW_UPDATE, "{\"state\":{\"reported\":{\"a\":1}},\"version\":2}");
	assert_int_equal(o.code, 409);
	/* deleted, its version goes on */
	assert_int_equal(ask_now(2, SHADOW_DELETE, "").code, 0);
	assert_int_equal(ask_now(1, SHADOW_GET, "").code, 404);
	assert_int_equal(UPDATE(1, "{\"a\":9}").version, 5);
}

static void a_thing_stays_together(void **state)
{
	(void)state;
	struct shadow_name named;
	struct outcome o;
	(void)UPDATE(0, "{\"a\":1}");
	assert_true(shadow_name_set(&named, edged_str(names[0].thing), edged_str("x")));
	ask(1, &named, SHADOW_UPDATE, "{\"state\":{\"reported\":{\"n\":1}}}", &o);
	settle();
	assert_true(o.there && o.code == 0 && is_home(0, &named) && !is_home(1, &named));
	/* while that node is away another shadow of the thing is made where it is asked for */
	part(0, 1);
	assert_true(shadow_name_set(&named, edged_str(names[0].thing), edged_str("y")));
	ask(1, &named, SHADOW_UPDATE, "{\"state\":{\"reported\":{\"n\":1}}}", &o);
	settle();
	assert_true(o.code == 0 && is_home(1, &named));
}

static void copies_are_read_while_the_home_is_away(void **state)
{
	(void)state;
	(void)UPDATE(0, "{\"a\":1}");
	keeper = 2;
	look_all();
	settle();
	assert_int_equal(others_copies(nodes[2].others), 1);
	(void)UPDATE(1, "{\"a\":2}");
	struct outcome o = ask_now(2, SHADOW_GET, "");
	assert_true(o.age == 0 && strstr(o.body, "\"a\":2") && strstr(o.body, "\"age\":0}"));
	seconds += 50;
	part(0, 1);
	part(0, 2);
	seconds += 7;
	for (int i = 1; i < NODES; i++) {
		o = ask_now(i, SHADOW_GET, "{\"clientToken\":\"t\"}");
		assert_true(o.code == 0 && strstr(o.body, "\"a\":2") && strstr(o.body, "\"age\":7}"));
		assert_non_null(strstr(o.body, "\"clientToken\":\"t\""));
		assert_int_equal(o.age, 7);
		assert_int_equal(UPDATE(1, "{\"a\":3}").code, 503);
	}
	/* also after the keeper's restart */
	seconds += 10;
	restart(2);
	assert_int_equal(ask_now(2, SHADOW_GET, "").age, 17);
	/* and by a new one, which gets it from the former */
	keeper = 1;
	look_all();
	settle();
	part(1, 2);
	o = ask_now(1, SHADOW_GET, "");
	assert_true(o.code == 0 && o.age == 17);
	/* the former does not keep it for ever */
	wait_ms(3600000);
	assert_int_equal(others_copies(nodes[2].others), 0);
	assert_int_equal(ask_now(2, SHADOW_GET, "").code, 503);
	/* the home is back */
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < NODES; k++)
			join(i, k == i ? (i + 1) % NODES : k);
	settle();
	assert_int_equal(UPDATE(2, "{\"a\":4}").version, 3);
	assert_int_equal(ask_now(1, SHADOW_GET, "").age, 0);
}

static void a_slow_keeper_catches_up(void **state)
{
	(void)state;
	keeper = 2;
	look_all();
	settle();
	(void)UPDATE(0, "{\"a\":1}");
	full = true;
	(void)UPDATE(0, "{\"a\":2}");
	full = false;
	(void)UPDATE(0, "{\"a\":3}"); /* is not told: it has not said that there is room */
	nodes[0].handler->room(nodes[0].handler_arg, nodes[2].id);
	settle();
	struct outcome o = ask_now(2, SHADOW_GET, "");
	assert_true(o.age == 0 && strstr(o.body, "\"a\":3"));
}

static void an_answer_that_does_not_come_is_told(void **state)
{
	(void)state;
	struct outcome o;
	(void)UPDATE(0, "{\"a\":1}");
	ask(1, &names[0], SHADOW_UPDATE, "{\"state\":{\"reported\":{\"a\":2}}}", &o);
	while (nodes[1].store.count)
		run_store(&nodes[1]);
	wait_ms(4999);
	assert_false(o.there);
	wait_ms(1);
	assert_true(o.there && o.code == 504);
	settle(); /* the answer comes, and nobody waits */
	ask(1, &names[0], SHADOW_UPDATE, "{\"state\":{\"reported\":{\"a\":2}}}", &o);
	while (nodes[1].store.count)
		run_store(&nodes[1]);
	part(0, 1);
	assert_true(o.there && o.code == 504);
}

static void what_both_have_made_is_united(void **state)
{
	(void)state;
	part(0, 1);
	part(0, 2);
	(void)UPDATE(0, "{\"a\":1,\"x\":1}");
	seconds++;
	(void)UPDATE(1, "{\"b\":1,\"x\":2}");
	(void)UPDATE(1, "{\"c\":1}");
	(void)UPDATE(1, "{\"c\":2}");
	assert_true(is_home(0, &names[0]) && is_home(1, &names[0]));
	join(0, 1);
	join(0, 2);
	settle();
	assert_true(is_home(0, &names[0]) && !is_home(1, &names[0]));
	for (int i = 0; i < NODES; i++) {
		struct outcome o = ask_now(i, SHADOW_GET, "");
		if (o.code)
			fail_msg("node %d: %d %s", i, o.code, o.body);
		assert_int_equal(o.version, 4);
		assert_true(
		        strstr(o.body, "\"a\":1") && strstr(o.body, "\"b\":1") && strstr(o.body, "\"c\":2"));
		assert_non_null(strstr(o.body, "\"x\":2"));
	}
}

static void a_home_that_has_lost_it_is_told(void **state)
{
	(void)state;
	char key[SHADOW_KEY_MAX];
	(void)UPDATE(0, "{\"a\":1}");
	assert_int_equal(del(&nodes[0].host, SHADOW_TABLE, shadow_key(key, &names[0])), 0);
	end_node(0);
	nodes[0].handler = NULL;
	for (int k = 1; k < NODES; k++)
		cut[0][k] = cut[k][0] = true;
	make_node(0);
	join(0, 1);
	while (!peer_available(others_find(nodes[1].others, &names[0])->home))
		assert_true(happen());
	/* who has not heard yet asks in vain, and makes it anew */
	struct outcome o;
	ask(1, &names[0], SHADOW_UPDATE, "{\"state\":{\"reported\":{\"a\":2}}}", &o);
	settle();
	if (!o.there || o.code)
		fail_msg("%d %s", o.there ? o.code : -1, o.body);
	assert_true(is_home(0, &names[0]) != is_home(1, &names[0]));
}

/* --- chance -------------------------------------------------------------------------------------------------------------- */

/* What was acknowledged last of each value, and what may have been set since. */
struct known {
	int sure, open; /* changes that wait */
	int maybe[64];
	size_t maybe_count;
};

struct change {
	struct outcome outcome;
	int shadow, key, value;
	bool open;
};

static struct known known[SHADOWS][KEYS];

static void note(struct change *change)
{
	struct known *k = &known[change->shadow][change->key];
	if (!change->open || !change->outcome.there)
		return;
	change->open = false;
	k->open--;
	if (change->outcome.code == 0) {
		if (change->value > k->sure)
			k->sure = change->value;
	} else if (change->outcome.code == 504) {
		k->maybe[k->maybe_count++ % 64] = change->value;
	} else {
		assert_int_equal(change->outcome.code, 503);
	}
}

static void check_value(int node, int shadow, const json_t *state, int key)
{
	const struct known *k = &known[shadow][key];
	char name[16];
	snprintf(name, sizeof(name), "k%d", key);
	int value = (int)json_integer_value(json_object_get(json_object_get(state, "reported"), name));
	bool fits = value == k->sure;
	for (size_t i = 0; i < k->maybe_count && i < 64; i++)
		fits |= value == k->maybe[i]; /* it may have been set at any time since */
	if (!fits)
		fail_msg("node %d, shadow %d: %s is %d, and %d was acknowledged", node, shadow, name, value,
		        k->sure);
}

static void check_all(void)
{
	for (int s = 0; s < SHADOWS; s++) {
		int homes = 0;
		bool made = false;
		for (int k = 0; k < KEYS; k++)
			made |= known[s][k].sure > 0;
		for (int i = 0; i < NODES; i++)
			homes += is_home(i, &names[s]);
		assert_true(homes == 1 || (homes == 0 && !made));
		for (int i = 0; i < NODES && made; i++) {
			struct outcome o;
			ask(i, &names[s], SHADOW_GET, "", &o);
			settle();
			if (!o.there || o.code)
				fail_msg("node %d, shadow %d: %d %s", i, s, o.there ? o.code : -1, o.body);
			json_t *root = json_loads(o.body, 0, NULL);
			for (int k = 0; k < KEYS; k++)
				check_value(i, s, json_object_get(root, "state"), k);
			json_decref(root);
		}
	}
}

static void round_of_chance(uint32_t seed)
{
	static struct change changes[40];
	memset(known, 0, sizeof(known));
	memset(changes, 0, sizeof(changes));
	chance = seed;
	for (int step = 0; step < 40; step++) {
		struct change *c = &changes[step];
		char payload[80];
		seconds++;
		*c = (struct change){
			.shadow = (int)roll(SHADOWS), .key = (int)roll(KEYS), .value = step + 1, .open = true
		};
		struct known *k = &known[c->shadow][c->key];
		snprintf(payload, sizeof(payload), "{\"state\":{\"reported\":{\"k%d\":%d}}}", c->key,
		        c->value);
		c->open = k->open == 0; /* of several at once any may be the last */
		if (c->open && ++k->open)
			ask((int)roll(NODES), &names[c->shadow], SHADOW_UPDATE, payload, &c->outcome);
		for (unsigned n = roll(30); n && happen(); n--)
			;
		int a = (int)roll(NODES), b = (a + 1 + (int)roll(NODES - 1)) % NODES;
		if (roll(4) == 0)
			part(a, b);
		if (roll(3) == 0)
			join(a, b);
		if (roll(10) == 0) {
			keeper = (int)roll(NODES + 1) - 1;
			look_all();
		}
		for (int i = 0; i <= step; i++)
			note(&changes[i]);
		if (roll(2))
			settle();
	}
	for (int a = 0; a < NODES; a++)
		for (int b = a + 1; b < NODES; b++)
			join(a, b);
	settle();
	for (int i = 0; i < 40; i++)
		note(&changes[i]);
	check_all();
}

static void what_was_acknowledged_is_there(void **state)
{
	const char *first = getenv("EDGED_HOMES_FIRST"), *count = getenv("EDGED_HOMES_SEEDS");
	long seed = first ? strtol(first, NULL, 10) : 1;
	long last = seed + (count ? strtol(count, NULL, 10) : 300) - 1;
	for (;; seed++) {
		print_message("seed %ld\n", seed);
		round_of_chance((uint32_t)seed);
		if (seed >= last)
			break;
		(void)end(state);
		(void)begin(state);
	}
}

#define H(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		H(changes_reach_the_home),
		H(a_thing_stays_together),
		H(copies_are_read_while_the_home_is_away),
		H(a_slow_keeper_catches_up),
		H(an_answer_that_does_not_come_is_told),
		H(what_both_have_made_is_united),
		H(a_home_that_has_lost_it_is_told),
		H(what_was_acknowledged_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
