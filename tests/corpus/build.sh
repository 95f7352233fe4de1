#!/usr/bin/env bash
# Build a small real arm64 kernel from Debian's linux-source, and keep what the builds said: build.sh FOLDER [NAME]
# NAME: build (gcc) when none is given, or clang-64k, which CI does not build. Takes some ten minutes on two cores, and
# nothing when FOLDER/NAME was made by this script from this source. Needs apt-get, and installs the compilers.
# Leaves in FOLDER/clang-64k what fetch.sh leaves of a Debian kernel: one with 64K pages, built by clang and LLD.
# Leaves in FOLDER/build:
#   source/      of the sources only Makefiles, Kconfig and shell scripts; source/out is the O= folder of the build, as make left it
#   out          a link to it
#   install/     what modules_install left: lib/modules/RELEASE
#   logs/        build.log modules_install.log   the build, and `modules_install` with INSTALL_MOD_STRIP
#                nothing.log                     make again when all is built
#                part.log part-v1.log part-v2.log           the same partial rebuild, as V=0, V=1 and V=2
#                install.log install-v1.log install-v2.log  modules_install after it, likewise
#                start.log start-v1.log start-v2.log        how a build starts, and some folders with tools of their own, likewise
#                failed-*.log                    builds that fail: kconfig, cc, cc-keep-going, ld, modpost, dtc
#   release      the kernel's release
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=${2:-build}
case $name in build | clang-64k) ;; *) echo "build.sh: no kernel is named $name" >&2; exit 2 ;; esac
folder=$(mkdir -p "${1:?usage: build.sh FOLDER [NAME]}" && cd "$1" && pwd)/$name
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
candidate() { apt-cache policy linux-source-6.1 | sed -n 's/^ *Candidate: //p'; }
inputs() { { cat "$here/build.sh" "$here/$name.config"; candidate; } | sha256sum; }

[ "$(cat "$folder/.complete" 2>/dev/null)" = "$(inputs)" ] && exit 0
root apt-get update -q >/dev/null
[ "$(cat "$folder/.complete" 2>/dev/null)" = "$(inputs)" ] && exit 0
[ -n "$(candidate)" ] || { echo "build.sh: no package linux-source-6.1 in this machine's apt sources" >&2; exit 2; }
DEBIAN_FRONTEND=noninteractive root apt-get install -y -q --no-install-recommends gcc libc6-dev make flex bison bc perl \
  python3 rsync xz-utils lz4 zstd kmod openssl libssl-dev libelf-dev gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu \
  $([ "$name" = build ] || echo clang lld llvm) >/dev/null

rm -rf "$folder"; mkdir -p "$folder/logs" "$folder/source"; cd "$folder"
apt-get download -q linux-source-6.1 >/dev/null
dpkg-deb --fsys-tarfile linux-source-6.1_*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz |
  xz -dc | tar -x -C source --strip-components=1
rm linux-source-6.1_*.deb; logs=$folder/logs; cd source

export ARCH=arm64 LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
export KBUILD_BUILD_USER=kinspect KBUILD_BUILD_HOST=kinspect KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026'
unset MAKEFLAGS MAKELEVEL KCONFIG_CONFIG KBUILD_VERBOSE
mk() { local log=$1; shift; nice make -j2 "$@" >"$logs/$log.log" 2>&1 </dev/null; }
fails() { if mk "$@"; then echo "build.sh: $1 was to fail" >&2; exit 1; fi; }
trap 'tail -n 20 "$logs"/*.log >&2' ERR

if [ "$name" = clang-64k ]; then
  export LLVM=1
  nice make O=out KCONFIG_ALLCONFIG="$here/$name.config" allnoconfig >"$logs/build.log" 2>&1 </dev/null
  mk build O=out all
  mk modules_install O=out INSTALL_MOD_PATH="$folder" modules_install
  cp out/include/config/kernel.release "$folder/release"; cp out/.config "$folder/config"
  mv out/arch/arm64/boot/Image out/vmlinux out/System.map out/Module.symvers "$folder"
  cd "$folder"; rm -rf source lib/modules/*/build lib/modules/*/source
  inputs > .complete
  echo "$name: $(cat release)"
  exit 0
fi

# The build that is kept.
export CROSS_COMPILE=aarch64-linux-gnu-; ln -s source/out ../out
{ nice make O=out KCONFIG_ALLCONFIG="$here/build.config" allnoconfig && nice make -j2 O=out all Image.gz Image.lz4 Image.zst; } \
  >"$logs/build.log" 2>&1 </dev/null
mk modules_install O=out INSTALL_MOD_PATH="$folder/install" INSTALL_MOD_STRIP=1 modules_install
cp out/include/config/kernel.release "$folder/release"

# How a build starts, three times: mostly tools and generated files.
for verbose in 0 1 2; do
  suffix=-v$verbose; [ $verbose = 0 ] && suffix=
  rm -rf start; mkdir start; cp out/.config start/
  mk "start$suffix" O=start V=$verbose olddefconfig modules_prepare certs/ lib/raid6/ drivers/tty/vt/ usr/ crypto/asymmetric_keys/
done
rm -rf start

# The same partial rebuild three times, in a copy: some of each kind of step.
# The folder's path is in one command: the first make after the move builds that anew, the second nothing.
cp -a out part; mk nothing O=part; mk nothing O=part
part=(init/main.c kernel/fork.c fs/inode.c fs/open.c lib/sort.c lib/string.c fs/ext4/*.c fs/nls/*.c crypto/*.c
  arch/arm64/kernel/{entry.S,head.S,vmlinux.lds.S} arch/arm64/lib/memcpy.S arch/arm64/kernel/vdso/vgettimeofday.c
  arch/arm64/kvm/hyp/nvhe/{host.S,setup.c} arch/arm64/crypto/sha512-armv8.pl arch/arm64/boot/dts/toshiba/*.dts
  drivers/firmware/efi/libstub/{arm64-stub.c,zboot.c} drivers/base/bus.c scripts/{sorttable.c,kallsyms.c,sign-file.c}
  scripts/dtc/flattree.c kernel/configs.c kernel/bounds.c arch/arm64/kernel/asm-offsets.c usr/default_cpio_list)
for verbose in 0 1 2; do
  suffix=-v$verbose; [ $verbose = 0 ] && suffix=
  touch "${part[@]}"
  mk "part$suffix" O=part V=$verbose
  rm -rf part/installed
  mk "install$suffix" O=part V=$verbose INSTALL_MOD_PATH=installed INSTALL_MOD_STRIP=1 modules_install
done

# Builds that fail, each in its way.
broken() { cp -a "$1" kept; cat >>"$1"; touch "$1"; }
mended() { mv kept "$1"; touch "$1"; }
broken fs/nls/nls_ascii.c <<< 'int broken(void) { int unused; return missing; }'
fails failed-cc O=part
touch fs/ext4/*.c init/main.c
fails failed-cc-keep-going O=part -k
mended fs/nls/nls_ascii.c
broken init/main.c <<< 'extern int nowhere(void); int broken(void); int broken(void) { return nowhere(); }'
fails failed-ld O=part
mended init/main.c
broken fs/nls/nls_ascii.c <<< 'extern int nowhere(void); int broken(void); int broken(void) { return nowhere(); }'
fails failed-modpost O=part
mended fs/nls/nls_ascii.c
broken arch/arm64/boot/dts/bitmain/bm1880-sophon-edge.dts <<< '/ { broken = <nothing }'
fails failed-dtc O=part dtbs
mended arch/arm64/boot/dts/bitmain/bm1880-sophon-edge.dts
broken init/Kconfig <<< 'nonsense "here"'
fails failed-kconfig O=part olddefconfig
mended init/Kconfig
rm -rf part

# The sources are not needed by anything that reads the build; the Makefiles say what each step is.
find . -path ./out -prune -o ! -type d ! -name 'Makefile*' ! -name 'Kbuild*' ! -name 'Kconfig*' ! -name '*.sh' -print0 | xargs -0 rm
find . -depth -type d -empty ! -path './out/*' -delete
inputs > "$folder/.complete"
echo "build: $(cat "$folder/release")"
