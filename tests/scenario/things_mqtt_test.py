#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Devices over MQTT with the folder that edgectl makes: what they may do, and that taking it away works at once."""
import ast
import os
import re
import subprocess
import textwrap
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import edged
import node_programs
from edged import Node, need

ARN = "arn:aws:iot:eu-central-1:123456789012:"
REFUSED = 0x87  # MQTT 5: not authorized


def call(node, method, path, body=None, status=200):
    got, _, answer = node.http(method, path, body)
    assert got == status, f"{method} {path}: {got} instead of {status}: {answer}"
    return answer


def provision(node, name, *options):
    """The folder that edgectl makes."""
    path = os.path.join(edged.folder(), name)
    node.edgectl("thing", "create", name, "--folder", path, *options)
    return path


def put_policy(node, name, *statements):
    document = {"Version": "2012-10-17",
                "Statement": [{"Effect": effect, "Action": action, "Resource": [ARN + r for r in resources]}
                              for effect, action, *resources in statements]}
    status, _, answer = node.http("PUT", f"/things/v1/policies/{name}", document)
    assert status in (200, 201), answer


def certificate_of(node, thing):
    return node.get(f"/things/v1/things/{thing}")["certificates"][0]["id"]


class Client:
    """A paho client, MQTT 5, that notes what happens; with a device's folder over TLS, else the operator's at the plain port."""

    def __init__(self, node, name, folder=None, clean=True, user=None, wait=True):
        self.mqtt = mqtt.Client(name, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        self.messages, self.results, self.code = [], {}, None
        self.answered, self.ended = threading.Event(), threading.Event()
        self.mqtt.on_connect = self.on_connect
        self.mqtt.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload.decode()))
        self.mqtt.on_subscribe = lambda c, u, mid, codes, *rest: self.results.update({mid: codes[0].value})
        self.mqtt.on_disconnect = lambda *args: self.ended.set()
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if clean else 3600
        if folder:
            paths = {key: os.path.join(folder, f"{name}.pem") for key, name in
                     (("ca_certs", "ca"), ("certfile", "certificate"), ("keyfile", "key"))}
            if user:
                self.mqtt.username_pw_set(*user)
                paths = {"ca_certs": paths["ca_certs"]}
            self.mqtt.tls_set(**paths)
        self.mqtt.connect("localhost", node.port("tls" if folder else "mqtt"), 60, clean_start=clean, properties=properties)
        self.mqtt.loop_start()
        if wait:
            assert self.answered.wait(20), "no CONNACK"

    def on_connect(self, client, user, flags, code, *rest):
        self.code = code.value
        self.answered.set()

    def subscribe(self, topic_filter, qos=1):
        """The code of SUBACK."""
        mid = self.mqtt.subscribe(topic_filter, qos)[1]
        return edged.wait_for(lambda: (self.results.get(mid),) if mid in self.results else None, "SUBACK")[0]

    def publish(self, topic, text, qos=1, retain=False):
        info = self.mqtt.publish(topic, text, qos, retain)
        info.wait_for_publish(60)

    def expect(self, *messages):
        edged.wait_for(lambda: len(self.messages) >= len(messages), f"{messages}, have {self.messages}")
        assert self.messages == list(messages), self.messages
        self.messages.clear()

    def quiet(self):
        """Nothing has come: whatever was on the way comes before the answer to this."""
        self.mqtt.unsubscribe("nothing")
        mid = self.mqtt.subscribe(f"{self.mqtt._client_id.decode()}/quiet", 0)[1]
        edged.wait_for(lambda: mid in self.results or self.ended.is_set(), "an answer")
        assert self.messages == [], self.messages

    def leave(self):
        self.mqtt.disconnect()
        self.ended.wait(20)
        self.mqtt.loop_stop()


def sections(text):
    """What README.txt of a folder has under each of its titles."""
    parts = re.split(r"\n\n(?=\S)", text)[2:]
    return {title: textwrap.dedent(program) for title, program in (part.split("\n\n", 1) for part in parts)}


def test_the_programs_in_the_folder_run_as_they_stand():
    node = Node()
    lamp = provision(node, "lamp")
    operator = Client(node, "operator")
    operator.subscribe("#")
    key = dict(line.split("=", 1) for line in node.edgectl("key", "create", "lamp", "--thing", "lamp").split())
    shell = [need("sh"), "-c"]
    runners = {"mosquitto": shell, "curl": shell, "Python, paho-mqtt": ["/usr/bin/python3", "-c"],
               "JavaScript, AWS IoT Device SDK v2": [need("node"), "-e"],
               "JavaScript, AWS IoT Device SDK v1": [need("node"), "-e"], "AWS command line": shell}
    node_programs.command("awsdevice.js")
    with open(os.path.join(lamp, "README.txt"), encoding="utf-8") as file:
        programs = sections(file.read())
    for title, program in programs.items():
        if title == "Python, AWS IoT Device SDK v2":  # not in Debian
            ast.parse(program)
            continue
        title = title.split(";")[0]
        subprocess.run([*runners.pop(title), program], cwd=lamp, check=True, timeout=60, stdout=subprocess.DEVNULL,
                       env=node_programs.environment(**key))
        operator.expect(("lamp/hello", "hello"))
    assert not runners, runners


def test_a_device_needs_nothing_but_its_folder():
    node = Node()
    lamp = provision(node, "lamp")
    operator = Client(node, "operator")
    operator.subscribe("#")
    # its own topics and no others
    device = Client(node, "lamp", lamp)
    assert device.code == 0
    assert device.subscribe("lamp/in/#") == 1 and device.subscribe("#") == REFUSED and device.subscribe("fan/#") == REFUSED
    assert device.subscribe("$aws/things/lamp/shadow/get/+") == 1 and device.subscribe("$aws/things/+/shadow/#") == REFUSED
    device.publish("fan/a", "no")
    device.publish("lamp/a", "yes")
    operator.expect(("lamp/a", "yes"))
    operator.publish("lamp/in/b", "in")
    device.expect(("lamp/in/b", "in"))
    assert Client(node, "fan", lamp).code == REFUSED  # somebody else's name
    assert not device.ended.is_set()


def test_what_is_taken_away_is_gone_at_once():
    node = Node()
    lamp, fan = provision(node, "lamp"), provision(node, "fan")
    operator = Client(node, "operator")
    operator.subscribe("lamp/#")
    device = Client(node, "lamp", lamp)
    device.subscribe("lamp/in/#")
    device.publish("lamp/state", "on", retain=True)
    operator.expect(("lamp/state", "on"))
    # one more Deny in a policy, live
    put_policy(node, "no-in", ("Deny", "iot:Receive", "topic/lamp/in/secret"))
    operator.publish("lamp/in/secret", "1")
    device.expect(("lamp/in/secret", "1"))
    node.edgectl("policy", "attach", "no-in", "lamp")
    operator.publish("lamp/in/secret", "2")
    operator.publish("lamp/in/open", "3")
    device.expect(("lamp/in/open", "3"))
    # its connection, its name, and what it had left behind
    other = Client(node, "fan", fan)
    certificate = certificate_of(node, "lamp")
    call(node, "PATCH", f"/things/v1/certificates/{certificate}", {"status": "REVOKED"})
    assert device.ended.wait(20)
    assert Client(node, "lamp", lamp).code == REFUSED
    late = Client(node, "late")
    late.subscribe("lamp/state")
    late.quiet()
    assert other.subscribe("fan/#") == 1 and not other.ended.is_set()
    node.edgectl("thing", "disable", "fan")
    assert other.ended.wait(20)
    assert Client(node, "fan", fan).code == REFUSED
    node.edgectl("thing", "enable", "fan")
    assert Client(node, "fan", fan).code == 0


def test_sessions_live_on_with_the_rights_of_the_moment():
    node = Node()
    lamp = provision(node, "lamp")
    device = Client(node, "lamp", lamp, clean=False)
    assert device.subscribe("lamp/in/#") == 1
    device.leave()
    operator = Client(node, "operator")
    for i in range(2):
        operator.publish(f"lamp/in/{i}", str(i))
    put_policy(node, "no-0", ("Deny", "iot:Receive", "topic/lamp/in/0"))
    node.edgectl("policy", "attach", "no-0", "lamp")
    node.kill()
    node.restart()
    device = Client(node, "lamp", lamp, clean=False)
    device.expect(("lamp/in/1", "1"))
    device.quiet()
    # the old certificate is good for the overlap, the new one from now on
    path = lamp + "-new"
    node.edgectl("thing", "rotate", "lamp", "--folder", path, "--for", "1h")
    assert Client(node, "lamp", path).code == 0


def test_users_come_with_a_password():
    node = Node()
    ca = provision(node, "lamp")
    put_policy(node, "user", ("Allow", "iot:Connect", "client/ann"), ("Allow", "iot:Publish", "topic/ann/*"))
    call(node, "PUT", "/things/v1/users/ann", {"password": "secret", "policies": ["user"]}, 201)
    operator = Client(node, "operator")
    operator.subscribe("ann/#")
    assert Client(node, "ann", ca, user=("ann", "wrong")).code != 0
    assert Client(node, "ann", ca, user=("bob", "secret")).code != 0
    ann = Client(node, "ann", ca, user=("ann", "secret"))
    assert ann.code == 0 and ann.subscribe("ann/#") == REFUSED
    ann.publish("bob/a", "no")
    ann.publish("ann/a", "yes")
    operator.expect(("ann/a", "yes"))
    call(node, "POST", "/things/v1/users/ann/password", {"password": "other"})
    assert Client(node, "ann", ca, user=("ann", "secret")).code != 0
    assert Client(node, "ann", ca, user=("ann", "other")).code == 0
    call(node, "DELETE", "/things/v1/users/ann", status=204)
    assert Client(node, "ann", ca, user=("ann", "other")).code != 0


edged.main()
