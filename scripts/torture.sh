#!/usr/bin/env bash
# Runs the rigs for as long as one likes; a violation ends in an exit code that is not 0.
#
#     scripts/torture.sh [rig=NAME|all] [n=COUNT] [seed=SEED] [db=sqlite|postgres|both]
#
# Without n each rig runs as short as in `make test`. The same rig, n and seed play the same throws
# again, though not the same races. `scripts/torture.sh help` lists the rigs.
set -euo pipefail
cd "$(dirname "$0")/.."

# Name, tests, what n counts.
rigs='
model          claims::random::        commands, each compared with a model
races          claims::races::         rounds of every race
statements     rigs::statements::      tries, each failing at one statement or its COMMIT
keys           rigs::keys::            requests, 64 at a time on one key
holds          rigs::holds::           holds raced at their ends
required       rigs::required::        races of revisions and claims
fairness       rigs::fairness::        claims by 200 claimers
sampler        rigs::sampler::         operations by 200 writers under a watching reader
extremes       rigs::extremes::        texts that are no quantity
corruptions    rigs::corruptions::     corruptions of an export and of the tables
server-kills   fire::server_kills::    kill -9 of the server
postgres-kills fire::postgres_kills::  kill -9 of PostgreSQL
cuts           fire::commit_cuts::     connections cut around COMMIT
hang-ups       fire::hang_ups::        callers who hang up
disk-full      fire::disk_full::       times that the disk is filled
away           fire::postgres_away::   times that the database is away
rollouts       operations::rollout::   times that every server is replaced, one after another
'

usage() {
    sed -n 's/^# \{0,1\}//; 2,7p' "$0"
    printf '\nrigs, and what n counts:%s' "$rigs"
}

rig=all n='' seed='' db=both
for argument in "$@"; do
    case $argument in
    rig=?* | n=* | seed=* | db=?*) declare "${argument%%=*}=${argument#*=}" ;;
    rig= | db=) ;;
    help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
done
chosen=$(awk -v rig="$rig" 'NF && (rig == "all" || $1 == rig) { print $1, $2 }' <<<"$rigs")
if [ -z "$chosen" ] || [[ ! $db =~ ^(sqlite|postgres|both)$ ]] || [[ ! $n$seed =~ ^[0-9]*$ ]]; then
    usage >&2
    exit 2
fi

if [ "$db" != sqlite ] && [ -z "${SALUR_TEST_POSTGRES:-}" ]; then
    exec scripts/with-postgres.sh "$0" "$@"
fi

it() { cargo test --release --quiet --test it -- "$@"; }

# A test whose name does not say SQLite is about PostgreSQL.
listed=$(it --list | sed -n 's/: test$//p' | case $db in
    sqlite) grep sqlite ;;
    postgres) grep -v sqlite ;;
    both) cat ;;
    esac)

export SALUR_SEED=${seed:-$(date +%s)}
[ -z "$n" ] || export SALUR_COUNT=$n SALUR_ROUNDS=$n SALUR_RANDOM_COMMANDS=$n
violated=
while read -r name tests; do
    mapfile -t wanted < <(grep "^$tests" <<<"$listed")
    [ ${#wanted[@]} -gt 0 ] || continue
    echo "== $name: make torture rig=$name n=$n seed=$SALUR_SEED db=$db"
    SECONDS=0
    if it --exact --nocapture --test-threads=1 "${wanted[@]}" </dev/null; then
        echo "== $name: nothing violated, ${SECONDS} s"
    else
        echo "== $name: VIOLATED, ${SECONDS} s"
        violated="$violated $name"
    fi
done <<<"$chosen"
[ -z "$violated" ] || { echo "violated:$violated" >&2; exit 1; }
