#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A new node is taken into an account by the eight digits that it shows; who does not know them gets five guesses."""
import json
import os
import socket
import ssl

import edged
from edged import Node, wait_for

LISTEN = ("http=127.0.0.1:0", "tls=127.0.0.1:0")
QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine
FAST = ["--set", 'cluster.pairing_gap="100ms"']
# Frames of a pairing (type, length, body), and why one is refused.
SHARE, TAG, REFUSED = 1, 2, 5
NO_CODE, BUSY, TOO_SOON, WRONG_CODE = 1, 2, 3, 4
POINT = bytes.fromhex("2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c")  # of ristretto255, by the draft


def two(*settings):
    """A node that will hold the account's key, and a new one that it knows of."""
    first = Node(listen=LISTEN, cluster=True, args=QUIET)
    seeds = json.dumps([f"127.0.0.1:{first.get('/edge/v1/cluster')['port']}"])
    new = Node(listen=LISTEN, cluster=True, args=QUIET + list(settings) + ["--set", f"cluster.seeds={seeds}"])
    wait_for(lambda: new.id in listed(first), "the first sees the new one")
    return first, new


def listed(node):
    return {n["id"]: n for n in node.get("/mds/v1/nodes?clusters=linkLocal")["data"]}


def figure(node, name):
    for line in node.get("/metrics").decode().splitlines():
        if line.startswith(f"{name} "):
            return int(line.split(" ")[1])
    raise AssertionError(f"/metrics has no {name}")


def check_digit(digits):
    product = 10
    for digit in digits:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


def another(code):
    """A well-formed code that is not this one."""
    digits = f"{(int(code.replace('-', '')[:7]) + 1) % 10000000:07d}"
    return digits + check_digit(digits)


def pair(node, target, code):
    return node.http("POST", "/edge/v1/pairing", {"node": target, "code": code}, seconds=60)


def problem(answer, status, kind):
    assert answer[0] == status and answer[2]["type"].endswith(kind), answer
    return answer[2]["detail"]


def test_the_right_code_takes_the_node_in():
    first, new = two()
    code = new.edgectl("pair").strip()
    assert len(code) == 9 and code[4] == "-" and check_digit(code.replace("-", "")[:7]) == code[-1], code
    assert new.get("/edge/v1/pairing/code")["open"] and "code" not in new.get("/edge/v1/pairing/code")
    assert code not in new.log() and code.replace("-", "") not in new.log()
    assert new.id in first.edgectl("pair", new.id[:12], code)
    assert new.get("/edge/v1/account")["account"] == first.get("/edge/v1/account")["account"]
    wait_for(lambda: listed(first)[new.id]["trusted"] and listed(new)[first.id]["trusted"], "trust on both sides")
    assert first.get(f"/nodes/{new.id}/edge/v1/node")["id"] == new.id
    # it is used up, and the node has no other
    problem(pair(first, new.id, code), 409, "no-code")
    problem(new.http("POST", "/edge/v1/pairing/code"), 409, "account-exists")
    assert not new.get("/edge/v1/pairing/code")["open"]
    assert figure(new, "edged_pairing_joined_total") == figure(first, "edged_pairing_admitted_total") == 1
    # and one that does not hold the account's key takes nobody in
    third = Node(listen=LISTEN, cluster=True, args=QUIET)
    digits = third.http("POST", "/edge/v1/pairing/code")[2]["code"]
    address = "%s:%d" % third.address("tls")
    assert first.id in problem(pair(new, address, digits), 409, "account-key-elsewhere")
    # by its address, also when nobody knows of it; membership lasts
    assert pair(first, address, digits.replace("-", " "))[0] == 200
    third.kill()
    third.restart()
    assert third.get("/edge/v1/account")["account"] == first.get("/edge/v1/account")["account"]


def test_five_tries_and_the_code_is_dead():
    first, new = two(*FAST)
    code = new.edgectl("pair").strip()
    mistyped = code[:-1] + str((int(code[-1]) + 1) % 10)
    assert "mistyped" in problem(pair(first, new.id, mistyped), 400, "bad-code")
    problem(pair(first, new.id, "12345"), 400, "bad-code")
    problem(pair(first, "nobody", code), 404, "node-unknown")
    assert new.get("/edge/v1/pairing/code")["triesLeft"] == 5, "slips of the hand cost nothing"
    first.edgectl("pair", new.id, another(code), status=1)
    assert new.get("/edge/v1/pairing/code")["triesLeft"] == 4
    for left in (3, 2, 1, 0):
        answer = wait_for(lambda: (a := pair(first, new.id, another(code)))[0] != 429 and a, "its turn")
        detail = problem(answer, 403, "wrong-code")
        assert (f"{left} more" in detail) if left else ("no tries left" in detail), detail
    wait_for(lambda: (a := pair(first, new.id, code))[0] == 409 and a[2]["type"].endswith("no-code"), "it is dead")
    assert figure(new, "edged_pairing_wrong_total") == figure(new, "edged_pairing_tries_total") == 5
    assert figure(new, "edged_pairing_codes_open") == 0 and not new.get("/edge/v1/pairing/code")["open"]
    assert new.http("GET", "/edge/v1/account")[0] == 404
    # no account was founded for one that did not prove itself
    assert first.http("GET", "/edge/v1/account")[0] == 404
    # a new code works
    again = new.edgectl("pair").strip()
    assert wait_for(lambda: (a := pair(first, new.id, again))[0] != 429 and a, "its turn")[0] == 200


def test_a_code_runs_out_and_can_be_taken_back():
    first, new = two("--set", 'cluster.pairing_life="1s"', *FAST)
    code = new.edgectl("pair").strip()
    wait_for(lambda: not new.get("/edge/v1/pairing/code")["open"], "it has run out")
    problem(pair(first, new.id, code), 409, "no-code")
    code = new.edgectl("pair").strip()
    assert new.http("DELETE", "/edge/v1/pairing/code")[0] == 204
    problem(pair(first, new.id, code), 409, "no-code")
    assert first.http("POST", f"/nodes/{new.id}/edge/v1/pairing/code")[0] == 403, "the owner only, on the node itself"


class Attacker:
    """Speaks the protocol to a node with the key of a stranger."""

    def __init__(self, node, key, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = version
        context.set_alpn_protocols(["edged-pair/1"])
        if key:
            context.load_cert_chain(key)
        self.stream = context.wrap_socket(socket.create_connection(node.address("tls"), timeout=60))
        assert self.stream.selected_alpn_protocol() == "edged-pair/1"

    def send(self, kind, body):
        self.stream.sendall(bytes([kind]) + len(body).to_bytes(2, "big") + body)

    def read(self, n):
        got = b""
        while len(got) < n:
            try:
                more = self.stream.recv(n - len(got))
            except OSError:
                more = b""
            if not more:
                return None
            got += more
        return got

    def receive(self):
        """(type, body), None: it was closed."""
        head = self.read(3)
        return head and (head[0], self.read(int.from_bytes(head[1:], "big")))

    def ask(self, kind, body):
        self.send(kind, body)
        return self.receive()


def test_an_attacker_has_five_guesses():
    new = Node(listen=LISTEN, args=FAST)
    stranger = Node(listen=LISTEN)
    key = os.path.join(stranger.state, "identity", "node.pem")
    assert Attacker(new, key).ask(SHARE, POINT) == (REFUSED, bytes([NO_CODE, 0])), "before a code is shown"
    new.edgectl("pair")
    # what is no exchange costs no try
    for kind, body in ((TAG, bytes(64)), (3, b"edged1.x"), (4, b"\0\0"), (9, b""), (SHARE, bytes(2000))):
        assert Attacker(new, key).ask(kind, body) is None, kind
    assert Attacker(new, None).ask(SHARE, POINT) is None, "without a key"
    assert Attacker(new, key, ssl.TLSVersion.TLSv1_2).ask(SHARE, POINT) is None, "over TLS 1.2"
    assert new.get("/edge/v1/pairing/code")["triesLeft"] == 5

    def begin(share=POINT):
        """An exchange, once the pause after the one before is over."""
        attacker = Attacker(new, key)
        answer = attacker.ask(SHARE, share)
        if answer and answer[0] == REFUSED and answer[1][0] in (TOO_SOON, BUSY):
            return None
        return attacker, answer
    # one at a time, and not at once again
    attacker, (kind, share) = wait_for(begin, "an exchange")
    assert kind == SHARE and len(share) == 32
    assert Attacker(new, key).ask(SHARE, POINT)[1][0] == BUSY
    assert attacker.ask(TAG, bytes(64)) == (REFUSED, bytes([WRONG_CODE, 4]))
    assert attacker.receive() is None
    # shares that are none, and one that is broken off: each is a try
    for bad in (bytes(32), b"\xff" * 32):
        assert wait_for(lambda: begin(bad), "an exchange")[1] is None
    attacker, (kind, _) = wait_for(begin, "an exchange")
    attacker.stream.close()
    # the rest with wrong tags; then it is dead
    while True:
        attacker, answer = wait_for(begin, "an exchange")
        if answer[0] == REFUSED:
            break
        assert attacker.ask(TAG, bytes(64))[1][0] == WRONG_CODE
    assert answer[1][0] == NO_CODE
    assert figure(new, "edged_pairing_tries_total") == 5
    assert new.http("GET", "/edge/v1/account")[0] == 404 and new.stop() == 0


if __name__ == "__main__":
    edged.main()
