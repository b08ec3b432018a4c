"""The plain script: one transaction per batch on SQLite, durable, by one process that has no one to wait for.

    python3 plain_sqlite.py FILE NEEDS LINES REQUIRED SECONDS SEED CALLERS

Callers take turns at it, in the order in which they ask; one asks again as soon as its batch is done, and asking
costs nothing. Makes the tables where they are not there, and prints one line of JSON: the time it took, the
processor time that it used, and how long each caller waited each time, in seconds.
"""

import collections
import json
import os
import random
import sqlite3
import sys
import time

TABLES = """
CREATE TABLE need (
    id INTEGER PRIMARY KEY,
    required INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    CHECK (reserved >= 0 AND delivered >= 0 AND reserved + delivered <= required)
);
CREATE TABLE claim (
    id INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL
);
CREATE TABLE claim_line (
    claim_id INTEGER NOT NULL REFERENCES claim,
    need_id INTEGER NOT NULL REFERENCES need,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    status TEXT NOT NULL,
    PRIMARY KEY (claim_id, need_id)
) WITHOUT ROWID;
CREATE INDEX claim_line_need ON claim_line (need_id);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    organization_id INTEGER NOT NULL,
    action TEXT NOT NULL,
    claim_id INTEGER NOT NULL,
    detail TEXT NOT NULL
);
"""


def claim(db, giver, lines):
    """Reserves each (need, quantity), or nothing."""
    wanted = dict(lines)
    db.execute("BEGIN IMMEDIATE")
    marks = ",".join("?" * len(wanted))
    free = db.execute(f"SELECT id, required - reserved - delivered FROM need WHERE id IN ({marks})", list(wanted))
    if sum(free >= wanted[need] for need, free in free) < len(wanted):
        db.execute("ROLLBACK")
        return None
    db.executemany("UPDATE need SET reserved = reserved + ? WHERE id = ?", [(n, need) for need, n in lines])
    now = time.time()
    made = db.execute(
        "INSERT INTO claim (organization_id, created_at, expires_at) VALUES (?, ?, ?)", (giver, now, now + 86400)
    ).lastrowid
    db.executemany("INSERT INTO claim_line VALUES (?, ?, ?, 'HELD')", [(made, need, n) for need, n in lines])
    db.execute(
        "INSERT INTO audit (at, organization_id, action, claim_id, detail) VALUES (?, ?, 'claim', ?, ?)",
        (now, giver, made, json.dumps(wanted)),
    )
    db.execute("COMMIT")
    return made


def main():
    file, needs, lines, required, seconds, seed, callers = sys.argv[1], *map(int, sys.argv[2:])
    db = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'need'").fetchone():
        db.executescript(TABLES)
        fill = [(need, required) for need in range(1, needs + 1)]
        db.execute("BEGIN")
        db.executemany("INSERT INTO need VALUES (?, ?, 0, 0)", fill)
        db.execute("COMMIT")
    dice = random.Random(seed)

    def batch():
        drawn = sorted(dice.sample(range(1, needs + 1), lines))
        if claim(db, 1, [(need, 1) for need in drawn]) is None:
            sys.exit("nothing runs out here")

    batch()
    latencies = []
    used = os.times()
    begun = now = time.perf_counter()
    asked = collections.deque([begun] * callers)
    while now - begun < seconds:
        batch()
        now = time.perf_counter()
        latencies.append(now - asked.popleft())
        asked.append(now)
    end = os.times()
    work = end.user - used.user + end.system - used.system
    print(json.dumps({"time": now - begun, "work": work, "latencies": latencies}))


main()
