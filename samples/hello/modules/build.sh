#!/bin/sh
# Builds Module.symvers and the folder lib/modules/6.1.0-hello into OUTDIR (default: this folder).
# The bytes depend on the sources and the tools, on nothing else: not on time, place, user or language.
#
# usage: build.sh [OUTDIR]
set -eu
umask 022
export LC_ALL=C
unset CDPATH GCC_EXEC_PREFIX COMPILER_PATH LIBRARY_PATH CPATH C_INCLUDE_PATH XZ_OPT XZ_DEFAULTS

CROSS=aarch64-linux-gnu-
RELEASE=6.1.0-hello
VERMAGIC="$RELEASE SMP mod_unload modversions aarch64"

out=${1:-$(dirname "$0")}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")"
tree=$out/lib/modules/$RELEASE

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

# The order of the modules is the order in Module.symvers and in modules.order.
modules='lib/hello_text drivers/hello/hello-door drivers/hello/hello_light drivers/hello/bell/hello_bell'
compressed='drivers/hello/bell/hello_bell'

sources() { # MODULE
	case $1 in
	*/hello_text) echo hello_text.c text_count.S ;;
	*) echo "$(basename "$1").c" ;;
	esac
}

compile() { # SOURCE
	${CROSS}gcc -c -std=gnu11 -Os -Wall -Wextra -Werror \
		-ffreestanding -nostdinc -fno-pie -fno-common -fno-stack-protector -fno-toplevel-reorder \
		-fno-asynchronous-unwind-tables -fno-unwind-tables -fno-tree-loop-distribute-patterns \
		-mgeneral-regs-only -mstrict-align \
		-I. -I.. -o "$objects/$(basename "${1%.*}").o" "$1"
}

# One line an export, name:licence:namespace. The licence is _GPL or empty. In the sources, too, it is one line each.
exports() { # MODULE
	sed -nE 's/^EXPORT_SYMBOL(_NS)?(_GPL)?\(([^,)]+)(, *([^)]+))?\).*/\3:\2:\5/p' $(sources "$1")
}

# The trailer of gzip holds the CRC-32 of what went in.
crc32() { # TEXT
	printf %s "$1" | gzip -n | tail -c 8 | od -An -v -tu1 -N4 | {
		read -r a b c d
		printf '0x%02x%02x%02x%02x' "$d" "$c" "$b" "$a"
	}
}

# One line an undefined symbol: U or w, and its name.
needs() { # MODULE
	(cd "$objects" && ${CROSS}nm -u -p $(sources "$1" | sed 's/\.[cS]\>/.o/g')) | awk 'NF == 2 && !seen[$2]++ {
		if ($2 != "__this_module") print $1, $2 }' | while read -r kind name; do
		exports "$1" | grep -q "^$name:" || echo "$kind $name"
	done
}

# The fields of a row of Module.symvers, with blanks between: CRC, symbol, module, type, namespace.
row() { # SYMBOL
	awk -F '\t' -v name="$1" '$2 == name { print $1, $2, $3, $4, $5 }' "$out/Module.symvers"
}

# The modules whose exports a module needs, each once, by their file names.
providers() { # MODULE
	needs "$1" | while read -r _ name; do
		row "$name" | cut -d ' ' -f 3
	done | awk '$0 != "vmlinux" && !seen[$0]++' | xargs -r -n 1 basename | paste -s -d , -
}

# What the kernel's modpost does: C for the parts of a module that need the exports of all others.
stage2() { # MODULE
	modname=$(basename "$1" | tr - _)
	init=$(${CROSS}nm "$objects/$(basename "$1").o" | sed -n 's/.* T \(init_module\|cleanup_module\)$/\1/p')
	echo '#include "module.h"'
	echo "MODULE_INFO(depends, \"$(providers "$1")\");"
	echo 'MODULE_INFO(intree, "Y");'
	echo "MODULE_INFO(name, \"$modname\");"
	echo "MODULE_INFO(vermagic, \"$VERMAGIC\");"
	echo 'struct module __this_module __attribute__((section(".gnu.linkonce.this_module"))) = {'
	echo "	.name = \"$modname\","
	for function in $init; do
		echo "	.${function%_module} = $function," | sed 's/\.cleanup/.exit/'
	done
	echo '};'
	exports "$1" | while IFS=: read -r symbol licence _; do
		echo "EXPORT_VERSION(${licence:+_gpl}, $symbol, $(crc32 "$symbol"));"
	done
	# Every module has a version of this, and the kernel, which loads none, does not export it. depmod asks for it.
	echo 'extern const u8 __weak module_layout[];'
	echo 'static const u8 *const layout __attribute__((used)) = module_layout;'
	echo 'static const struct modversion_info versions[] __attribute__((used, section("__versions"))) = {'
	echo "	{ $(crc32 module_layout), \"module_layout\" },"
	needs "$1" | while read -r kind symbol; do
		crc=$(row "$symbol" | cut -d ' ' -f 1)
		case $kind$crc in
		w) ;;
		U) echo "#error $symbol is undefined" ;;
		*) echo "	{ $crc, \"$symbol\" }," ;;
		esac
	done
	echo '};'
}

for module in $modules; do
	for source in $(sources "$module"); do
		compile "$source"
	done
done
compile note.S

cp ../Module.symvers "$out/Module.symvers"
chmod 644 "$out/Module.symvers"
for module in $modules; do
	exports "$module" | while IFS=: read -r symbol licence namespace; do
		printf '%s\t%s\t%s\tEXPORT_SYMBOL%s\t%s\n' "$(crc32 "$symbol")" "$symbol" "$module" "$licence" "$namespace"
	done
done >>"$out/Module.symvers"

rm -rf "$tree"
mkdir -p "$tree"
for module in $modules; do
	name=$(basename "$module")
	stage2 "$module" >"$objects/$name.mod.c"
	compile "$objects/$name.mod.c"
	mkdir -p "$tree/kernel/$(dirname "$module")"
	script=$PWD/module.lds
	(
		cd "$objects"
		${CROSS}ld -r -EL -maarch64elf --build-id=sha1 -T "$script" -o "$tree/kernel/$module.ko" \
			$(sources "$module" | sed 's/\.[cS]\>/.o/g') "$name.mod.o" note.o
	)
	${CROSS}strip --strip-debug "$tree/kernel/$module.ko"
	chmod 644 "$tree/kernel/$module.ko"
	echo "kernel/$module.ko" >>"$tree/modules.order"
done
for module in $compressed; do
	xz -T1 -6 --check=crc32 --lzma2=dict=1MiB "$tree/kernel/$module.ko"
done

# What is built in is known by the text that it brought: its file= says where it would have been installed.
compile builtin.c
${CROSS}objcopy -O binary -j .modinfo "$objects/builtin.o" "$tree/modules.builtin.modinfo"
chmod 644 "$tree/modules.builtin.modinfo"
tr '\0' '\n' <"$tree/modules.builtin.modinfo" | sed -n 's/^[^.]*\.file=//p' | tr ' ' '\n' | uniq |
	sed 's:.*:kernel/&.ko:' >"$tree/modules.builtin"

# With no configuration of this machine's.
: >"$objects/depmod.conf"
depmod -C "$objects/depmod.conf" -b "$out" "$RELEASE"
