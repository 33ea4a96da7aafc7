#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Signers: the founder's node, or the account's key, is away, and nodes join and renew nevertheless."""
import json
import os
import shutil
import socket
import ssl
import subprocess

import edged
from edged import Node, wait_for
from clock_test import DAY, Clock, all_trust, figure, holder_seed, node, reaches, restart, until

KEY = "ca.pem"


def private(one, name):
    return os.path.join(one.state, "identity", name)


def listed(one):
    return {n["id"]: n for n in one.get("/mds/v1/nodes?clusters=linkLocal")["data"]}


def signers(one):
    return {s["id"]: s["certificateExpires"] for s in one.get("/edge/v1/account/signers")["data"]}


def problem(answer, kind):
    assert answer[2]["type"].endswith(kind), answer
    return answer[2]["detail"]


def account(clocks):
    """A founder and a signer, which trust each other."""
    a = node(clocks[0])
    b = node(clocks[1], a)
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])
    all_trust((a, b))
    assert b.id in a.edgectl("signer", "add", b.id[:12])
    wait_for(lambda: b.get("/edge/v1/account")["canInvite"], "it may sign")
    wait_for(lambda: signers(a) == signers(b) and signers(b)[b.id], "both have the list")
    return a, b


def parts(pem):
    mark = "-----END CERTIFICATE-----\n"
    return [part + mark for part in pem.split(mark)[:-1]]


def chain_of(one):
    with open(private(one, "account.json")) as file:
        return parts(json.load(file)["certificate"])


def openssl(*args, cwd, stdin=None):
    return subprocess.run([edged.need("openssl"), *args], cwd=cwd, input=stdin, check=True, capture_output=True).stdout


class Thief:
    """Has the signing key of a signer, and makes a certificate for a node that nobody knows."""

    def __init__(self, signer):
        self.path = edged.folder()
        shutil.copy(private(signer, "signer.pem"), os.path.join(self.path, "signer.pem"))
        new = Node(listen=("http=127.0.0.1:0",))
        shutil.copy(private(new, "node.pem"), os.path.join(self.path, "node.pem"))
        self.id = new.id
        new.stop()
        with open(os.path.join(self.path, "names"), "w") as file:
            file.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                       f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:urn:edged:node:{self.id}\n")
        self.sign()

    def sign(self):
        """A certificate from now on."""
        openssl("req", "-new", "-key", "node.pem", "-subj", "/CN=thief", "-out", "request.pem", cwd=self.path)
        openssl("x509", "-req", "-in", "request.pem", "-CA", "signer.pem", "-CAkey", "signer.pem", "-days", "6",
                "-CAcreateserial", "-extfile", "names", "-out", "leaf.pem", cwd=self.path)
        openssl("x509", "-in", "signer.pem", "-out", "issuer.pem", cwd=self.path)
        with open(os.path.join(self.path, "chain.pem"), "w") as file:
            for name in ("leaf.pem", "issuer.pem"):
                with open(os.path.join(self.path, name)) as part:
                    file.write(part.read())

    def status(self, other, chain="chain.pem"):
        """What a node answers to it."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(os.path.join(self.path, chain), os.path.join(self.path, "node.pem"))
        with context.wrap_socket(socket.create_connection(other.address("tls"), timeout=60)) as stream:
            stream.sendall(b"GET /edge/v1/node HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return int(stream.recv(4096).split()[1])


def test_a_signer_stands_in_for_the_founder():
    clocks = [Clock() for _ in range(4)]
    a, b = account(clocks)
    assert figure(a, "edged_account_signers") == figure(b, "edged_account_signers") == 1
    assert figure(b, "edged_signer_renewals_total") == figure(a, "edged_account_signers_signed_total") == 1
    assert os.stat(private(b, "signer.pem")).st_mode & 0o777 == 0o600
    assert a.stop() == 0

    # C joins by its invite, D by a code that is typed there
    c = node(clocks[2], b)
    c.edgectl("join", b.edgectl("invite").strip())
    assert len(chain_of(c)) == 2, "its certificate and the signer's"
    d = node(clocks[3], b)
    code = d.edgectl("pair").strip()
    wait_for(lambda: d.id in listed(b), "they find each other")
    assert d.id in b.edgectl("pair", d.id[:12], code)
    there = (b, c, d)
    all_trust(there)
    for one in there:
        for other in there:
            assert one.get(f"/nodes/{other.id}/edge/v1/node")["id"] == other.id
        wait_for(lambda: signers(one) == signers(b), "all have the list")
    assert {one.get("/edge/v1/account")["account"] for one in there} == {b.get("/edge/v1/account")["account"]}
    # a client that knows the account's CA believes the chain that a node shows, as any TLS library does
    with open(private(c, "account.json")) as file:
        context = ssl.create_default_context(cadata=json.load(file)["ca"])
    with context.wrap_socket(socket.create_connection(c.address("tls")), server_hostname="localhost") as stream:
        assert c.id in str(stream.getpeercert()["subjectAltName"])

    # what needs the account's key says so, and where it is
    assert a.id in problem(b.http("PUT", f"/edge/v1/account/signers/{c.id}"), "account-key-elsewhere")
    assert a.id in problem(b.http("DELETE", f"/mds/v1/nodes/{c.id}"), "account-key-elsewhere")
    detail = problem(c.http("POST", "/edge/v1/invites"), "account-key-elsewhere")
    assert a.id in detail and b.id[:12] in detail, detail

    # five days later all of them renew, the founder still away
    ends = {one: until(one) for one in there}
    for clock in clocks:
        clock.set(5 * DAY)
    restart(b)
    for one in (c, d):
        one.args += holder_seed(b)
        restart(one)
    for one in there:
        wait_for(lambda: until(one) > ends[one] + 4 * DAY, "it renews", 60)
    assert figure(c, "edged_certificate_renewals_total") == 1 and len(chain_of(c)) == 2
    all_trust(there)
    assert reaches(c, d) and reaches(d, b)

    # the founder comes back and accepts those whom it never saw
    a.args += holder_seed(b)
    a.start()
    all_trust((a, *there))
    for one in (b, c, d):
        assert reaches(a, one) and reaches(one, a)

    # the signer is stolen: until it is removed its thief makes nodes, then none any more, wherever he comes
    thief = Thief(b)
    late = Thief(b)
    early = thief.status(c)
    assert early == 200, "without a removal nobody can tell it from another node"
    assert late.status(c, "leaf.pem") == 401, "the leaf alone is nothing"
    late.sign()
    a.edgectl("remove", b.id)
    for one in (a, c, d):
        wait_for(lambda: b.id not in listed(one), "it is out")
        late.sign()
        assert late.status(one) == 401
        assert figure(one, "edged_account_signers") == 0 and figure(one, "edged_account_signers_former") == 1
    # who came in by it goes on, and has a certificate of the founder soon
    assert reaches(c, d) and reaches(d, c) and reaches(a, c) and reaches(c, a)
    for one in (c, d):
        wait_for(lambda: len(chain_of(one)) == 1, "a certificate from elsewhere", 90)
    all_trust((a, c, d))
    # and so after a restart
    restart(c)
    wait_for(lambda: c.http("GET", "/readyz")[0] == 200, "it is back")
    assert late.status(c) == 401


def test_the_accounts_key_is_off_line():
    clocks = [Clock() for _ in range(3)]
    a, b = account(clocks)
    safe = edged.folder()
    assert a.stop() == 0
    shutil.move(private(a, KEY), safe)
    a.args += holder_seed(b)
    a.start()
    all_trust((a, b))
    # without it, there are two things that cannot be done, and at the founder as on any other node
    for answer in (a.http("PUT", f"/edge/v1/account/signers/{a.id}"), a.http("DELETE", f"/edge/v1/account/signers/{b.id}"),
                   a.http("DELETE", f"/mds/v1/nodes/{b.id}")):
        assert "ca.pem" in problem(answer, "account-key-elsewhere")
    assert b.id[:12] in problem(a.http("POST", "/edge/v1/invites"), "account-key-elsewhere")
    assert not a.get("/edge/v1/account")["canInvite"]
    # all else goes on: nodes join, and the founder renews at the signer
    c = node(clocks[2], b)
    c.edgectl("join", b.edgectl("invite").strip())
    all_trust((a, b, c))
    assert reaches(a, c) and reaches(c, a)
    ends = until(a)
    for clock in clocks:
        clock.set(5 * DAY)
    restart(b)
    a.args += holder_seed(b)
    restart(a)
    wait_for(lambda: until(a) > ends + 4 * DAY, "the founder renews", 60)
    assert len(chain_of(a)) == 2
    # it comes back for a moment: the founder becomes a signer itself, and goes on without it
    assert a.stop() == 0
    shutil.move(os.path.join(safe, KEY), private(a, KEY))
    a.args += holder_seed(b)
    a.start()
    wait_for(lambda: a.get("/edge/v1/account")["canInvite"], "it may sign")
    assert a.id in a.edgectl("signer", "add", a.id)
    all_trust((a, b))
    assert b.id in a.edgectl("signer", "remove", b.id)
    wait_for(lambda: not b.get("/edge/v1/account")["canInvite"] and not os.path.exists(private(b, "signer.pem")), "none any more")
    assert a.stop() == 0
    shutil.move(private(a, KEY), safe)
    a.start()
    d = node(Clock(5 * DAY), a)
    d.edgectl("join", a.edgectl("invite").strip())
    all_trust((a, d))
    assert a.id in a.edgectl("signers") and b.id not in a.edgectl("signers")


if __name__ == "__main__":
    edged.main()
