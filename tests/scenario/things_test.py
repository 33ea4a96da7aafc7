#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Devices from nothing: provisioning, policies in force on live connections, revocation, rotation, restart."""
import http.client
import json
import os
import ssl
import stat
import subprocess

import edged
from edged import Node, need

ARN = "arn:aws:iot:eu-central-1:123456789012:"
THINGS = "/things/v1/things"


def policy(*statements):
    return {"Version": "2012-10-17",
            "Statement": [{"Effect": effect, "Action": action, "Resource": [ARN + r for r in resources]}
                          for effect, action, *resources in statements]}


def call(node, method, path, body=None, status=200, headers=None):
    got, _, answer = node.http(method, path, body, headers)
    assert got == status, f"{method} {path}: {got} instead of {status}: {answer}"
    return answer


def names(node, path):
    """The names of all records of a list, page by page."""
    found, cursor = [], ""
    while True:
        page = node.get(f"{path}{'&' if '?' in path else '?'}limit=2{cursor and '&cursor=' + cursor}")
        assert len(page["data"]) <= 2, page
        found += [record.get("name") or record["id"] for record in page["data"]]
        cursor = page.get("cursor")
        if not cursor:
            return found


def openssl(*args):
    return subprocess.run([need("openssl"), *args], check=True, capture_output=True, text=True).stdout


def test_the_registry_keeps_what_it_is_told():
    node = Node()
    for name in ("lamp", "fan", "door", "bell", "oven"):
        call(node, "POST", THINGS, {"name": name, "type": "toy", "attributes": {"room": name[0]}}, 201)
    call(node, "POST", THINGS, {"name": "lamp"}, 409)
    call(node, "POST", THINGS, {"name": "la mp"}, 400)
    call(node, "POST", THINGS, {"name": "x", "colour": "red"}, 400)
    call(node, "POST", THINGS, {"name": "x", "groups": ["none"]}, 400)
    call(node, "PUT", "/things/v1/groups/kitchen", {"description": "warm"}, 201)
    for name in ("oven", "lamp"):
        call(node, "PUT", f"/things/v1/groups/kitchen/things/{name}")
    assert names(node, THINGS) == ["bell", "door", "fan", "lamp", "oven"]
    assert names(node, THINGS + "?group=kitchen") == ["lamp", "oven"]
    lamp = node.get(THINGS + "/lamp")
    assert lamp["version"] == 2 and lamp["attributes"] == {"room": "l"}, lamp
    change = {"attributes": {"room": None, "floor": "2"}, "enabled": False}
    call(node, "PATCH", THINGS + "/lamp", change, 412, {"If-Match": '"1"'})
    call(node, "PATCH", THINGS + "/lamp", change, 200, {"If-Match": '"2"'})
    call(node, "DELETE", "/things/v1/groups/kitchen", status=409)
    call(node, "DELETE", THINGS + "/fan", status=204)
    node.kill()
    node.restart()
    assert names(node, THINGS) == ["bell", "door", "lamp", "oven"]
    lamp = node.get(THINGS + "/lamp")
    assert (lamp["attributes"], lamp["enabled"], lamp["groups"]) == ({"floor": "2"}, False, ["kitchen"]), lamp
    assert "edged_things_things 4\n" in node.get("/metrics").decode()


def test_policies_are_judged_before_they_are_kept():
    node = Node()
    path = "/things/v1/policies/p"
    wrong = policy(("Allow", "iot:Publish", "topic/a"), ("Deny", "iot:Publsh", "topic/a"))
    problem = call(node, "PUT", path, wrong, 400)
    assert problem["detail"].startswith("Statement[1].Action: "), problem
    call(node, "GET", path, status=404)
    right = policy(("Allow", "iot:Publish", "topic/a"))
    assert call(node, "PUT", path, right, 201)["version"] == 1
    call(node, "PUT", path, right, 412, {"If-None-Match": "*"})
    assert call(node, "PUT", path, right, 200, {"If-Match": '"1"'})["document"] == right
    call(node, "POST", THINGS, {"name": "lamp"}, 201)
    call(node, "PUT", path + "/targets/things/lamp")
    assert node.get(path + "/targets")["data"] == [{"kind": "things", "name": "lamp"}]
    call(node, "DELETE", path, status=409)
    call(node, "DELETE", path + "/targets/things/lamp")
    call(node, "DELETE", path, status=204)


def test_certificates_come_with_a_key_or_for_one():
    node, folder = Node(), edged.folder()
    made = call(node, "POST", THINGS, {"name": "lamp", "certificate": {"days": 3}}, 201)["certificate"]
    ca, certificate, key, request = (os.path.join(folder, name) for name in ("ca", "certificate", "key", "csr"))
    with open(ca, "w") as file:
        file.write(node.get("/things/v1/authority")["certificate"])
    with open(certificate, "w") as file:
        file.write(made["certificate"])
    openssl("verify", "-purpose", "sslclient", "-CAfile", ca, certificate)
    shown = openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256", "-subject")
    assert made["id"] == shown.split("=", 1)[1].split("\n")[0].replace(":", "").lower()
    assert "CN = lamp" in shown and "privateKey" in made
    again = node.get(f"/things/v1/certificates/{made['id']}")
    assert "privateKey" not in again and again["certificate"] == made["certificate"]
    # a request: the key stays with the device, and its subject is not believed
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=boss", "-keyout",
            key, "-out", request)
    with open(request) as file:
        csr = file.read()
    answer = call(node, "POST", THINGS + "/lamp/certificates", {"csr": csr}, 201)
    assert "privateKey" not in answer
    with open(certificate, "w") as file:
        file.write(answer["certificate"])
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")
    assert "CN = lamp" in openssl("x509", "-in", certificate, "-noout", "-subject")
    at = csr.index("\n", 200) - 10  # one letter of the signature's neighbourhood is another
    broken = csr[:at] + ("A" if csr[at] != "A" else "B") + csr[at + 1:]
    call(node, "POST", THINGS + "/lamp/certificates", {"csr": broken}, 400)
    openssl("req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x", "-keyout", key, "-out", request)
    with open(request) as file:
        problem = call(node, "POST", THINGS + "/lamp/certificates", {"csr": file.read()}, 400)
    assert "2,048" in problem["detail"], problem
    # revoked is for ever; the secrets of the CA are the daemon's alone
    call(node, "PATCH", f"/things/v1/certificates/{made['id']}", {"status": "REVOKED"})
    call(node, "PATCH", f"/things/v1/certificates/{made['id']}", {"status": "ACTIVE"}, 409)
    authority = [os.path.join(root, "authority.pem") for root, _, files in os.walk(node.state) if "authority.pem" in files]
    assert len(authority) == 1 and stat.S_IMODE(os.stat(authority[0]).st_mode) == 0o600
    call(node, "DELETE", THINGS + "/lamp", status=204)
    assert node.get("/things/v1/certificates")["data"] == []


def test_users_have_passwords():
    node = Node()
    path = "/things/v1/users/ann"
    call(node, "PUT", path, {"thing": "none", "password": "x"}, 400)
    call(node, "PUT", path, {"policies": []}, 400)
    assert "hash" not in call(node, "PUT", path, {"password": "secret", "enabled": True}, 201)
    call(node, "PATCH", path, {"password": "x"}, 400)
    call(node, "PATCH", path, {"enabled": False})
    call(node, "POST", path + "/password", {"password": "other"}, 412, {"If-Match": '"1"'})
    user = call(node, "POST", path + "/password", {"password": "other"}, 200, {"If-Match": '"2"'})
    assert user["enabled"] is False and user["version"] == 3, user
    assert node.get("/things/v1/users")["data"] == [user]
    call(node, "DELETE", path, status=204)
    call(node, "GET", path, status=404)


def provision(node, name, *options):
    """The folder that edgectl makes."""
    path = os.path.join(edged.folder(), name)
    node.edgectl("thing", "create", name, "--folder", path, *options)
    return path


def test_edgectl_makes_a_folder_that_is_ready():
    node = Node()
    path = provision(node, "lamp")
    assert sorted(os.listdir(path)) == ["README.txt", "ca.pem", "certificate.pem", "connect.json", "key.pem"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(os.path.join(path, "key.pem")).st_mode) == 0o600
    with open(os.path.join(path, "connect.json")) as file:
        connect = json.load(file)
    assert (connect["host"], connect["port"], connect["clientId"]) == ("localhost", node.port("tls"), "lamp"), connect
    node.edgectl("thing", "create", "lamp", "--folder", path, status=1)
    node.edgectl("thing", "create", "lamp", "--folder", path + "2", status=1)
    assert not os.path.exists(path + "2")
    assert "lamp" in node.edgectl("thing", "list")
    node.edgectl("thing", "disable", "lamp")
    assert node.get(THINGS + "/lamp")["enabled"] is False
    document = os.path.join(path, "p.json")
    with open(document, "w") as file:
        json.dump(policy(("Allow", "iot:*", "*")), file)
    node.edgectl("policy", "create", "all", document)
    node.edgectl("policy", "attach", "all", "thing:lamp")
    assert "things" in node.edgectl("policy", "show", "all")
    node.edgectl("policy", "delete", "all", status=1)
    node.edgectl("policy", "detach", "all", "lamp")
    node.edgectl("policy", "delete", "all")
    node.edgectl("thing", "delete", "lamp")
    assert node.get(THINGS)["data"] == []


def https(node, method, path, body=None, folder=None, headers=None):
    """A request to the secure port, with the certificate in a folder or without."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if folder:
        context.load_cert_chain(os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", node.port("tls"), context=context, timeout=60)
    connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def new_request(folder):
    """key.pem and csr.pem in the folder; the request."""
    key, request = os.path.join(folder, "key.pem"), os.path.join(folder, "csr.pem")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout", key,
            "-out", request)
    with open(request) as file:
        return file.read()


def test_a_new_device_is_paired():
    node, folder = Node(), edged.folder()
    csr = new_request(folder)
    introduction = {"name": "fan", "csr": csr}
    assert https(node, "POST", "/things/v1/pair", introduction)[0] == 403
    assert https(node, "GET", "/things/v1/things")[0] == 401
    operator = edged.spawn(edged.EDGECTL, "--state", node.state, "thing", "pair", "--for", "30s", stdin=subprocess.PIPE)
    edged.wait_for(lambda: node.get("/things/v1/pairing")["open"], "the window is open")
    assert https(node, "POST", "/things/v1/pair", {"name": "fan", "csr": csr[:-40]})[0] == 400
    status, waiting = https(node, "POST", "/things/v1/pair", introduction)
    assert status == 202, waiting
    line = operator.stdout.readline() + operator.stdout.read(len("fan at 127.0.0.1, code ") + len(waiting["code"]))
    assert line.endswith(f"fan at 127.0.0.1, code {waiting['code']}"), line
    poll = f"/things/v1/pair/{waiting['id']}"
    assert https(node, "GET", poll)[0] == 202
    operator.stdin.write("y\n")
    operator.stdin.flush()
    assert operator.wait(20) == 0, operator.stdout.read()
    operator.stdin.close()
    status, answer = https(node, "GET", poll)
    assert status == 200 and answer["thing"] == "fan", answer
    assert answer["ca"] == node.get("/edge/v1/account")["ca"]
    certificate = node.get(f"/things/v1/certificates/{answer['id']}")
    assert (certificate["thing"], certificate["policies"]) == ("fan", ["own-topics"]), certificate
    assert https(node, "POST", "/things/v1/pair", introduction)[0] == 403  # the window is shut again


def test_who_pairs_is_limited_and_may_be_refused():
    node, folder = Node(), edged.folder()
    csr = new_request(folder)
    call(node, "POST", "/things/v1/pairing", {"seconds": 30})
    ids = []
    for i in range(4):
        status, answer = https(node, "POST", "/things/v1/pair", {"name": f"fan{i}", "csr": csr})
        assert status == 202, answer
        ids.append(answer["id"])
    assert https(node, "POST", "/things/v1/pair", {"name": "fan5", "csr": csr})[0] == 429
    call(node, "POST", f"/things/v1/pairing/{ids[0]}", {"accept": False})
    assert https(node, "GET", f"/things/v1/pair/{ids[0]}")[0] == 403
    call(node, "POST", THINGS, {"name": "fan1"}, 201)
    call(node, "POST", f"/things/v1/pairing/{ids[1]}", {"accept": True}, 409)
    call(node, "POST", f"/things/v1/pairing/{ids[1]}", {"accept": True, "name": "fan9"})
    call(node, "POST", f"/things/v1/pairing/{ids[1]}", {"accept": True}, 404)
    assert https(node, "GET", f"/things/v1/pair/{ids[1]}")[1]["thing"] == "fan9"
    call(node, "DELETE", "/things/v1/pairing")
    assert https(node, "GET", f"/things/v1/pair/{ids[2]}")[0] == 404
    assert https(node, "GET", f"/things/v1/pair/{'0' * 32}")[0] == 404


def test_greengrass_discovery():
    node = Node()
    lamp, fan = provision(node, "lamp"), provision(node, "fan")
    path = "/greengrass/discover/thing/"
    status, answer = https(node, "GET", path + "lamp", folder=lamp)
    assert status == 200, answer
    group, = answer["GGGroups"]
    assert group["CAs"] == [node.get("/edge/v1/account")["ca"]]
    endpoint = group["Cores"][0]["Connectivity"][0]
    assert (endpoint["HostAddress"], endpoint["PortNumber"]) == ("localhost", node.port("tls")), endpoint
    status, answer = https(node, "GET", path + "lamp", folder=fan)  # its policy speaks of itself
    assert status == 403 and answer["message"] is None, answer
    assert https(node, "GET", path + "lamp")[0] == 403  # nobody
    assert https(node, "GET", "/things/v1/things", folder=lamp)[0] == 401  # only what is open to devices
    node.edgectl("thing", "disable", "lamp")
    assert https(node, "GET", path + "lamp", folder=lamp)[0] == 403
    assert node.http("GET", path + "none")[0] == 404
    assert node.http("GET", path + "fan")[0] == 200  # the owner


edged.main()
