#!/usr/bin/env bash
# Runs a command where a Chromium is: the one that CHROMIUM names, else Debian's, which is installed where it is missing.
set -euo pipefail

export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$CHROMIUM" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "There is no browser at $CHROMIUM: install Chromium, or name one with CHROMIUM=/path/to/chromium" >&2
        exit 1
    fi
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    # Another package manager may be at work.
    apt=("${root[@]}" apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends chromium >/dev/null
fi
exec "$@"
