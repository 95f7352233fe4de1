#!/bin/sh
# Install the real tools that the tests compare with (Debian and Ubuntu packages).
set -eu
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
PATH=$PATH:/usr/sbin:/sbin
missing=
while read -r tool package; do
    command -v "$tool" >/dev/null || [ -e "$tool" ] || missing="$missing $package"
done <<'TOOLS'
file file
aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
aarch64-linux-gnu-objcopy binutils-aarch64-linux-gnu
llvm-objcopy llvm
gdb gdb
gdb-multiarch gdb-multiarch
eu-strip elfutils
dwz dwz
clang clang
ld.lld lld
qemu-system-aarch64 qemu-system-arm
dpkg-deb dpkg
rpmbuild rpm
rpm2cpio rpm2cpio
cpio cpio
bsdtar libarchive-tools
mkimage u-boot-tools
mkbootimg mkbootimg
/usr/lib/u-boot/qemu_arm64/u-boot.bin u-boot-qemu
grub-file grub-common
sbsign sbsigntool
openssl openssl
gzip gzip
bzip2 bzip2
lz4 lz4
lzop lzop
zstd zstd
xz xz-utils
lzma xz-utils
depmod kmod
modinfo kmod
dtc device-tree-compiler
pahole dwarves
bpftool bpftool
chromium chromium
xmllint libxml2-utils
man man-db
mandoc mandoc
zsh zsh
fish fish
TOOLS
[ -n "$missing" ] || exit 0
echo "tools.sh: installing$missing"
root apt-get update -q
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive root apt-get install -y -q --no-install-recommends $missing
