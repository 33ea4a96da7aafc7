// SPDX-License-Identifier: Apache-2.0
// A connection of the AWS IoT Device SDK v2, with MQTT 3.1.1 or 5 over tcp, tls, ws or wss; tls and wss with a certificate, from a
// folder with ca.pem, certificate.pem and key.pem. Clients of its services are made with client(), such as
// client(iotshadow.IotShadowClientv2).
"use strict";
const { io, mqtt, mqtt5 } = require("aws-iot-device-sdk-v2");
const limits = { maxRequestResponseSubscriptions: 6, maxStreamingSubscriptions: 4, operationTimeoutInSeconds: 20 };

function tls(folder, websocket) {
	const options = io.TlsContextOptions.create_client_with_mtls_from_path(`${folder}/certificate.pem`, `${folder}/key.pem`);
	options.override_default_trust_store_from_path(undefined, `${folder}/ca.pem`);
	if (io.is_alpn_available() && !websocket)
		options.alpn_list = ["x-amzn-mqtt-ca"];
	return new io.ClientTlsContext(options);
}

// AWS would have the request signed; what is sent here is the request as it is.
const unsigned = (request, done) => done();

async function connect311(port, thing, transport, folder) {
	const websocket = transport.startsWith("ws");
	const connection = new mqtt.MqttClient(new io.ClientBootstrap()).new_connection({
		client_id: thing, host_name: "localhost", port, clean_session: true, keep_alive: 30,
		socket_options: new io.SocketOptions(), use_websocket: websocket, ...(folder && { tls_ctx: tls(folder, websocket) }),
		...(websocket && { websocket_handshake_transform: unsigned }),
	});
	await connection.connect();
	return { connection, client: (service) => service.newFromMqtt311(connection, limits), stop: () => connection.disconnect() };
}

async function connect5(port, thing, transport, folder) {
	const websocket = transport.startsWith("ws");
	const client = new mqtt5.Mqtt5Client({ hostName: "localhost", port, ...(folder && { tlsCtx: tls(folder, websocket) }),
		...(websocket && { websocketHandshakeTransform: unsigned }),
		connectProperties: { clientId: thing, keepAliveIntervalSeconds: 30 } });
	const connected = new Promise((resolve, reject) => {
		client.on("connectionSuccess", resolve);
		client.on("connectionFailure", (event) => reject(event.error));
	});
	client.start();
	await connected;
	return { mqtt5: client, client: (service) => service.newFromMqtt5(client, limits), stop: () => client.stop() };
}

// Runs main() with the time that a test has, and prints what it returns as one line of JSON.
function run(main) {
	setTimeout(() => { console.log('{"error":"not within 60 s"}'); process.exit(1); }, 60000);
	main().then((result) => { console.log(JSON.stringify(result)); process.exit(0); },
		(error) => { console.log(JSON.stringify({ error: String(error) })); process.exit(1); });
}

exports.connect = (version, ...rest) => (version === 5 ? connect5 : connect311)(...rest);
exports.run = run;
