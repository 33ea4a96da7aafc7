#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs with real clients: devices over MQTT and over HTTP with their certificates, the operator's side, and kill -9 in between."""
import json
import os
import queue
import subprocess
import threading

import paho.mqtt.client as mqtt

import edged
import node_programs
from edged import Node, need, wait_for


def call(node, method, path, body=None, status=200):
    got, _, answer = node.http(method, path, body)
    assert got == status, f"{method} {path}: {got} instead of {status}: {answer}"
    return answer


def begin(*things):
    """A node with these things, which are in the group hall."""
    node = ready(Node())
    call(node, "PUT", "/things/v1/groups/hall", {}, 201)
    for thing in things:
        call(node, "POST", "/things/v1/things", {"name": thing, "groups": ["hall"]}, 201)
    return node


def ready(node):
    wait_for(lambda: node.http("GET", "/jobs/v1/jobs")[0] == 200, "jobs run")
    return node


def again(node):
    """kill -9 and a new start."""
    node.kill()
    return ready(node.restart())


def create(node, name, *targets, status=201, **more):
    return call(node, "POST", "/jobs/v1/jobs", {"id": name, "targets": targets, "document": {"do": name}, **more}, status)


def settled(node, name, **counts):
    """The job, once so many of its executions are in these states."""
    def there():
        job = node.get(f"/jobs/v1/jobs/{name}")
        return job if all(job["executions"][state] == n for state, n in counts.items()) else None
    return wait_for(there, f"{name}: {counts}")


class Device:
    """An MQTT client that hears all of its jobs."""

    def __init__(self, node, thing):
        self.prefix = f"$aws/things/{thing}/jobs/"
        self.got, self.subscribed = queue.Queue(), threading.Event()
        self.mqtt = mqtt.Client(thing)
        self.mqtt.on_message = lambda c, u, m: self.got.put((m.topic[len(self.prefix):], json.loads(m.payload)))
        self.mqtt.on_subscribe = lambda *args: self.subscribed.set()
        self.mqtt.connect(*node.address("mqtt"), 60)
        self.mqtt.loop_start()
        self.mqtt.subscribe([(self.prefix + suffix, 1) for suffix in
                             ("notify", "notify-next", "get/+", "start-next/+", "+/get/+", "+/update/+")])
        assert self.subscribed.wait(10), "no SUBACK"

    def next(self):
        return self.got.get(timeout=60)

    def ask(self, suffix, **payload):
        """The answer, (True or False for accepted, payload); what else came before it is dropped."""
        self.mqtt.publish(self.prefix + suffix, json.dumps(payload), 1)
        while True:
            topic, body = self.next()
            if topic.rpartition("/")[0] == suffix:
                return topic.endswith("/accepted"), body

    def leave(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def test_a_device_is_told_and_does_its_jobs_through_a_crash():
    node = begin("lamp", "fan")
    device = Device(node, "lamp")
    create(node, "one", "group:hall", inProgressTimeoutInMinutes=10, description="the first")
    assert device.next()[0] == "notify"
    topic, body = device.next()
    assert topic == "notify-next" and body["execution"]["jobDocument"] == {"do": "one"}, (topic, body)
    create(node, "two", "lamp")
    topic, body = device.next()
    assert topic == "notify" and [job["jobId"] for job in body["jobs"]["QUEUED"]] == ["one", "two"], (topic, body)
    good, body = device.ask("start-next", clientToken="t", statusDetails={"step": "1"})
    assert good and body["clientToken"] == "t" and body["execution"]["status"] == "IN_PROGRESS", body
    assert 598 <= body["execution"]["approximateSecondsBeforeTimedOut"] <= 600, body
    device.leave()
    again(node)
    device = Device(node, "lamp")
    good, body = device.ask("get")
    assert [job["jobId"] for job in body["inProgressJobs"]] == ["one"], body
    assert [job["jobId"] for job in body["queuedJobs"]] == ["two"], body
    good, body = device.ask("one/update", status="SUCCEEDED", expectedVersion=1, includeJobExecutionState=True)
    assert not good and body["code"] == "VersionMismatch", body
    assert body["executionState"] == {"status": "IN_PROGRESS", "statusDetails": {"step": "1"}, "versionNumber": 2}, body
    assert device.ask("one/update", status="SUCCEEDED", expectedVersion=2)[0]
    good, body = device.ask("one/get")
    assert not good and body["code"] == "TerminalStateReached", body
    assert node.get("/jobs/v1/jobs/one")["status"] == "IN_PROGRESS"  # fan has not begun
    call(node, "POST", "/things/fan/jobs/one", {"status": "REJECTED"})
    again(node)
    assert settled(node, "one", SUCCEEDED=1, REJECTED=1)["status"] == "COMPLETED"
    device.leave()


def test_what_was_accepted_survives_whenever_it_is_killed():
    node = begin("lamp")
    create(node, "long", "lamp")
    accepted = 1
    for _ in range(5):
        device = Device(node, "lamp")
        for _ in range(20):
            accepted = device.ask("long/update", status="IN_PROGRESS",
                                  includeJobExecutionState=True)[1]["executionState"]["versionNumber"]
        for _ in range(3):  # on the way when it dies
            device.mqtt.publish(device.prefix + "long/update", '{"status":"IN_PROGRESS"}', 1)
        node.kill()
        device.leave()
        ready(node.restart())
        version = node.get("/jobs/v1/jobs/long/executions/lamp")["versionNumber"]
        assert accepted <= version <= accepted + 3, (accepted, version)


def test_a_roll_out_of_many_goes_on_after_a_crash():
    things = [f"t{i:03d}" for i in range(150)]
    node = begin(*things)
    create(node, "all", "group:hall")
    again(node)
    settled(node, "all", QUEUED=150, waiting=0)
    call(node, "POST", "/jobs/v1/jobs/all/cancel")
    again(node)
    settled(node, "all", CANCELED=150)
    page = node.get("/jobs/v1/jobs/all/executions?limit=100&status=CANCELED")
    rest = node.get(f"/jobs/v1/jobs/all/executions?limit=100&cursor={page['cursor']}")
    assert [e["thing"] for e in page["data"] + rest["data"]] == things and "cursor" not in rest
    assert call(node, "DELETE", "/jobs/v1/jobs/all", status=202)["status"] == "DELETION_IN_PROGRESS"
    again(node)
    wait_for(lambda: node.http("GET", "/jobs/v1/jobs/all")[0] == 404, "the job is gone")
    assert "edged_jobs_executions 0\n" in node.get("/metrics").decode()


def test_groups_change_while_a_job_goes_on():
    node = begin("lamp")
    create(node, "base", "group:hall", targetSelection="CONTINUOUS")
    settled(node, "base", QUEUED=1)
    call(node, "POST", "/things/v1/things", {"name": "fan", "groups": ["hall"]}, 201)
    settled(node, "base", QUEUED=2)
    call(node, "DELETE", "/things/v1/groups/hall/things/fan")
    settled(node, "base", QUEUED=1, REMOVED=1)
    call(node, "PUT", "/things/v1/groups/hall/things/fan")
    settled(node, "base", QUEUED=2)
    assert node.get("/jobs/v1/jobs/base/executions/fan")["executionNumber"] == 2
    call(node, "DELETE", "/things/v1/things/lamp", status=204)
    settled(node, "base", QUEUED=1, REMOVED=1)


def test_what_operators_are_refused():
    node = begin("lamp")
    create(node, "one", "lamp")
    for problem, status, body in (
            ("exists", 409, {"id": "one", "targets": ["lamp"], "document": {}}),
            ("no-such-target", 400, {"id": "x", "targets": ["lump"], "document": {}}),
            ("no-such-target", 400, {"id": "x", "targets": ["group:attic"], "document": {}}),
            ("bad-job", 400, {"id": "x", "targets": ["lamp"], "document": {"x": "y" * 32768}}),
            ("bad-job", 400, {"id": "x", "targets": ["lamp"], "document": {}, "rate": 1}),
            ("bad-json", 400, "[1]"), ("bad-json", 400, "")):
        answer = call(node, "POST", "/jobs/v1/jobs", body, status)
        assert answer["type"].endswith(":" + problem), answer
    for method, path, problem, status in (
            ("GET", "/jobs/v1/jobs/none", "no-such-job", 404),
            ("GET", "/jobs/v1/jobs?limit=0", "bad-parameter", 400),
            ("GET", "/jobs/v1/jobs/one/executions/fan", "no-such-execution", 404),
            ("GET", "/jobs/v1/jobs/one/executions?status=DONE", "bad-parameter", 400),
            ("DELETE", "/jobs/v1/jobs/one", "in-progress", 409),
            ("DELETE", "/jobs/v1/jobs/one?force=maybe", "bad-parameter", 400)):
        answer = call(node, method, path, status=status)
        assert answer["type"].endswith(":" + problem), answer
    call(node, "PUT", "/things/lamp/jobs/$next")
    answer = call(node, "POST", "/jobs/v1/jobs/one/executions/lamp/cancel", status=409)
    assert answer["type"].endswith(":in-progress"), answer
    call(node, "POST", "/jobs/v1/jobs/one/executions/lamp/cancel", {"force": True})
    answer = call(node, "POST", "/jobs/v1/jobs/one/cancel", {"force": True}, 409)
    assert answer["type"].endswith(":ended"), answer


def curl(node, folder, *args):
    """(status, answer) over TLS with the device's certificate."""
    need("curl")
    files = ("--cacert", f"{folder}/ca.pem", "--cert", f"{folder}/certificate.pem", "--key", f"{folder}/key.pem")
    port = node.port("tls")
    *rest, path = args
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *files, *rest, f"https://localhost:{port}{path}"],
                          capture_output=True, text=True, check=True, timeout=60)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_devices_over_https_may_what_their_policies_say():
    node = ready(Node())
    lamp, fan = (os.path.join(edged.folder(), name) for name in ("lamp", "fan"))
    node.edgectl("thing", "create", "lamp", "--folder", lamp)
    node.edgectl("thing", "create", "fan", "--folder", fan)
    create(node, "one", "lamp")
    assert curl(node, lamp, "/things/lamp/jobs")[1]["queuedJobs"][0]["jobId"] == "one"
    for args in (("/things/lamp/jobs",), ("-X", "PUT", "/things/lamp/jobs/$next"), ("/things/lamp/jobs/one",),
                 ("-d", '{"status":"SUCCEEDED"}', "/things/lamp/jobs/one")):
        assert curl(node, fan, *args) [0] == 403, args
    status, body = curl(node, lamp, "-X", "PUT", "/things/lamp/jobs/$next")
    assert status == 200 and body["execution"]["jobDocument"] == '{"do":"one"}', body
    status, body = curl(node, lamp, "/things/lamp/jobs/%24next?includeJobDocument=true")
    assert status == 200 and body["execution"]["status"] == "IN_PROGRESS", body
    assert curl(node, lamp, "-d", '{"status":"SUCCEEDED"}', "/things/lamp/jobs/one") == (200, {})
    assert curl(node, lamp, "/things/lamp/jobs/one")[0] == 410
    assert curl(node, lamp, "/jobs/v1/jobs")[0] == 401  # for operators
    # a certificate that nobody knows
    stranger = os.path.join(edged.folder(), "stranger")
    node.edgectl("thing", "create", "stranger", "--folder", stranger)
    call(node, "DELETE", "/things/v1/things/stranger", status=204)
    assert curl(node, stranger, "/things/lamp/jobs")[0] in (401, 403)


def test_the_aws_cli_is_a_device():
    aws = need("aws")
    node = begin("lamp")
    create(node, "one", "lamp")

    def run(*args):
        done = subprocess.run([aws, "--no-sign-request", "--region", "local", "--endpoint-url",
                               f"http://localhost:{node.port('http')}", "iot-jobs-data", *args, "--thing-name", "lamp"],
                              capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else done.stderr
    assert run("get-pending-job-executions")["queuedJobs"][0]["jobId"] == "one"
    assert run("start-next-pending-job-execution")["execution"]["status"] == "IN_PROGRESS"
    execution = run("describe-job-execution", "--job-id", "$next", "--include-job-document")["execution"]
    assert json.loads(execution["jobDocument"]) == {"do": "one"}, execution
    state = run("update-job-execution", "--job-id", "one", "--status", "SUCCEEDED", "--include-job-execution-state")
    assert state["executionState"]["status"] == "SUCCEEDED", state
    assert "TerminalStateException" in run("describe-job-execution", "--job-id", "one")
    assert "InvalidStateTransitionException" in run("update-job-execution", "--job-id", "one", "--status", "FAILED")
    assert "ResourceNotFoundException" in run("describe-job-execution", "--job-id", "none")


def test_the_aws_sdk_does_its_jobs():
    node = ready(Node())
    for version in (4, 5):
        thing, folder = f"lamp{version}", os.path.join(edged.folder(), "device")
        node.edgectl("thing", "create", thing, "--folder", folder)
        for job in ("a", "b"):
            create(node, f"{job}{version}", thing)
        wait_for(lambda thing=thing: len(node.get(f"/things/{thing}/jobs")["queuedJobs"]) == 2, "executions")
        got = node_programs.run("awsjobs.js", node.port("tls"), version, thing, folder, "begin")
        assert got == {"pending": [f"a{version}", f"b{version}"], "document": {"do": f"a{version}"},
                       "stale": "VersionMismatch",
                       "state": {"status": "IN_PROGRESS", "statusDetails": {"step": "2"}, "versionNumber": 3}}, got
        again(node)
        got = node_programs.run("awsjobs.js", node.port("tls"), version, thing, folder, "finish")
        left = got.pop("left")
        assert got == {"resumed": [f"a{version}", "IN_PROGRESS", {"step": "2"}], "second": f"b{version}",
                       "document": {"do": f"b{version}"}, "again": "InvalidStateTransition", "last": None,
                       "ended": "TerminalStateReached"}, got
        assert [job["jobId"] for job in left["QUEUED"]] == [f"b{version}"], left
        assert node.get(f"/jobs/v1/jobs/b{version}/executions/{thing}")["statusDetails"] == {"reason": "no room"}


def test_edgectl_tells_devices_what_to_do():
    node = begin("lamp", "fan")
    path = os.path.join(edged.folder(), "update.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"file": "7.bin"}')
    assert "no jobs" in node.edgectl("job", "list")
    node.edgectl("job", "create", "up", path, "lamp", "group:hall", "--for", "90s", "--rate", "100", "--description", "to 7")
    job = settled(node, "up", QUEUED=2)
    assert job["inProgressTimeoutInMinutes"] == 2 and job["maximumPerMinute"] == 100, job
    assert job["document"] == {"file": "7.bin"} and job["targets"] == ["lamp", "group:hall"], job
    call(node, "PUT", "/things/lamp/jobs/$next", {"statusDetails": {"step": "1 of 2"}})
    assert [line.split()[:6] for line in node.edgectl("job", "list").splitlines()[1:]] == [
        ["up", "IN_PROGRESS", "1", "1", "0", "0"]]
    shown = node.edgectl("job", "describe", "up")
    assert '"file": "7.bin"' in shown and "step=1 of 2" in shown, shown
    assert json.loads(node.edgectl("--json", "job", "describe", "up"))["status"] == "IN_PROGRESS"
    node.edgectl("job", "delete", "up", status=1)
    node.edgectl("job", "cancel", "up")
    settled(node, "up", CANCELED=1, IN_PROGRESS=1)
    node.edgectl("job", "cancel", "up", "--force")
    settled(node, "up", CANCELED=2)
    node.edgectl("job", "delete", "up")
    wait_for(lambda: "no jobs" in node.edgectl("job", "list"), "the job is gone")
    node.edgectl("job", "create", "up", path, "nobody", status=1)
    node.edgectl("job", "create", "up", path, status=2)
    node.edgectl("job", "create", "up", path, "lamp", "--rate", "0", status=2)


edged.main()
