#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Answers of other nodes that are given again (RFC 9111): by real nodes, with the other node there, changed, and killed."""
import json
import os
import shutil
import urllib.parse

import edged
from edged import Node, wait_for

QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine


def plugins():
    """The folder of plugins, and in it one that answers as it is told and counts."""
    folder = edged.folder()
    for name in ("cache.so", "hello.so"):
        shutil.copy(os.path.join(edged.PLUGINS, name), folder)
    shutil.copy(os.path.join(edged.BUILD, "tests", "abi", "origin.so"), folder)
    return folder


def nodes(count, *settings):
    """So many nodes of one account that reach each other."""
    args = QUIET + [word for setting in settings for word in ("--set", setting)]
    all_nodes = [Node(cluster=True, args=args, plugins=plugins())]
    first = all_nodes[0]
    seeds = json.dumps([f"127.0.0.1:{first.get('/edge/v1/cluster')['port']}"])
    for _ in range(count - 1):
        node = Node(cluster=True, args=args + ["--set", f"cluster.seeds={seeds}"], plugins=plugins())
        node.edgectl("join", first.http("POST", "/edge/v1/invites")[2]["token"])
        all_nodes.append(node)
    for one in all_nodes:
        for other in all_nodes:
            wait_for(lambda: one.http("GET", f"/nodes/{other.id}/hello/v1")[0] == 200, "they reach each other")
    return all_nodes


def path(name, **answer):
    return f"/origin/v1/{name}?{urllib.parse.urlencode(answer, quote_via=urllib.parse.quote)}"


class Answer:
    def __init__(self, node, target, method="GET", **headers):
        self.status, self.headers, self.body = node.http(
            method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        self.cache = self.headers["Cache-Status"] or ""
        self.count = int(self.headers["count"] or 0)
        self.hit = "; hit" in self.cache


def figure(node, name):
    return sum(int(line.rsplit(" ", 1)[1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith(name) and line[len(name)] in " {")


def test_an_answer_is_given_again_without_asking():
    a, b = nodes(2)
    target = f"/nodes/{b.id}" + path("x", cc="max-age=1000", body="hello")
    first = Answer(a, target)
    assert first.status == 200 and first.body == b"hello" and first.cache == f"edged-{a.id[:7]}; fwd=uri-miss; stored", first.cache
    assert first.headers["Age"] is None
    again = Answer(a, target)
    assert again.hit and again.body == b"hello" and again.count == first.count, again.cache
    assert int(again.headers["Age"]) < 100 and again.headers["Content-Type"] == "text/plain"
    assert again.headers["Cache-Control"] == "max-age=1000"
    # by a name or the beginning of the id it is the same; HEAD gets the same length and no body
    assert Answer(a, target.replace(b.id, b.id[:10])).hit
    head = Answer(a, target, "HEAD")
    assert head.hit and head.body == b"" and head.headers["Content-Length"] == "5"
    # something else is asked for
    for other in (target + "&more", target.replace("/x?", "/y?"), target.replace(b.id, a.id)):
        assert not Answer(a, other).hit
    assert figure(a, "edged_cache_answers_hits_total") == 3 and figure(a, "edged_proxy_cached_total") == 3
    assert figure(a, "edged_cache_answers") == 3 and 0 < figure(a, "edged_cache_answers_bytes") < 10000
    # by the service, whoever has it (this node has it, too, and does not ask others)
    assert not Answer(a, "/any" + path("x", cc="max-age=1000")).cache


def test_what_says_nothing_is_asked_each_time():
    a, b = nodes(2)
    for answer in ({}, {"cc": "no-store"}, {"cc": "private, max-age=60"}, {"cc": "max-age=60", "vary": "*"},
                   {"cc": "max-age=60", "vary": "edged-caller"}, {"etag": '"1"'}, {"cc": "s-maxage=0, max-age=60"}):
        target = f"/nodes/{b.id}" + path("x", **answer)
        first, again = Answer(a, target), Answer(a, target)
        assert not again.hit and again.count == first.count + 1, (answer, again.cache)
    # who asks is told, and is not the same from one connection to the next
    assert f'node="{a.id}"' in again.headers["caller"]
    # a request that says who asks is for its sender alone, unless the answer says otherwise
    target = f"/nodes/{b.id}" + path("auth", cc="max-age=60")
    assert not Answer(a, target, Authorization="Digest x").hit and not Answer(a, target, Authorization="Digest x").hit
    target = f"/nodes/{b.id}" + path("auth", cc="max-age=60, public")
    assert not Answer(a, target, Authorization="Digest x").hit and Answer(a, target, Authorization="Digest x").hit
    # parts pass
    target = f"/nodes/{b.id}" + path("part", cc="max-age=60", body="hello")
    assert Answer(a, target, Range="bytes=0-1").cache.endswith("; fwd=bypass")
    assert not Answer(a, target).hit and Answer(a, target).hit
    assert Answer(a, target, Range="bytes=0-1").count > 0
    # only what is kept, please
    refused = Answer(a, f"/nodes/{b.id}" + path("none"), Cache_Control="only-if-cached")
    assert refused.status == 504 and refused.body["type"] == "urn:edged:problem:not-cached", refused.body


def test_variants_bodies_and_streams_are_kept_as_they_came():
    a, b = nodes(2)
    target = f"/nodes/{b.id}" + path("v", cc="max-age=60", vary="Accept-Language", body="hello")
    counts = {language: Answer(a, target, Accept_Language=language).count for language in ("de", "en", "fr")}
    for language, count in counts.items():
        got = Answer(a, target, Accept_Language=language)
        assert got.hit and got.count == count
    assert "fwd=vary-miss" in Answer(a, target, Accept_Language="it").cache
    body = "0123456789" * 300
    for answer in ({"body": body}, {"body": body, "stream": "1"}, {"body": ""}):
        target = f"/nodes/{b.id}" + path("b", cc="max-age=60", **answer)
        first, again = Answer(a, target), Answer(a, target)
        assert first.body == again.body == answer["body"].encode() and again.hit and again.count == first.count
    listed = a.get("/cache/http/v1?limit=2")
    assert len(listed["data"]) == 4 and listed["data"][0]["vary"] == [] and listed["cursor"] == listed["data"][1]["uri"] or \
        listed["data"][0]["uri"].startswith(f"/nodes/{b.id}/origin/v1/"), listed
    seen, cursor = [], ""
    while True:
        page = a.get(f"/cache/http/v1?limit=1&cursor={urllib.parse.quote(cursor)}")
        seen += page["data"]
        cursor = page.get("cursor")
        if not cursor:
            break
    assert len(seen) == 7 and sorted(item["bytes"] for item in seen) == [0, 5, 5, 5, 5, 3000, 3000], seen
    assert a.http("DELETE", f"/cache/http/v1?prefix=/nodes/{b.id}/origin/v1/b")[2] == {"removed": 3}
    assert a.http("DELETE", "/cache/http/v1")[2] == {"removed": 4}
    assert a.get("/cache/http/v1") == {"data": []} and figure(a, "edged_cache_answers_bytes") == 0


def test_a_stale_answer_is_validated_and_a_change_takes_it_away():
    a, b = nodes(2)
    target = f"/nodes/{b.id}" + path("x", cc="no-cache", etag='"v1"', body="hello")
    first = Answer(a, target)
    again = Answer(a, target)
    assert again.status == 200 and again.body == b"hello" and "fwd-status=304" in again.cache and again.count == first.count + 1
    mine = Answer(a, target, If_None_Match='"v1"')
    assert mine.status == 304 and mine.body == b"" and mine.headers["ETag"] == '"v1"'
    other = Answer(a, target, If_None_Match='"v0"')
    assert other.status == 200 and other.body == b"hello"
    assert figure(a, "edged_cache_answers_validated_total") == 3
    # whatever changes it
    target = f"/nodes/{b.id}" + path("x", cc="max-age=1000", body="hello")
    for method in ("POST", "PUT", "DELETE"):
        assert not Answer(a, target).hit and Answer(a, target).hit
        assert Answer(a, target, method).status == 200
    assert Answer(a, target).cache.endswith("; fwd=uri-miss; stored")
    # what other nodes keep of the objects here is validated, too: a change is seen at once
    kept = f"/nodes/{b.id}/cache/v1/thing"
    assert a.http("PUT", kept, b"one")[0] == 201
    assert Answer(a, kept).body == b"one" and "fwd-status=304" in Answer(a, kept).cache
    assert b.http("PUT", "/cache/v1/thing", b"two")[0] == 204
    assert Answer(a, kept).body == b"two"


def test_the_other_node_is_killed():
    a, b = nodes(2)
    fresh, stale, strict, none = (f"/nodes/{b.id}" + path(name, body=name, **answer) for name, answer in (
        ("fresh", {"cc": "max-age=1000"}), ("stale", {"cc": "max-age=0, stale-if-error=1000"}),
        ("strict", {"cc": "max-age=0, stale-if-error=1000, must-revalidate", "etag": '"1"'}), ("none", {})))
    for target in (fresh, stale, strict, none):
        assert Answer(a, target).status == 200
    # stale ones are asked for again, unless the client takes them
    assert "fwd=stale; fwd-status=304" in Answer(a, strict).cache and "fwd=stale" in Answer(a, stale).cache
    assert "hit; ttl=-" in Answer(a, stale, Cache_Control="max-stale").cache
    b.kill()
    assert Answer(a, fresh).hit and Answer(a, fresh).body == b"fresh"
    got = Answer(a, stale)
    assert got.status == 200 and got.body == b"stale" and "stale-if-error" in got.cache and got.headers["Age"], got.cache
    for target in (strict, none):
        got = Answer(a, target)
        assert got.status in (502, 504) and b.id in got.body["detail"], (got.status, got.body)
    assert Answer(a, strict, Cache_Control="max-stale").status in (502, 504)
    assert figure(a, "edged_cache_answers_stale_total") == 1
    # still when nobody counts it among the members any more
    wait_for(lambda: not any(node["id"] == b.id and node["reachable"] for node in a.get("/mds/v1/nodes?clusters=linkLocal")["data"]),
             "it is away")
    assert Answer(a, fresh).hit and Answer(a, stale).body == b"stale"


def test_the_node_with_the_role_has_what_this_one_has_not():
    a, b, keeper = nodes(3)
    keeper.edgectl("role", "pin", "cache", "self")

    def holder(node):
        roles = {role["role"]: role for role in node.get("/edge/v1/roles")["roles"]}
        return (roles.get("cache", {}).get("holder") or {}).get("id")
    wait_for(lambda: holder(a) == holder(keeper) == keeper.id, "the role is there")
    kept, gone, unkept = (f"/nodes/{b.id}" + path(name, cc=cc, body=name) for name, cc in (
        ("kept", "max-age=1000"), ("gone", "max-age=0, stale-if-error=1000"), ("unkept", "no-store")))
    for target in (kept, gone, unkept):
        assert Answer(keeper, target).status == 200
    # what is asked for again goes through the keeper, which asks for all, and keeps it
    again = f"/nodes/{b.id}" + path("again", cc="max-age=1000", etag='"1"', body="again")
    first = Answer(a, again)
    assert keeper.id[:7] not in first.cache
    second = Answer(a, again, Cache_Control="no-cache")
    assert second.body == b"again" and second.count == first.count + 1 and keeper.id[:7] in ", ".join(
        second.headers.get_all("Cache-Status")), second.headers.items()
    assert figure(a, "edged_proxy_by_cache_role_total") == 1
    assert f"/nodes/{b.id}" + path("again", cc="max-age=1000", etag='"1"', body="again") in \
        [item["uri"] for item in keeper.get("/cache/http/v1")["data"]]
    asked = figure(b, "edged_probe_total")
    third = Answer(a, again, Cache_Control="no-cache")
    assert third.body == b"again" and "fwd=request; fwd-status=304; stored" in third.cache, third.cache
    assert figure(b, "edged_probe_total") == asked + 1 and figure(a, "edged_proxy_by_cache_role_total") == 2
    b.kill()
    assert a.http("DELETE", "/cache/http/v1")[0] == 200 and Answer(a, again).body == b"again"
    got = Answer(a, kept)
    assert got.status == 200 and got.body == b"kept" and f"edged-{keeper.id[:7]}; hit" in ", ".join(got.headers.get_all("Cache-Status"))
    assert Answer(a, kept).hit  # and now this one has it, as old as it is
    assert Answer(a, gone).body == b"gone"
    # what nobody has: the failure is that of the node that was asked for
    got = Answer(a, unkept)
    assert got.status in (502, 504) and b.id in got.body["detail"], got.body
    assert figure(a, "edged_proxy_by_cache_role_total") >= 3
    # the keeper asks nobody in turn, and neither do requests that change something
    before = figure(a, "edged_proxy_by_cache_role_total")
    assert Answer(a, unkept, "POST").status in (502, 504) and Answer(keeper, unkept).status in (502, 504)
    assert figure(a, "edged_proxy_by_cache_role_total") == before and figure(keeper, "edged_proxy_by_cache_role_total") == 0


def test_bounds():
    a, b = nodes(2, 'plugins.cache.http.bytes="64k"', 'plugins.cache.http.answer="4k"', "plugins.cache.http.answers=20")
    for i in range(50):
        assert Answer(a, f"/nodes/{b.id}" + path(f"{i}", cc="max-age=60", body="x" * 1000)).status == 200
    assert figure(a, "edged_cache_answers") == 20 and figure(a, "edged_cache_answers_evicted_total") == 30
    for i in range(50):
        assert Answer(a, f"/nodes/{b.id}" + path(f"{i}", cc="max-age=60", body="x" * 3000)).status == 200
        assert figure(a, "edged_cache_answers_bytes") <= 65536
    large = f"/nodes/{b.id}" + path("large", cc="max-age=60", body="x" * 3800)
    for target in (large, large + "&stream=1"):
        for _ in range(2):
            got = Answer(a, target)
            assert got.status == 200 and len(got.body) == 3800 and not got.hit


def test_without_the_plugin_requests_pass_as_ever():
    a, b = nodes(2)
    target = f"/nodes/{b.id}" + path("x", cc="max-age=1000", body="hello")
    assert not Answer(a, target).hit and Answer(a, target).hit
    os.unlink(os.path.join(a.plugins, "cache.so"))
    wait_for(lambda: not Answer(a, target).cache, "the plugin has gone")
    assert Answer(a, target).body == b"hello"
    shutil.copy(os.path.join(edged.PLUGINS, "cache.so"), a.plugins)
    wait_for(lambda: Answer(a, target).hit, "it is back")
    # and with room for nothing
    none, other = nodes(2, "plugins.cache.http.bytes=0")
    assert Answer(none, f"/nodes/{other.id}" + path("x", cc="max-age=1000")).headers["Cache-Status"] is None


if __name__ == "__main__":
    edged.main()
