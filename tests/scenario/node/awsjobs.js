// SPDX-License-Identifier: Apache-2.0
// A device of the AWS IoT Device SDK v2 that does its jobs, as one line of JSON.
// usage: node awsjobs.js PORT VERSION(4 = 3.1.1, 5) THING FOLDER begin|finish
"use strict";
const { iotjobs } = require("aws-iot-device-sdk-v2");
const { connect, run } = require("./device.js");
const [port, version] = [Number(process.argv[2]), Number(process.argv[3])];
const [thingName, folder, what] = process.argv.slice(4);

const code = (promise) => promise.then(() => "accepted", (e) => e.modeledError?.code ?? String(e));

async function listen(stream) {
	const messages = [], waiting = [];
	stream.on("incomingPublish", ({ message }) => (waiting.length ? waiting.shift()(message) : messages.push(message)));
	const subscribed = new Promise((resolve) => stream.on("subscriptionStatus", resolve));
	stream.open();
	await subscribed;
	return () => (messages.length ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve)));
}

// Starts the first job and says how far it is.
async function begin(jobs) {
	const pending = await jobs.getPendingJobExecutions({ thingName });
	const started = await jobs.startNextPendingJobExecution({ thingName, statusDetails: { step: "1" }, stepTimeoutInMinutes: 5 });
	const { jobId, versionNumber } = started.execution;
	const stale = await code(jobs.updateJobExecution({ thingName, jobId, status: "IN_PROGRESS", expectedVersion: 7 }));
	const updated = await jobs.updateJobExecution({ thingName, jobId, status: "IN_PROGRESS", statusDetails: { step: "2" },
		expectedVersion: versionNumber, includeJobExecutionState: true });
	return { pending: pending.queuedJobs.map((job) => job.jobId), document: started.execution.jobDocument, stale,
		state: updated.executionState };
}

// Ends it, and is told what is next, until there is nothing.
async function finish(jobs) {
	const next = await listen(jobs.createNextJobExecutionChangedStream({ thingName }));
	const changed = await listen(jobs.createJobExecutionsChangedStream({ thingName }));
	const { execution } = await jobs.describeJobExecution({ thingName, jobId: "$next" });
	await jobs.updateJobExecution({ thingName, jobId: execution.jobId, status: "SUCCEEDED" });
	const second = await next();
	const left = await changed();
	const again = await code(jobs.updateJobExecution({ thingName, jobId: execution.jobId, status: "FAILED" }));
	await jobs.updateJobExecution({ thingName, jobId: second.execution.jobId, status: "FAILED",
		statusDetails: { reason: "no room" } });
	const last = await next();
	return { resumed: [execution.jobId, execution.status, execution.statusDetails], second: second.execution.jobId,
		document: second.execution.jobDocument, left: left.jobs, again, last: last.execution ?? null,
		ended: await code(jobs.describeJobExecution({ thingName, jobId: execution.jobId })) };
}

run(async () => {
	const device = await connect(version, port, thingName, "tls", folder);
	const jobs = device.client(iotjobs.IotJobsClientv2);
	const result = await (what === "begin" ? begin : finish)(jobs);
	await device.stop();
	return result;
});
