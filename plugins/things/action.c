/* SPDX-License-Identifier: Apache-2.0 */
#include "action.h"

#include <strings.h>
#include "variable.h"

/* The names of AWS; several may mean the same. Those with -1 belong into policies of cloud devices and mean nothing
 * here. */
static const struct {
	const char *name;
	int action;
} names[] = {
#define ROW(name, text) { text, EDGED_##name },
	EDGED_ACTIONS(ROW)
#undef ROW
	/* older policies name the actions of jobs so */
	{ "iot:DescribeJobExecution", EDGED_DESCRIBE_JOB },
	{ "iot:GetPendingJobExecutions", EDGED_GET_PENDING_JOBS },
	{ "iot:StartNextPendingJobExecution", EDGED_START_NEXT_JOB },
	{ "iot:UpdateJobExecution", EDGED_UPDATE_JOB },
	{ "greengrass:PutCertificateAuthorities", -1 },
	{ "greengrass:VerifyClientDeviceIdentity", -1 },
	{ "greengrass:VerifyClientDeviceIoTCertificateAssociation", -1 },
	{ "greengrass:GetComponentVersionArtifact", -1 },
	{ "greengrass:ResolveComponentCandidates", -1 },
	{ "greengrass:GetDeploymentConfiguration", -1 },
	{ "greengrass:ListThingGroupsForCoreDevice", -1 },
	{ "greengrass:GetConnectivityInfo", -1 },
	{ "greengrass:UpdateConnectivityInfo", -1 },
	{ "iot:AssumeRoleWithCertificate", -1 },
};

/* `*` any run, `?` one character; in any case. Patterns and names are short. */
static bool fits(struct edged_slice pattern, struct edged_slice name)
{
	size_t p = 0, n = 0, star = SIZE_MAX, from = 0;
	while (n < name.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			from = n;
		} else if (p < pattern.len &&
		           (pattern.ptr[p] == '?' || strncasecmp(pattern.ptr + p, name.ptr + n, 1) == 0)) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			n = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

bool actions_read(struct edged_slice pattern, uint32_t *ret, const char **ret_why)
{
	bool found = false;
	*ret = 0;
	*ret_why = "no action of AWS IoT is meant by this: they are named iot:Connect, iot:Publish, "
	           "iot:Subscribe, "
	           "iot:Receive and so on";
	if (pattern.len > 128)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!fits(pattern, edged_str(names[i].name)))
			continue;
		found = true;
		if (names[i].action >= 0)
			*ret |= 1u << names[i].action;
	}
	return found;
}

struct edged_slice resource_prefix(enum resource resource)
{
	static const char *const prefixes[RESOURCES] = { [RESOURCE_TOPIC] = "topic/",
		[RESOURCE_FILTER] = "topicfilter/",
		[RESOURCE_CLIENT] = "client/",
		[RESOURCE_THING] = "thing/",
		[RESOURCE_NONE] = "*" };
	return edged_str(prefixes[resource]);
}

enum resource action_resource(enum edged_action action)
{
	static const uint8_t kinds[EDGED_ACTION_COUNT] = { [EDGED_CONNECT] = RESOURCE_CLIENT,
		[EDGED_PUBLISH] = RESOURCE_TOPIC,
		[EDGED_RETAIN_PUBLISH] = RESOURCE_TOPIC,
		[EDGED_RECEIVE] = RESOURCE_TOPIC,
		[EDGED_SUBSCRIBE] = RESOURCE_FILTER,
		[EDGED_GET_SHADOW] = RESOURCE_THING,
		[EDGED_UPDATE_SHADOW] = RESOURCE_THING,
		[EDGED_DELETE_SHADOW] = RESOURCE_THING,
		[EDGED_LIST_SHADOWS] = RESOURCE_THING,
		[EDGED_GET_RETAINED] = RESOURCE_TOPIC,
		[EDGED_LIST_RETAINED] = RESOURCE_NONE,
		[EDGED_DELETE_CONNECTION] = RESOURCE_CLIENT,
		[EDGED_DISCOVER] = RESOURCE_THING,
		[EDGED_DESCRIBE_JOB] = RESOURCE_THING,
		[EDGED_GET_PENDING_JOBS] = RESOURCE_THING,
		[EDGED_START_NEXT_JOB] = RESOURCE_THING,
		[EDGED_UPDATE_JOB] = RESOURCE_THING };
	return kinds[action];
}
