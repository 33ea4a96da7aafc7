#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints a compilation database for editors and clang-tidy. usage: compile-commands.py FILE... -- COMPILER FLAG..."""
import json
import os
import sys

split = sys.argv.index("--")
files, command = sys.argv[1:split], sys.argv[split + 1:]
json.dump([{"directory": os.getcwd(), "file": f, "arguments": [*command, "-c", f]} for f in files], sys.stdout, indent=1)
