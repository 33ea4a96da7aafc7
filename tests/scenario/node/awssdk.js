// SPDX-License-Identifier: Apache-2.0
// A device and an app of the AWS IoT Device SDK v2 around one shadow, as one line of JSON.
// usage: node awssdk.js PORT VERSION(4 = 3.1.1, 5) tcp|tls|ws|wss [FOLDER [THING]]
"use strict";
const { iotshadow } = require("aws-iot-device-sdk-v2");
const { connect, run } = require("./device.js");
const [port, version] = [Number(process.argv[2]), Number(process.argv[3])];
const [transport, folder] = process.argv.slice(4);
const thing = process.argv[6] || `lamp${process.pid}`;

async function echo311(connection, qos) {
	const got = new Promise((resolve) => connection.subscribe(`${thing}/${qos}`, qos,
		(topic, payload) => resolve(Buffer.from(payload).toString())).then(
		() => connection.publish(`${thing}/${qos}`, `m${qos}`, qos)));
	return got;
}

async function echo5(client, qos) {
	const got = new Promise((resolve) => client.on("messageReceived", ({ message }) => {
		if (message.topicName === `${thing}/${qos}`)
			resolve(Buffer.from(message.payload).toString());
	}));
	await client.subscribe({ subscriptions: [{ topicFilter: `${thing}/${qos}`, qos }] });
	await client.publish({ topicName: `${thing}/${qos}`, qos, payload: `m${qos}` });
	return got;
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

run(async () => {
	const device = await connect(version, port, thing, transport, folder);
	const echo = (qos) => (device.mqtt5 ? echo5(device.mqtt5, qos) : echo311(device.connection, qos));
	const result = { echo: [await echo(0), await echo(1)], shadow: await lamp(device.client(iotshadow.IotShadowClientv2)) };
	await device.stop();
	return result;
});
