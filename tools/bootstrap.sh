#!/usr/bin/env bash
# Makes the virtual environment; installs what Debian leaves out of Python when it may.
set -euo pipefail
venv=$1
python=""
for candidate in python3.11 python3.12 python3.13 python3; do
  if command -v "$candidate" >/dev/null \
    && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2
  exit 1
fi
echo "Making the virtual environment $venv ..."
if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
  rm -rf "$venv"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null 2>&1
    "$python" -m venv "$venv"
  else
    echo "Python's venv module is missing: apt-get install python3-venv" >&2
    exit 1
  fi
fi
if [ ! -e /usr/share/zoneinfo/UTC ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq  # months begin in a time zone
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq tzdata >/dev/null 2>&1
fi
"$venv/bin/pip" install -q --disable-pip-version-check 'setuptools>=77' 2>/dev/null || true
