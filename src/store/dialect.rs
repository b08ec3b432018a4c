//! Every difference between SQLite and PostgreSQL, each with its reason.

use sea_orm::sqlx;
use sea_orm::{DbBackend, DbErr, RuntimeErr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// The type of a column of a batch handed over as JSON.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    Int,
    Text,
}

/// What a failed statement means for those who wait on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Lost a race for locks: the whole transaction may be run again.
    Conflict,
    /// The database is away, full, or too busy: nothing of ours is wrong.
    Away,
    /// Somebody else took a unique key a moment before: run again, the transaction finds it taken.
    Taken(String),
    /// A constraint refused what a rule should have refused before it.
    Constraint(String),
    Other,
}

impl Dialect {
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgres",
        }
    }

    pub fn backend(self) -> DbBackend {
        match self {
            Dialect::Sqlite => DbBackend::Sqlite,
            Dialect::Postgres => DbBackend::Postgres,
        }
    }

    /// A batch of rows in one bound parameter, a JSON array of objects, as a table to select or
    /// update from. One text value keeps the statement's text the same for every size of batch.
    pub fn rows(self, parameter: &str, columns: &[(&str, Column)]) -> String {
        match self {
            Dialect::Postgres => {
                let columns: Vec<String> = columns
                    .iter()
                    .map(|(name, kind)| {
                        let kind = match kind {
                            Column::Int => "bigint",
                            Column::Text => "text",
                        };
                        format!("{name} {kind}")
                    })
                    .collect();
                format!("jsonb_to_recordset({parameter}::jsonb) AS r({})", columns.join(", "))
            }
            Dialect::Sqlite => {
                let columns: Vec<String> =
                    columns.iter().map(|(name, _)| format!("value ->> '{name}' AS {name}")).collect();
                format!("(SELECT {} FROM json_each({parameter})) AS r", columns.join(", "))
            }
        }
    }

    /// The condition, to stand behind a column, that its number is in one bound parameter, a JSON
    /// array. PostgreSQL gets an array and not a subselect: without fresh statistics, as right
    /// after an import, its planner joins a subselect by reading the whole table for every number.
    pub fn numbers(self, parameter: &str) -> String {
        match self {
            Dialect::Postgres => {
                format!("= ANY (ARRAY(SELECT value::bigint FROM jsonb_array_elements_text({parameter}::jsonb)))")
            }
            Dialect::Sqlite => format!("IN (SELECT value FROM json_each({parameter}))"),
        }
    }

    /// As [`Dialect::numbers`], for a JSON array of texts.
    pub fn texts(self, parameter: &str) -> String {
        match self {
            Dialect::Postgres => {
                format!("= ANY (ARRAY(SELECT value FROM jsonb_array_elements_text({parameter}::jsonb)))")
            }
            Dialect::Sqlite => format!("IN (SELECT value FROM json_each({parameter}))"),
        }
    }

    /// UPDATE of many rows, after whose failure the transaction is given up anyway. SQLite else keeps a copy of every
    /// page that such a statement changes, in a file of its own once there are more than a few.
    pub fn update_many(self) -> &'static str {
        match self {
            Dialect::Postgres => "UPDATE",
            Dialect::Sqlite => "UPDATE OR FAIL",
        }
    }

    /// INSERT of many rows; the same holds. What calls a function for each row is believed to be able to fail in its
    /// middle whatever it says.
    pub fn insert_many(self) -> &'static str {
        match self {
            Dialect::Postgres => "INSERT",
            Dialect::Sqlite => "INSERT OR FAIL",
        }
    }

    /// Behind a `SELECT … ORDER BY id`: takes the rows in that order. SQLite has one writer,
    /// who holds the whole database since BEGIN IMMEDIATE, and no such clause.
    pub fn lock(self) -> &'static str {
        match self {
            Dialect::Postgres => " FOR NO KEY UPDATE",
            Dialect::Sqlite => "",
        }
    }

    /// Like [`Dialect::lock`], and leaves rows that somebody else holds for the next round.
    pub fn lock_what_is_free(self) -> &'static str {
        match self {
            Dialect::Postgres => " FOR NO KEY UPDATE SKIP LOCKED",
            Dialect::Sqlite => "",
        }
    }

    /// The moment at which the statement runs, in microseconds, moved by `$1`.
    ///
    /// PostgreSQL: `clock_timestamp()`, since `now()` is the start of the transaction, which may
    /// lie before a wait for locks. SQLite: never earlier than the last stored moment, so that a
    /// clock set back frees nothing twice.
    pub fn now(self) -> &'static str {
        match self {
            Dialect::Postgres => "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $1 AS now",
            Dialect::Sqlite => {
                "SELECT max(CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000 + $1, latest) AS now FROM clock"
            }
        }
    }

    /// As [`Dialect::now`], for a writer, who stores the moment on SQLite.
    pub fn now_for_writing(self) -> &'static str {
        match self {
            Dialect::Postgres => self.now(),
            Dialect::Sqlite => {
                "UPDATE clock SET latest = max(latest, CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000 + $1)
                 WHERE id = 1 RETURNING latest AS now"
            }
        }
    }

    /// As [`Dialect::now_for_writing`], with one more number that is looked up by the way, as `beside`.
    pub fn now_and(self, beside: &str) -> String {
        let now = self.now_for_writing();
        match self {
            Dialect::Postgres => format!("SELECT t.now, ({beside}) AS beside FROM ({now}) AS t"),
            Dialect::Sqlite => format!("{now}, ({beside}) AS beside"),
        }
    }

    /// A text that no other server of the same database says, and none on which it was restored in place: when the
    /// server was started, and the number of a table, which is another one where it was made anew. Costs nothing to
    /// ask, unlike a [life](super::feed::LIFE).
    pub fn incarnation(self) -> &'static str {
        match self {
            Dialect::Postgres => {
                "concat_ws('/', extract(epoch FROM pg_postmaster_start_time()), 'change_log'::regclass::oid)"
            }
            Dialect::Sqlite => "'file'",
        }
    }

    pub fn explain(self, error: &DbErr) -> Trouble {
        let cause = match error {
            DbErr::ConnectionAcquire(_) => return Trouble::Away,
            DbErr::Conn(RuntimeErr::SqlxError(e))
            | DbErr::Exec(RuntimeErr::SqlxError(e))
            | DbErr::Query(RuntimeErr::SqlxError(e)) => e,
            _ => return Trouble::Other,
        };
        let database = match cause.as_ref() {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => return Trouble::Away,
            sqlx::Error::Database(e) => e,
            _ => return Trouble::Other,
        };
        let code = database.code().unwrap_or_default();
        match self {
            Dialect::Postgres => match code.as_ref() {
                // serialisation failure, deadlock, lock not available
                // ... and a guarded statement that found something else than it took for granted
                "40001" | "40P01" | "55P03" | "22012" => Trouble::Conflict,
                // statement time-out, too many connections, disk full, read-only after fail-over
                "57014" | "25006" => Trouble::Away,
                c if c.starts_with("08") || c.starts_with("53") || c.starts_with("57P") || c.starts_with("58") => {
                    Trouble::Away
                }
                "23505" => Trouble::Taken(database.constraint().unwrap_or("unnamed").to_owned()),
                c if c.starts_with("23") => Trouble::Constraint(database.constraint().unwrap_or("unnamed").to_owned()),
                _ => Trouble::Other,
            },
            // The extended result code; its low byte is the kind.
            Dialect::Sqlite => match code.parse::<i64>().map(|c| c & 0xff) {
                // busy, locked
                Ok(5 | 6) => Trouble::Conflict,
                // out of memory, read-only, interrupted, I/O error, full, cannot open
                Ok(7..=10 | 13 | 14) => Trouble::Away,
                // SQLite names the constraint of a CHECK, but the columns of a UNIQUE.
                Ok(19) => {
                    let text = database.message();
                    Trouble::Constraint(text.rsplit_once(": ").map_or(text, |(_, name)| name).to_owned())
                }
                _ => Trouble::Other,
            },
        }
    }
}
