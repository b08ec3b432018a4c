#!/usr/bin/env bash
# Runs a command whose programs find each flush to the disk slower than it is.
#
#     scripts/with-slow-disk.sh MICROSECONDS COMMAND ARGS…
#
# For benchmarks: flushes differ more between machines than anything else that a claim costs. Programs that are
# linked to the system's C library sleep so long before each fsync and fdatasync, PostgreSQL, Salur and Python among
# them. Needs a C compiler, as building Salur does.
set -euo pipefail

if [ $# -lt 2 ] || [[ ! $1 =~ ^[0-9]+$ ]]; then
    echo "usage: scripts/with-slow-disk.sh MICROSECONDS COMMAND ARGS…   for example: scripts/with-slow-disk.sh 1000 make bench-claims" >&2
    exit 2
fi
micros=$1
shift
[ "$micros" -gt 0 ] || exec "$@"

dir=$(mktemp -d /tmp/salur-slow-disk.XXXXXX)
trap 'rm -rf "$dir"' EXIT
# The server of a test runs as another user.
chmod 755 "$dir"
"${CC:-cc}" -O2 -shared -fPIC -o "$dir/slow_disk.so" "$(dirname "$(readlink -f "$0")")/../benches/claims/slow_disk.c" -ldl
SLOW_DISK_MICROS=$micros LD_PRELOAD="$dir/slow_disk.so" "$@"
