#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons become one account, and each serves through the other."""
import datetime
import os
import shutil
import signal
import threading
import time

import edged

LISTEN = ("http=127.0.0.1:0", "tls=0.0.0.0:0")


def joined(*settings):
    """Two nodes that found each other, the second one joined by the first one's token, through edgectl."""
    args = [word for setting in settings for word in ("--set", setting)]
    a, b = edged.Node(listen=LISTEN, cluster=True, args=args), edged.Node(listen=LISTEN, cluster=True)
    edged.wait_for(lambda: b.id in str(a.get("/mds/v1/nodes?clusters=linkLocal")), "A sees B")
    assert a.get(f"/nodes/{b.id}/edge/v1/node", 403)["type"].endswith("node-not-trusted")
    token = a.http("POST", "/edge/v1/invites")[2]["token"]
    b.edgectl("join", token)
    edged.wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, "A reaches B")
    return a, b, token


def test_a_node_serves_through_another():
    a, b, _ = joined()
    assert a.get(f"/nodes/{b.id}/edge/v1/node")["id"] == b.id
    assert a.get(f"/nodes/{b.id[:12]}/edge/v1/node")["id"] == b.id
    assert a.get("/nodes/self/edge/v1/node")["id"] == a.id
    edged.wait_for(lambda: b.http("GET", f"/nodes/{a.id}/edge/v1/node")[0] == 200, "B reaches A")
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
    edged.wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, "A reaches B again")


def test_a_dead_node_is_named():
    a, b, _ = joined()
    b.kill()
    status, _, problem = a.http("GET", f"/nodes/{b.id}/edge/v1/node")
    assert status in (502, 504) and b.id in problem["detail"], problem


def listed(node, path="/mds/v1/nodes?clusters=linkLocal"):
    return {n["id"]: n for n in node.get(path)["data"]}


def test_nodes_that_joined_trust_each_other_by_themselves():
    a, b = edged.Node(listen=LISTEN, cluster=True), edged.Node(listen=LISTEN, cluster=True)
    edged.wait_for(lambda: b.id in listed(a) and a.id in listed(b), "they find each other")
    for node, other in ((a, b), (b, a)):
        stranger = listed(node)[other.id]
        assert not stranger["trusted"] and "services" not in stranger, stranger
    token = a.http("POST", "/edge/v1/invites")[2]["token"]
    b.edgectl("join", token)
    edged.wait_for(lambda: listed(a)[b.id]["trusted"] and listed(b)[a.id]["trusted"], "trust on both sides")
    c = edged.Node(listen=LISTEN, cluster=True)
    edged.wait_for(lambda: c.id in listed(a) and c.id in listed(b), "a stranger is found")
    for node in (a, b):
        assert not listed(node)[c.id]["trusted"]
    same = [sorted(listed(a, f"/{mds}/v1/nodes?clusters=account")) for mds in ("mds", "mDS")]
    assert same[0] == same[1] == sorted([a.id, b.id]), same


def test_services_of_other_nodes_are_listed():
    own = edged.folder()
    for name in ("broker", "shadow"):
        shutil.copy(os.path.join(edged.PLUGINS, f"{name}.so"), own)
    a, b = edged.Node(listen=LISTEN, cluster=True), edged.Node(listen=LISTEN, cluster=True, plugins=own)
    edged.wait_for(lambda: b.id in listed(a), "A sees B")
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])

    def seen():
        return sorted(s["name"] for s in listed(a)[b.id].get("services", []))
    edged.wait_for(lambda: seen() == ["broker", "shadow"], "A lists the services of B")
    assert listed(a)[b.id]["services"] == listed(b)[b.id]["services"]
    # B has no hello: any node that has it is asked
    edged.wait_for(lambda: "hello" in [s["name"] for s in listed(b)[a.id].get("services", [])], "B lists those of A")
    status, headers, _ = b.http("GET", "/any/hello/v1/greet/you")
    assert status == 200 and headers["edged-node"] == a.id, (status, headers)
    assert a.http("GET", "/any/hello/v1/greet/you")[1]["edged-node"] is None
    assert b.get("/any/tea/v1/x", 404)["type"].endswith("service-unknown")
    shutil.copy(os.path.join(edged.PLUGINS, "hello.so"), os.path.join(own, "new"))
    os.rename(os.path.join(own, "new"), os.path.join(own, "hello.so"))
    edged.wait_for(lambda: seen() == ["broker", "hello", "shadow"], "A lists what was added")


def test_a_node_that_hangs_fails_requests_as_soon_as_the_cluster_knows():
    a, b, _ = joined()
    answer = []
    os.kill(b.process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    asking = threading.Thread(target=lambda: answer.append(a.http("GET", f"/nodes/{b.id}/edge/v1/node", seconds=40)))
    asking.start()
    asking.join(40)
    took = time.monotonic() - begun
    os.kill(b.process.pid, signal.SIGCONT)
    status, _, problem = answer[0]
    assert status == 502 and b.id in problem["detail"] and "does not answer any more" in problem["detail"], problem
    # Suspicion takes up to 3 x 1.5 s when nobody else is there to agree; the link alone would wait 15 s.
    assert took < 14, took
    edged.wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, "A reaches B again")


def figure(node, name):
    """The value of one line of /metrics."""
    for line in node.get("/metrics").decode().splitlines():
        if line.startswith(f"{name} "):
            return int(line.split(" ")[1])
    raise AssertionError(f"/metrics has no {name}")


def test_limits_of_links_are_kept_and_shown():
    a, b, _ = joined("cluster.link_requests=1", 'cluster.link_idle="1s"')
    edged.wait_for(lambda: listed(a)[b.id]["trusted"] and figure(a, "edged_link_requests_open") == 0, "quiet")
    assert figure(a, "edged_account_nodes_trusted") == 1
    assert figure(a, "edged_account_services_bytes") > 10
    passed = figure(a, 'edged_proxy_requests_total{to="others"}')
    refused = figure(a, "edged_links_refused_total")
    with a.connect() as stream:
        stream.sendall(f"GET /nodes/{b.id}/edge/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        begun = stream.recv(1000)
        assert begun.startswith(b"HTTP/1.1 200"), begun
        assert figure(a, "edged_link_requests_open") == figure(a, "edged_proxy_requests_open") == 1
        assert figure(a, 'edged_links{direction="dialled"}') == 1
        problem = a.get(f"/nodes/{b.id}/edge/v1/node", 503)
        assert problem["type"].endswith("link-busy") and b.id in problem["detail"], problem
        assert figure(a, "edged_links_refused_total") == refused + 1
        assert figure(a, 'edged_proxy_requests_total{to="others"}') == passed + 2
    edged.wait_for(lambda: figure(a, "edged_link_requests_open") == 0, "the request is cancelled")
    edged.wait_for(lambda: figure(a, 'edged_links{direction="dialled"}') == 0, "the idle link ends")
    assert figure(a, "edged_cluster_members") >= 1 and figure(a, "edged_gossip_received_bytes_total") > 100


def test_limits_of_joining_are_kept_and_shown():
    a, b, token = joined("cluster.join_tries=2", 'cluster.join_penalty="2s"', 'cluster.invite_life="1m"')
    assert figure(a, "edged_invites_total") == figure(a, "edged_joins_total") == 1
    assert figure(a, "edged_invites_open") == 0
    before = time.time()
    expires = a.http("POST", "/edge/v1/invites")[2]["expires"]
    life = datetime.datetime.fromisoformat(expires.replace("Z", "+00:00")).timestamp() - before
    assert 50 < life <= 62, expires
    assert figure(a, "edged_invites_open") == 1
    c = edged.Node(listen=LISTEN, cluster=True)
    problems = [c.http("POST", "/edge/v1/join", {"token": token})[2]["detail"] for _ in range(3)]
    assert "(403)" in problems[0] and "(403)" in problems[1] and "(429)" in problems[2], problems
    assert "Wait 2 s" in problems[2], problems
    assert figure(a, "edged_join_sources_shut") == 1 and figure(a, "edged_joins_refused_total") == 2
    edged.wait_for(lambda: figure(a, "edged_join_sources_shut") == 0, "the penalty ends")


edged.main()
