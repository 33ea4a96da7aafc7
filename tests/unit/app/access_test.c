/* SPDX-License-Identifier: Apache-2.0 */
/* Who may use REST, and the state folder that one daemon at a time owns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access.h"
#include "state.h"

static char folder[] = "/tmp/edged-access-XXXXXX";
static char key_path[64];
static char key[65];

static int setup(void **state)
{
	(void)state;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	if (!mkdtemp(folder))
		return -1;
	snprintf(key_path, sizeof(key_path), "%s/access.key", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[96];
	snprintf(command, sizeof(command), "%s/lock", folder);
	unlink(command);
	snprintf(command, sizeof(command), "%s/run.json", folder);
	unlink(command);
	unlink(key_path);
	return rmdir(folder);
}

static struct access *open_access(bool dev)
{
	struct access *access = NULL;
	struct err err = { "" };
	assert_int_equal(access_new(key_path, dev, &access, &err), 0);
	FILE *file = fopen(key_path, "r");
	assert_non_null(file);
	assert_non_null(fgets(key, sizeof(key), file));
	fclose(file);
	return access;
}

static int judge(struct access *access, const struct edged_peer *peer, const char *path, const char *host,
        const char *authorization)
{
	struct access_request request = { .method = edged_str("GET"),
		.path = edged_str(path),
		.host = edged_str(host),
		.authorization = edged_str(authorization),
		.peer = peer };
	const char *title = NULL, *detail = NULL;
	int status = access_judge(access, &request, &title, &detail);
	assert_true((status > ACCESS_ANYBODY) == !!title && !title == !detail);
	return status;
}

static const struct edged_peer loopback = { .loopback = true, .uid = -1 };
static const struct edged_peer remote = { .uid = -1 };
static const struct edged_peer stranger = { .uid = -1, .tls = true };
static const struct edged_peer friend = { .uid = -1, .tls = true, .trusted = true };
static const struct edged_peer owner = { .uid = 0, .loopback = true, .trusted = true };
static const struct edged_peer other_user = { .uid = 1000, .loopback = true };

static void the_key_opens_loopback(void **state)
{
	(void)state;
	struct access *access = open_access(false);
	char bearer[128], wrong[128];
	snprintf(bearer, sizeof(bearer), "Bearer %s", key);
	snprintf(wrong, sizeof(wrong), "Bearer %.63s%c", key, key[63] == '0' ? '1' : '0');
	assert_int_equal(judge(access, &loopback, "/edge/v1/node", "localhost", NULL), 401);
	assert_int_equal(judge(access, &loopback, "/edge/v1/node", "localhost", bearer), 0);
	assert_int_equal(judge(access, &loopback, "/edge/v1/node", "localhost", wrong), 401);
	bearer[strlen(bearer) - 1] = '\0';
	assert_int_equal(judge(access, &loopback, "/edge/v1/node", "localhost", bearer), 401);
	assert_int_equal(judge(access, &loopback, "/edge/v1/node", "localhost", ""), 401);
	access_free(access);
	struct stat st;
	assert_int_equal(stat(key_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void dev_opens_loopback_to_local_names_only(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		int status;
	} rows[] = { { "localhost", 0 }, { "localhost:8083", 0 }, { "127.0.0.1:1", 0 }, { "[::1]:8083", 0 },
		{ NULL, 0 }, { "LocalHost", 0 }, { "evil.example", 403 }, { "localhost.evil.example", 403 },
		{ "127.0.0.1.evil", 403 }, { "", 403 } };
	struct access *access = open_access(true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		        judge(access, &loopback, "/edge/v1/node", rows[i].host, NULL), rows[i].status);
	access_free(access);
}

static void others_get_in_by_trust_alone(void **state)
{
	(void)state;
	struct access *access = open_access(true);
	assert_int_equal(judge(access, &remote, "/edge/v1/node", NULL, NULL), 403);
	assert_int_equal(judge(access, &stranger, "/edge/v1/node", NULL, NULL), 401);
	assert_int_equal(judge(access, &stranger, "/edge/v1/account/sign", NULL, NULL), 401);
	assert_int_equal(judge(access, &friend, "/edge/v1/node", NULL, NULL), 0);
	assert_int_equal(judge(access, &owner, "/edge/v1/node", NULL, NULL), 0);
	assert_int_equal(judge(access, &other_user, "/edge/v1/node", NULL, NULL), 403);
	assert_int_equal(judge(access, &stranger, "/healthz", NULL, NULL), ACCESS_ANYBODY);
	assert_int_equal(judge(access, &friend, "/healthz", NULL, NULL), 0);
	assert_int_equal(judge(access, &stranger, "/healthz/", NULL, NULL), 401);
	struct access_request join = {
		.method = edged_str("POST"), .path = edged_str("/edge/v1/account/sign"), .peer = &stranger
	};
	const char *title, *detail;
	assert_int_equal(access_judge(access, &join, &title, &detail), ACCESS_ANYBODY);
	access_free(access);
}

static void a_damaged_key_is_an_error(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "short", "zz", NULL };
	for (size_t i = 0; texts[i]; i++) {
		FILE *file = fopen(key_path, "w");
		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
		struct access *access = NULL;
		struct err err = { "" };
		assert_int_equal(access_new(key_path, false, &access, &err), -EINVAL);
		assert_non_null(strstr(err.text, key_path));
		assert_null(access);
	}
}

static void one_daemon_owns_a_state_folder(void **unused)
{
	(void)unused;
	struct state *state = NULL;
	struct err err = { "" };
	assert_int_equal(state_open(folder, &state, &err), 0);
	assert_int_equal(state_write_run(state, edged_str("{}"), &err), 0);
	pid_t child = fork();
	if (child == 0) {
		struct state *second = NULL;
		char pid[16];
		snprintf(pid, sizeof(pid), "%d", (int)getppid());
		int r = state_open(folder, &second, &err);
		_exit(r == -EBUSY && strstr(err.text, pid) && strstr(err.text, folder) ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	char *run = state_path(state, "run.json");
	assert_int_equal(access(run, F_OK), 0);
	state_close(state);
	assert_int_equal(access(run, F_OK), -1);
	free(run);
	assert_int_equal(state_open(folder, &state, &err), 0);
	state_close(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_key_opens_loopback, setup, teardown),
		cmocka_unit_test_setup_teardown(dev_opens_loopback_to_local_names_only, setup, teardown),
		cmocka_unit_test_setup_teardown(others_get_in_by_trust_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_key_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(one_daemon_owns_a_state_folder, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
