#!/bin/sh
# Builds vmlinux, Image, System.map, Module.symvers and .Image.cmd into OUTDIR (default: this folder).
# The bytes depend on the sources and the tool chain, on nothing else: not on time, place, user or language.
#
# usage: build.sh [OUTDIR]
set -eu
umask 022
export LC_ALL=C
unset CDPATH GCC_EXEC_PREFIX COMPILER_PATH LIBRARY_PATH CPATH C_INCLUDE_PATH

CROSS=aarch64-linux-gnu-

out=${1:-$(dirname "$0")}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")"

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

compiler=$(${CROSS}gcc --version | head -n 1)
linker=$(${CROSS}ld --version | head -n 1)

# The order of the sources is the order in the image and in Module.symvers. head.S owns the first byte.
sources='head.S early.c entry.S trap.c lib.S notes.S version.c version-final.c print.c power.c find.c param.c hello.c'

compile() { # SOURCE
	${CROSS}gcc -c -std=gnu11 -Os -gdwarf-5 -Wall -Wextra -Werror \
		-ffreestanding -nostdinc -fno-pie -fno-common -fno-stack-protector -fno-toplevel-reorder \
		-fno-asynchronous-unwind-tables -fno-unwind-tables -fno-tree-loop-distribute-patterns \
		-mgeneral-regs-only -mstrict-align \
		-ffile-prefix-map="$objects=." -ffile-prefix-map="$PWD=." -I. \
		-DCOMPILER="\"$compiler, $linker\"" -o "$objects/$(basename "${1%.*}").o" "$1"
}

# One line an export, name:licence:namespace. The licence is _GPL or empty. In the sources, too, it is one line each.
exports() {
	sed -nE 's/^EXPORT_SYMBOL(_NS)?(_GPL)?\(([^,)]+)(, *([^)]+))?\).*/\3:\2:\5/p' $sources
}

# The trailer of gzip holds the CRC-32 of what went in.
crc32() { # TEXT
	printf %s "$1" | gzip -n | tail -c 8 | od -An -v -tu1 -N4 | {
		read -r a b c d
		printf '0x%02x%02x%02x%02x' "$d" "$c" "$b" "$a"
	}
}

for source in $sources; do
	compile "$source"
done

# The kernel's build takes the CRC of an export over its types. Here it is the CRC-32 of its name.
: >"$out/Module.symvers"
echo '#include "export.h"' >"$objects/versions.S"
exports | while IFS=: read -r name licence namespace; do
	crc=$(crc32 "$name")
	echo "EXPORT_CRC(${licence:+_gpl}, $name, $crc)" >>"$objects/versions.S"
	printf '%s\t%s\tvmlinux\tEXPORT_SYMBOL%s\t%s\n' "$crc" "$name" "$licence" "$namespace" >>"$out/Module.symvers"
done
compile "$objects/versions.S"

# -shared makes it ET_DYN with .rela.dyn, -Bsymbolic settles every other reference now. Relocated words stay zero.
script=$PWD/vmlinux.lds
(
	cd "$objects"
	${CROSS}ld -EL -maarch64elf --no-undefined -X -shared -Bsymbolic -z notext -z noexecstack \
		-z max-page-size=0x1000 --no-apply-dynamic-relocs --orphan-handling=error --build-id=sha1 \
		-T "$script" -o "$out/vmlinux" $(echo "$sources versions.S" | sed 's/\.[cS]\>/.o/g')
)
chmod 0755 "$out/vmlinux"

# Addresses and names, without what only the tool chain knows.
${CROSS}nm -n "$out/vmlinux" | grep -vE ' [aNUw] | (__crc_|\$[adtx]|\.L)' >"$out/System.map"

# The file that make reads to learn whether a command has changed since its last run.
cd "$out"
command="${CROSS}objcopy  -O binary -R .note -R .note.gnu.build-id -R .comment -S vmlinux Image"
$command
chmod 0755 Image
echo "cmd_Image := $command" >.Image.cmd
