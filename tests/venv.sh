#!/bin/sh
# Make .venv with kinspect in it: tests/venv.sh [EXTRA]. Debian and Ubuntu ship Python without venv: it is added when missing.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
if ! [ -x .venv/bin/pip ]; then
    rm -rf .venv
    "$python" -m venv .venv 2>/dev/null || {
        root apt-get update -q
        root apt-get install -y -q "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        "$python" -m venv .venv
    }
fi
.venv/bin/pip install -q --disable-pip-version-check -e ".${1:+[$1]}"
