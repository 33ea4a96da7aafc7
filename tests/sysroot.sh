#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unpacks Debian packages of another architecture into a folder, to build against and to run under qemu-user.
# Nothing is installed: some -dev packages (libevent-dev, libwslay-dev) can be there for one architecture only, so that
# installing those of another would remove the ones of this machine. Needs no root.
# usage: tests/sysroot.sh ARCHITECTURE FOLDER PACKAGE...
set -eu
arch=$1 folder=$2
shift 2
stamp=$folder/.packages
[ "$(cat "$stamp" 2>/dev/null)" != "$*" ] || exit 0
echo "fetching $arch packages into $folder"
rm -rf "$folder"
mkdir -p "$folder/usr/lib" "$folder/apt/lists/partial" "$folder/apt/archives/partial"
folder=$(cd "$folder" && pwd)
ln -s usr/lib "$folder/lib"
: >"$folder/apt/status" # of a machine without any package
apt() {
	apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User="$(id -un)" \
		-o Dir::State::status="$folder/apt/status" -o Dir::State::lists="$folder/apt/lists" \
		-o Dir::Cache="$folder/apt" -o Dir::Cache::archives="$folder/apt/archives" -o Debug::NoLocking=1 "$@"
}
apt update || echo "not all lists of packages could be had; going on with the others" >&2
apt install --no-install-recommends --download-only -y "$@" >/dev/null
for deb in "$folder"/apt/archives/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --keep-directory-symlink --exclude=./usr/share/doc \
		--exclude=./usr/share/man --exclude=./usr/share/locale
done
rm -rf "$folder/apt"
# Links to absolute paths would lead out of the folder.
find "$folder/usr/lib" -type l -lname '/*' | while read -r link; do
	ln -sfn "$folder$(readlink "$link")" "$link"
done
echo "$*" >"$folder/.packages"
