#!/bin/sh
# Builds hello.dtb and hello-lamp.dtbo into OUTDIR (default: this folder), and writes to OUTDIR/expected what dtc and
# file print of them. The bytes depend on the sources and on dtc, on nothing else.
#
# usage: build.sh [OUTDIR]
set -eu
umask 022
export LC_ALL=C

out=${1:-$(dirname "$0")}
mkdir -p "$out/expected"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")"

# With labels in __symbols__, which the overlay needs.
dtc -@ -I dts -O dtb -o "$out/hello.dtb" hello.dts
dtc -@ -I dts -O dtb -o "$out/hello-lamp.dtbo" hello-lamp.dts

cd "$out"
for blob in hello.dtb hello-lamp.dtbo; do
	dtc -q -I dtb -O dts -o "expected/$blob.dts" "$blob"
	file "$blob"
done >expected/file.txt
