// SPDX-License-Identifier: Apache-2.0
// What MQTT.js sees of a broker, as one line of JSON; with a certificate when a folder with ca.pem, certificate.pem and
// key.pem is named. usage: node mqttjs.js URL VERSION(4 = 3.1.1, 5) [FOLDER]
"use strict";
const mqtt = require("mqtt");
const fs = require("fs");
const [url, version, folder] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const read = (name) => fs.readFileSync(`${folder}/${name}.pem`);
const tls = folder ? { ca: read("ca"), cert: read("certificate"), key: read("key") } : {};
const tag = `js${process.pid}`;

const connect = (name, options = {}) => mqtt.connectAsync(url, {
	protocolVersion: version, clientId: `${tag}-${name}`, reconnectPeriod: 0, connectTimeout: 20000, ...tls, ...options,
});

/** The next `count` messages of a client; to be called before what causes them. */
const messages = (client, count) => new Promise((resolve) => {
	const got = [];
	client.on("message", function take(topic, payload, packet) {
		const { qos, retain, properties } = packet;
		got.push({ topic, payload: payload.toString(), qos, retain, properties });
		if (got.length === count) {
			client.removeListener("message", take);
			resolve(got);
		}
	});
});

async function roundTrip() {
	const client = await connect("round");
	const granted = await client.subscribeAsync(`${tag}/round/#`, { qos: 2 });
	const coming = messages(client, 3);
	for (const qos of [0, 1, 2])
		await client.publishAsync(`${tag}/round/${qos}`, `m${qos}`, { qos });
	const got = await coming;
	await client.endAsync();
	return { granted: granted[0].qos, got: got.map((m) => [m.payload, m.qos, m.retain]).sort() };
}

async function retained() {
	const client = await connect("retained");
	await client.publishAsync(`${tag}/kept`, "still here", { qos: 1, retain: true });
	const coming = messages(client, 1);
	await client.subscribeAsync(`${tag}/kept`, { qos: 1 });
	const [got] = await coming;
	await client.publishAsync(`${tag}/kept`, "", { qos: 1, retain: true });
	await client.endAsync();
	return [got.payload, got.retain];
}

async function will() {
	const watcher = await connect("watcher");
	await watcher.subscribeAsync(`${tag}/will`, { qos: 1 });
	const coming = messages(watcher, 1);
	const mortal = await connect("mortal", { will: { topic: `${tag}/will`, payload: "gone", qos: 1, retain: false } });
	mortal.on("error", () => {});
	mortal.stream.destroy();
	const [got] = await coming;
	await watcher.endAsync();
	return got.payload;
}

async function session() {
	const options = { clean: false, ...(version === 5 && { properties: { sessionExpiryInterval: 60 } }) };
	let sleeper = await connect("sleeper", options);
	await sleeper.subscribeAsync(`${tag}/queue`, { qos: 1 });
	await sleeper.endAsync();
	const other = await connect("other");
	for (const text of ["one", "two", "three"])
		await other.publishAsync(`${tag}/queue`, text, { qos: 1 });
	await other.endAsync();
	sleeper = mqtt.connect(url, { protocolVersion: version, clientId: `${tag}-sleeper`, reconnectPeriod: 0, ...tls, ...options });
	const present = new Promise((resolve) => sleeper.on("connect", (connack) => resolve(connack.sessionPresent)));
	const got = (await messages(sleeper, 3)).map((m) => m.payload);
	const result = { present: await present, got };
	await sleeper.endAsync();
	return result;
}

async function properties() {
	const client = await connect("properties");
	const coming = messages(client, 1);
	await client.subscribeAsync(`${tag}/properties`, { qos: 1 });
	await client.publishAsync(`${tag}/properties`, "{}", { qos: 1, properties: {
		contentType: "application/json", responseTopic: `answers/to`, correlationData: Buffer.from([0, 1, 255]),
		payloadFormatIndicator: true, userProperties: { colour: ["red", "blue"], size: "9" },
	} });
	const p = (await coming)[0].properties;
	await client.endAsync();
	return { ...p, userProperties: { ...p.userProperties }, correlationData: p.correlationData.toString("hex") };
}

(async () => {
	const result = {};
	for (const step of [roundTrip, retained, will, session, ...(version === 5 ? [properties] : [])]) {
		let timer;
		const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("not within 20 s")), 20000); });
		result[step.name] = await Promise.race([step(), late]).catch((error) => ({ error: String(error) }));
		clearTimeout(timer);
	}
	console.log(JSON.stringify(result));
	process.exit(0);
})();
