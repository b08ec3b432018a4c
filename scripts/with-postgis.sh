#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own that has PostGIS: see scripts/with-postgres.sh.
#
#     scripts/with-postgis.sh COMMAND ARGS…
#
# For the map's benchmark alone. The server is set up for questions that are short and many: room for the
# tables in its own memory, nothing compiled and nobody called to help for a single question.
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: scripts/with-postgis.sh COMMAND ARGS…   for example: scripts/with-postgis.sh cargo bench --bench map" >&2
    exit 2
fi
say() { echo "with-postgis: $*" >&2; }
here=$(dirname "$(readlink -f "$0")")

# Prints the newest version of PostgreSQL that there is.
version() { find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1 | cut -d / -f 5; }

if [ -z "${SALUR_TEST_POSTGRES:-}" ]; then
    # Installs PostgreSQL where it is missing.
    [ -n "$(version)" ] || "$here/with-postgres.sh" true
    of=$(version)
    if [ -n "$of" ] && [ ! -f "/usr/share/postgresql/$of/extension/postgis.control" ]; then
        become_root=()
        if [ "$(id -u)" -ne 0 ]; then
            become_root=(sudo -n)
            sudo -n true 2>/dev/null || { say "PostGIS is missing: install postgresql-$of-postgis-3"; exit 1; }
        fi
        say "PostGIS is not installed; installing it with apt-get"
        "${become_root[@]}" apt-get update -qq >&2
        "${become_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "postgresql-$of-postgis-3" >&2
    fi
fi

SALUR_TEST_POSTGRES_SETTINGS="shared_buffers = 1GB
work_mem = 64MB
maintenance_work_mem = 512MB
max_wal_size = 8GB
jit = off
max_parallel_workers_per_gather = 0
autovacuum = off"
export SALUR_TEST_POSTGRES_SETTINGS
exec "$here/with-postgres.sh" "$@"
