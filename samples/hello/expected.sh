#!/bin/sh
# Writes to OUTDIR/expected what the real tools print of the files that build.sh has left in OUTDIR (default: this
# folder).
#
# usage: expected.sh [OUTDIR]
set -eu
umask 022
export LC_ALL=C

cd "${1:-$(dirname "$0")}"
mkdir -p expected

for name in Image vmlinux; do
	echo "$name: $(file -b "$name")"
done >expected/file.txt

aarch64-linux-gnu-readelf -SW vmlinux >expected/readelf-S.txt
aarch64-linux-gnu-size -A vmlinux >expected/size-A.txt
aarch64-linux-gnu-nm -S vmlinux >expected/nm-S.txt
