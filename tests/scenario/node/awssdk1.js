// SPDX-License-Identifier: Apache-2.0
// A device of the AWS IoT Device SDK v1 and its shadow over mutual TLS, as one line of JSON.
// usage: node awssdk1.js PORT FOLDER(with ca.pem, certificate.pem, key.pem)
"use strict";
const { thingShadow } = require("aws-iot-device-sdk");
const path = require("path");
const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const thing = `old${process.pid}`;

setTimeout(() => { console.log('{"error":"not within 60 s"}'); process.exit(1); }, 60000);
const device = thingShadow({
	host: "localhost", port, clientId: thing, keyPath: path.join(folder, "key.pem"),
	certPath: path.join(folder, "certificate.pem"), caPath: path.join(folder, "ca.pem"),
});
const result = { status: [] };
device.on("error", (error) => { console.log(JSON.stringify({ error: String(error) })); process.exit(1); });
device.on("connect", () => device.register(thing, {}, () => {
	device.update(thing, { state: { desired: { led: "on" }, reported: { led: "off" } } });
}));
device.on("delta", (name, { state }) => {
	result.delta = state;
	device.update(thing, { state: { reported: state } });
});
device.on("status", (name, status, token, { state }) => {
	result.status.push(status);
	if (result.delta && state.reported?.led === "on") {
		console.log(JSON.stringify(result));
		process.exit(0);
	}
});
