#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every point at which a crash could come, of a scenario with all that the broker and the shadows keep.

A daemon runs the scenario while recorder.c writes down each change to its state folder and each byte that it sends.
Then, for each place of the record, the folders that kill -9 or a power cut could have left are made (crash_record.py), a
daemon is started on each, the clients come back with what they knew at that place, and crash_judge.py says what must be
there.

EDGED_CRASH_POINTS: how many states to look at for each number of loops, or "all" (some minutes); default: what 8 seconds
allow. EDGED_CRASH_SEED: of what is chosen at random (it does not fix the record, which depends on timing).
"""
import hashlib
import itertools
import os
import random
import shutil
import threading
import time

import edged
from crash_judge import Judge
from crash_record import SYNCED, Folder, put_image, read_records
from crash_world import RECORDER, World
from edged import BUILD
from mqtt_wire import CONNACK, PUBACK, PUBCOMP, PUBREC, PUBREL

SECONDS = 8


def scenario(w):
    w.node.start()
    one, two, three, four = w.client("one"), w.client("two", 5), w.client("three"), w.client("four")
    one.subscribe("a/#", 1)
    two.subscribe("a/#", 2)
    two.subscribe("b/#", 2)
    three.subscribe("a/+", 1)
    four.subscribe("big/#", 2)
    one.subscribe("gone/#", 1)
    pub, other, plain = w.client("pub"), w.client("other", 5), w.client("plain", durable=False)
    a, b = {"one": 1, "two": 2, "three": 1}, {"two": 2}

    def settled(*clients):
        w.serve(lambda: not any(c.open for c in clients))

    def burst(count, sizes=(0,)):
        for i in range(count):
            pub.publish("a/1", 1 + i % 2, sizes[i % len(sizes)], a)
            other.publish("a/2" if i % 2 else "b/1", 2 - i % 2, 0, a if i % 2 else b)
        settled(pub, other)

    burst(6, (0, 3000))
    # Subscribers that stop half-way: the message is there, its answer or the last word is not.
    one.silent, two.silent = {PUBACK}, {PUBREC}
    burst(2)
    two.silent = {PUBCOMP}
    two.connect()
    burst(2)
    one.close()
    two.close()
    three.close()
    # A publisher that does not release.
    other.silent = {PUBREL}
    for i in range(3):
        other.publish("b/2", 2, 0, b)
    w.serve(lambda: sum(p.kind == PUBREC for p in other.heard) >= 3 and len(other.open) == 3 and
            all(m.taken for m in other.open.values()))
    plain.publish("a/3", 1, 0, a)
    settled(plain)
    # What is kept beside sessions.
    for i in range(3):
        keep(w, plain, f"keep/{i}", b"first")
        w.http("POST", "/things/lamp/shadow", {"state": {"desired": {"n": i}}}, ("shadow", "lamp"), i + 1)
    keep(w, plain, "keep/1", b"second " + b"y" * 5000)
    keep(w, plain, "keep/2", b"")
    w.http("PUT", "/pubsub/v1/users/joe", {"password": "secret"}, ("user", "joe"), True)
    w.http("PUT", "/pubsub/v1/users/ann", {"password": "secret"}, ("user", "ann"), True)
    w.http("DELETE", "/pubsub/v1/users/joe", None, ("user", "joe"), None)
    w.http("POST", "/topics/keep/rest?qos=1&retain=true", "hello", ("retained", "keep/rest"), b'"hello"')
    w.http("POST", "/things/fan/shadow", {"state": {"reported": {"on": True}}}, ("shadow", "fan"), 1)
    w.http("DELETE", "/things/fan/shadow", None, ("shadow", "fan"), None)
    w.http("POST", "/things/v1/things", {"name": "lamp"}, ("thing", "lamp"), True)
    w.http("POST", "/jobs/v1/jobs", {"id": "up", "targets": ["lamp"], "document": {}}, ("job", "up"), True)
    w.serve(lambda: w.node.get("/things/lamp/jobs")["queuedJobs"])
    for i in range(3):
        w.http("POST", "/things/lamp/jobs/up", {"status": "IN_PROGRESS", "statusDetails": {"step": str(i)}},
               ("execution", "up"), 2 + i)
    # Sessions come back, and one ends.
    other.silent = set()
    other.connect()
    settled(other)
    one.silent = set()
    one.connect()
    one.unsubscribe("gone/#")
    for key in ("sub", "three", "a/+"), ("session", "three"):
        w.answers.setdefault(("three", CONNACK, 0), []).append(w.ask(key, None))
    three.ended = w.place()
    three.connect(clean=True)
    three.close()
    del a["three"]
    burst(3)
    two.silent = set()
    two.connect()
    burst(2)
    # Queues of some size, emptied: then there is something to tidy up.
    for _ in range(5):
        four.close()
        for _ in range(9):
            pub.publish("big/1", 1, 40000, {"four": 1})
            pub.publish("big/2", 2, 40000, {"four": 2})
        settled(pub)
        come = len(four.said)
        four.connect()
        w.serve(lambda: sum(kind != PUBREC for _, kind, _, _ in four.said[come:]) >= 18)
    quiet(w)
    burst(3)
    # A stop, a start, a kill and a start are places for crashes, too.
    w.forget_clients()
    assert w.node.stop() == 0
    w.node.start()
    for client in pub, other, two:
        client.connect()
    burst(2)
    w.forget_clients()
    w.node.kill()
    w.node.start()
    for client in pub, other, one:
        client.connect()
    burst(2)
    w.forget_clients()
    w.node.kill()


def keep(w, client, topic, payload):
    """A retained message; its PUBACK is the answer."""
    client.id += 1
    w.answers[client.name, PUBACK, client.id] = [w.ask(("retained", topic), payload or None)]
    client.wire.publish(topic, payload, 1, client.id, retain=True)
    client.wait(PUBACK)


def quiet(w):
    """The daemon does some work when there is no other: until it has written nothing for a second, a minute at most."""
    place, since, start = w.place(), time.monotonic(), time.monotonic()
    while time.monotonic() - since < 1 and time.monotonic() - start < 60:
        time.sleep(0.05)
        if w.place() != place:
            place, since = w.place(), time.monotonic()


# --- the states ----------------------------------------------------------------------------------------------------------------

class Points:
    """All states worth a look, as (index of the first record that is missing, mode, detail)."""

    def __init__(self, records):
        self.records = records
        self.all = []
        last_change = None
        for i, r in enumerate(records):
            changes = r.kind in "OMURLWTA"
            if changes:
                # Between two changes the folder is the same, and the last place is the one of which most is asked.
                if last_change is not None:
                    self.all.append((i, "kill", 0))
                last_change = i
            if r.kind in "SD" or (r.kind == "W" and r.flags & SYNCED):
                self.all.append((i, "dropped", 0))
                self.all += [(i, "mixed", n) for n in range(6)]
            if r.kind == "W" and not r.flags & SYNCED:
                borders = Folder.borders(r)
                self.all += [(i + 1, "torn", n) for n in sorted(set(round(b * borders / min(borders, 4))
                                                                   for b in range(1, min(borders, 4) + 1)))]
                self.all.append((i + 1, "mixed", 9))
        self.all += [(len(records), mode, 0) for mode in ("kill", "dropped", "mixed")]

    def images(self, chosen, seed):
        """(point, place, image) for each chosen point, in the order of the record."""
        folder, done = Folder(), 0
        for point in sorted(chosen):
            end, mode, detail = point
            while done < end:
                folder.apply(self.records[done])
                done += 1
            place = self.records[end - 1].place if end else 0
            if mode == "kill":
                yield point, place, folder.whole()
            elif mode == "dropped":
                yield point, place, folder.dropped()
            elif mode == "torn":
                yield point, place, folder.torn(self.records[end - 1], detail)
            else:
                yield point, place, folder.mixed(random.Random(f"{seed} {point}"))


    def distinct(self, seed):
        """One point for each image that there is: the last, of which most is asked. (What was sent after the first of them
        cannot be in the image, so that nothing else is allowed there.)"""
        last = {}
        for point, _, image in self.images(self.all, seed):
            digest = hashlib.blake2b(digest_size=16)
            for path, content in sorted(image.items()):
                digest.update(f"{path} {-1 if content is None else len(content)}\0".encode())
                digest.update(content or b"")
            last[digest.digest()] = point
        return list(last.values())


def look(world, point, place, image, again):
    """What is wrong with the daemon that starts on this image."""
    judge = Judge(world, place)
    path = edged.folder()
    put_image(image, path)
    node = edged.Node(path, args=world.args(), start=False)
    try:
        node.start(60)
        if again:  # what was repaired must hold, too
            node.kill()
            node.start(60)
        judge.run(node)
    except Exception as why:
        judge.wrong.append(f"{type(why).__name__}: {why}")
    finally:
        if node.process and node.process.poll() is None:
            node.kill()
    judge.log(node.log())
    if judge.wrong:
        kept = os.path.join(BUILD, "crash-point", f"{world.loops}-{'-'.join(map(str, point))}")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(path, kept, ignore=lambda d, names: [n for n in names if n.endswith(".sock")])
        put_image(image, os.path.join(kept, "image"))
        judge.wrong.append(f"kept in {kept}")
    shutil.rmtree(path, ignore_errors=True)
    edged.forget(node, path)
    return judge.wrong


def examine(world, points, chosen, seed, workers):
    """Looks at the chosen states, several at once. {point: what is wrong}"""
    source, lock, bad, done = points.images(chosen, seed), threading.Lock(), {}, itertools.count(1)

    def work():
        while len(bad) < 5:
            with lock:
                job = next(source, None)
            if job is None:
                return
            point, place, image = job
            wrong = look(world, point, place, image, random.Random(f"{seed} again {point}").random() < 0.1)
            if wrong:
                bad[point] = wrong
            if (count := next(done)) % 250 == 0:
                print(f"{world.loops} loops: {count} of {len(chosen)} states, {len(bad)} are bad", flush=True)
    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return bad


def check_record(world, records):
    """The folder made from the record is the real one: nothing was missed."""
    folder = Folder()
    for record in records:
        folder.apply(record)
    image = folder.whole()
    real = {}
    for path, _, files in os.walk(world.folder):
        for name in files:
            full = os.path.join(path, name)
            if os.path.isfile(full) and name != "test.log" and not name.endswith("lock"):
                with open(full, "rb") as file:
                    real[os.path.relpath(full, world.folder)] = file.read()
    made = {path: content for path, content in image.items() if content is not None and not path.endswith("lock")}
    assert made.keys() == real.keys(), (sorted(made), sorted(real))
    for path, content in real.items():
        assert made[path] == content, f"{path} is not what was recorded"


def recorded(loops):
    if not os.path.exists(RECORDER):
        raise edged.Skip("recorder.so was not built")
    world = World(loops)
    scenario(world)
    records = read_records(world.record)
    world.resolve(records)
    check_record(world, records)
    assert all(m.taken is not None for m in world.messages)
    return world, records


def crash_points(loops):
    seed = int(os.environ.get("EDGED_CRASH_SEED", random.randrange(1 << 30)))
    wanted = os.environ.get("EDGED_CRASH_POINTS", "")
    world, records = recorded(loops)
    points = Points(records)
    left = points.distinct(seed) if wanted == "all" else list(points.all)
    states = f"{len(points.all)} states" + (f", of which {len(left)} differ" if wanted == "all" else "")
    random.Random(seed).shuffle(left)
    if wanted.isdigit():
        left = left[:int(wanted)]
    total, bad, end = 0, {}, time.monotonic() + SECONDS
    chunk = len(left) if wanted else 16
    while left and not bad and (wanted or total == 0 or time.monotonic() < end):
        bad = examine(world, points, left[:chunk], seed, os.cpu_count() + 1)
        total += min(chunk, len(left))
        left = left[chunk:]
    print(f"{loops} loops, seed {seed}: {total} of {states}, {len(records)} records")
    assert not bad, "\n".join("\n  ".join([f"state {point}:", *wrong[:12]]) for point, wrong in bad.items())


def test_one_loop():
    crash_points(1)


def test_several_loops():
    """Their publishers wait for each other's subscribers, and each of them gets its answer."""
    crash_points(3)


edged.main()
