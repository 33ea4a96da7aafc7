/* SPDX-License-Identifier: Apache-2.0 */
#include "access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cluster/files.h"

enum { KEY_BYTES = 32, KEY_CHARS = KEY_BYTES * 2 };

struct access {
	bool dev;
	char key[KEY_CHARS + 1];
};

static int make_key(const char *path, char *key, struct err *err)
{
	unsigned char bytes[KEY_BYTES];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_set(err, -EIO, "%s: no random bytes from the kernel: %s", path, strerror(errno));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(key + 2 * i, 3, "%02x", bytes[i]);
	const char *slash = strrchr(path, '/');
	CLEANUP(free_charp)
	char *folder = !slash          ? strdup(".")
	               : slash == path ? strdup("/")
	                               : strndup(path, (size_t)(slash - path));
	if (!folder)
		return -ENOMEM;
	return file_replace(folder, slash ? slash + 1 : path, edged_slice(key, KEY_CHARS), err);
}

static int read_key(int fd, const char *path, char *key, struct err *err)
{
	ssize_t n = read(fd, key, KEY_CHARS + 1);
	if (n == KEY_CHARS + 1 && key[KEY_CHARS] == '\n')
		n = KEY_CHARS;
	if (n != KEY_CHARS || strspn(key, "0123456789abcdef") < KEY_CHARS)
		return err_set(err, -EINVAL,
		        "%s: not an access key (64 hexadecimal digits); remove the file to get a new one",
		        path);
	key[KEY_CHARS] = '\0';
	return 0;
}

int access_new(const char *path, bool dev, struct access **ret, struct err *err)
{
	CLEANUP(free_charp) char *memory = calloc(1, sizeof(struct access) + 1);
	struct access *access = (void *)memory;
	if (!access)
		return -ENOMEM;
	access->dev = dev;
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;
	if (fd >= 0)
		r = read_key(fd, path, access->key, err);
	else if (errno == ENOENT)
		r = make_key(path, access->key, err);
	else
		r = err_set(err, -errno, "%s: cannot read the access key: %s", path, strerror(errno));
	if (r)
		return r;
	memory = NULL;
	*ret = access;
	return 0;
}

void access_free(struct access *access)
{
	free(access);
}

/* In a time that does not tell how much of the key was right. */
static bool key_fits(const struct access *access, struct edged_slice authorization)
{
	static const char scheme[] = "Bearer ";
	size_t skip = sizeof(scheme) - 1;
	if (authorization.len != skip + KEY_CHARS || strncasecmp(authorization.ptr, scheme, skip) != 0)
		return false;
	unsigned char diff = 0;
	for (size_t i = 0; i < KEY_CHARS; i++)
		diff |= (unsigned char)(authorization.ptr[skip + i] ^ access->key[i]);
	return diff == 0;
}

/* A page of a web site whose name was made to point at 127.0.0.1 carries that site's name in Host (DNS rebinding). */
static bool host_is_local(struct edged_slice host)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]", "ip6-localhost" };
	if (!host.ptr)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);
		if (host.len >= n && strncasecmp(host.ptr, names[i], n) == 0 &&
		        (host.len == n || host.ptr[n] == ':'))
			return true;
	}
	return false;
}

static int judge_loopback(const struct access *access, const struct access_request *request,
        const char **ret_title, const char **ret_detail)
{
	if (key_fits(access, request->authorization))
		return 0;
	if (access->dev && !host_is_local(request->host)) {
		*ret_title = "This name is not served without the access key";
		*ret_detail = "Under --dev only requests to localhost, 127.0.0.1 or [::1] need no key, so "
		              "that no web page can "
		              "use this node through a name of its own. Use one of these names.";
		return 403;
	}
	if (access->dev)
		return 0;
	*ret_title = "The access key is needed";
	*ret_detail = "Send 'Authorization: Bearer KEY' with the key from access.key in the node's state "
	              "folder, use edgectl, "
	              "or start edged with --dev to try things out.";
	return 401;
}

static bool for_anybody(const struct access_request *request)
{
	if (edged_slice_is(request->path, "/healthz") || edged_slice_is(request->path, "/readyz"))
		return true;
	return request->peer->tls && edged_slice_is(request->path, "/edge/v1/account/sign") &&
	       edged_slice_is(request->method, "POST");
}

int access_judge(const struct access *access, const struct access_request *request, const char **ret_title,
        const char **ret_detail)
{
	const struct edged_peer *peer = request->peer;
	if (peer->trusted || (peer->tls && key_fits(access, request->authorization)))
		return 0;
	if (for_anybody(request))
		return ACCESS_ANYBODY;
	if (peer->tls) {
		*ret_title = "A trusted certificate is needed";
		*ret_detail =
		        "This port serves only those whose certificate was signed by the node's account. "
		        "Nodes join with 'edgectl join TOKEN'.";
		return 401;
	}
	if (peer->loopback && peer->uid < 0)
		return judge_loopback(access, request, ret_title, ret_detail);
	*ret_title = "Not allowed here";
	*ret_detail = "Without TLS only clients on this machine are served.";
	return 403;
}
