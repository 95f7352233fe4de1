#!/bin/sh
# Builds old/ and new/: vmlinux, an ELF with nothing but the types (.BTF), as packages of kernel headers have it, and
# Module.symvers. GENKSYMS computes the CRCs: scripts/genksyms/genksyms of a kernel build with MODVERSIONS.
#
# usage: build.sh GENKSYMS [OUTDIR]
set -eu
export LC_ALL=C
genksyms=${1:?usage: build.sh GENKSYMS [OUTDIR]}
here=$(cd "$(dirname "$0")" && pwd)
out=${2:-$here}
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

for side in old new; do
	mkdir -p "$out/$side"
	: >"$out/$side/Module.symvers"
	for source in gadget.c "$side/clock.c"; do
		object=$objects/$(basename "$source" .c).o
		(cd "$here" && aarch64-linux-gnu-gcc -c -g -O2 -ffreestanding -ffile-prefix-map="$here=." \
			-I"$side" -o "$object" "$source")
		(cd "$here" && aarch64-linux-gnu-gcc -E -D__GENKSYMS__ -I"$side" "$source") | "$genksyms" |
			sed -nE 's/^#SYMVER ([^ ]+) (0x[0-9a-f]+)$/\2\t\1\tvmlinux\tEXPORT_SYMBOL\t/p' >>"$out/$side/Module.symvers"
	done
	aarch64-linux-gnu-ld -e 0 -Ttext=0xffffffc008000000 -o "$objects/vmlinux" "$objects/gadget.o" "$objects/clock.o"
	pahole -J "$objects/vmlinux"
	aarch64-linux-gnu-objcopy --only-section=.BTF "$objects/vmlinux" "$out/$side/vmlinux" 2>/dev/null
done
