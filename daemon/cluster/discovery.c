/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/discovery.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/addr.h"
#include "cluster/files.h"
#include "cluster/gossip.h"
#include "cluster/seeds.h"
#include "core/dns_message.h"

#define TYPE       "_edged._tcp.local"
#define PEERS_FILE "peers"

enum { SAVE_AFTER = 10000, KEPT = 64, KEY_TEXT = 44 };

struct discovery {
	struct discovery_deps deps;
	struct mdns *mdns; /* NULL: off */
	struct seeds *seeds;
	struct timer *save;
	const struct members *members;
	uint8_t key[GOSSIP_KEY];
	uint64_t instance;
};

/* --- what the network is told: TXT ------------------------------------------------------------------------------------------ */

static void add_pair(uint8_t *txt, size_t *len, const char *key, const char *value)
{
	size_t n = strlen(key) + 1 + strlen(value);
	if (n > 255 || *len + 1 + n + 1 > MDNS_TXT)
		return;
	txt[(*len)++] = (uint8_t)n;
	char text[257];
	snprintf(text, sizeof(text), "%s=%s", key, value);
	memcpy(txt + *len, text, n);
	*len += n;
}

/* Tells accounts apart without telling which. */
static void account_mark(const char *account, char ret[13])
{
	uint8_t hash[32];
	*ret = '\0';
	if (!*account || !EVP_Digest(account, strlen(account), hash, NULL, EVP_sha256(), NULL))
		return;
	for (int i = 0; i < 6; i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
}

static size_t make_txt(const struct discovery_self *self, uint8_t txt[MDNS_TXT])
{
	char key[KEY_TEXT + 4], text[32], account[13];
	size_t len = 0;
	EVP_EncodeBlock((unsigned char *)key, self->key, GOSSIP_KEY); /* 33 bytes: no padding */
	add_pair(txt, &len, "txtvers", "1");
	add_pair(txt, &len, "v", EDGED_VERSION);
	add_pair(txt, &len, "id", key);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)self->instance);
	add_pair(txt, &len, "n", text);
	snprintf(text, sizeof(text), "%u", self->gossip_port);
	add_pair(txt, &len, "g", text);
	account_mark(self->account, account);
	if (*account)
		add_pair(txt, &len, "a", account);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)self->epoch);
	add_pair(txt, &len, "e", text);
	add_pair(txt, &len, "r", self->supernode ? "supernode" : "node");
	return len;
}

/* --- what it tells us ---------------------------------------------------------------------------------------------------------- */

static bool decode_key(const char *text, uint8_t ret[GOSSIP_KEY])
{
	unsigned char bytes[GOSSIP_KEY + 3];
	if (strlen(text) != KEY_TEXT ||
	        EVP_DecodeBlock(bytes, (const unsigned char *)text, KEY_TEXT) != GOSSIP_KEY)
		return false;
	memcpy(ret, bytes, GOSSIP_KEY);
	return ret[0] == 2 || ret[0] == 3;
}

static void found(void *arg, const struct dns_reader *reader, const struct dns_record *txt,
        const struct peer_addr *addresses, unsigned count)
{
	struct discovery *d = arg;
	char id[KEY_TEXT + 2], instance[17], port[8];
	uint8_t key[GOSSIP_KEY];
	if (!dns_txt_get(reader, txt, "id", id, sizeof(id)) ||
	        !dns_txt_get(reader, txt, "n", instance, sizeof(instance)) ||
	        !dns_txt_get(reader, txt, "g", port, sizeof(port)) || !decode_key(id, key))
		return;
	unsigned long number = strtoul(port, NULL, 10);
	if (strtoull(instance, NULL, 16) == d->instance || !number || number > 65535)
		return;                      /* ourselves, or nonsense */
	for (unsigned i = count; i-- > 0;) { /* where it came from last, as the best */
		struct peer_addr addr = addresses[i];
		addr.port = (uint16_t)number;
		d->deps.hint(d->deps.arg, key, &addr);
	}
}

static void network_changed(void *arg)
{
	struct discovery *d = arg;
	seeds_look(d->seeds);
	d->deps.network_changed(d->deps.arg);
}

/* --- peers of earlier days: a line each, KEY ADDRESS... ------------------------------------------------------------------------- */

/* Cuts the next word off `*text` at `end` and terminates it; NULL: no more. */
static char *next_word(char **text, const char *end)
{
	char *word = *text + strspn(*text, end);
	size_t len = strcspn(word, end);
	if (!len)
		return NULL;
	*text = word + len + (word[len] != '\0');
	word[len] = '\0';
	return word;
}

static void hint_line(struct discovery *d, char *line)
{
	char *word = next_word(&line, " ");
	uint8_t key[GOSSIP_KEY];
	if (!word || !decode_key(word, key))
		return;
	while ((word = next_word(&line, " "))) {
		struct peer_addr addr;
		if (!addr_parse(word, &addr))
			d->deps.hint(d->deps.arg, key, &addr);
	}
}

static void read_peers(struct discovery *d)
{
	CLEANUP(buf_fini) struct buf text;
	struct err err;
	buf_init(&text, 64 * 1024);
	int r = file_read(d->deps.folder, PEERS_FILE, &text, &err);
	if (r == -ENOENT)
		return;
	if (r) {
		log_warning("cluster", "cannot read the list of former peers: %s", err.text);
		return;
	}
	char *rest = text.ptr, *line;
	while (rest && (line = next_word(&rest, "\n")))
		hint_line(d, line);
}

static int add_line(struct buf *text, const struct member *m)
{
	char key[KEY_TEXT + 4], addr[ADDR_TEXT];
	EVP_EncodeBlock((unsigned char *)key, m->key, GOSSIP_KEY);
	addr_format(&m->addr, addr);
	int r = buf_addf(text, "%s %s", key, addr);
	for (unsigned i = 0; !r && i < m->try_count; i++) {
		addr_format(&m->tries[i], addr);
		if (!peer_addr_eq(&m->tries[i], &m->addr))
			r = buf_addf(text, " %s", addr);
	}
	return r ? r : buf_add_str(text, "\n");
}

void discovery_save(struct discovery *d, const struct members *members)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	struct err err;
	const struct member *m;
	unsigned kept = 0;
	int r = 0;
	for (unsigned i = 0; !r && kept < KEPT && (m = members_at(members, i)); i++)
		if (member_is_live(m) || m->state == MEMBER_DEAD) {
			r = add_line(&text, m);
			kept++;
		}
	if (!r && kept)
		r = file_replace(d->deps.folder, PEERS_FILE, buf_slice(&text), &err);
	if (r)
		log_warning("cluster", "cannot keep the list of peers: %s",
		        r == -ENOMEM ? "no memory" : err.text);
}

static void save_now(void *arg)
{
	struct discovery *d = arg;
	discovery_save(d, d->members);
}

void discovery_members_changed(struct discovery *d, const struct members *members)
{
	d->members = members;
	timer_set(d->save, SAVE_AFTER);
	seeds_look(d->seeds);
}

/* --- the interface ---------------------------------------------------------------------------------------------------------------- */

static void ask_seed(void *arg, const struct peer_addr *addr)
{
	struct discovery *d = arg;
	gossip_ask(d->deps.gossip, addr);
}

static bool seed_connected(void *arg, const struct peer_addr *addr)
{
	struct discovery *d = arg;
	return d->deps.connected(d->deps.arg, addr);
}

static int start_mdns(struct discovery *d, const struct discovery_self *self)
{
	char instance[64], host[64];
	uint8_t txt[MDNS_TXT];
	/* a label has at most 63 bytes; the id makes both names unique */
	snprintf(instance, sizeof(instance), "%.44s (%.16s)", self->name, self->id);
	snprintf(host, sizeof(host), "edged-%.16s.local", self->id);
	struct mdns_service service = { .type = TYPE,
		.instance = instance,
		.host = host,
		.bound = self->bound,
		.txt = txt,
		.txt_len = make_txt(self, txt) };
	struct mdns_deps deps = { d->deps.loop, d->deps.interfaces, bound_is_local(self->bound), found,
		network_changed, d };
	return mdns_new(&deps, &service, &d->mdns);
}

int discovery_new(const struct discovery_deps *deps, const struct discovery_self *self,
        struct discovery **ret, struct err *err)
{
	struct discovery *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->deps = *deps;
	d->instance = self->instance;
	memcpy(d->key, self->key, GOSSIP_KEY);
	int r = timer_new(deps->loop, save_now, d, &d->save);
	if (!r)
		r = seeds_new(deps->loop, deps->seeds, ask_seed, seed_connected, d, &d->seeds, err);
	if (r) {
		discovery_free(d);
		return r;
	}
	r = deps->mdns ? start_mdns(d, self) : 0;
	if (r)
		log_warning("cluster", "nodes are not found by multicast DNS: %s", strerror(-r));
	read_peers(d);
	*ret = d;
	return 0;
}

void discovery_free(struct discovery *d)
{
	if (!d)
		return;
	mdns_free(d->mdns);
	seeds_free(d->seeds);
	timer_free(d->save);
	free(d);
}

void discovery_update(struct discovery *d, const struct discovery_self *self)
{
	uint8_t txt[MDNS_TXT];
	if (d->mdns)
		mdns_update(d->mdns, self->bound, txt, make_txt(self, txt));
}

struct mdns_counts discovery_counts(const struct discovery *d)
{
	return d->mdns ? mdns_counts(d->mdns) : (struct mdns_counts){ 0 };
}
