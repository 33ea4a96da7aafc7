#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A plugin that is built outside the tree, dropped in, replaced in two ways, and removed."""
import os
import shutil
import subprocess

import edged
from edged import wait_for

SOURCE = os.path.join(edged.HERE, "..", "..", "plugins", "hello", "hello.c")


def install():
    """What `make install` puts into a folder of its own."""
    root = edged.folder()
    subprocess.run(["make", "-s", "-C", os.path.join(edged.HERE, "..", ".."), "install", f"DESTDIR={root}"],
                   check=True, capture_output=True, env=dict(os.environ, BUILD=os.path.abspath(edged.BUILD)))
    return root


def build(root, version, to):
    """hello.so of a version, from a copy of hello.c elsewhere, with what pkg-config says and nothing more."""
    folder = edged.folder()
    with open(SOURCE) as file:
        text = file.read()
    assert len(text.splitlines()) < 40, "the smallest plugin has grown"
    changed = text.replace('"1.0"', f'"{version}"').replace("everybody", f"everybody since {version}")
    assert changed.count(version) > text.count(version) + 1
    with open(os.path.join(folder, "hello.c"), "w") as file:
        file.write(changed)
    environment = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=root,
                       PKG_CONFIG_PATH=os.path.join(root, "usr/share/pkgconfig"))
    subprocess.run(f"{edged.need('cc')} -Wall -Wextra -Werror $({edged.need('pkg-config')} --cflags edged-plugin)"
                   f" -o {to} hello.c", shell=True, check=True, cwd=folder, env=environment)


def greets(node, version):
    return node.http("GET", "/hello/v1")[2] == {"greets": f"everybody since {version}"}


def runs(node, version):
    """It answers, and everything that tells of it says the same."""
    wait_for(lambda: greets(node, version), f"hello {version} answers")
    assert "/hello/v1/greet/{name}" in node.get("/openapi.json")["paths"]
    mine = [plugin for plugin in node.get("/edge/v1/plugins")["data"] if plugin.get("name") == "hello"]
    assert [(plugin["version"], plugin["state"]) for plugin in mine] == [(version, "running")], mine
    assert greets(node, version)


def test_replacing_a_plugin():
    root = install()
    plugins = edged.folder()
    target = os.path.join(plugins, "hello.so")
    for name in ("broker.so", "shadow.so"):
        shutil.copy(os.path.join(edged.PLUGINS, name), plugins)
    node = edged.Node(plugins=plugins)
    before = node.get("/edge/v1/node")
    build(root, "2.0", os.path.join(root, "two"))
    build(root, "3.0", os.path.join(root, "three"))
    build(root, "4.0", os.path.join(plugins, "hello.new"))

    shutil.copyfile(os.path.join(root, "two"), target)
    runs(node, "2.0")
    shutil.copyfile(os.path.join(root, "three"), target)  # over the file whose code runs
    runs(node, "3.0")
    os.rename(os.path.join(plugins, "hello.new"), target)
    runs(node, "4.0")
    with open(target, "r+b") as file:  # a copy that was cut short
        file.truncate(5000)
    wait_for(lambda: "former one goes on" in str(node.get("/edge/v1/plugins")), "the copy is refused")
    assert greets(node, "4.0")

    os.unlink(target)
    wait_for(lambda: node.http("GET", "/hello/v1")[0] == 404, "hello has gone")
    status, headers, problem = node.http("GET", "/hello/v1")
    assert headers["content-type"] == "application/problem+json", headers
    assert problem["status"] == 404 and "hello" in problem["detail"], problem
    assert not [path for path in node.get("/openapi.json")["paths"] if path.startswith("/hello")]
    assert node.get("/edge/v1/node")["id"] == before["id"]
    assert node.process.poll() is None and "bug of that plugin" not in node.log()


edged.main()
