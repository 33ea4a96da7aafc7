#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients of AWS IoT against a node on port 443: provisioned, connected, messages, shadows, and a restart.

In a network of its own, as the discovery client of AWS's SDK knows no other port.
"""
import contextlib
import json
import os
import selectors
import subprocess

import boto3
import botocore.config
import botocore.exceptions

import edged
import node_programs
from edged import Node, need
from netspace import enter

ARN = "arn:aws:iot:eu-central-1:123456789012:"
REGION = "eu-central-1"
LISTEN = ("http=127.0.0.1:0", "mqtt=127.0.0.1:0", "tls=127.0.0.1:443")
ENDPOINT = "https://localhost"


def provision(node, name):
    """The folder of edgectl, and a key with which the thing may do the same."""
    path = os.path.join(edged.folder(), name)
    node.edgectl("thing", "create", name, "--folder", path)
    key = dict(line.split("=", 1) for line in node.edgectl("key", "create", name, "--thing", name).split())
    return path, key


class Device:
    """A program that does what it is told, see node/awsdevice.js."""

    def __init__(self, kind, thing, folder, key):
        self.what = f"{kind} {thing}"
        environment = node_programs.environment(**key, NODE_EXTRA_CA_CERTS=os.path.join(folder, "ca.pem"))
        self.process = edged.spawn(*node_programs.command("awsdevice.js", kind, "localhost", 443, thing, folder),
                                   stdin=subprocess.PIPE, env=environment)
        self.ready = selectors.DefaultSelector()
        self.ready.register(self.process.stdout, selectors.EVENT_READ)

    def answer(self):
        while True:
            assert self.ready.select(60), f"{self.what} does not answer"
            line = self.process.stdout.readline()
            assert line, f"{self.what} has ended"
            if line[0] in '"{[' or line[0].isdigit():
                return json.loads(line)
            print(f"      {self.what}: {line}", end="")

    def ask(self, *command):
        print(json.dumps(command), file=self.process.stdin, flush=True)
        return self.answer()


class Paho:
    """The same with paho, MQTT 5."""

    def __init__(self, thing, folder):
        import paho.mqtt.client as mqtt
        self.thing, self.messages, self.subscribed = thing, [], 0
        self.mqtt = mqtt.Client(thing, protocol=mqtt.MQTTv5)
        self.mqtt.reconnect_delay_set(1, 1)
        self.mqtt.tls_set(*(os.path.join(folder, f"{name}.pem") for name in ("ca", "certificate", "key")))
        self.mqtt.on_connect = lambda client, *rest: client.subscribe([(f"{thing}/echo", 1), (f"$aws/things/{thing}/shadow/+/+", 1)])
        self.mqtt.on_subscribe = self.on_subscribe
        self.mqtt.on_message = lambda client, data, message: self.messages.append((message.topic, message.payload.decode()))
        self.mqtt.connect_async("localhost", 443, 30)
        self.mqtt.loop_start()

    def on_subscribe(self, *rest):
        self.subscribed += 1

    def answer(self):
        edged.wait_for(lambda: self.subscribed, "paho has subscribed")
        return "connected"

    def request(self, topic, payload, wanted):
        self.messages.clear()
        self.mqtt.publish(topic, payload, 1)
        return edged.wait_for(lambda: [text for at, text in self.messages if at == wanted], wanted)[0]

    def shadow(self, verb, payload):
        topic = f"$aws/things/{self.thing}/shadow/{verb}"
        return json.loads(self.request(topic, payload, topic + "/accepted"))

    def ask(self, command, argument=None):
        if command == "echo":
            return self.request(f"{self.thing}/echo", argument, f"{self.thing}/echo")
        if command == "update":
            return self.shadow("update", json.dumps({"state": argument}))["version"]
        return self.shadow("get", "")["state"]

    def again(self, count):
        """After a restart it subscribes anew, as the session of paho was a clean one."""
        edged.wait_for(lambda: self.subscribed > count, "paho has come back")


KINDS = ("v1", "v1-websocket", "v2-311", "v2-5", "v2-websocket", "v2-discovery")


def test_devices_live_through_a_restart():
    node_programs.command("awsdevice.js")
    node = Node(listen=LISTEN)
    devices = {}
    for kind in KINDS:
        folder, key = provision(node, kind)
        devices[kind] = Device(kind, kind, folder, key)
    devices["paho"] = Paho("paho", provision(node, "paho")[0])
    for device in devices.values():
        assert device.answer() == "connected"
    for kind, device in devices.items():
        assert device.ask("echo", "first") == "first", kind
        assert device.ask("update", {"desired": {"led": "on"}, "reported": {"kind": kind}}) == 1, kind
        assert node.get(f"/things/{kind}/shadow")["state"]["reported"] == {"kind": kind}
    count = devices["paho"].subscribed
    node.kill()
    node.restart()
    edged.wait_for(lambda: len(node.get("/pubsub/v1/clients")["data"]) == len(devices), "all come back", 60)
    devices["paho"].again(count)
    for kind, device in devices.items():
        assert device.ask("echo", "second") == "second", kind
        state = device.ask("get")
        assert (state["desired"], state["reported"]) == ({"led": "on"}, {"kind": kind}), (kind, state)
        assert device.ask("update", {"reported": {"led": "on"}}) == 2, kind
    devices["paho"].mqtt.loop_stop()


def test_the_programs_of_mosquitto():
    node = Node(listen=LISTEN)
    folder, _ = provision(node, "lamp")
    secure = ["-h", "localhost", "-p", "443", "-V", "mqttv5", "-i", "lamp", "-q", "1", "--cafile", f"{folder}/ca.pem",
              "--cert", f"{folder}/certificate.pem", "--key", f"{folder}/key.pem", "--tls-alpn", "x-amzn-mqtt-ca"]
    publish = [need("mosquitto_pub"), *secure, "-t", "lamp/kept", "-r"]
    get = [need("mosquitto_rr"), *secure, "-t", "$aws/things/lamp/shadow/get", "-e", "$aws/things/lamp/shadow/get/accepted", "-n"]
    subprocess.run([*publish, "-m", "here"], check=True, timeout=60)
    update = [need("mosquitto_pub"), *secure, "-t", "$aws/things/lamp/shadow/update", "-m", '{"state":{"reported":{"led":"on"}}}']
    subprocess.run(update, check=True, timeout=60)
    node.stop()
    node.restart()
    got = subprocess.run([need("mosquitto_sub"), *secure, "-t", "lamp/kept", "-C", "1"], check=True, timeout=60, text=True,
                         capture_output=True).stdout
    assert got == "here\n", got
    done = subprocess.run(get, check=True, timeout=60, text=True, capture_output=True)
    assert json.loads(done.stdout)["state"] == {"reported": {"led": "on"}}, done


def boto(folder, key):
    return boto3.client("iot-data", region_name=REGION, endpoint_url=ENDPOINT, verify=os.path.join(folder, "ca.pem"),
                        aws_access_key_id=key["AWS_ACCESS_KEY_ID"], aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
                        config=botocore.config.Config(retries={"max_attempts": 1}))


def failure(call, **arguments):
    """The name of the error that botocore makes of an answer, and its status."""
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def tools(node, name):
    """A thing, and a key that may also read what is kept and end connections."""
    folder, _ = provision(node, name)
    node.edgectl("thing", "create", "other", "--folder", os.path.join(edged.folder(), "other"))
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:RetainPublish", "iot:GetRetainedMessage"], "Resource": ARN + f"topic/{name}/*"},
        {"Effect": "Allow", "Action": ["iot:ListRetainedMessages", "iot:DeleteConnection"], "Resource": "*"},
        {"Effect": "Allow", "Action": "iot:*Shadow*", "Resource": [ARN + f"thing/{name}", ARN + f"thing/{name}/*"]}]}
    status = node.http("PUT", "/things/v1/policies/tools", document)[0]
    assert status == 201, status
    return folder, dict(line.split("=", 1) for line in node.edgectl("key", "create", "ci", "--policy", "tools").split())


def test_boto3():
    node = Node(listen=LISTEN)
    folder, key = tools(node, "lamp")
    client = boto(folder, key)
    client.publish(topic="lamp/a b/ü", qos=1, retain=True, payload=b"kept")
    client.update_thing_shadow(thingName="lamp", payload=json.dumps({"state": {"desired": {"led": "on"}}}))
    client.update_thing_shadow(thingName="lamp", shadowName="n1", payload=json.dumps({"state": {"desired": {"led": "on"}}}))
    for again in (False, True):
        kept = client.get_retained_message(topic="lamp/a b/ü")
        assert (kept["payload"], kept["qos"]) == (b"kept", 1), kept
        assert [one["topic"] for one in client.list_retained_messages()["retainedTopics"]] == ["lamp/a b/ü"]
        shadow = json.loads(client.get_thing_shadow(thingName="lamp")["payload"].read())
        assert shadow["state"]["desired"] == {"led": "on"} and shadow["version"] == 1, shadow
        assert client.list_named_shadows_for_thing(thingName="lamp")["results"] == ["n1"]
        assert failure(client.get_thing_shadow, thingName="lamp", shadowName="none") == ("ResourceNotFoundException", 404)
        assert failure(client.get_thing_shadow, thingName="other") == ("ForbiddenException", 403)
        assert failure(client.publish, topic="other/a", payload=b"x") == ("ForbiddenException", 403)
        if not again:
            node.kill()
            node.restart()
    client.delete_thing_shadow(thingName="lamp", shadowName="n1")
    assert client.list_named_shadows_for_thing(thingName="lamp")["results"] == []
    wrong = boto(folder, {**key, "AWS_SECRET_ACCESS_KEY": "x" * 40})
    assert failure(wrong.publish, topic="lamp/a", payload=b"x") == ("ForbiddenException", 403)


def test_the_aws_command_line():
    node = Node(listen=LISTEN)
    folder, key = tools(node, "lamp")
    environment = {**os.environ, **key, "AWS_CA_BUNDLE": os.path.join(folder, "ca.pem"), "AWS_DEFAULT_REGION": REGION,
                   "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "HOME": folder}

    def aws(*arguments):
        return subprocess.run([need("aws"), "--endpoint-url", ENDPOINT, "iot-data", *arguments], env=environment, text=True,
                              capture_output=True, timeout=60)
    for name, text in (("message", "here"), ("state", '{"state":{"desired":{"led":"on"}}}')):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    for command in (["publish", "--topic", "lamp/kept", "--qos", "1", "--retain", "--payload", f"fileb://{folder}/message"],
                    ["update-thing-shadow", "--thing-name", "lamp", "--payload", f"fileb://{folder}/state", os.devnull]):
        done = aws(*command)
        assert done.returncode == 0, done
    node.kill()
    node.restart()
    done = aws("list-retained-messages", "--query", "retainedTopics[0].[topic, payloadSize]", "--output", "text")
    assert done.stdout.split() == ["lamp/kept", "4"], done
    done = aws("get-thing-shadow", "--thing-name", "lamp", "/dev/stdout")
    assert '"desired":{"led":"on"}' in done.stdout, done
    done = aws("get-thing-shadow", "--thing-name", "other", os.devnull)
    assert done.returncode and "ForbiddenException" in done.stderr, done


def test_the_aws_sdk_for_javascript_v3():
    node = Node(listen=LISTEN)
    folder, key = tools(node, "lamp")
    for named in (None, "after a restart"):
        got = node_programs.run("awsdata.js", ENDPOINT, "lamp", **key, NODE_EXTRA_CA_CERTS=os.path.join(folder, "ca.pem"))
        assert got == {"kept": ["lamp/a b/ü", "kept", 1, '[{"colour":"red"}]'], "topics": ["lamp/a b/ü"],
                       "updated": {"desired": {"led": "on"}}, "shadow": {"desired": {"led": "on"}, "delta": {"led": "on"}},
                       "named": ["n1"], "missing": ["ResourceNotFoundException", 404],
                       "nobody": ["ResourceNotFoundException", 404], "foreign": ["ForbiddenException", 403]}, got
        if not named:
            node.kill()
            node.restart()


def install():
    """What the tests need of npm, while there is a network; who needs it says what is missing."""
    with contextlib.suppress(edged.Skip):
        node_programs.install()


enter(install)
edged.main()
