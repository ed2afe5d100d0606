#!/bin/sh
# The steps of an image's build stage, which also run without a container engine:
#   build.sh dependencies LOCK TARGET   creates a virtual environment from the lock, hashes checked
#   build.sh further LOCK TARGET        installs what another lock names into it; nothing when LOCK is empty
#   build.sh application SOURCE TARGET  installs the service into it
# Needs the tools of tools.lock in the Python that runs it (PYTHON, by default python3).
set -eu
python=${PYTHON:-python3}

dependencies() {
    "$python" -m venv --without-pip "$2"
    uv pip install --quiet --python "$2/bin/python" --require-hashes --link-mode copy --compile-bytecode -r "$1"
    packages=$("$2/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    # Needed only for building, generating code or testing: 250 MB of the worker.
    rm -rf "$packages/tensorflow/include" "$packages/clang"
    find "$packages/numpy" "$packages/scipy" -type d -name tests -prune -exec rm -rf {} + 2>/dev/null || true
    # Of the 400 services that botocore describes, keeps those that access to objects can need.
    find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
}

further() {
    if [ -n "$1" ]; then
        uv pip install --quiet --python "$2/bin/python" --require-hashes --no-deps --link-mode copy --compile-bytecode -r "$1"
    fi
}

application() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/source"
    for part in api shared worker deploy pyproject.toml README.md LICENSE; do
        if [ -e "$1/$part" ]; then cp -R "$1/$part" "$work/source/"; fi
    done
    touch "$work/source/README.md" # named by pyproject.toml
    "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir "$work" "$work/source"
    uv pip install --quiet --python "$2/bin/python" --no-deps --no-index --link-mode copy --compile-bytecode "$work"/*.whl
}

"$@"
