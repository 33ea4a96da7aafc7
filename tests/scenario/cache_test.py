#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Objects of the cache plugin over REST: stored, judged, bounded, there after a crash, and gone when their time is over."""
import json
import os
import urllib.parse

import edged
from edged import Node, wait_for


def put(node, key, body, status=201, **headers):
    got = node.http("PUT", f"/cache/v1/{key}", body, {name.replace("_", "-"): value for name, value in headers.items()})
    assert got[0] == status, got
    return got


def fetch(node, key, status=200, **headers):
    """The headers and the bytes of an object."""
    with node.connect() as stream:
        lines = [f"GET /cache/v1/{key} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        stream.sendall("\r\n".join(lines + ["", ""]).encode())
        got = b""
        while more := stream.recv(65536):
            got += more
    head, _, body = got.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    assert int(first.split()[1]) == status, got[:500]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}, body


def figure(node, name):
    return sum(int(line.rsplit(" ", 1)[1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith(name) and line[len(name)] in " {")


def test_an_object_is_as_it_was_stored():
    node = Node()
    body = os.urandom(100000)
    assert fetch(node, "firmware/lamp.bin", 404)
    put(node, "firmware/lamp.bin", body, Content_Type="application/x-firmware", Cache_Control="max-age=1000")
    headers, got = fetch(node, "firmware/lamp.bin")
    assert got == body and headers["content-type"] == "application/x-firmware", headers
    assert headers["cache-control"] in ("max-age=1000, s-maxage=0", "max-age=999, s-maxage=0") and int(headers["age"]) < 100, headers
    # the same bytes again are not sent again
    headers, got = fetch(node, "firmware/lamp.bin", 304, If_None_Match=headers["etag"])
    assert got == b""
    # one that replaces it has another tag
    _, answer, _ = put(node, "firmware/lamp.bin", b"new", 204)
    assert answer["ETag"] != headers["etag"]
    headers, got = fetch(node, "firmware/lamp.bin", If_None_Match=headers["etag"])
    assert got == b"new" and headers["etag"] == answer["ETag"] and headers["cache-control"].startswith("max-age=86"), headers
    assert node.http("DELETE", "/cache/v1/firmware/lamp.bin")[0] == 204
    assert node.http("DELETE", "/cache/v1/firmware/lamp.bin")[0] == 404
    # an empty one is one, too, and any byte may be in a key
    put(node, "%C3%A9%20%FF", b"")
    assert fetch(node, "%C3%A9%20%FF")[1] == b""


def test_changes_can_be_made_to_depend_on_what_is_there():
    node = Node()
    put(node, "lock", b"mine", If_None_Match="*")
    put(node, "lock", b"yours", 412, If_None_Match="*")
    tag = fetch(node, "lock")[0]["etag"]
    put(node, "lock", b"other", 412, If_Match='"0000000000000000"')
    put(node, "lock", b"again", 204, If_Match=tag)
    assert node.http("DELETE", "/cache/v1/lock", headers={"If-Match": tag})[0] == 412
    put(node, "none", b"", 412, If_Match="*")
    assert fetch(node, "lock")[1] == b"again"


def test_bad_requests_say_what_to_do():
    node = Node(args=["--set", 'plugins.cache.object="2k"', "--set", 'plugins.cache.life_max="1h"'])
    for key, headers, status, word in (
            ("x" * 513, {}, 400, "512 bytes"),
            ("x", {"Cache-Control": "max-age=0"}, 400, "3600"),
            ("x", {"Cache-Control": "max-age=3601"}, 400, "plugins.cache.life_max"),
            ("x", {"Cache-Control": "max-age=soon"}, 400, "max-age=SECONDS"),
            ("x", {"Content-Type": "t" * 128}, 413, "127")):
        got = node.http("PUT", f"/cache/v1/{key}", b"", headers)
        assert got[0] == status and word in got[2]["detail"], got
    assert "2048" in node.http("PUT", "/cache/v1/x", b"x" * 2049)[2]["detail"]
    put(node, "x", b"x" * 2048)
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=" + "x" * 513):
        assert node.http("GET", f"/cache/v1?{query}")[0] == 400, query


def test_the_oldest_go_when_room_is_needed():
    node = Node(args=["--set", 'plugins.cache.bytes="64k"', "--set", "plugins.cache.objects=10"])
    for i in range(10):
        put(node, f"few/{i}", b"x" * 1000)
    assert fetch(node, "few/0")[1]  # so it is not the oldest any more
    put(node, "few/10", b"x")
    assert fetch(node, "few/1", 404) and fetch(node, "few/0")
    put(node, "large", b"x" * 60000)
    left = node.get("/cache/v1")["data"]
    assert sum(item["bytes"] for item in left) <= 65536 and {"key": "large"}.items() <= left[-1].items(), left
    assert figure(node, "edged_cache_bytes") == sum(item["bytes"] for item in left)
    assert figure(node, "edged_cache_evicted_total") == 11 + 1 - len(left)
    put(node, "too-large", b"x" * 65537, 413)


def test_what_was_acknowledged_is_there_after_a_crash():
    node = Node()
    for i in range(30):
        put(node, f"k{i}", f"value {i}".encode() * 100, Cache_Control="max-age=5000", Content_Type="text/plain")
    put(node, "k3", b"another", 204)
    assert node.http("DELETE", "/cache/v1/k4")[0] == 204
    before = {i: fetch(node, f"k{i}", 404 if i == 4 else 200) for i in range(30)}
    node.kill()
    node.start()
    for i in range(30):
        headers, body = fetch(node, f"k{i}", 404 if i == 4 else 200)
        if i != 4:
            assert body == before[i][1] and headers["etag"] == before[i][0]["etag"], i
            assert headers["content-type"] == before[i][0]["content-type"]
    # and smaller bounds hold for what was stored under larger ones
    node.stop()
    node.args += ["--set", "plugins.cache.objects=5"]
    node.start()
    assert len(node.get("/cache/v1")["data"]) == 5


def test_time_is_over_for_all_to_see():
    node = Node()
    put(node, "short", b"x", Cache_Control="max-age=1")
    put(node, "long", b"x")
    wait_for(lambda: node.http("GET", "/cache/v1/short")[0] == 404, "it goes")
    assert [item["key"] for item in node.get("/cache/v1")["data"]] == ["long"]
    assert figure(node, "edged_cache_expired_total") == 1 and figure(node, "edged_cache_objects") == 1


def test_a_list_comes_in_pages():
    node = Node()
    keys = sorted([f"a/{i}" for i in range(7)] + ["a", "b", "é"], key=lambda key: key.encode())
    for key in keys:
        put(node, urllib.parse.quote(key), b"x")
    for prefix in ("", "a", "a/", "b", "zz"):
        seen, cursor = [], ""
        while True:
            page = node.get(f"/cache/v1?limit=3&prefix={urllib.parse.quote(prefix)}&cursor={urllib.parse.quote(cursor)}")
            seen += [item["key"] for item in page["data"]]
            cursor = page.get("cursor")
            if not cursor:
                break
            assert len(page["data"]) == 3
        assert seen == [key for key in keys if key.startswith(prefix)], (prefix, seen)


def test_any_node_asks_the_one_that_holds_the_role():
    quiet = ["--set", 'cluster.discovery="off"']
    a = Node(cluster=True, args=quiet)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, args=quiet + ["--set", f"cluster.seeds={seeds}"])
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])

    def holder(node):
        roles = {role["role"]: role for role in node.get("/edge/v1/roles")["roles"]}
        return (roles.get("cache", {}).get("holder") or {}).get("id")
    for keeper, other in ((a, b), (b, a)):
        keeper.edgectl("role", "pin", "cache", "self")
        other.edgectl("role", "clear", "cache", "self")
        wait_for(lambda: holder(a) == holder(b) == keeper.id, "the role is there")
        # of the holder both get the same, whoever stored it, and the other's own store has nothing of it
        for writer, reader in ((a, b), (b, a)):
            key = f"{keeper.id[:4]}/{writer.id[:4]}"
            wait_for(lambda: writer.http("PUT", f"/any/cache/v1/{key}", b"kept")[0] in (201, 204), "it is stored")
            assert reader.http("GET", f"/any/cache/v1/{key}")[0] == 200
            assert keeper.http("GET", f"/cache/v1/{key}")[0] == 200 and other.http("GET", f"/cache/v1/{key}")[0] == 404


if __name__ == "__main__":
    edged.main()
