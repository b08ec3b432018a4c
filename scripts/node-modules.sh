#!/usr/bin/env bash
# Installs what a directory's package-lock.json names, unless that has been done already.
#
#     scripts/node-modules.sh DIRECTORY
#
# Needs Node.js 20 or newer with npm, and the network only where something is missing.
set -euo pipefail

directory=${1:?usage: scripts/node-modules.sh DIRECTORY   for example: scripts/node-modules.sh tests/node}
say() { echo "node-modules: $*" >&2; }

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    say "there is no Node.js here: install version 20 or newer with npm (Debian: apt-get install nodejs npm)"
    exit 1
fi
if ! node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)'; then
    say "Node.js $(node --version) is too old: install version 20 or newer"
    exit 1
fi
# Written last, by a run that came to its end.
done=$directory/node_modules/.of
if [ -f "$done" ] && cmp --silent "$done" "$directory/package-lock.json"; then exit 0; fi
npm ci --prefix "$directory" --no-audit --no-fund --loglevel=error >&2
cp "$directory/package-lock.json" "$done"
