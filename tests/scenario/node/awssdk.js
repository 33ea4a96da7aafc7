// SPDX-License-Identifier: Apache-2.0
// A device and an app of the AWS IoT Device SDK v2 around one shadow, as one line of JSON; tls and wss with a certificate,
// from a folder with ca.pem, certificate.pem and key.pem.
// usage: node awssdk.js PORT VERSION(4 = 3.1.1, 5) tcp|tls|ws|wss [FOLDER [THING]]
"use strict";
const { io, mqtt, mqtt5, iotshadow } = require("aws-iot-device-sdk-v2");
const [port, version] = [Number(process.argv[2]), Number(process.argv[3])];
const [transport, folder] = process.argv.slice(4);
const websocket = transport.startsWith("ws");
const thing = process.argv[6] || `lamp${process.pid}`;
const limits = { maxRequestResponseSubscriptions: 6, maxStreamingSubscriptions: 4, operationTimeoutInSeconds: 20 };

function tls() {
	const options = io.TlsContextOptions.create_client_with_mtls_from_path(`${folder}/certificate.pem`, `${folder}/key.pem`);
	options.override_default_trust_store_from_path(undefined, `${folder}/ca.pem`);
	if (io.is_alpn_available() && !websocket)
		options.alpn_list = ["x-amzn-mqtt-ca"];
	return new io.ClientTlsContext(options);
}

// AWS would have the request signed; what is sent here is the request as it is.
const unsigned = (request, done) => done();

async function connect311() {
	const connection = new mqtt.MqttClient(new io.ClientBootstrap()).new_connection({
		client_id: thing, host_name: "localhost", port, clean_session: true, keep_alive: 30,
		socket_options: new io.SocketOptions(), use_websocket: websocket, ...(folder && { tls_ctx: tls() }),
		...(websocket && { websocket_handshake_transform: unsigned }),
	});
	await connection.connect();
	return {
		shadow: iotshadow.IotShadowClientv2.newFromMqtt311(connection, limits),
		async echo(qos) {
			const got = new Promise((resolve) => connection.subscribe(`${thing}/${qos}`, qos,
				(topic, payload) => resolve(Buffer.from(payload).toString())).then(
				() => connection.publish(`${thing}/${qos}`, `m${qos}`, qos)));
			return got;
		},
		stop: () => connection.disconnect(),
	};
}

async function connect5() {
	const client = new mqtt5.Mqtt5Client({ hostName: "localhost", port, ...(folder && { tlsCtx: tls() }),
		...(websocket && { websocketHandshakeTransform: unsigned }),
		connectProperties: { clientId: thing, keepAliveIntervalSeconds: 30 } });
	const connected = new Promise((resolve, reject) => {
		client.on("connectionSuccess", resolve);
		client.on("connectionFailure", (event) => reject(event.error));
	});
	client.start();
	await connected;
	return {
		shadow: iotshadow.IotShadowClientv2.newFromMqtt5(client, limits),
		async echo(qos) {
			const got = new Promise((resolve) => client.on("messageReceived", ({ message }) => {
				if (message.topicName === `${thing}/${qos}`)
					resolve(Buffer.from(message.payload).toString());
			}));
			await client.subscribe({ subscriptions: [{ topicFilter: `${thing}/${qos}`, qos }] });
			await client.publish({ topicName: `${thing}/${qos}`, qos, payload: `m${qos}` });
			return got;
		},
		stop: () => client.stop(),
	};
}

async function lamp(shadow) {
	const missing = await shadow.getShadow({ thingName: thing }).then(() => "found", (e) => e.modeledError?.code ?? String(e));
	const stream = shadow.createShadowDeltaUpdatedStream({ thingName: thing });
	const delta = new Promise((resolve) => stream.on("incomingPublish", ({ message }) => resolve(message.state)));
	const subscribed = new Promise((resolve) => stream.on("subscriptionStatus", resolve));
	stream.open();
	await subscribed;
	const desired = await shadow.updateShadow({ thingName: thing, state: { desired: { led: "on" } } });
	const wanted = await delta;
	await shadow.updateShadow({ thingName: thing, state: { reported: wanted } });
	const { state, version: number } = await shadow.getShadow({ thingName: thing });
	const conflict = await shadow.updateShadow({ thingName: thing, version: 1, state: { desired: { led: "off" } } })
		.then(() => "accepted", (e) => e.modeledError?.code ?? String(e));
	stream.close();
	return { missing, first: desired.version, wanted, state, version: number, conflict };
}

(async () => {
	setTimeout(() => { console.log('{"error":"not within 60 s"}'); process.exit(1); }, 60000);
	const client = await (version === 5 ? connect5() : connect311());
	const result = { echo: [await client.echo(0), await client.echo(1)], shadow: await lamp(client.shadow) };
	console.log(JSON.stringify(result));
	await client.stop();
	process.exit(0);
})().catch((error) => { console.log(JSON.stringify({ error: String(error) })); process.exit(1); });
