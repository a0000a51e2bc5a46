#!/bin/sh
# setup.sh [PYTHON [FOLDER [LOCK]]]: what `make setup` runs. Makes a virtual environment (.venv) with all that a lock
# file pins (requirements; `make site`: docs), every file checked by its hash. uv installs it; where uv cannot be had,
# or does not reach a package index by itself, pip does, in about three times the time.
set -eu
python=${1:-python3} venv=${2:-.venv} lock=${3:-requirements}
here=$(dirname "$0")

fail() {
    echo "$*" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "There is no program $python. Name a Python: make setup PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null ||
    fail "Swath needs Python 3.11, 3.12 or 3.13; $python: $("$python" -V 2>&1 | head -1). Name another: make setup PYTHON=python3.12"
release=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make virtual environments: its module venv or ensurepip is missing." \
        "On Debian and Ubuntu: sudo apt install python$release-venv"

clear=
if [ -e "$venv/pyvenv.cfg" ] && [ "$("$venv/bin/python" -V 2>&1)" != "$("$python" -V)" ]; then clear=--clear; fi
"$python" -m venv $clear "$venv"
pip="$venv/bin/python -m pip" uv=$venv/bin/uv
export PIP_DISABLE_PIP_VERSION_CHECK=1

with_uv() {
    $pip install --quiet --require-hashes -r "$here/installer.lock" || return
    # an index of one's own that pip knows holds for uv as well
    index=${PIP_INDEX_URL:-$($pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    # uv links files from its cache: where that lies on another file system, as small home folders do, it would fill
    # that one and copy; a cache beside the environment takes no room of its own
    if [ -z "${UV_CACHE_DIR:-}" ]; then
        cache=$("$uv" cache dir)
        mkdir -p "$cache" && [ "$(stat -c %d "$cache")" = "$(stat -c %d "$venv")" ] ||
            export UV_CACHE_DIR="$PWD/.cache/uv"
    fi
    quiet=--quiet
    [ ! -t 2 ] || quiet=
    # compiled now, since a machine may forbid to do it later (PYTHONDONTWRITEBYTECODE, a folder of somebody else)
    "$uv" pip install $quiet --compile-bytecode --python "$venv/bin/python" --require-hashes -r "$here/$lock.lock"
}

[ "$lock" != requirements ] ||
    echo "Installing PyTorch, Raster Vision and the rest into $venv: 7 GB, a minute or two on a fast network"
if ! with_uv; then
    echo "uv could not: pip does it instead, in about three times the time"
    $pip install --quiet --require-hashes -r "$here/$lock.lock"
fi
touch "$venv/.ready"
