#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons become one account, and each serves through the other."""
import edged

LISTEN = ("http=127.0.0.1:0", "tls=0.0.0.0:0")


def joined():
    """Two nodes that found each other, the second one joined by the first one's token, through edgectl."""
    a, b = edged.Node(listen=LISTEN, cluster=True), edged.Node(listen=LISTEN, cluster=True)
    edged.wait_for(lambda: b.id in str(a.get("/mds/v1/nodes?clusters=linkLocal")), 20, "A sees B")
    assert a.get(f"/nodes/{b.id}/edge/v1/node", 403)["type"].endswith("node-not-trusted")
    token = a.http("POST", "/edge/v1/invites")[2]["token"]
    b.edgectl("join", token)
    edged.wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, 20, "A reaches B")
    return a, b, token


def test_a_node_serves_through_another():
    a, b, _ = joined()
    assert a.get(f"/nodes/{b.id}/edge/v1/node")["id"] == b.id
    assert a.get(f"/nodes/{b.id[:12]}/edge/v1/node")["id"] == b.id
    assert a.get("/nodes/self/edge/v1/node")["id"] == a.id
    edged.wait_for(lambda: b.http("GET", f"/nodes/{a.id}/edge/v1/node")[0] == 200, 20, "B reaches A")
    assert a.get(f"/nodes/{b.id}/no/such/path", 404)["type"].endswith("no-route")


def test_a_token_works_once_and_membership_lasts():
    a, b, token = joined()
    c = edged.Node(listen=LISTEN, cluster=True)
    status, _, problem = c.http("POST", "/edge/v1/join", {"token": token})
    assert status == 403 and problem["type"].endswith("inviter-refused"), problem
    status, _, problem = c.http("POST", "/edge/v1/join", {"token": token[:-3]})
    assert status == 400 and problem["type"].endswith("bad-token"), problem
    b.kill()
    b.restart()
    assert b.get("/edge/v1/account")["account"] == a.get("/edge/v1/account")["account"]
    edged.wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, 30, "A reaches B again")


def test_a_dead_node_is_named():
    a, b, _ = joined()
    b.kill()
    status, _, problem = a.http("GET", f"/nodes/{b.id}/edge/v1/node")
    assert status in (502, 504) and b.id in problem["detail"], problem


edged.main()
