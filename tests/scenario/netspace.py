# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a test that needs certain ports: nobody else has them there, and nobody else is there."""
import fcntl
import os
import socket
import struct
import subprocess
import sys

INSIDE = "EDGED_TEST_INSIDE"


def raise_loopback():
    """What `ip link set lo up` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x8 | 0x40))  # SIOCSIFFLAGS: up, loopback, running


def enter(before=lambda: None):
    """Goes on in there with the whole test file, after before(), which may still use the network; or the test is skipped."""
    if os.environ.get(INSIDE):
        raise_loopback()
        return
    before()
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        print("skip  a network of its own cannot be made here")
        sys.exit(77)
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
