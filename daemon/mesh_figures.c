/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_figures.h"

#include "base/cleanup.h"
#include "cluster/cluster.h"
#include "cluster/join.h"
#include "cluster/link.h"
#include "cluster/pairing.h"
#include "cluster/peers.h"
#include "cluster/elsewhere.h"
#include "cluster/proxy.h"
#include "cluster/removals.h"
#include "cluster/signers.h"
#include "mesh.h"
#include "plugin/metrics.h"

static struct members_counts members_of(const struct mesh_parts *parts)
{
	return members_counts(swarm_members(cluster_swarm(parts->cluster)));
}

static struct election_counts election_of(const struct mesh_parts *parts)
{
	return election_counts(swarm_election(cluster_swarm(parts->cluster)));
}

static unsigned known_nodes(const struct mesh_parts *parts)
{
	unsigned n = 0;
	while (members_at(swarm_members(cluster_swarm(parts->cluster)), n))
		n++;
	return n;
}

#define DROPPED "Datagrams of the cluster that were dropped"
#define LINKS   "Links between nodes (limit: cluster.links)"

/* One line a figure: reader, type, name, labels, help, and where it comes from (`p` are the parts). */
#define FIGURES(X)                                                                                           \
	X(members, GAUGE, "cluster_members", NULL, "Other nodes that are members",                           \
	        members_live(swarm_members(cluster_swarm(p->cluster))))                                      \
	X(known, GAUGE, "cluster_known_nodes", NULL,                                                         \
	        "Nodes in the table: members, those gone lately, and up to 256 that were only heard of "     \
	        "(limit: cluster.max_members)",                                                              \
	        known_nodes(p))                                                                              \
	X(supernode, GAUGE, "cluster_supernode", NULL, "Is this node the supernode?",                        \
	        cluster_is_supernode(p->cluster))                                                            \
	X(epoch, GAUGE, "cluster_epoch", NULL, "Number of the present supernode's term",                     \
	        election_epoch(swarm_election(cluster_swarm(p->cluster))))                                   \
	X(health, GAUGE, "cluster_health", NULL, "How far this node doubts itself: 0 well, 8 worst",         \
	        members_of(p).health)                                                                        \
	X(changes, COUNTER, "cluster_supernode_changes_total", NULL, "Other supernodes than before",         \
	        election_of(p).changes)                                                                      \
	X(elections, COUNTER, "cluster_elections_total", NULL, "Times that this node became supernode",      \
	        election_of(p).elections)                                                                    \
	X(handovers, COUNTER, "cluster_handovers_total", NULL, "Times that it handed over",                  \
	        election_of(p).handovers)                                                                    \
	X(claims, COUNTER, "cluster_refused_claims_total", NULL, "Supernodes with too low a claim",          \
	        election_of(p).refused)                                                                      \
	X(probes, COUNTER, "gossip_probes_total", NULL, "Members asked whether they are there",              \
	        members_of(p).probes)                                                                        \
	X(failed_probes, COUNTER, "gossip_failed_probes_total", NULL, "Those that did not answer",           \
	        members_of(p).failed_probes)                                                                 \
	X(suspicions, COUNTER, "gossip_suspicions_total", NULL, "Members suspected to be gone",              \
	        members_of(p).suspicions)                                                                    \
	X(refuted, COUNTER, "gossip_refuted_total", NULL, "Suspicions that were wrong",                      \
	        members_of(p).refuted)                                                                       \
	X(deaths, COUNTER, "gossip_deaths_total", NULL, "Members found to be gone", members_of(p).deaths)    \
	X(syncs, COUNTER, "gossip_lists_total", NULL, "Lists of members sent", members_of(p).syncs)          \
	X(duplicates, COUNTER, "gossip_duplicates_total", NULL, "Two processes found with one node id",      \
	        members_of(p).duplicates)                                                                    \
	X(received, COUNTER, "gossip_received_total", NULL, "Datagrams received",                            \
	        cluster_counts(p->cluster).received)                                                         \
	X(sent, COUNTER, "gossip_sent_total", NULL, "Datagrams sent", cluster_counts(p->cluster).sent)       \
	X(received_bytes, COUNTER, "gossip_received_bytes_total", NULL, "Bytes of them",                     \
	        cluster_counts(p->cluster).received_bytes)                                                   \
	X(sent_bytes, COUNTER, "gossip_sent_bytes_total", NULL, "Bytes of them",                             \
	        cluster_counts(p->cluster).sent_bytes)                                                       \
	X(send_failures, COUNTER, "gossip_send_failures_total", NULL, "Datagrams that could not be sent",    \
	        cluster_counts(p->cluster).send_failures)                                                    \
	X(forged, COUNTER, "gossip_dropped_total", "reason=\"forged\"", DROPPED,                             \
	        cluster_counts(p->cluster).envelope.forged)                                                  \
	X(replayed, COUNTER, "gossip_dropped_total", "reason=\"replayed\"", DROPPED,                         \
	        cluster_counts(p->cluster).envelope.replayed)                                                \
	X(limited, COUNTER, "gossip_dropped_total", "reason=\"limited\"", DROPPED,                           \
	        cluster_counts(p->cluster).envelope.limited)                                                 \
	X(malformed, COUNTER, "gossip_dropped_total", "reason=\"malformed\"", DROPPED,                       \
	        cluster_counts(p->cluster).envelope.malformed + swarm_malformed(cluster_swarm(p->cluster)))  \
	X(no_room, COUNTER, "gossip_dropped_total", "reason=\"no room\"", DROPPED, members_of(p).dropped)    \
	X(barred, COUNTER, "gossip_dropped_total", "reason=\"removed\"", DROPPED, members_of(p).barred)      \
	X(secrets, GAUGE, "gossip_secrets", NULL,                                                            \
	        "Keys kept for other nodes (limit: twice cluster.max_members)",                              \
	        cluster_counts(p->cluster).envelope.held)                                                    \
	X(mdns_faces, GAUGE, "mdns_interfaces", NULL, "Interfaces that multicast DNS uses, at most 32",      \
	        cluster_mdns_counts(p->cluster).faces)                                                       \
	X(mdns_received, COUNTER, "mdns_received_total", NULL, "Messages of multicast DNS received",         \
	        cluster_mdns_counts(p->cluster).received)                                                    \
	X(mdns_malformed, COUNTER, "mdns_malformed_total", NULL, "Those that cannot be read",                \
	        cluster_mdns_counts(p->cluster).malformed)                                                   \
	X(mdns_sent, COUNTER, "mdns_sent_total", NULL, "Messages of multicast DNS sent",                     \
	        cluster_mdns_counts(p->cluster).sent)                                                        \
	X(links_dialled, GAUGE, "links", "direction=\"dialled\"", LINKS, links_counts(p->links).dialled)     \
	X(links_served, GAUGE, "links", "direction=\"served\"", LINKS, links_counts(p->links).served)        \
	X(links_dials, COUNTER, "links_dials_total", NULL, "Links begun", links_counts(p->links).dials)      \
	X(links_failures, COUNTER, "links_dial_failures_total", NULL, "Links that came to nothing",          \
	        links_counts(p->links).failures)                                                             \
	X(links_open, GAUGE, "link_requests_open", NULL,                                                     \
	        "Requests at other nodes, those of this node itself included "                               \
	        "(limit for each node: cluster.link_requests)",                                              \
	        links_counts(p->links).open)                                                                 \
	X(links_calls, COUNTER, "link_requests_total", NULL, "Requests to other nodes",                      \
	        links_counts(p->links).calls)                                                                \
	X(links_answers, COUNTER, "link_answers_total", NULL, "Those that were answered",                    \
	        links_counts(p->links).answers)                                                              \
	X(links_bytes, GAUGE, "link_held_bytes", NULL,                                                       \
	        "Bytes of bodies that came over links and wait to be dealt with, or wait to leave "          \
	        "(limit for each body: cluster.link_window, http.body_window or http.stream_mark)",          \
	        links_held(p->links))                                                                        \
	X(links_refused, COUNTER, "links_refused_total", NULL, "Links and requests beyond the limits",       \
	        links_counts(p->links).refused)                                                              \
	X(proxy_open, GAUGE, "proxy_requests_open", NULL, "Requests that are passed on to other nodes",      \
	        proxy_counts(p->proxy).open)                                                                 \
	X(proxy_tunnels, GAUGE, "proxy_websockets_open", NULL,                                               \
	        "Those of them that are WebSockets (limit: cluster.websockets)",                             \
	        proxy_counts(p->proxy).tunnels)                                                              \
	X(proxy_total, COUNTER, "proxy_requests_total", "to=\"others\"", "Requests to /nodes/...",           \
	        proxy_counts(p->proxy).total)                                                                \
	X(proxy_local, COUNTER, "proxy_requests_total", "to=\"self\"", "Requests to /nodes/...",             \
	        proxy_counts(p->proxy).local)                                                                \
	X(proxy_failed, COUNTER, "proxy_failures_total", NULL, "Those without a whole answer",               \
	        proxy_counts(p->proxy).failed)                                                               \
	X(proxy_retried, COUNTER, "proxy_retries_total", NULL, "Requests to /any/... taken to another node", \
	        proxy_counts(p->proxy).retried)                                                              \
	X(proxy_cached, COUNTER, "proxy_cached_total", NULL,                                                 \
	        "Requests that the cache of this node answered", proxy_counts(p->proxy).cached)              \
	X(proxy_by_holder, COUNTER, "proxy_by_cache_role_total", NULL,                                       \
	        "Requests that went through the node with the cache role", proxy_counts(p->proxy).by_holder) \
	X(proxy_avoided, GAUGE, "proxy_nodes_avoided", NULL, "Nodes that failed lately, at most 64",         \
	        proxy_counts(p->proxy).avoided)                                                              \
	X(searches_open, GAUGE, "searches_open", NULL,                                                       \
	        "Searches for the node that has what a request is about, at most 64",                        \
	        elsewhere_counts(p->elsewhere).open)                                                         \
	X(searches_found, COUNTER, "searches_total", "end=\"found\"",                                        \
	        "Requests for what is not here, by what came of them", elsewhere_counts(p->elsewhere).found) \
	X(searches_none, COUNTER, "searches_total", "end=\"none\"",                                          \
	        "Requests for what is not here, by what came of them", elsewhere_counts(p->elsewhere).none)  \
	X(searches_unknown, COUNTER, "searches_total", "end=\"unknown\"",                                    \
	        "Requests for what is not here, by what came of them",                                       \
	        elsewhere_counts(p->elsewhere).unknown)                                                      \
	X(searches_questions, COUNTER, "search_questions_total", NULL, "Nodes asked in searches",            \
	        elsewhere_counts(p->elsewhere).questions)                                                    \
	X(peers_known, GAUGE, "account_nodes", NULL,                                                         \
	        "Nodes that say they are of this account, at most "                                          \
	        "1024",                                                                                      \
	        peers_counts(p->peers).known)                                                                \
	X(peers_proven, GAUGE, "account_nodes_trusted", NULL, "Those that have proven it",                   \
	        peers_counts(p->peers).proven)                                                               \
	X(peers_asked, GAUGE, "account_questions_open", NULL, "Nodes being asked for that, at most 4",       \
	        peers_counts(p->peers).asked)                                                                \
	X(peers_questions, COUNTER, "account_questions_total", NULL, "Times that one was asked",             \
	        peers_counts(p->peers).questions)                                                            \
	X(peers_failures, COUNTER, "account_question_failures_total", NULL, "Times without an answer",       \
	        peers_counts(p->peers).failures)                                                             \
	X(peers_bytes, GAUGE, "account_services_bytes", NULL,                                                \
	        "Lists of services of other nodes (limit: cluster.services)", peers_counts(p->peers).bytes)  \
	X(peers_refused, COUNTER, "account_refused_total", NULL, "Nodes and lists beyond the limits",        \
	        peers_counts(p->peers).refused)                                                              \
	X(removed, GAUGE, "account_nodes_removed", NULL, "Nodes on the list of removed ones, at most 512",   \
	        removals_counts(p->removals).removed)                                                        \
	X(removed_questions, COUNTER, "account_removals_asked_total", NULL,                                  \
	        "Times that a node was asked for that list", removals_counts(p->removals).questions)         \
	X(removed_failures, COUNTER, "account_removals_failures_total", NULL, "Times without a newer one",   \
	        removals_counts(p->removals).failures)                                                       \
	X(signers, GAUGE, "account_signers", NULL,                                                           \
	        "Nodes that may sign besides the holder of the account's key, at most 8",                    \
	        signers_counts(p->signers).signers)                                                          \
	X(signers_former, GAUGE, "account_signers_former", NULL,                                             \
	        "Nodes that might, and whose certificate for it could still be good, at most 32",            \
	        signers_counts(p->signers).former)                                                           \
	X(signers_signed, COUNTER, "account_signers_signed_total", NULL,                                     \
	        "Certificates of signers that this node signed",                                             \
	        signers_counts(p->signers).signed_certificates)                                              \
	X(signer_renewals, COUNTER, "signer_renewals_total", NULL,                                           \
	        "Certificates that this node got as a signer", signers_counts(p->signers).renewals)          \
	X(signer_failures, COUNTER, "signer_renewal_failures_total", NULL, "Times that it got none",         \
	        signers_counts(p->signers).failures)                                                         \
	X(join_open, GAUGE, "invites_open", NULL, "Invites that are good now, at most 16",                   \
	        join_counts(p->join).open)                                                                   \
	X(join_shut, GAUGE, "join_sources_shut", NULL,                                                       \
	        "Addresses refused for wrong proofs; those of 64 are counted "                               \
	        "(limits: cluster.join_tries, cluster.join_penalty)",                                        \
	        join_counts(p->join).shut)                                                                   \
	X(join_invites, COUNTER, "invites_total", NULL, "Invites made", join_counts(p->join).invites)        \
	X(join_joined, COUNTER, "joins_total", NULL, "Nodes that joined by them",                            \
	        join_counts(p->join).joined)                                                                 \
	X(join_refused, COUNTER, "joins_refused_total", NULL, "Nodes whose proof was wrong",                 \
	        join_counts(p->join).refused)                                                                \
	X(join_renewals, COUNTER, "certificate_renewals_total", NULL,                                        \
	        "Times that the certificate was renewed", join_counts(p->join).renewals)                     \
	X(join_renewal_failures, COUNTER, "certificate_renewal_failures_total", NULL,                        \
	        "Times that it could not be", join_counts(p->join).renewal_failures)                         \
	X(pair_open, GAUGE, "pairing_codes_open", NULL,                                                      \
	        "Is a pairing code shown that is still good? (limit: cluster.pairing_life)",                 \
	        pairing_counts(p->pairing).open)                                                             \
	X(pair_codes, COUNTER, "pairing_codes_total", NULL, "Pairing codes shown",                           \
	        pairing_counts(p->pairing).codes)                                                            \
	X(pair_tries, COUNTER, "pairing_tries_total", NULL,                                                  \
	        "Times that other nodes tried a code (limit for each: cluster.pairing_tries)",               \
	        pairing_counts(p->pairing).exchanges)                                                        \
	X(pair_wrong, COUNTER, "pairing_wrong_total", NULL, "Those that did not know it",                    \
	        pairing_counts(p->pairing).wrong)                                                            \
	X(pair_refused, COUNTER, "pairing_refused_total", NULL,                                              \
	        "Nodes that were not let try: no code, one at a time, and not sooner than "                  \
	        "cluster.pairing_gap",                                                                       \
	        pairing_counts(p->pairing).refused)                                                          \
	X(pair_paired, COUNTER, "pairing_joined_total", NULL, "Times that this node joined by a code",       \
	        pairing_counts(p->pairing).paired)                                                           \
	X(pair_asked, COUNTER, "pairing_asked_total", NULL, "Codes of other nodes typed here",               \
	        pairing_counts(p->pairing).asked)                                                            \
	X(pair_admitted, COUNTER, "pairing_admitted_total", NULL, "Nodes that joined by them",               \
	        pairing_counts(p->pairing).admitted)

#define READER(id, type, name, labels, help, expression)                                                     \
	static int64_t id(void *arg)                                                                         \
	{                                                                                                    \
		const struct mesh_parts *p = arg;                                                            \
		return (int64_t)(expression);                                                                \
	}
FIGURES(READER)

int mesh_figures_add(struct metrics *metrics, const void *owner, const struct mesh_parts *parts)
{
	static const struct {
		enum edged_metric_type type;
		const char *name, *labels, *help;
		int64_t (*read)(void *arg);
	} rows[] = {
#define ROW(id, type, name, labels, help, expression) { EDGED_##type, name, labels, help, id },
		FIGURES(ROW)
	};
	int r = 0;
	for (size_t i = 0; !r && i < ARRAY_LEN(rows); i++)
		r = metrics_read(metrics, owner, rows[i].type, rows[i].name, rows[i].labels, rows[i].help,
		        rows[i].read, (void *)(uintptr_t)parts);
	return r;
}
