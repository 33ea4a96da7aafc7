/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/host_info.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of a small file, without its end; "" when it cannot be read. */
static void read_line(const char *path, char *ret, size_t size)
{
	FILE *file = fopen(path, "re");
	*ret = '\0';
	if (!file)
		return;
	if (fgets(ret, (int)size, file))
		ret[strcspn(ret, "\n")] = '\0';
	else
		*ret = '\0';
	fclose(file);
}

/* The value after `separator` of the first line that starts with `key`. */
static void read_value(const char *path, const char *key, char separator, char *ret, size_t size)
{
	char line[512];
	FILE *file = fopen(path, "re");
	*ret = '\0';
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char *at = strncmp(line, key, strlen(key)) ? NULL : strchr(line, separator);
		if (!at)
			continue;
		at += 1 + strspn(at + 1, " \t\"");
		at[strcspn(at, "\"\n")] = '\0';
		snprintf(ret, size, "%.*s", (int)size - 1, at);
		break;
	}
	fclose(file);
}

static void read_machine(struct node_description *d)
{
	struct utsname name;
	struct sysinfo info;
	read_value("/etc/os-release", "ID=", '=', d->os, sizeof(d->os));
	read_value("/proc/cpuinfo", "model name", ':', d->cpu, sizeof(d->cpu));
	if (!uname(&name)) {
		snprintf(d->kernel, sizeof(d->kernel), "%.*s", (int)sizeof(d->kernel) - 1, name.release);
		if (!*d->cpu)
			snprintf(d->cpu, sizeof(d->cpu), "%.*s", (int)sizeof(d->cpu) - 1, name.machine);
	}
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	d->cores = (uint16_t)(cores < 1 ? 1 : cores > 1024 ? 1024 : cores);
	if (!sysinfo(&info))
		d->memory_mib = (uint32_t)((uint64_t)info.totalram * info.mem_unit >> 20);
}

/* Rounded down to two digits, so that every written file is no news for the cluster. */
static void read_storage(const char *folder, struct node_description *d)
{
	struct statvfs fs;
	if (statvfs(folder, &fs))
		return;
	uint64_t mib = (uint64_t)fs.f_bavail * fs.f_frsize >> 20, step = 1;
	while (mib / step >= 100)
		step *= 10;
	mib = mib / step * step;
	d->storage_mib = mib > UINT32_MAX ? UINT32_MAX : (uint32_t)mib;
}

/* On a battery only when there is one and no supply is on line. */
static bool has_mains(void)
{
	DIR *folder = opendir("/sys/class/power_supply");
	bool battery = false, online = false;
	const struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		char path[320], text[32];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/class/power_supply/%s/type", entry->d_name);
		read_line(path, text, sizeof(text));
		battery |= !strcmp(text, "Battery");
		snprintf(path, sizeof(path), "/sys/class/power_supply/%s/online", entry->d_name);
		read_line(path, text, sizeof(text));
		online |= !strcmp(text, "1");
	}
	if (folder)
		closedir(folder);
	return !battery || online;
}

static uint8_t link_class(const char *name)
{
	char path[128];
	if (!strncmp(name, "wwan", 4) || !strncmp(name, "ppp", 3))
		return LINK_CELLULAR;
	snprintf(path, sizeof(path), "/sys/class/net/%.64s/phy80211", name);
	return access(path, F_OK) ? LINK_WIRED : LINK_WIFI;
}

/* The interface of a default route: "Iface Destination ..." with destination and mask 0. */
static bool default_route(char name[64])
{
	char line[256];
	unsigned long destination, mask;
	bool found = false;
	FILE *file = fopen("/proc/net/route", "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63s %lx %*s %*s %*s %*s %*s %lx", name, &destination, &mask) == 3 &&
		        !destination && !mask;
	if (file)
		fclose(file);
	file = found ? NULL : fopen("/proc/net/ipv6_route", "re");
	char to[64], length[8];
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63s %7s %*s %*s %*s %*s %*s %*s %*s %63s", to, length, name) == 3 &&
		        !strcmp(length, "00") && strcmp(name, "lo") != 0;
	if (file)
		fclose(file);
	return found;
}

/* The best link of the interfaces that are up. */
static uint8_t best_link(void)
{
	DIR *folder = opendir("/sys/class/net");
	uint8_t best = LINK_CELLULAR;
	const struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		char path[320], state[16];
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "lo"))
			continue;
		snprintf(path, sizeof(path), "/sys/class/net/%s/operstate", entry->d_name);
		read_line(path, state, sizeof(state));
		uint8_t class = strcmp(state, "up") ? LINK_CELLULAR : link_class(entry->d_name);
		best = class > best ? class : best;
	}
	if (folder)
		closedir(folder);
	return best;
}

void host_info_read(const char *folder, struct node_description *d)
{
	char uplink[64];
	read_machine(d);
	read_storage(folder, d);
	d->rank.mains = has_mains();
	d->rank.link = best_link();
	d->rank.uplink = default_route(uplink) ? (uint8_t)(link_class(uplink) + 1) : UPLINK_NONE;
	d->rank.capacity = rank_capacity_class(d->cores, d->memory_mib);
}
