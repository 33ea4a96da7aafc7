// SPDX-License-Identifier: Apache-2.0
// The data plane as the AWS SDK for JavaScript v3 sees it, as one line of JSON. The key is in the environment.
// usage: node awsdata.js ENDPOINT THING
"use strict";
const iot = require("@aws-sdk/client-iot-data-plane");
const [endpoint, thing] = process.argv.slice(2);
const client = new iot.IoTDataPlaneClient({ endpoint, region: "eu-central-1", maxAttempts: 1 });
const text = (bytes) => Buffer.from(bytes).toString();

const send = (command, input) => client.send(new iot[`${command}Command`](input));
const failure = (promise) => promise.then(() => "none", (error) => [error.name, error.$metadata.httpStatusCode]);

(async () => {
	const result = {};
	await send("Publish", { topic: `${thing}/a b/ü`, qos: 1, retain: true, payload: "kept",
		userProperties: Buffer.from('[{"colour":"red"}]').toString(), contentType: "text/plain" });
	const kept = await send("GetRetainedMessage", { topic: `${thing}/a b/ü` });
	result.kept = [kept.topic, text(kept.payload), kept.qos, kept.userProperties && text(kept.userProperties)];
	result.topics = (await send("ListRetainedMessages", {})).retainedTopics.map((one) => one.topic);
	const state = { desired: { led: "on" } };
	result.updated = JSON.parse(text((await send("UpdateThingShadow", { thingName: thing,
		payload: JSON.stringify({ state }) })).payload)).state;
	await send("UpdateThingShadow", { thingName: thing, shadowName: "n1", payload: JSON.stringify({ state }) });
	result.shadow = JSON.parse(text((await send("GetThingShadow", { thingName: thing })).payload)).state;
	result.named = (await send("ListNamedShadowsForThing", { thingName: thing })).results;
	await send("DeleteThingShadow", { thingName: thing, shadowName: "n1" });
	result.missing = await failure(send("GetThingShadow", { thingName: thing, shadowName: "n1" }));
	result.nobody = await failure(send("DeleteConnection", { clientId: "nobody" }));
	result.foreign = await failure(send("Publish", { topic: "foreign/topic", payload: "x" }));
	console.log(JSON.stringify(result));
})().catch((error) => { console.log(JSON.stringify({ error: String(error) })); process.exit(1); });
