#!/usr/bin/env bash
# Build a small arm64 kernel, the same with known edits, and the same twice more: edits.sh FOLDER
# Takes some five minutes on two cores, and nothing when FOLDER/edits was made by this script from this source. Needs
# apt-get, and installs the compiler. Leaves in FOLDER/edits:
#   base/ edited/ again/ second/   vmlinux and Image of each
#   truth.json                     what the edits change, read off the object files: see edits.py
# `again` has another time, user, host and key, of the same length; `second` was built in another folder, and has those of
# another length, and another salt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "${1:?usage: edits.sh FOLDER}" && cd "$1" && pwd)/edits
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
candidate() { apt-cache policy linux-source-6.1 | sed -n 's/^ *Candidate: //p'; }
inputs() { { cat "$here"/edits.{sh,py,config}; candidate; } | sha256sum; }

[ "$(cat "$folder/.complete" 2>/dev/null)" = "$(inputs)" ] && exit 0
root apt-get update -q >/dev/null
[ "$(cat "$folder/.complete" 2>/dev/null)" = "$(inputs)" ] && exit 0
[ -n "$(candidate)" ] || { echo "edits.sh: no package linux-source-6.1 in this machine's apt sources" >&2; exit 2; }
DEBIAN_FRONTEND=noninteractive root apt-get install -y -q --no-install-recommends gcc libc6-dev make flex bison bc perl \
  python3 rsync xz-utils openssl libssl-dev libelf-dev gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu >/dev/null

rm -rf "$folder"; mkdir -p "$folder/source"; cd "$folder"
apt-get download -q linux-source-6.1 >/dev/null
dpkg-deb --fsys-tarfile linux-source-6.1_*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz |
  xz -dc | tar -x -C source --strip-components=1
rm linux-source-6.1_*.deb
export ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
unset MAKEFLAGS MAKELEVEL KCONFIG_CONFIG KBUILD_VERBOSE
trap 'tail -n 20 "$folder"/*.log >&2' ERR

# built NAME SOURCE OUT USER HOST TIME
built() {
  KBUILD_BUILD_USER=$4 KBUILD_BUILD_HOST=$5 KBUILD_BUILD_TIMESTAMP=$6 \
    nice make -j2 -C "$2" O="$3" Image >>"$folder/$1.log" 2>&1 </dev/null
  mkdir "$folder/$1"; cp "$3/vmlinux" "$3/arch/arm64/boot/Image" "$folder/$1"
}
configured() { nice make -C "$1" O="$2" KCONFIG_ALLCONFIG="$here/edits.config" allnoconfig >>"$folder/$3.log" 2>&1 </dev/null; }

time=('Thu Jan  1 00:00:00 UTC 2026' 'Fri Feb 13 12:34:56 UTC 2027' 'Wed 25 Nov 2026 11:22:33 AM CET')
configured source "$folder/out" base
built base source "$folder/out" one first "${time[0]}"
mkdir objects; (cd out; find . -name '*.o' -exec cp --parents -t ../objects {} +)

# The edits and the second build after them, in the same folder: only what they touch is compiled again.
python3 "$here/edits.py" apply source
built edited source "$folder/out" one first "${time[0]}"
python3 "$here/edits.py" truth objects out >truth.json

python3 "$here/edits.py" undo source
rm out/certs/signing_key.*
built again source "$folder/out" two other "${time[1]}"

mkdir -p another/folder another/out; mv source another/folder/of-sources
configured another/folder/of-sources "$folder/another/out" second
sed -i 's/^CONFIG_BUILD_SALT=.*/CONFIG_BUILD_SALT="two"/' another/out/.config
built second another/folder/of-sources "$folder/another/out" somebody another.machine.example "${time[2]}"

rm -rf another out objects
inputs >.complete
echo "edits: $(du -sh . | cut -f1)"
