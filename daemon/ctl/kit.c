/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

int kit_begin(const char *folder)
{
	if (mkdir(folder, 0700) == 0)
		return EXIT_DONE;
	if (errno == EEXIST)
		return ctl_say(
		        EXIT_REFUSED, "%s exists already; name another folder with --folder DIR", folder);
	return ctl_say(EXIT_REFUSED, "cannot make the folder %s: %s", folder, strerror(errno));
}

void kit_drop(const char *folder)
{
	(void)rmdir(folder);
}

static int write_file(const struct kit *kit, const char *name, int mode, struct edged_slice text)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", kit->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	bool ok = fd >= 0;
	while (ok && text.len) {
		ssize_t n = write(fd, text.ptr, text.len);
		ok = n > 0 || (n < 0 && errno == EINTR);
		if (n > 0)
			text = edged_slice(text.ptr + n, text.len - (size_t)n);
	}
	ok = ok && fsync(fd) == 0;
	int error = errno;
	if (fd >= 0)
		close(fd);
	return ok ? EXIT_DONE : ctl_say(EXIT_REFUSED, "cannot write %s: %s", path, strerror(error));
}

/* --- end-points ------------------------------------------------------------------------------------------------------ */

struct endpoint {
	bool local; /* reached from this machine only */
	int port;
};

/* The first secure listener, such as "0.0.0.0:8443"; one that others reach is better. */
static bool find_endpoint(const json_t *listeners, struct endpoint *ret)
{
	size_t i;
	const json_t *listener;
	bool found = false;
	json_array_foreach(listeners, i, listener)
	{
		const char *address = json_string_value(json_object_get(listener, "address"));
		const char *colon = address ? strrchr(address, ':') : NULL;
		if (!colon || !json_is_true(json_object_get(listener, "tls")))
			continue;
		bool local = strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0;
		if (found && (local || !ret->local))
			continue;
		*ret = (struct endpoint){ local, (int)strtol(colon + 1, NULL, 10) };
		found = true;
	}
	return found;
}

static json_t *describe(const struct kit *kit, const struct endpoint *endpoint)
{
	char host[80];
	snprintf(host, sizeof(host), "%s%s", endpoint->local ? "localhost" : kit->name,
	        endpoint->local ? "" : ".local");
	json_t *hosts =
	        endpoint->local ? json_pack("[s]", host) : json_pack("[s,s,s]", host, kit->name, "localhost");
	return json_pack("{s:s,s:s,s:s,s:i,s:o,s:s,s:s,s:s*,s:{s:o,s:o}}", "thing", kit->thing, "clientId",
	        kit->thing, "host", host, "port", endpoint->port, "hosts", hosts, "ca", "ca.pem",
	        "certificate", "certificate.pem", "key", kit->key ? "key.pem" : NULL, "endpoints", "mqtt",
	        json_sprintf("mqtts://%s:%d", host, endpoint->port), "https",
	        json_sprintf("https://%s:%d", host, endpoint->port));
}

/* --- how to connect --------------------------------------------------------------------------------------------------- */

/* What README.txt says, with @words@ to be filled in. Every program of it publishes hello once and ends. */
static const char by_mdns[] =
        "@host@ is found by multicast DNS; where there is none, give the node's address\n"
        "that name in /etc/hosts.\n\n";
static const char manual[] =
        "mosquitto\n\n"
        "  mosquitto_pub -h @host@ -p @port@ --cafile ca.pem --cert certificate.pem --key @key@ \\\n"
        "      -i @thing@ -q 1 -t @thing@/hello -m hello\n\n"
        "curl\n\n"
        "  curl -sS --cacert ca.pem --cert certificate.pem --key @key@ -d hello \\\n"
        "      'https://@host@:@port@/topics/@thing@/hello?qos=1'\n\n"
        "Python, paho-mqtt\n\n"
        "  import paho.mqtt.publish as publish\n"
        "  publish.single('@thing@/hello', 'hello', qos=1, hostname='@host@', port=@port@, "
        "client_id='@thing@',\n"
        "                 tls={'ca_certs': 'ca.pem', 'certfile': 'certificate.pem', 'keyfile': '@key@'})\n\n"
        "Python, AWS IoT Device SDK v2\n\n"
        "  from awscrt import mqtt\n"
        "  from awsiot import mqtt_connection_builder\n"
        "  connection = mqtt_connection_builder.mtls_from_path(\n"
        "      endpoint='@host@', port=@port@, ca_filepath='ca.pem', cert_filepath='certificate.pem',\n"
        "      pri_key_filepath='@key@', client_id='@thing@')\n"
        "  connection.connect().result()\n"
        "  connection.publish('@thing@/hello', 'hello', mqtt.QoS.AT_LEAST_ONCE)[0].result()\n"
        "  connection.disconnect().result()\n\n"
        "JavaScript, AWS IoT Device SDK v2\n\n"
        "  const { iot, mqtt } = require('aws-iot-device-sdk-v2');\n"
        "  const connection = new mqtt.MqttClient().new_connection(iot.AwsIotMqttConnectionConfigBuilder\n"
        "      .new_mtls_builder_from_path('certificate.pem', '@key@')\n"
        "      .with_certificate_authority_from_path(undefined, 'ca.pem')\n"
        "      .with_endpoint('@host@').with_port(@port@).with_client_id('@thing@').build());\n"
        "  connection.connect()\n"
        "      .then(() => connection.publish('@thing@/hello', 'hello', mqtt.QoS.AtLeastOnce))\n"
        "      .then(() => connection.disconnect());\n\n"
        "JavaScript, AWS IoT Device SDK v1\n\n"
        "  const device = require('aws-iot-device-sdk').device({ host: '@host@', port: @port@, clientId: "
        "'@thing@',\n"
        "      caPath: 'ca.pem', certPath: 'certificate.pem', keyPath: '@key@' });\n"
        "  device.on('connect', () => device.publish('@thing@/hello', 'hello', { qos: 1 }, () => "
        "device.end()));\n\n"
        "AWS command line; boto3 and the AWS SDKs take the same variables. On the node, a key that may do "
        "what the\n"
        "thing may: edgectl key create @thing@ --thing @thing@; export what it prints.\n\n"
        "  printf hello | AWS_CA_BUNDLE=ca.pem aws --region local --endpoint-url https://@host@:@port@ "
        "iot-data \\\n"
        "      publish --topic @thing@/hello --qos 1 --payload fileb:///dev/stdin\n";

struct word {
	const char *name, *text;
};

static const char *meaning(const struct word *words, const char *name, size_t len)
{
	while (strncmp(words->name, name, len) != 0 || words->name[len])
		words++;
	return words->text;
}

/* A template with the words filled in; it uses no other than these. */
static int fill(struct buf *text, const char *template, const struct word *words)
{
	int r = 0;
	const char *at;
	while (!r && (at = strchr(template, '@'))) {
		const char *end = strchr(at + 1, '@');
		r = buf_addf(text, "%.*s%s", (int)(at - template), template,
		        meaning(words, at + 1, (size_t)(end - at - 1)));
		template = end + 1;
	}
	return r ? r : buf_addf(text, "%s", template);
}

static int write_manual(const struct kit *kit, const char *host, int port)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	char number[12];
	snprintf(number, sizeof(number), "%d", port);
	const struct word words[] = { { "thing", kit->thing }, { "host", host }, { "port", number },
		{ "key", kit->key ? "key.pem" : "KEY-OF-THE-DEVICE" } };
	int r = fill(&text,
	        "@thing@ at @host@:@port@\n\n"
	        "Run these in this folder. A device may connect with its own name as client id, and use "
	        "topics below\n"
	        "that name, its shadows and its jobs, unless its policies say something else.\n\n",
	        words);
	if (!r && strcmp(host, "localhost") != 0)
		r = fill(&text, by_mdns, words);
	if (!r)
		r = fill(&text, manual, words);
	return r ? ctl_say(EXIT_REFUSED, "no memory") : write_file(kit, "README.txt", 0644, buf_slice(&text));
}

int kit_write(const struct kit *kit, json_t **ret)
{
	struct endpoint endpoint = { 0 };
	int code = write_file(kit, "certificate.pem", 0644, edged_str(kit->certificate));
	if (!code && kit->key)
		code = write_file(kit, "key.pem", 0600, edged_str(kit->key));
	if (!code)
		code = write_file(kit, "ca.pem", 0644, edged_str(kit->ca));
	if (!code && !find_endpoint(kit->listeners, &endpoint))
		code = ctl_say(EXIT_REFUSED,
		        "the node has no secure port (tls=ADDRESS:PORT), so there is no connect.json; the "
		        "other files are in %s",
		        kit->folder);
	if (code)
		return code;
	json_t *connect = describe(kit, &endpoint);
	char *text = connect ? json_dumps(connect, JSON_INDENT(2)) : NULL;
	code = text ? write_file(kit, "connect.json", 0644, edged_str(text))
	            : ctl_say(EXIT_REFUSED, "no memory");
	if (!code)
		code = write_manual(kit, json_string_value(json_object_get(connect, "host")), endpoint.port);
	free(text);
	if (code)
		json_decref(connect);
	else
		*ret = connect;
	return code;
}
