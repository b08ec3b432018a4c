#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own, and removes the server afterwards.
#
#     scripts/with-postgres.sh COMMAND ARGS…
#
# COMMAND finds the server's address in SALUR_TEST_POSTGRES; its exit code becomes this script's.
# Where SALUR_TEST_POSTGRES is set already, that server is used and none is started.
#
# The server listens on 127.0.0.1 only, trusts everyone there, and keeps its data in a fresh
# directory under /tmp. It runs without fsync, which makes tests quick and survives everything but
# a crash of the machine; SALUR_TEST_POSTGRES_FSYNC=on turns fsync on. SALUR_TEST_POSTGRES_SETTINGS holds
# further lines of its postgresql.conf.
#
# COMMAND runs in a process group of its own and reads nothing from standard input, so that one
# signal to this script ends COMMAND with all its children, and then the server.
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: scripts/with-postgres.sh COMMAND ARGS…   for example: scripts/with-postgres.sh cargo test --release" >&2
    exit 2
fi
if [ -n "${SALUR_TEST_POSTGRES:-}" ]; then
    exec "$@"
fi

say() { echo "with-postgres: $*" >&2; }

# Prints the directory that holds initdb: Debian's newest version, else wherever PATH finds it.
find_bin() {
    local newest
    newest=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    newest=${newest:-$(command -v initdb || true)}
    [ -n "$newest" ] && dirname "$(readlink -f "$newest")"
}

install_postgres() {
    local become_root=()
    if [ "$(id -u)" -ne 0 ]; then
        become_root=(sudo -n)
        sudo -n true 2>/dev/null || { say "cannot install packages: not root, and sudo asks for a password"; return 1; }
    fi
    command -v apt-get >/dev/null || { say "cannot install packages: there is no apt-get here"; return 1; }
    say "PostgreSQL is not installed; installing it with apt-get"
    "${become_root[@]}" apt-get update -qq >&2 &&
        "${become_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends postgresql >&2
}

if ! bin=$(find_bin) && ! { install_postgres && bin=$(find_bin); }; then
    say "the tests need PostgreSQL 13 or newer: install it, or set SALUR_TEST_POSTGRES=postgres://USER@HOST:PORT/DATABASE"
    exit 1
fi

as_server() { (cd "$dir" && exec "$@"); }
if [ "$(id -u)" -eq 0 ]; then
    # initdb and the server refuse to run as root.
    id postgres >/dev/null 2>&1 || { say "there is no user postgres to run the server as"; exit 1; }
    as_server() { (cd "$dir" && exec runuser -u postgres -- "$@"); }
fi

dir=
child=
clean_up() {
    trap '' HUP INT TERM
    # Whatever COMMAND left running in its group ends before the server does.
    [ -z "$child" ] || kill -s KILL -- "-$child" 2>/dev/null || true
    [ -n "$dir" ] || return 0
    if [ -f "$dir/data/postmaster.pid" ]; then
        as_server "$bin/pg_ctl" stop --silent --pgdata "$dir/data" --mode immediate || true
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

dir=$(mktemp -d /tmp/salur-pg.XXXXXX)
if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$dir"
fi
as_server "$bin/initdb" --pgdata "$dir/data" --username postgres --auth trust --encoding UTF8 --locale C --no-sync \
    >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; say "initdb failed"; exit 1; }
cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
max_connections = 300
fsync = ${SALUR_TEST_POSTGRES_FSYNC:-off}
timezone = 'UTC'
${SALUR_TEST_POSTGRES_SETTINGS:-}
CONF

# A port below the range from which the system itself hands out ports. Another process may take it
# between the look and the start, hence the second try.
started=
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
    if as_server "$bin/pg_ctl" start --silent --wait --pgdata "$dir/data" --log "$dir/server.log" --options "-p $port"; then
        started=yes
        break
    fi
done
[ -n "$started" ] || { cat "$dir/server.log" >&2; say "the server did not start"; exit 1; }

export SALUR_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
say "$SALUR_TEST_POSTGRES"

set -m
"$@" </dev/null &
child=$!
set +m
for signal in HUP INT TERM; do
    # shellcheck disable=SC2064  # The names are meant to be filled in now.
    trap "kill -s $signal -- -$child 2>/dev/null || true" "$signal"
done

# A signal ends `wait` early; the command's own exit code counts, so wait until it is gone.
code=0
wait "$child" || code=$?
while kill -s 0 "$child" 2>/dev/null; do
    code=0
    wait "$child" || code=$?
done
exit "$code"
