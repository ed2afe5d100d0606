#!/bin/sh
# Creates .venv in the repository's folder and installs the packages of requirements.lock, hashes checked.
# `make` calls it when the lock file is newer than the last installation. Needs only Python 3.11 to 3.13.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "$*" >&2
    exit 1
}

fits() { # whether this is a supported Python
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
        if fits "$name"; then
            echo "$name"
            return
        fi
    done
    fail "Dreamqueue needs Python 3.11, 3.12 or 3.13, and none was found." \
        "Install one, or set its path: make PYTHON=/path/to/python3.12"
}

make_venv() {
    python=$(find_python)
    "$python" -m venv --clear .venv || fail "$python could not make a virtual environment (see above)." \
        "On Debian and Ubuntu, install its venv package first: apt install python3-venv"
}

install_lock() {
    if [ ! -x .venv/bin/uv ]; then # uv is in the lock too; it installs about ten times as fast as pip
        sed -n '/^uv==/,/[^\\]$/p' requirements.lock >.venv/uv.txt
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
    fi
    # uv does not read pip's configuration; where only that names an index, pip installs.
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock ||
        .venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock ||
        fail "The packages of requirements.lock could not be installed (see above)."
}

echo "Installing into .venv (once; a few minutes on a slow line) ..."
fits .venv/bin/python || make_venv
install_lock
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-build-isolation --no-deps -e .
touch .venv/installed
