# SPDX-License-Identifier: Apache-2.0
"""Helper for scenario tests: real daemons on free ports, REST calls, and waiting for conditions instead of for time.

A test file ends with `edged.main()`, which runs all functions whose names start with `test_`, each with a Node list
that is cleaned up afterwards. BUILD names the build folder (default: build).
"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD", os.path.join(HERE, "..", "..", "build"))
EDGED = os.path.join(BUILD, "edged")
EDGECTL = os.path.join(BUILD, "edgectl")
PLUGINS = os.path.join(BUILD, "plugins")
LISTEN = ("http=127.0.0.1:0", "mqtt=127.0.0.1:0", "tls=127.0.0.1:0")
_nodes, _folders, _processes = [], [], []


class Skip(Exception):
    """The test cannot run here; says why."""


def folder():
    """A temporary folder, removed at the end of the test."""
    path = tempfile.mkdtemp(prefix="edged-test-")
    _folders.append(path)
    return path


HANG = 60  # seconds: only what hangs takes them, on whatever machine, under whatever sanitizer


def wait_for(condition, what="condition", seconds=HANG):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def free_port():
    """A port for a program that cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def need(program):
    """The path of a program, or Skip."""
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not path:
        raise Skip(f"{program} is not installed")
    return path


def spawn(*command, **options):
    """A process with captured text output that ends with the test."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    _processes.append(process)
    return process


class Node:
    """One running edged."""

    def __init__(self, state=None, plugins=None, listen=LISTEN, dev=True, args=(), start=True,
                 cluster=False, env=None):
        self.state = state or folder()
        self.plugins = plugins or PLUGINS
        self.listen = listen
        # Tests run side by side: a node sees those of other tests only when it wants to.
        alone = [] if cluster else ["--set", "cluster.enabled=false"]
        self.args = (["--dev"] if dev else []) + alone + list(args)
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.run = None
        _nodes.append(self)
        if start:
            self.start()

    def command(self):
        listen = [word for spec in self.listen for word in ("--listen", spec)]
        return [EDGED, "--state", self.state, "--plugins", self.plugins, *listen, *self.args]

    def log(self):
        with open(os.path.join(self.state, "test.log"), errors="replace") as file:
            return file.read()

    def launch(self):
        """Starts the process without waiting for it."""
        log = open(os.path.join(self.state, "test.log"), "a")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=self.env)
        log.close()

    def start(self, seconds=HANG):
        path = os.path.join(self.state, "run.json")
        if os.path.exists(path):
            os.unlink(path)
        self.launch()

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"edged ended with {self.process.returncode}:\n{self.log()}")
            if not os.path.exists(path):
                return False
            with open(path) as file:
                self.run = json.load(file)
            return self.run["pid"] == self.process.pid and self.http("GET", "/readyz")[0] == 200
        wait_for(ready, "edged is ready", seconds)
        return self

    def address(self, protocol):
        """("127.0.0.1", port) of the first listener of the protocol."""
        for listener in self.run["listeners"]:
            if listener["protocol"] == protocol and not listener["address"].startswith("unix:"):
                host, _, port = listener["address"].rpartition(":")
                return host, int(port)
        raise AssertionError(f"no {protocol} listener in {self.run}")

    def port(self, protocol):
        return self.address(protocol)[1]

    @property
    def id(self):
        return self.run["nodeId"]

    def http(self, method, path, body=None, headers=None, seconds=HANG):
        """(status, headers, body) with the body parsed when it is JSON."""
        connection = http.client.HTTPConnection(*self.address("http"), timeout=seconds)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if "json" in (answer.getheader("content-type") or ""):
            data = json.loads(data)
        return answer.status, answer.headers, data

    def get(self, path, status=200):
        """The body of a GET that must answer with `status`."""
        got, _, body = self.http("GET", path)
        assert got == status, f"GET {path}: {got} instead of {status}: {body}"
        return body

    def connect(self, protocol="http"):
        """A raw socket to a listener."""
        return socket.create_connection(self.address(protocol), timeout=HANG)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=HANG):
        """Ends it in order and returns the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def restart(self, seed=None):
        """`seed`: a node that it is to look for; its own address may be another one now."""
        if seed:
            self.args += ["--set", "cluster.seeds=" + json.dumps([f"127.0.0.1:{seed.get('/edge/v1/cluster')['port']}"])]
        return self.start()

    def edgectl(self, *args, status=0):
        """Output of edgectl on this node."""
        done = subprocess.run([EDGECTL, "--state", self.state, *args], capture_output=True, text=True, timeout=60)
        assert done.returncode == status, f"edgectl {args}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


def with_credentials(**options):
    """A node, and a folder with ca.pem, certificate.pem and key.pem that it trusts: those of a node that has joined it."""
    node = Node(**options)
    guest = Node(listen=LISTEN)
    guest.edgectl("join", node.http("POST", "/edge/v1/invites")[2]["token"])
    guest.stop()
    path = folder()
    with open(os.path.join(guest.state, "identity", "account.json")) as file:
        account = json.load(file)
    for name, pem in (("ca", account["ca"]), ("certificate", account["certificate"])):
        with open(os.path.join(path, name + ".pem"), "w") as file:
            file.write(pem)
    shutil.copy(os.path.join(guest.state, "identity", "node.pem"), os.path.join(path, "key.pem"))
    return node, path


def forget(node, path):
    """For a test with thousands of nodes: one that has ended, and its folder, need no cleaning."""
    _nodes.remove(node)
    _folders.remove(path)


def clean():
    for process in _processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
    for node in _nodes:
        if node.process and node.process.poll() is None:
            node.kill()
    for path in _folders:
        shutil.rmtree(path, ignore_errors=True)
    _processes.clear(), _nodes.clear(), _folders.clear()


def main():
    """Runs the test_ functions of the calling file; exit code 1 when one failed, 77 when all were skipped."""
    module = sys.modules["__main__"]
    wanted = sys.argv[1:]
    failed = skipped = ran = 0
    for name in [n for n in vars(module) if n.startswith("test_") and (not wanted or n in wanted)]:
        try:
            getattr(module, name)()
            ran += 1
            print(f"ok    {name}", flush=True)
        except Skip as reason:
            skipped += 1
            print(f"skip  {name}: {reason}", flush=True)
        except BaseException:  # the log of the daemon matters more than the kind of failure
            failed += 1
            for node in _nodes:
                if os.path.exists(os.path.join(node.state, "test.log")):
                    print(f"--- log of {node.state}\n{node.log()[-4000:]}", flush=True)
            print(f"FAIL  {name}")  # at the end, where it is still seen when only that is shown
            traceback.print_exc(file=sys.stdout)
        finally:
            clean()
    sys.stdout.flush()
    os._exit(1 if failed else 77 if skipped and not ran else 0)  # threads of a test that failed may wait for ever
