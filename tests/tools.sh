#!/bin/sh
# Install the real tools that the tests compare with (Debian and Ubuntu packages).
set -eu
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
tools="file aarch64-linux-gnu-gcc aarch64-linux-gnu-objcopy llvm-objcopy qemu-system-aarch64 mkimage sbsign openssl lz4 zstd xz depmod modinfo chromium xmllint man mandoc zsh fish"
PATH=$PATH:/usr/sbin:/sbin
missing=
for tool in $tools; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
[ -n "$missing" ] || exit 0
echo "tools.sh: installing what has$missing"
root apt-get update -q
DEBIAN_FRONTEND=noninteractive root apt-get install -y -q --no-install-recommends \
    file gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu llvm qemu-system-arm u-boot-tools sbsigntool openssl lz4 zstd xz-utils kmod chromium libxml2-utils man-db mandoc zsh fish
