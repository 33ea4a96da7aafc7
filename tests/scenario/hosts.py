# SPDX-License-Identifier: Apache-2.0
"""Throw-away hosts with a real systemd, booted by the script that EDGED_LAB names. Its verbs: base PACKAGE..., up HOST NET,
sh HOST CMD..., put HOST FILE DEST, kill HOST, boot HOST, cut HOST, join HOST, down HOST."""
import functools
import json
import os
import subprocess

import edged
from edged import Skip, wait_for

PACKAGES = ("libevent-core-2.1-7 libevent-pthreads-2.1-7 libmicrohttpd12 libjansson4 libssl3 libsqlite3-0 libnghttp2-14 "
            "libwslay1 libcurl4 libsodium23 liblz4-1 mosquitto-clients curl").split()
ROOT = os.path.join(edged.HERE, "..", "..")


def lab(*args, check=True):
    script = os.environ.get("EDGED_LAB")
    if not script or os.geteuid() != 0:
        raise Skip("needs root, and EDGED_LAB naming a script that boots hosts")
    subprocess.run([script, *args], check=check, stdout=subprocess.DEVNULL)


@functools.cache
def make_base():
    lab("base", *PACKAGES)


class Host:
    """One host with edged installed as the README says, its service not started. A context: gone at the end."""

    def __init__(self, name, network):
        self.name = name
        make_base()
        lab("up", name, network)

    def __enter__(self):
        self.install()
        return self

    def __exit__(self, *exception):
        if exception[0] and not issubclass(exception[0], Skip):
            print(f"--- journal of {self.name}\n" + self.sh("journalctl -u edged --no-pager | tail -n 40", check=False))
        lab("down", self.name, check=False)

    def sh(self, command, check=True):
        done = subprocess.run([os.environ["EDGED_LAB"], "sh", self.name, "sh", "-c", command], capture_output=True, text=True,
                              timeout=120, check=False)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def install(self):
        """`make install` into a folder, then the folder into the host."""
        tree = edged.folder()
        subprocess.run(["make", "-C", ROOT, "-s", "install", f"DESTDIR={tree}", f"BUILD={edged.BUILD}"], check=True)
        archive = os.path.join(edged.folder(), "edged.tar")
        subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
        lab("put", self.name, archive, "/edged.tar")
        self.sh("tar -C / --no-overwrite-dir -xf /edged.tar && systemd-sysusers && systemctl daemon-reload")
        self.drop_in("users", "PrivateUsers=no")  # hosts whose root is a chroot cannot make user namespaces

    def drop_in(self, name, line):
        path = "/run/systemd/system/edged.service.d"
        self.sh(f"mkdir -p {path} && printf '[Service]\\n{line}\\n' >{path}/{name}.conf && systemctl daemon-reload")

    def pid(self):
        return self.sh("systemctl show -p MainPID --value edged")

    def api(self, path):
        """GET through edgectl, which needs no key."""
        return json.loads(self.sh(f"edgectl api GET '{path}'"))

    def wait_api(self, path, condition, what):
        def holds():
            text = self.sh(f"edgectl api GET '{path}'", check=False)
            return text.startswith("{") and condition(json.loads(text))
        wait_for(holds, what)
