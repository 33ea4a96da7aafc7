/* SPDX-License-Identifier: Apache-2.0 */
#include "pace.h"

#include "frame.h"

#define BURST       4  /* groups that may follow each other before it matters what they cost */
#define TRIAL       2  /* a trial waits so many times the usual interval between groups */
#define SPACING_MAX 64 /* groups between two trials that bring nothing */
#define AVERAGE     8

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Moves *value by an n-th of the way to `to`. */
static void approach(uint64_t *value, uint64_t to, unsigned n)
{
	if (to > *value)
		*value += (to - *value) / n;
	else
		*value -= (*value - to) / n;
}

/* --- what comes -------------------------------------------------------------------------------------------------------- */

static void came(struct pace *p, uint64_t now, size_t bytes)
{
	if (p->gathering && now > p->latest && now - p->latest > p->longest)
		p->longest = now - p->latest;
	p->latest = now;
	p->bytes += bytes;
}

/* The next record would begin another block. */
static bool blocks_full(const struct pace *p)
{
	uint64_t records = p->records - p->records * (uint64_t)p->saved / 1024;
	uint64_t left = frame_bytes(records) - FRAME_HEAD - records;
	return p->commits && records && left < records / p->commits;
}

bool pace_commit(struct pace *p, uint64_t now, size_t bytes, size_t records)
{
	came(p, now, bytes);
	p->commits++;
	p->records += records;
	return p->gathering && (p->bytes >= GROUP_BYTES || blocks_full(p));
}

bool pace_read(struct pace *p, uint64_t now, size_t bytes)
{
	bool first = !p->reading;
	came(p, now, bytes);
	p->reading = true;
	return p->gathering && first;
}

/* --- how long to wait -------------------------------------------------------------------------------------------------- */

/* Groups come so often that what they cost matters. */
static bool often(const struct pace *p, uint64_t now)
{
	return p->forgiven > now + BURST * p->max_us;
}

void pace_begin(struct pace *p, uint64_t now)
{
	p->started = now;
	p->longest = 0;
	p->trial = false;
	p->usual = p->company ? p->group_us : 0;
	if (!often(p, now)) {
		p->missed = 0;
		p->spacing = 1;
	} else if (p->learned > p->usual) {
		p->usual = p->learned;
	}
	p->gap = p->usual;
	if (p->missed >= p->spacing && p->usual < p->max_us) {
		p->trial = true;
		p->gap = least(TRIAL * p->interval, p->max_us);
		if (p->gap < p->usual)
			p->gap = p->usual;
	}
	/* Who only reads gains nothing by waiting. */
	p->gathering = p->commits && p->group_us && p->max_us && p->gap;
}

uint64_t pace_due(const struct pace *p)
{
	if (!p->gathering || p->bytes >= GROUP_BYTES)
		return p->started;
	/* A read waits no longer than company would. */
	uint64_t due = p->reading ? p->started + least(p->gap, p->group_us) : p->latest + p->gap;
	due = least(due, p->started + p->max_us);
	return blocks_full(p) ? least(due, p->started + p->max_us / 4) : due;
}

/* --- what it has brought ----------------------------------------------------------------------------------------------- */

static void learn(struct pace *p, bool silence)
{
	uint64_t worth = least(2 * p->longest, p->max_us);
	if (p->trial) {
		bool useful = p->longest > p->usual;
		p->missed = 0;
		p->spacing = useful ? 1 : (unsigned)least(2 * p->spacing, SPACING_MAX);
	} else if (silence) {
		p->missed++;
	}
	if (worth >= p->learned)
		p->learned = worth;
	else
		approach(&p->learned, worth, silence ? 2 : AVERAGE);
}

void pace_end(struct pace *p, uint64_t now)
{
	if (p->commits) {
		if (often(p, now) && !p->reading)
			learn(p, now >= p->latest + p->gap);
		approach(&p->interval, least(p->started - p->begun, 2 * p->max_us), AVERAGE);
		/* What a trial took for nothing is not how often groups come. */
		p->begun = p->trial && p->longest <= p->usual ? now : p->started;
		p->company = p->commits > 1;
		p->forgiven = (p->forgiven > now ? p->forgiven : now) + p->max_us;
		/* As many more are remembered, so that a trial or two do not look like a rest. */
		p->forgiven = least(p->forgiven, now + 2 * BURST * p->max_us);
	}
	p->gathering = p->reading = false;
	p->commits = 0;
	p->bytes = p->records = 0;
}

/* The worst counts for a while: one block too many costs more than one that is not quite full. */
void pace_stored(struct pace *p, uint64_t records, uint64_t squeezed)
{
	if (!records)
		return;
	uint32_t saved = (uint32_t)((records - squeezed) * 1024 / records);
	if (saved < p->saved)
		p->saved = saved;
	else
		p->saved += (saved - p->saved) / AVERAGE;
}
