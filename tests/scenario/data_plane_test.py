#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP data plane of AWS IoT on the secure port: who may do what with a certificate, and with a signature."""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import ssl
import subprocess
import threading
import urllib.parse

import paho.mqtt.client as mqtt

import edged
from edged import Node, need

ARN = "arn:aws:iot:eu-central-1:123456789012:"
SHADOW = "/things/lamp/shadow"

# What each route needs, and what it answers to one who may: method, path, body, status, [(action, resource)]
ROUTES = (
    ("POST", "/topics/a%2Fb?qos=1", "hi", 200, [("iot:Publish", "topic/a/b")]),
    ("POST", "/topics/a%2Fkept?qos=1&retain=true", "hi", 200,
     [("iot:Publish", "topic/a/kept"), ("iot:RetainPublish", "topic/a/kept")]),
    ("GET", "/retainedMessage/a%2Fkept", None, 200, [("iot:GetRetainedMessage", "topic/a/kept")]),
    ("GET", "/retainedMessage", None, 200, [("iot:ListRetainedMessages", "*")]),
    ("DELETE", "/connections/nobody", None, 404, [("iot:DeleteConnection", "client/nobody")]),
    ("POST", SHADOW, '{"state":{"desired":{"led":"on"}}}', 200, [("iot:UpdateThingShadow", "thing/lamp")]),
    ("GET", SHADOW, None, 200, [("iot:GetThingShadow", "thing/lamp")]),
    ("POST", SHADOW + "?name=n1", '{"state":{"desired":{"led":"on"}}}', 200, [("iot:UpdateThingShadow", "thing/lamp/n1")]),
    ("GET", "/api/things/shadow/ListNamedShadowsForThing/lamp", None, 200, [("iot:ListNamedShadowsForThing", "thing/lamp")]),
    ("DELETE", SHADOW + "?name=n1", None, 200, [("iot:DeleteThingShadow", "thing/lamp/n1")]),
    ("GET", "/greengrass/discover/thing/lamp", None, 200, [("greengrass:Discover", "thing/lamp")]),
)


def call(node, method, path, body=None, status=(200, 201, 204)):
    got, _, answer = node.http(method, path, body)
    assert got in status, f"{method} {path}: {got}: {answer}"
    return answer


def put_policy(node, name, *statements):
    resource = lambda r: r if r == "*" else ARN + r  # noqa: E731
    call(node, "PUT", f"/things/v1/policies/{name}", {"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": action, "Resource": resource(r)} for effect, action, r in statements]})


def allow_everything(node, name="all"):
    put_policy(node, name, *[("Allow", action, resource) for row in ROUTES for action, resource in row[4]])


def make_thing(node, name, policy=None):
    """Its folder; without a policy it has none at all."""
    path = os.path.join(edged.folder(), name)
    node.edgectl("thing", "create", name, "--folder", path, *(["--policy", policy] if policy else []))
    return path


def certificate_of(node, thing):
    return node.get(f"/things/v1/things/{thing}")["certificates"][0]["id"]


def stranger():
    """A folder with a certificate that nobody has heard of."""
    path = edged.folder()
    subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=lamp", "-keyout", f"{path}/key.pem", "-out", f"{path}/certificate.pem"],
                   check=True, capture_output=True)
    return path


def signature(secret, date, scope, canonical):
    """Signature Version 4, as its documentation has it."""
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Caller:
    """Requests on the secure port: with the certificate of a folder, or signed with a key, or neither."""

    def __init__(self, node, ca, folder=None, key=None, skew=0):
        self.node, self.key, self.skew = node, key, skew
        self.tls = ssl.create_default_context(cafile=os.path.join(ca, "ca.pem"))
        if folder:
            self.tls.load_cert_chain(os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem"))

    def sign(self, method, path, body, headers):
        now = datetime.datetime.utcnow() + datetime.timedelta(seconds=self.skew)
        date, scope = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d") + "/eu-central-1/iotdata/aws4_request"
        path, _, query = path.partition("?")
        signed = {**{k.lower(): v for k, v in headers.items()}, "x-amz-date": date}
        canonical = "\n".join([method, urllib.parse.quote(path, safe="/~"), "&".join(sorted(query.split("&"))),
                               *[f"{k}:{signed[k]}" for k in sorted(signed)], "", ";".join(sorted(signed)),
                               hashlib.sha256((body or "").encode()).hexdigest()])
        return {"X-Amz-Date": date, "Authorization": f"AWS4-HMAC-SHA256 Credential={self.key[0]}/{scope}, "
                f"SignedHeaders={';'.join(sorted(signed))}, Signature={signature(self.key[1], date, scope, canonical)}"}

    def __call__(self, method, path, body=None, headers=None):
        """(status, headers, body) with the body parsed when it is JSON."""
        port = self.node.port("tls")
        headers = {"Host": f"localhost:{port}", **(headers or {})}
        if self.key:
            headers.update(self.sign(method, path, body, headers))
        connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=self.tls)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if "json" in (answer.getheader("content-type") or ""):
            data = json.loads(data)
        return answer.status, answer.headers, data


def forbidden(answer, what):
    """AWS's shape of a refusal, which its SDKs map."""
    status, headers, body = answer
    assert status == 403, (what, status, body)
    assert headers["x-amzn-errortype"] == "ForbiddenException", (what, headers.items())
    assert "traceId" in body and "message" in body, (what, body)


def refuse_all(caller, who):
    for method, path, body, _, _ in ROUTES:
        forbidden(caller(method, path, body), (who, method, path))


def judge_routes(node, caller, attach):
    """With every right, all work; without one of those that it needs, or with a Deny, it does not."""
    allow_everything(node)
    attach("all")
    for method, path, body, status, needs in ROUTES:
        got = caller(method, path, body)
        assert got[0] == status, (method, path, got[0], got[2])
        for action, resource in needs:
            put_policy(node, "no", ("Deny", action, resource))
            attach("no")
            forbidden(caller(method, path, body), (method, path, action))
            put_policy(node, "no", ("Deny", "iot:Connect", "client/none"))
            assert caller(method, path, body)[0] in (status, 404), (method, path)
    put_policy(node, "all", ("Allow", "iot:Connect", "client/none"))
    refuse_all(caller, "nothing is allowed")


def test_a_certificate_is_judged_by_its_policies():
    node = Node()
    put_policy(node, "nothing", ("Allow", "iot:Connect", "client/none"))
    lamp = make_thing(node, "lamp", "nothing")
    bare = make_thing(node, "bare", "nothing")
    call(node, "DELETE", f"/things/v1/policies/nothing/targets/certificates/{certificate_of(node, 'bare')}")
    caller = Caller(node, lamp, lamp)
    judge_routes(node, caller, lambda name: call(node, "PUT", f"/things/v1/policies/{name}/targets/things/lamp"))
    refuse_all(Caller(node, lamp, bare), "no policy")
    refuse_all(Caller(node, lamp, stranger()), "unknown certificate")
    refuse_all(Caller(node, lamp), "no certificate")
    allow_everything(node)
    assert caller("GET", SHADOW)[0] == 200
    call(node, "PATCH", f"/things/v1/certificates/{certificate_of(node, 'lamp')}", {"status": "REVOKED"})
    refuse_all(caller, "revoked")
    # what is not of the data plane stays shut, with a certificate as without
    for path in ("/edge/v1/node", "/pubsub/v1/clients", "/shadow/v1/things", "/things/v1/things", "/metrics"):
        assert caller("GET", path)[0] == 401, path


def test_the_operator_may_everything_with_the_access_key():
    node = Node(dev=False)
    with open(os.path.join(node.state, "access.key"), encoding="ascii") as file:
        bearer = {"Authorization": "Bearer " + file.read().strip()}
    path = os.path.join(edged.folder(), "lamp")
    node.edgectl("thing", "create", "lamp", "--folder", path)
    for caller in (Caller(node, path), Caller(node, path, stranger())):
        for method, route, body, status, _ in ROUTES:
            got = caller(method, route, body, bearer)
            assert got[0] == status, (method, route, got[0], got[2])
        forbidden(caller("GET", SHADOW, None, {"Authorization": bearer["Authorization"][:-1]}), "a wrong key")
    wrong = node.http("GET", SHADOW)
    assert wrong[0] == 401, wrong  # without TLS, and without the key


def test_messages_and_what_is_kept():
    node = Node()
    allow_everything(node)
    lamp = make_thing(node, "lamp", "all")
    caller = Caller(node, lamp, lamp)
    with subprocess.Popen([need("mosquitto_sub"), "-p", str(node.port("mqtt")), "-V", "mqttv5", "-q", "1", "-t", "a/#", "-C", "2",
                           "-F", "%t|%p|%q|%C|%R|%D|%F|%P"], stdout=subprocess.PIPE, text=True) as listener:
        edged.wait_for(lambda: node.get("/pubsub/v1/subscriptions")["data"], "the subscription")
        users = base64.b64encode(b'[{"colour":"red"},{"colour":"blue"}]').decode()
        headers = {"x-amz-mqtt5-user-properties": users, "x-amz-mqtt5-correlation-data": base64.b64encode(b"42").decode(),
                   "x-amz-mqtt5-payload-format-indicator": "UTF8_DATA"}
        target = "/topics/a%2Fb?qos=1&contentType=text%2Fplain&responseTopic=answers%2Fto&messageExpiry=60"
        status, _, body = caller("POST", target, "hello", headers)
        assert status == 200 and body["message"] == "OK", body
        status, _, body = caller("POST", "/topics/a%2Fkept?qos=1&retain=true", "kept",
                                 {"x-amz-mqtt5-user-properties": users})
        assert status == 200, body
        lines = listener.stdout.read().splitlines()
        assert lines == [
            "a/b|hello|1|text/plain|answers/to|42|1|colour:red colour:blue", "a/kept|kept|1|||||colour:red colour:blue"], lines
    got = caller("GET", "/retainedMessage/a%2Fkept")[2]
    assert got["userProperties"] == users and base64.b64decode(got["payload"]) == b"kept" and got["qos"] == 1, got
    assert [t["topic"] for t in caller("GET", "/retainedMessage")[2]["retainedTopics"]] == ["a/kept"]
    for target, headers in (("/topics/a%2Fb?qos=2", {}), ("/topics/a%2Fb?retain=2", {}), ("/topics/a%2Fb?messageExpiry=x", {}),
                            ("/topics/a%2Fb", {"x-amz-mqtt5-user-properties": "e30="}),
                            ("/topics/a%2Fb", {"x-amz-mqtt5-payload-format-indicator": "x"})):
        status, fields, body = caller("POST", target, "x", headers)
        assert status == 400 and fields["x-amzn-errortype"] == "InvalidRequestException", (target, status, body)
    # what one left behind who may not publish it any more goes to nobody
    call(node, "PATCH", f"/things/v1/certificates/{certificate_of(node, 'lamp')}", {"status": "REVOKED"})
    assert node.http("GET", "/retainedMessage/a%2Fkept")[0] == 404


def files(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name != "edged.sock"]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def make_key(node, *options):
    lines = dict(line.split("=", 1) for line in node.edgectl("key", "create", "tools", *options).split())
    return lines["AWS_ACCESS_KEY_ID"], lines["AWS_SECRET_ACCESS_KEY"]


def test_a_signature_is_judged_by_its_policies():
    node = Node()
    put_policy(node, "nothing", ("Allow", "iot:Connect", "client/none"))
    lamp = make_thing(node, "lamp", "nothing")
    key = make_key(node, "--policy", "nothing")
    judge_routes(node, Caller(node, lamp, key=key), lambda name: node.edgectl("policy", "attach", name, f"key:{key[0]}"))
    allow_everything(node)
    good = Caller(node, lamp, key=key)
    assert good("GET", SHADOW)[0] == 200
    for skew, status in ((-200, 200), (200, 200), (-400, 403), (400, 403)):
        assert Caller(node, lamp, key=key, skew=skew)("GET", SHADOW)[0] == status, skew
    other = make_key(node, "--policy", "nothing")
    refuse_all(Caller(node, lamp, key=(key[0], key[1][:-1] + ("a" if key[1][-1] != "a" else "b"))), "a wrong secret")
    refuse_all(Caller(node, lamp, key=(key[0], other[1])), "another key's secret")
    refuse_all(Caller(node, lamp, key=("AKIA" + "A" * 16, key[1])), "an unknown key")
    call(node, "PUT", "/things/v1/policies/all/targets/things/lamp")
    assert Caller(node, lamp, lamp)("GET", SHADOW)[0] == 200
    refuse_all(Caller(node, lamp, lamp, (key[0], other[1])), "a bad signature is not made good by a certificate")
    # the secret is told once
    assert key[1] not in json.dumps(node.get("/things/v1/keys")) + json.dumps(node.get(f"/things/v1/keys/{key[0]}"))
    kept = [path for path in files(node.state) if key[1].encode() in read(path)]
    assert kept and all(os.stat(path).st_mode & 0o077 == 0 for path in kept), kept
    node.kill()
    node.restart()
    assert good("GET", SHADOW)[0] == 200
    node.edgectl("key", "disable", key[0])
    refuse_all(good, "disabled")
    node.edgectl("key", "enable", key[0])
    assert good("GET", SHADOW)[0] == 200
    assert "tools" in node.edgectl("key", "list")
    node.edgectl("key", "delete", key[0])
    refuse_all(good, "deleted")


def presigned(node, key, skew=0):
    """The path of a WebSocket, as the AWS IoT Device SDK v1 signs it."""
    now = datetime.datetime.utcnow() + datetime.timedelta(seconds=skew)
    date, scope = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d") + "/eu-central-1/iotdevicegateway/aws4_request"
    query = urllib.parse.urlencode({"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{key[0]}/{scope}",
                                    "X-Amz-Date": date, "X-Amz-SignedHeaders": "host"})
    canonical = f"GET\n/mqtt\n{query}\nhost:localhost:{node.port('tls')}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    return f"/mqtt?{query}&X-Amz-Signature={signature(key[1], date, scope, canonical)}"


class WebSocket:
    """An MQTT 5 client over WebSocket and TLS: `outcome` is the code of CONNACK, or why there is none."""

    def __init__(self, node, ca, path="/mqtt", name="tool", folder=None):
        self.outcome, self.ended = None, threading.Event()
        self.mqtt = mqtt.Client(name, protocol=mqtt.MQTTv5, transport="websockets", reconnect_on_failure=False)
        certificate = {"certfile": f"{folder}/certificate.pem", "keyfile": f"{folder}/key.pem"} if folder else {}
        self.mqtt.tls_set(os.path.join(ca, "ca.pem"), **certificate)
        self.mqtt.ws_set_options(path)
        self.mqtt.on_connect = lambda client, data, flags, code, *rest: setattr(self, "outcome", code.value)
        self.mqtt.on_disconnect = lambda *rest: self.ended.set()
        try:
            self.mqtt.connect("localhost", node.port("tls"), 60)
        except mqtt.WebsocketConnectionError as error:
            self.outcome = str(error)
        else:
            self.mqtt.loop_start()
            edged.wait_for(lambda: self.outcome is not None, "CONNACK")


def test_a_websocket_is_whoever_signed_for_it():
    node = Node()
    put_policy(node, "tool", ("Allow", "iot:Connect", "client/tool"), ("Allow", "iot:Publish", "topic/a"))
    lamp = make_thing(node, "lamp")
    key = make_key(node, "--policy", "tool")
    tool = WebSocket(node, lamp, presigned(node, key))
    assert tool.outcome == 0, tool.outcome
    client, = node.get("/pubsub/v1/clients")["data"]
    assert client["websocket"] and client["tls"], client
    refused = 0x87
    assert WebSocket(node, lamp, presigned(node, key), "other").outcome == refused  # the policy names another
    assert WebSocket(node, lamp).outcome == refused  # nobody
    assert WebSocket(node, lamp, presigned(node, ("AKIA" + "A" * 16, key[1]))).outcome == refused
    assert WebSocket(node, lamp, "/mqtt", "lamp", lamp).outcome == 0  # a certificate will do
    assert WebSocket(node, lamp, "/mqtt", "lamp", stranger()).outcome == refused
    for path in (presigned(node, (key[0], key[1][::-1])), presigned(node, key, -400), presigned(node, key, 400),
                 presigned(node, key) + "&x=y", presigned(node, key) + "&X-Amz-Security-Token=x"):
        outcome = WebSocket(node, lamp, path, folder=lamp).outcome
        assert isinstance(outcome, str), (path, outcome)  # 403 already, whatever the certificate
    node.edgectl("key", "disable", key[0])
    assert tool.ended.wait(20), "still connected"
    assert WebSocket(node, lamp, presigned(node, key)).outcome == refused


edged.main()
