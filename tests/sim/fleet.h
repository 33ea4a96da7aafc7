/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as they carry messages: on each one broker and mesh, the plugins as they are built, on hosts in memory. Their
 * clocks, their disks and the network between them move when told, so that a seed gives the same run again.
 *
 * One in a process: the clock and the random numbers that the plugins ask libc for are the fleet's.
 */
#ifndef TESTS_SIM_FLEET_H
#define TESTS_SIM_FLEET_H

#include "edged/cap_session.h"
#include "fake_host.h"

enum { FLEET_MAX = 6 };

struct fleet;

/* Reads the plugins beside the program, "../plugins/NAME.so"; NULL, and a word on standard error: they cannot be. */
struct fleet *fleet_new(uint64_t seed, unsigned nodes);
void fleet_free(struct fleet *fleet);
uint64_t fleet_random(struct fleet *fleet, uint64_t below);
uint64_t fleet_now(const struct fleet *fleet); /* ms */
/* Called after every step of time, when nothing is left to be done before the next one. */
void fleet_each_step(struct fleet *fleet, void (*step)(void *arg), void *arg);
void fleet_run(struct fleet *fleet, uint64_t ms);

/* --- nodes. Those that run are known to the others, if the network lets them, a while later --- */
void fleet_start(struct fleet *fleet, unsigned node);
void fleet_stop(struct fleet *fleet, unsigned node); /* in order */
/* What was not committed is lost. power: the others hear nothing of it until it is back, else its system says so. */
void fleet_kill(struct fleet *fleet, unsigned node, bool power);
bool fleet_runs(const struct fleet *fleet, unsigned node);
/* It does not run; its disk is another one, empty. */
void fleet_wipe(struct fleet *fleet, unsigned node);
/* How long what is written waits at most for the disk. */
void fleet_disk(struct fleet *fleet, unsigned node, unsigned ms);
void fleet_fill(struct fleet *fleet, unsigned node, bool full); /* there is no room: what is written fails */

/* --- the network. Links work in both directions or not at all; what is under way waits, as TCP would --- */
void fleet_cut(struct fleet *fleet, unsigned a, unsigned b, bool on);
void fleet_reset(struct fleet *fleet, unsigned a, unsigned b); /* the connection between them ends */

/* --- clients and looks --- */
struct fake_peer *fleet_client(struct fleet *fleet, unsigned node); /* a new connection with the broker */
const struct edged_session_1 *fleet_sessions(struct fleet *fleet, unsigned node);
/* A figure of `node` about `other`, by name and further labels (",state=\"waiting\""); 0: it does not know it yet. */
int64_t fleet_figure(
        const struct fleet *fleet, unsigned node, unsigned other, const char *name, const char *labels);
/* Each is connected with each, and nothing waits for any of them. */
bool fleet_is_quiet(const struct fleet *fleet);

#endif
