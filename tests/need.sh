#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages named that are missing; asks for root only when something is.
# usage: tests/need.sh PACKAGE...
set -eu
missing=
for package in "$@"; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "missing packages:$missing"
if [ "$(id -u)" = 0 ]; then
	root=
elif command -v sudo >/dev/null; then
	root=sudo
else
	echo "Install them as root, then try again:  apt-get install$missing" >&2
	exit 1
fi
# shellcheck disable=SC2086 # words are wanted
# Packages of other servers are wanted for their programs: nothing is to start now (see invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '$root rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod 755 $policy
fi
$root apt-get update -qq
# shellcheck disable=SC2086
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
