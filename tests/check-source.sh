#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What can be said about the sources without building them. Each check counts as one test.
# usage: tests/check-source.sh     closes with `N passed, N failed, 0 skipped`
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
check() { # NAME COMMAND...
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok    $name"
		passed=$((passed + 1))
	else
		echo "FAIL  $name"
		head -n 60 <<<"$out" | sed 's/^/      /'
		failed=$((failed + 1))
	fi
}
# Files that git knows or would add.
list() { # PATTERN...
	git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r f; do
		[[ ! -e $f ]] || echo "$f"
	done
}
mapfile -t c_files < <(list '*.c' '*.h')
mapfile -t shell_files < <(list '*.sh' tests/run tests/fuzz/run .ci/run)
mapfile -t python_files < <(list '*.py')
mapfile -t public < <(list 'include/edged/*.h')

format() { # names the files; how they should look: clang-format -i FILE
	local bad
	bad=$(printf '%s\n' "${c_files[@]}" | xargs -P "$(nproc)" -n 20 clang-format --dry-run 2>&1 | sed -n 's/:[0-9]*:[0-9]*: warning:.*//p' | sort -u)
	[[ -z $bad ]] || { echo "$bad"; return 1; }
}
# Each public header by itself, as the oldest C that plugins may be written in, and as C++.
headers() { # LANGUAGE-AND-FLAGS... ; compiles a file of one include
	local h
	for h in "${public[@]}"; do
		echo "#include \"${h#include/}\"" | "$@" -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only - || return 1
	done
}
read -ra cc <<<"${CC:-cc}"
read -ra cxx <<<"${CXX:-g++}"
exported() { # no variable that can be changed is shared by files
	! grep -nE '^extern ' "${c_files[@]}" | grep -vE '"C"|\<const\>'
}

check 'layers, calls, sizes, licence lines' tests/source_rules.py "${c_files[@]}" "${shell_files[@]}" Makefile "${python_files[@]}"
check 'clang-format' format
check 'shellcheck' shellcheck "${shell_files[@]}"
check 'public headers are C99' headers "${cc[@]}" -x c -std=c99
check 'public headers are C++' headers "${cxx[@]}" -x c++ -std=c++11
check 'python compiles' python3 -c 'import ast, sys
for f in sys.argv[1:]: ast.parse(open(f).read(), f)' "${python_files[@]}"
check 'no mutable exported variables' exported
check 'every MQTT statement has its test' tests/mqtt-conformance.py
echo "$passed passed, $failed failed, 0 skipped"
[[ $failed == 0 ]]
