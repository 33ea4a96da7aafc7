// SPDX-License-Identifier: Apache-2.0
// A device of the AWS IoT Device SDKs that does what it is told. Commands are lines of JSON on standard input, each answered by
// one on standard output: ["echo", text], ["update", state], ["get"]. The first answer, "connected", comes by itself.
// usage: node awsdevice.js KIND HOST PORT THING FOLDER; KIND: v1, v1-websocket, v2-311, v2-5, v2-websocket, v2-discovery
// FOLDER holds ca.pem, certificate.pem and key.pem; for WebSocket the key is in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"use strict";
const path = require("path");
const readline = require("readline");
const [kind, host, portText, thing, folder] = process.argv.slice(2);
const port = Number(portText);
const file = (name) => path.join(folder, `${name}.pem`);
const answer = (value) => console.log(JSON.stringify(value));
const region = "eu-central-1";
const credentials = { id: process.env.AWS_ACCESS_KEY_ID, secret: process.env.AWS_SECRET_ACCESS_KEY };

/** v1: thingShadow, over TLS or WebSocket. */
async function version1() {
	const { thingShadow } = require("aws-iot-device-sdk");
	const ways = { v1: { keyPath: file("key"), certPath: file("certificate"), caPath: file("ca") },
		"v1-websocket": { protocol: "wss", region, accessKeyId: credentials.id, secretKey: credentials.secret } };
	const device = thingShadow({ host, port, clientId: thing, ...ways[kind] });
	device.on("error", (error) => answer({ error: String(error) }));
	await new Promise((resolve) => device.on("connect", resolve));
	await new Promise((resolve) => device.register(thing, { ignoreDeltas: true }, resolve));
	const once = (event, fits) => new Promise((resolve) => device.on(event, function hear(...args) {
		if (!fits(...args))
			return;
		device.removeListener(event, hear);
		resolve(args);
	}));
	const operation = async (start) => {
		const token = start();
		if (token === null)
			throw new Error("the SDK has an operation open already");
		const [, status, , document] = await once("status", (name, status, theirs) => theirs === token);
		if (status !== "accepted")
			throw new Error(JSON.stringify(document));
		return document;
	};
	await new Promise((resolve) => device.subscribe(`${thing}/echo`, { qos: 1 }, resolve));
	return {
		async echo(text) {
			const heard = once("message", (topic, payload) => topic === `${thing}/echo` && payload.toString() === text);
			device.publish(`${thing}/echo`, text, { qos: 1 });
			return (await heard)[1].toString();
		},
		update: async (state) => (await operation(() => device.update(thing, { state }))).version,
		get: async () => (await operation(() => device.get(thing))).state,
	};
}

/** What both protocols of v2 have: shadows by request and response. */
function withShadow(shadow, echo) {
	return {
		echo,
		update: async (state) => (await shadow.updateShadow({ thingName: thing, state })).version,
		get: async () => (await shadow.getShadow({ thingName: thing })).state,
	};
}
const limits = { maxRequestResponseSubscriptions: 6, maxStreamingSubscriptions: 2, operationTimeoutInSeconds: 10 };

async function version311(to = { host, port, ca: undefined }) {
	const { auth, iot, iotshadow, mqtt } = require("aws-iot-device-sdk-v2");
	const Builder = iot.AwsIotMqttConnectionConfigBuilder;
	const builder = kind === "v2-websocket"
		? Builder.new_with_websockets({ region,
			credentials_provider: auth.AwsCredentialsProvider.newStatic(credentials.id, credentials.secret) })
		: Builder.new_mtls_builder_from_path(file("certificate"), file("key"));
	if (to.ca)
		builder.with_certificate_authority(to.ca);
	else
		builder.with_certificate_authority_from_path(undefined, file("ca"));
	const connection = new mqtt.MqttClient().new_connection(builder.with_endpoint(to.host).with_port(to.port)
		.with_client_id(thing).with_clean_session(false).with_reconnect_min_sec(1).with_reconnect_max_sec(2).build());
	const waiting = new Map();
	await connection.connect();
	await connection.subscribe(`${thing}/echo`, mqtt.QoS.AtLeastOnce, (topic, payload) => {
		const text = Buffer.from(payload).toString();
		waiting.get(text)?.(text);
	});
	return withShadow(iotshadow.IotShadowClientv2.newFromMqtt311(connection, limits), async (text) => {
		const heard = new Promise((resolve) => waiting.set(text, resolve));
		await connection.publish(`${thing}/echo`, text, mqtt.QoS.AtLeastOnce);
		return heard;
	});
}

async function version5() {
	const { iot, iotshadow, mqtt5 } = require("aws-iot-device-sdk-v2");
	const config = iot.AwsIotMqtt5ClientConfigBuilder
		.newDirectMqttBuilderWithMtlsFromPath(host, file("certificate"), file("key"))
		.withCertificateAuthorityFromPath(undefined, file("ca")).withPort(port)
		.withConnectProperties({ clientId: thing, keepAliveIntervalSeconds: 30, sessionExpiryIntervalSeconds: 600 })
		.withMinReconnectDelayMs(500).withMaxReconnectDelayMs(1000)
		.withSessionBehavior(mqtt5.ClientSessionBehavior.RejoinPostSuccess).build();
	const client = new mqtt5.Mqtt5Client(config);
	const waiting = new Map();
	client.on("messageReceived", ({ message }) => {
		const text = Buffer.from(message.payload).toString();
		waiting.get(text)?.(text);
	});
	const connected = new Promise((resolve) => client.on("connectionSuccess", resolve));
	client.start();
	await connected;
	await client.subscribe({ subscriptions: [{ topicFilter: `${thing}/echo`, qos: mqtt5.QoS.AtLeastOnce }] });
	return withShadow(iotshadow.IotShadowClientv2.newFromMqtt5(client, limits), async (text) => {
		const heard = new Promise((resolve) => waiting.set(text, resolve));
		await client.publish({ topicName: `${thing}/echo`, qos: mqtt5.QoS.AtLeastOnce, payload: text });
		return heard;
	});
}

/** Finds the node, as its certificate names it, and connects to what was found. */
async function discovered() {
	const { greengrass, io } = require("aws-iot-device-sdk-v2");
	const options = io.TlsContextOptions.create_client_with_mtls_from_path(file("certificate"), file("key"));
	options.override_default_trust_store_from_path(undefined, file("ca"));
	const client = new greengrass.DiscoveryClient(new io.ClientBootstrap(), new io.SocketOptions(),
		new io.ClientTlsContext(options), region, host);
	const { gg_groups: [group] } = await client.discover(thing);
	const [place] = group.cores[0].connectivity;
	return version311({ host: place.host_address, port: place.port, ca: group.certificate_authorities[0] });
}

(async () => {
	const kinds = { v1: version1, "v1-websocket": version1, "v2-311": () => version311(), "v2-websocket": () => version311(),
		"v2-5": version5, "v2-discovery": discovered };
	const device = await kinds[kind]();
	answer("connected");
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const [command, argument] = JSON.parse(line);
		answer(await device[command](argument));
	}
	process.exit(0);
})().catch((error) => { answer({ error: String(error?.stack ?? error) }); process.exit(1); });
