#!/bin/sh
# Run the tests that need no tools and no kernels with another Python: tests/python.sh VERSION FOLDER [PYTEST_ARGUMENT...]
# It is installed from Debian testing below FOLDER, once. Needs root, debootstrap and a Debian mirror; says so and does nothing without them.
set -eu
version=$1 folder=$2/python$1
shift 2
cd "$(dirname "$0")/.."
mirror=$(grep -rhE '^(URIs:|deb )' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d " ") || true
if [ "$(id -u)" != 0 ] || [ -z "$mirror" ]; then
    echo "python.sh: Python $version is not tested: needs root and a Debian mirror" >&2
    exit 0
fi
command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends debootstrap
if ! [ -e "$folder/.complete" ]; then
    rm -rf "$folder"
    if ! debootstrap --variant=minbase --include="python$version,python$version-venv,ca-certificates,file" testing "$folder" "$mirror" >"$folder.log" 2>&1; then
        tail -n 3 "$folder.log" >&2
        echo "python.sh: Python $version is not tested: it cannot be installed from here" >&2
        exit 0
    fi
    touch "$folder/.complete"
fi

# The same package registry and certificates as outside.
for file in /etc/pip.conf /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp -L "$file" "$folder$file"
done
rm -rf "$folder/kinspect" && mkdir "$folder/kinspect"
git ls-files -z | xargs -0 cp --parents -t "$folder/kinspect" 2>/dev/null
mount -t proc proc "$folder/proc" && mount --bind /dev/pts "$folder/dev/pts" && trap 'umount "$folder/dev/pts" "$folder/proc"' EXIT
env -u CI -u KINSPECT_CORPUS PYTHON="python$version" chroot "$folder" sh -c '
    cd /kinspect && sh tests/venv.sh test && exec .venv/bin/pytest -q -r fE "$@"' sh "$@"
