#!/bin/sh
# The steps of an image's build stage, also to be run without an engine:
#   build.sh dependencies LOCK TARGET   a virtual environment with exactly what the lock names, hashes checked
#   build.sh application SOURCE TARGET  the service itself into it
# The tools of tools.lock have to be installed for the Python that runs this (PYTHON, by default python3).
set -eu
python=${PYTHON:-python3}

dependencies() {
    "$python" -m venv --without-pip "$2"
    uv pip install --quiet --python "$2/bin/python" --require-hashes --link-mode copy --compile-bytecode -r "$1"
    packages=$("$2/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    # What only building, generating code or testing needs: 250 MB of the worker.
    rm -rf "$packages/tensorflow/include" "$packages/clang"
    find "$packages/numpy" "$packages/scipy" -type d -name tests -prune -exec rm -rf {} + 2>/dev/null || true
    # Of the 400 services that botocore describes, those that reading and writing objects can lead to.
    find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
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
