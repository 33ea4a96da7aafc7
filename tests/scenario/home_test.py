#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Shadows across nodes: each has a home; changes reach it from everywhere, and copies are read while it is off."""
import json
import time

import edged
from edged import wait_for
from mesh_test import Client, cluster

TOPIC = "$aws/things/{}/shadow/"


def update(node, thing, state, status=200, name=""):
    got = node.http("POST", f"/things/{thing}/shadow" + (f"?name={name}" if name else ""), {"state": state})
    assert got[0] == status, got
    return got


def read(node, thing, name=""):
    """(status, Age or None, document)"""
    status, headers, body = node.http("GET", f"/things/{thing}/shadow" + (f"?name={name}" if name else ""))
    return status, headers["Age"], body


def reported(node, thing, name=""):
    status, _, body = read(node, thing, name)
    return body["state"].get("reported") if status == 200 else status


def figure(node, name):
    return sum(int(line.rsplit(" ", 1)[1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith(name) and line[len(name)] in " {")


def keeper(nodes, chosen):
    """Only `chosen` holds the cache role, and all know."""
    def holder(node):
        return {(role.get("holder") or {}).get("id") for role in node.get("/edge/v1/roles")["roles"] if role["role"] == "cache"}
    for node in nodes:
        node.edgectl("role", "pin" if node is chosen else "clear", "cache", "self")
    wait_for(lambda: all(holder(node) == {chosen.id} for node in nodes), "the role is there")


def elsewhere(node, count):
    wait_for(lambda: figure(node, "edged_shadow_elsewhere") == count, f"{count} shadows are known to be elsewhere")


def copies(node, count):
    wait_for(lambda: figure(node, "edged_shadow_copies") == count, f"{count} copies are kept")


def refused(node, thing):
    """An update there is refused, for the home is away."""
    status, _, body = node.http("POST", f"/things/{thing}/shadow", {"state": {"desired": {"x": 1}}})
    assert status in (503, 504), (status, body)
    return status == 503


def test_a_change_made_anywhere_reaches_the_home_and_all_hear_of_it():
    a, b, c = cluster(3)
    update(a, "lamp", {"reported": {"led": "off"}})
    elsewhere(b, 1), elsewhere(c, 1)
    # subscribed at once before the request, as the SDKs do
    listener = Client(c, "listener", TOPIC.format("lamp") + "#", clean=True)
    device = Client(b, "device", *(TOPIC.format("lamp") + w for w in ("update/+", "get/+", "delete/+")), clean=True)
    device.client.publish(TOPIC.format("lamp") + "update", '{"state":{"desired":{"led":"on"}},"clientToken":"t1"}', qos=1)

    def heard(client, suffix, count=1):
        def there():
            got = [json.loads(m.payload) for m in client.messages if m.topic == TOPIC.format("lamp") + suffix]
            return got if len(got) >= count else None
        got = wait_for(there, f"{suffix} is heard")
        assert len(got) == count, got
        return got[-1]
    for client in (device, listener):
        accepted = heard(client, "update/accepted")
        assert accepted["version"] == 2 and accepted["clientToken"] == "t1", accepted
        assert heard(client, "update/delta")["state"] == {"led": "on"}
        assert heard(client, "update/documents")["current"]["version"] == 2
    # the version is the home's, wherever it is asked for, and it was made there only
    assert [read(node, "lamp")[2]["version"] for node in (a, b, c)] == [2, 2, 2]
    # what is not right is refused by the home
    device.client.publish(TOPIC.format("lamp") + "update", '{"state":{"desired":{"led":"x"}},"version":1,"clientToken":"t2"}', qos=1)
    got = heard(device, "update/rejected")
    assert got["code"] == 409 and got["clientToken"] == "t2", got
    # get, over MQTT, at a node that has no copy
    device.client.publish(TOPIC.format("lamp") + "get", '{"clientToken":"t3"}', qos=1)
    got = heard(device, "get/accepted")
    assert got["version"] == 2 and got["clientToken"] == "t3" and got["state"]["desired"] == {"led": "on"}, got
    # REST with conditions, and the whole document
    status, headers, body = c.http("PATCH", "/shadow/v1/things/lamp", '{"reported":{"led":"on"}}',
                                   {"Content-Type": "application/merge-patch+json", "If-Match": '"2"'})
    assert status == 200 and headers["ETag"] == '"3"' and body["state"] == {"desired": {"led": "on"}, "reported": {"led": "on"}}, body
    assert c.http("PATCH", "/shadow/v1/things/lamp", "{}", {"Content-Type": "application/merge-patch+json", "If-Match": '"2"'})[0] == 412
    # a named shadow of the thing is made where the thing is
    update(b, "lamp", {"reported": {"n": 1}}, name="config")
    elsewhere(c, 2)
    for node in (a, b, c):
        assert node.get("/api/things/shadow/ListNamedShadowsForThing/lamp")["results"] == ["config"], node.id
    # deleted from elsewhere: its version is kept by the home, and goes on from there
    assert c.http("DELETE", "/things/lamp/shadow")[0] == 200
    heard(device, "delete/accepted")
    assert [read(node, "lamp")[0] for node in (a, b, c)] == [404] * 3
    update(c, "lamp", {"reported": {"led": "new"}})
    elsewhere(b, 2)  # it hears of it a moment later
    assert read(b, "lamp")[2]["version"] == 4
    assert figure(a, "edged_shadow_elsewhere") == 0
    device.end(), listener.end()


def test_last_known_shadows_are_read_while_their_home_is_off():
    a, b, c = nodes = cluster(3)
    keeper(nodes, c)
    for i in range(300):
        update(a, f"t{i}", {"reported": {"n": i}})
    update(a, "t1", {"reported": {"n": "other"}}, name="more")
    copies(c, 301)
    elsewhere(b, 301)
    # a copy that its home keeps up to date is as good as the home's, also right after a change that was made here
    for i in range(20):
        update(c, "t0", {"reported": {"n": i}})
        status, age, body = read(c, "t0")
        assert (status, age, body["state"]["reported"]["n"], body["age"]) == (200, "0", i, 0), (age, body)
    assert read(b, "t0")[1] is None, "at a node without copies it is the home's"
    a.kill()
    wait_for(lambda: refused(b, "t0"), "they know that the home is away")
    began = time.time()
    for node in (c, b):
        for i in (0, 7, 299):
            status, age, body = read(node, f"t{i}")
            assert status == 200 and body["state"]["reported"]["n"] == (19 if i == 0 else i), body
            assert 0 <= int(age) <= 60 and body["age"] == int(age), (age, body)
        assert reported(node, "t1", "more") == {"n": "other"}
        assert node.get("/api/things/shadow/ListNamedShadowsForThing/t1")["results"] == ["more"]
        assert node.http("GET", "/shadow/v1/things/t5")[2]["state"]["reported"] == {"n": 5}
    # it grows older, and MQTT says so, too
    wait_for(lambda: int(read(b, "t0")[1]) > time.time() - began, "it grows older")
    client = Client(b, "reader", TOPIC.format("t7") + "get/+", TOPIC.format("t7") + "update/+", clean=True)
    client.client.publish(TOPIC.format("t7") + "get", '{"clientToken":"a"}', qos=1)
    wait_for(lambda: client.messages, "an answer")
    got = json.loads(client.messages[0].payload)
    assert client.messages[0].topic.endswith("/accepted") and got["age"] > 0 and got["clientToken"] == "a", got
    # a change is refused by whoever is asked, with a code that says to try again
    client.client.publish(TOPIC.format("t7") + "update", '{"state":{"desired":{"x":1}},"clientToken":"b"}', qos=1)
    wait_for(lambda: len(client.messages) > 1, "an answer")
    got = json.loads(client.messages[1].payload)
    assert client.messages[1].topic.endswith("update/rejected") and got["code"] == 503 and got["clientToken"] == "b", got
    assert b.http("POST", "/things/t7/shadow", {"state": {"desired": {}}})[1]["x-amzn-errortype"] == "ServiceUnavailableException"
    got = b.http("PATCH", "/shadow/v1/things/t7", "{}", {"Content-Type": "application/merge-patch+json"})
    assert got[0] == 503 and a.id[:8] in got[2]["detail"], got
    # and what is told of them survives the others' ends, once it is on their disks: nobody waits for that
    for node in (c, b):
        wait_for(lambda n=node: figure(n, "edged_store_queued_bytes") == 0, "it is on the disk")
        node.kill()
        node.restart(c if node is b else None)
    wait_for(lambda: reported(c, "t299") == {"n": 299}, "the copy is there")
    wait_for(lambda: reported(b, "t299") == {"n": 299}, "and can be had from another node")
    assert read(c, "t299")[1] is not None and refused(c, "t299")
    # new things are made meanwhile, elsewhere
    update(b, "fresh", {"reported": {"n": 1}})
    a.restart(c)
    wait_for(lambda: read(c, "t0")[:2] == (200, "0"), "the home is back, and the copy is as its own")
    wait_for(lambda: read(b, "t0")[:2] == (200, None), "for all")
    assert update(b, "t0", {"reported": {"n": "back"}})[2]["version"] == 22
    assert reported(a, "t0") == reported(c, "t0") == {"n": "back"}
    elsewhere(a, 1)
    assert reported(a, "fresh") == {"n": 1}


def test_a_shadow_that_two_nodes_have_made_is_united():
    a, b = cluster(2)
    b.kill()
    update(a, "both", {"desired": {"a": 1, "same": "old"}, "reported": {"x": {"a": 1}}})
    update(a, "both", {"reported": {"more": [1, 2]}}, name="only-a")
    a.kill()
    b.start()
    began = int(time.time())
    wait_for(lambda: int(time.time()) > began, "the next second, which is what stamps count")
    update(b, "both", {"desired": {"b": 2, "same": "new"}, "reported": {"x": {"b": 2}}})
    for i in range(5):
        update(b, "both", {"reported": {"i": i}})
    update(b, "gone", {"reported": {"x": 1}})
    a.restart(b)

    def united(node):
        status, _, body = read(node, "both")
        return status == 200 and body["state"]["reported"] == {"x": {"a": 1, "b": 2}, "i": 4} and body
    # that which was made first stays
    for node in (a, b):
        body = wait_for(lambda: united(node), "nothing that was acknowledged is lost")
        assert body["state"]["desired"] == {"a": 1, "b": 2, "same": "new"} and body["version"] == 7, body
    wait_for(lambda: figure(b, "edged_shadow_elsewhere") == 2 and figure(a, "edged_shadow_elsewhere") == 1, "one home each")
    assert reported(b, "both", "only-a") == {"more": [1, 2]} and reported(a, "gone") == {"x": 1}
    assert update(b, "both", {"reported": {"i": 5}})[2]["version"] == 8
    assert read(a, "both")[2]["version"] == 8
    # and it stays so
    for node in (a, b):
        node.kill()
    a.start()
    b.restart(a)
    wait_for(lambda: refused_or_version(b, "both") == 8, "it is as before")
    assert read(a, "both")[2]["version"] == 8


def refused_or_version(node, thing):
    status, _, body = read(node, thing)
    return body["version"] if status == 200 else None


def test_the_role_moves_while_a_home_is_off():
    a, b, c = nodes = cluster(3)
    keeper(nodes, c)
    for i in range(40):
        update(a, f"t{i}", {"reported": {"n": i}})
    copies(c, 40)
    a.kill()
    wait_for(lambda: refused(b, "t0"), "they know that the home is away")
    keeper((b, c), b)
    copies(b, 40)
    c.kill()
    for i in (0, 39):
        wait_for(lambda: int(read(b, f"t{i}")[1] or 0) > 0, "it grows older")
        assert reported(b, f"t{i}") == {"n": i}


def test_shadows_of_a_node_that_does_not_come_back_are_taken_over():
    a, b, c = nodes = cluster(3)
    keeper(nodes, c)
    for i in range(5):
        update(a, f"t{i}", {"reported": {"n": i}})
    copies(c, 5)
    assert c.http("POST", f"/shadow/v1/homes/{a.id}/takeover")[2]["type"].endswith("home-available")
    assert c.http("POST", f"/shadow/v1/homes/{b.id}/takeover")[0] in (404, 409)
    assert c.get("/shadow/v1/homes")["data"] == [{"node": a.id, "available": True, "shadows": 5, "copies": 5}]
    a.kill()
    wait_for(lambda: refused(b, "t0") and refused(c, "t0"), "they know that the home is away")
    assert c.http("POST", f"/shadow/v1/homes/{a.id}/takeover")[2] == {"taken": 5, "withoutCopy": 0, "failed": 0}
    elsewhere(c, 0)
    wait_for(lambda: b.get("/shadow/v1/homes")["data"] == [{"node": c.id, "available": True, "shadows": 5, "copies": 0}], "it is known")
    assert update(b, "t1", {"reported": {"m": 1}})[2]["version"] == 2
    # it comes back after all, and gives way
    a.restart(c)
    elsewhere(a, 5)
    wait_for(lambda: reported(a, "t1") == {"n": 1, "m": 1}, "the new home has what both had")
    assert reported(b, "t1") == reported(c, "t1") == {"n": 1, "m": 1}
    assert a.http("GET", "/shadow/v1/things")[2]["data"] == [] and len(c.get("/shadow/v1/things")["data"]) == 5


def test_things_of_the_whole_account_are_listed():
    a, b, c = nodes = cluster(3)
    homes = {}
    for i in range(30):
        homes[f"t{i:02}"] = nodes[i % 3]
        update(nodes[i % 3], f"t{i:02}", {"reported": {"n": i}})
    update(a, "t00", {"reported": {"n": 1}}, name="config")
    update(b, "gone", {"reported": {"n": 1}})
    for node, count in ((a, 21), (b, 21), (c, 22)):
        elsewhere(node, count)
    assert b.http("DELETE", "/things/gone/shadow")[0] == 200

    def pages(node, limit, name="", available=lambda node: True):
        """All items, page by page."""
        found, cursor = [], ""
        while True:
            page = node.get(f"/shadow/v1/things?clusters=account&limit={limit}&name={name}&cursor={cursor}")
            assert len(page["data"]) <= limit
            found, cursor = found + page["data"], page.get("cursor")
            if not cursor:
                return [(item["thing"], item["node"], item["available"], "version" in item) for item in found]

    def expected(node, away=None):
        return [(thing, home.id, home is not away, home is node) for thing, home in sorted(homes.items())]
    for node in nodes:
        wait_for(lambda n=node: pages(n, 1000) == expected(n), "all are listed, with their homes")
        for limit in (1, 7, 30):
            assert pages(node, limit) == expected(node), limit
        assert pages(node, 10, "config") == [("t00", a.id, True, node is a)]
        # without it those that are here
        assert [item["thing"] for item in node.get("/shadow/v1/things")["data"]] == [t for t in sorted(homes) if homes[t] is node]
    for query in ("clusters=moon", "clusters=account&state=true", "clusters=account&filter=version%3E1"):
        assert a.http("GET", f"/shadow/v1/things?{query}")[0] == 400, query
    a.kill()
    wait_for(lambda: pages(b, 8) == expected(b, away=a), "that a home is away is told")


def test_bounds_hold_and_are_told():
    a, b = cluster(2, "--set", "plugins.shadow.elsewhere.shadows=10", "--set", 'plugins.shadow.elsewhere.copies="400"')
    keeper((a, b), b)
    for i in range(12):
        update(a, f"t{i}", {"reported": {"text": "x" * 50}})
    wait_for(lambda: figure(b, "edged_shadow_elsewhere_refused_total") > 2, "they are counted")
    assert figure(b, "edged_shadow_elsewhere") == 10 and 0 < figure(b, "edged_shadow_copies_bytes") <= 400
    # what is known can be had; of a copy that found no room only the home's is told
    assert reported(b, "t9") == {"text": "x" * 50}
    a.kill()
    wait_for(lambda: refused(b, "t0"), "it knows that the home is away")
    assert read(b, "t9")[0] == 503


if __name__ == "__main__":
    edged.main()
