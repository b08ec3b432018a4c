#!/usr/bin/env bash
# Restores a backup into a place of its own, lets Salur read it, and checks the audit log that comes out.
# The backup, the archive and the live database are only read; the place is removed afterwards.
#
#     scripts/restore-drill.sh sqlite   KEYS BACKUP.db
#     scripts/restore-drill.sh postgres KEYS BASE ARCHIVE DATABASE [TIME]
#
# KEYS is the directory with audit-key.pem and audit-key.pem.pub. BACKUP.db was written by `salur backup`, BASE
# by pg_basebackup (plain format), ARCHIVE is where archive_command puts the log, DATABASE the database's name,
# TIME the moment to go back to, such as '2026-03-01 09:59:00+07'; without it: as far as the archive goes.
#
# SALUR names the program (salur). OLD_HEADS names the heads.jsonl of an earlier export: the drill then also
# shows that the backup continues it. OUT keeps the export there, in a directory that does not exist yet.
set -euo pipefail

usage() { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }
say() { echo "restore-drill: $*"; }
fail() { echo "restore-drill: $*" >&2; exit 1; }

[ $# -ge 3 ] || usage
kind=$1 keys=$2
shift 2
salur=${SALUR:-salur}
# A key that is missing would be made anew, and would not fit the log.
[ -r "$keys/audit-key.pem" ] && [ -r "$keys/audit-key.pem.pub" ] || fail "there is no audit-key.pem with its .pub in $keys"

dir=$(mktemp -d /tmp/salur-drill.XXXXXX)
server=
clean_up() {
    [ -z "$server" ] || "${as_server[@]}" "$bin/pg_ctl" stop --silent --pgdata "$dir/data" --mode immediate || true
    rm -rf "$dir"
}
trap clean_up EXIT
as_server=()

restore_sqlite() {
    [ $# -eq 1 ] || usage
    cp "$1" "$dir/salur.db"
    url=sqlite://$dir/salur.db
}

restore_postgres() {
    [ $# -eq 3 ] || [ $# -eq 4 ] || usage
    local base=$1 archive=$2 database=$3 time=${4:-} port
    bin=$(find /usr/lib/postgresql -path '*/bin/pg_ctl' 2>/dev/null | sort -V | tail -n 1)
    bin=$(dirname "${bin:-$(command -v pg_ctl || fail 'there is no pg_ctl')}")
    if [ "$(id -u)" -eq 0 ]; then
        # The server refuses to run as root.
        chown postgres "$dir"
        as_server=(runuser -u postgres --)
    fi
    "${as_server[@]}" cp -R "$base" "$dir/data"
    "${as_server[@]}" chmod 700 "$dir/data"
    "${as_server[@]}" touch "$dir/data/recovery.signal"
    "${as_server[@]}" tee -a "$dir/data/postgresql.auto.conf" >/dev/null <<CONF
restore_command = 'cp $archive/%f %p'
recovery_target_time = '$time'
recovery_target_action = 'promote'
archive_mode = off
synchronous_standby_names = ''
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
CONF
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
        server=yes
        "${as_server[@]}" "$bin/pg_ctl" start --silent --wait --timeout 3600 --pgdata "$dir/data" --log "$dir/log" \
            --options "-p $port" || { tail -n 20 "$dir/log" >&2; fail 'PostgreSQL did not recover'; }
        break
    done
    url=postgres://postgres@127.0.0.1:$port/$database
    # It takes connections before it is done with the archive.
    until [ "$("$bin/psql" -XAtq "$url" -c 'SELECT pg_is_in_recovery()')" = f ]; do sleep 0.1; done
}

case $kind in
    sqlite) restore_sqlite "$@" ;;
    postgres) restore_postgres "$@" ;;
    *) usage ;;
esac
say "restored after ${SECONDS} s"

out=${OUT:-$dir/export}
"$salur" audit export --out "$out" --database "$url" --data-dir "$keys"
"$salur" audit verify "$out" --public-key "$keys/audit-key.pem.pub" ${OLD_HEADS:+--old-head "$OLD_HEADS"}
# The tables themselves say what the log says.
"$salur" audit check --public-key "$keys/audit-key.pem.pub" --database "$url"
say "the backup restores, and its log verifies"
