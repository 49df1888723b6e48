#!/usr/bin/env bash
# The programs that `make bench-media` needs: Janus to compare with, a network namespace to do it in.
set -euo pipefail
missing=()
command -v janus >/dev/null || missing+=(janus)
command -v ip >/dev/null || [ -x /sbin/ip ] || missing+=(iproute2)
command -v unshare >/dev/null && command -v taskset >/dev/null || missing+=(util-linux)
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing for the benchmark: ${missing[*]} ..."
  apt-get update -qq
  # run level 1: the package must not start a server of its own
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "The benchmark needs these programs: apt-get install ${missing[*]}" >&2
  exit 1
fi
