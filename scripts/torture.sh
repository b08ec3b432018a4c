#!/usr/bin/env bash
# Runs the rigs for as long as one likes; a violation ends in an exit code that is not 0.
#
#     scripts/torture.sh [rig=NAME|all] [n=COUNT] [seed=SEED] [db=sqlite|postgres|both] [other=PROGRAM]
#     scripts/torture.sh plant=BUG|all [seed=SEED]
#
# The second builds a program with a bug in it (src/planted.rs), one bug after another, and fails where
# the tests that should catch it do not.
#
# Without n each rig runs as short as in `make test`. The same rig, n and seed play the same throws
# again, though not the same races. With rig=rollouts the program of another release, such as another
# checkout's target/release/salur, takes turns with this one. `scripts/torture.sh help` lists the rigs.
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
locks          rigs::locks::           claims held, confirmed and released, of crossing needs
sampler        rigs::sampler::         operations by 200 writers under a watching reader
extremes       rigs::extremes::        texts that are no quantity
corruptions    rigs::corruptions::     corruptions of an export and of the tables
documents      rigs::documents::       documents made from the schema, each asked by somebody
server-kills   fire::server_kills::    kill -9 of the server
postgres-kills fire::postgres_kills::  kill -9 of PostgreSQL
cuts           fire::commit_cuts::     connections cut around COMMIT
hang-ups       fire::hang_ups::        callers who hang up
disk-full      fire::disk_full::       times that the disk is filled
away           fire::postgres_away::   times that the database is away
rollouts       operations::rollout::   times that every server is replaced, one after another
'

# Bug, tests that should catch it, of which one does.
plants='
NoCheck               store::constraints::
CheckBeforeLock       claims::races::a_thousand rigs::fairness::
UnsortedLocks         rigs::locks::
EarlyExpiry           rigs::holds::
ExpiryForgetsTheLine  claims::scenarios:: rigs::holds::
SilentExpiry          claims::random::
AnyLife               store::by_map::
DueIgnored            store::by_map::
UntoldFollowers       store::feed::
CursorOnId            store::feed::
AnswerBeforeCommit    claims::random::
LazyCommit            fire::postgres_kills::
CommitOfTheFailed     rigs::statements::
NoSecondTry           rigs::statements::
KeyIgnoresInput       rigs::keys::
SharedKeys            rigs::keys:: claims::races::
RefusalForgotten      claims::random::
BrokenConnectionKept  fire::disk_full::
NoRoleCheck           api::access::
ForeignClaims         claims::random::
VersionsWrap          rigs::extremes::
UnsaltedWords         store::audit::
BlindVerifier         rigs::corruptions::
RowsUnchecked         rigs::corruptions::
LostLine              claims::scenarios::
BundleLeft            store::bundles::
ValuesRepeated        rigs::documents::
'

usage() {
    sed -n 's/^# \{0,1\}//; 2,12p' "$0"
    printf '\nrigs, and what n counts:%s' "$rigs"
}

rig=all n='' seed='' db=both plant='' other=''
for argument in "$@"; do
    case $argument in
    rig=?* | n=* | seed=* | db=?* | plant=* | other=*) declare "${argument%%=*}=${argument#*=}" ;;
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

build=(--release --quiet --test it)
if [ -n "$plant" ]; then
    # What a planted bug needs to get into a build.
    build+=(--features planted --config profile.release.package.salur.debug-assertions=true)
fi
it() { cargo test "${build[@]}" -- "$@"; }

# A test whose name does not say SQLite is about PostgreSQL.
listed=$(it --list | sed -n 's/: test$//p' | case $db in
    sqlite) grep sqlite ;;
    postgres) grep -v sqlite ;;
    both) cat ;;
    esac)

export SALUR_SEED=${seed:-$(date +%s)}

# Prints a bug with the first test that fails over it.
catch() {
    local bug=$1 tests failed
    shift
    for tests in "$@"; do
        mapfile -t wanted < <(grep "^$tests" <<<"$listed")
        if SALUR_PLANT=$bug RUST_BACKTRACE=0 timeout 300 cargo test "${build[@]}" -- \
            --exact --nocapture --test-threads=1 "${wanted[@]}" >"$log" 2>&1 </dev/null; then continue; fi
        failed=$(grep -A1 '^failures:$' "$log" | sed -n 's/^    //p' | head -n 1)
        printf '%-21s %s, %s\n' "$bug" "${failed:-nobody answered in time in $tests}" \
            "$(grep -m 1 -o 'violated after .*' "$log" || echo 'violated')"
        return
    done
    printf '%-21s NOT CAUGHT by %s\n' "$bug" "$*"
    return 1
}

if [ -n "$plant" ]; then
    log=$(mktemp)
    missed='' known=
    while read -r bug tests; do
        [ "$plant" = all ] || [ "$plant" = "$bug" ] || continue
        known=yes
        # shellcheck disable=SC2086  # The tests are several words.
        catch "$bug" $tests || missed="$missed $bug"
    done < <(sed '/^$/d' <<<"$plants")
    [ -n "$known" ] || { echo "there is no bug $plant in src/planted.rs" >&2; exit 2; }
    [ -z "$missed" ] || { echo "the last run's output is in $log; not caught:$missed" >&2; exit 1; }
    rm -f "$log"
    exit
fi

if [ -n "$other" ]; then
    [ -x "$other" ] || { echo "other=$other: there is no such program; build the other checkout first" >&2; exit 2; }
    SALUR_OTHER_PROGRAM=$(realpath "$other")
    export SALUR_OTHER_PROGRAM
fi
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
