//! Theirs: what a competent hand writes where there is no Salur. It locks, checks, counts, and
//! writes down claim, lines and an audit row; no keys to repeat a request by, no change feed, no
//! HTTP, and no rule but the one.

use super::city::{Ledger, REQUIRED};
use super::figures::draw;
use super::measure::{Dice, Round, work_of};
use super::{LINES, NEEDS, Outcome};
use sea_orm::sqlx::{self, Connection, PgConnection};
use sea_orm::{ConnectionTrait, Database};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const TABLES: &str = "
CREATE SCHEMA plain;
CREATE TABLE plain.need (
    id bigint PRIMARY KEY,
    required bigint NOT NULL,
    reserved bigint NOT NULL,
    delivered bigint NOT NULL,
    CHECK (reserved >= 0 AND delivered >= 0 AND reserved + delivered <= required)
);
CREATE TABLE plain.claim (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE plain.claim_line (
    claim_id bigint NOT NULL REFERENCES plain.claim,
    need_id bigint NOT NULL REFERENCES plain.need,
    quantity bigint NOT NULL CHECK (quantity > 0),
    status text NOT NULL,
    PRIMARY KEY (claim_id, need_id)
);
CREATE INDEX ON plain.claim_line (need_id);
CREATE TABLE plain.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    organization_id bigint NOT NULL,
    action text NOT NULL,
    claim_id bigint NOT NULL,
    detail jsonb NOT NULL
);
CREATE FUNCTION plain.claim_batch(giver bigint, wanted bigint[], amounts bigint[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM FROM plain.need n WHERE n.id = ANY (wanted) ORDER BY n.id FOR UPDATE;
    IF EXISTS (SELECT FROM unnest(wanted, amounts) AS w (id, amount) LEFT JOIN plain.need n ON n.id = w.id
               WHERE n.id IS NULL OR n.required - n.reserved - n.delivered < w.amount) THEN
        RETURN NULL;
    END IF;
    UPDATE plain.need n SET reserved = n.reserved + w.amount
        FROM unnest(wanted, amounts) AS w (id, amount) WHERE n.id = w.id;
    INSERT INTO plain.claim (organization_id, created_at, expires_at)
        VALUES (giver, clock_timestamp(), clock_timestamp() + interval '1 day') RETURNING id INTO made;
    INSERT INTO plain.claim_line (claim_id, need_id, quantity, status)
        SELECT made, w.id, w.amount, 'HELD' FROM unnest(wanted, amounts) AS w (id, amount);
    INSERT INTO plain.audit (at, organization_id, action, claim_id, detail)
        VALUES (clock_timestamp(), giver, 'claim', made, jsonb_build_object('needs', wanted, 'quantities', amounts));
    RETURN made;
END $$;
";

/// One function on PostgreSQL, called over persistent connections by a prepared statement.
pub struct Function {
    url: String,
    postmaster: u32,
    needs: Arc<[i64]>,
    ledger: Ledger,
    acknowledged: usize,
}

impl Function {
    pub async fn create(url: &str, postmaster: u32) -> Outcome<Self> {
        let connection = Database::connect(url).await?;
        connection.execute_unprepared(TABLES).await?;
        let fill = format!("INSERT INTO plain.need SELECT n, {REQUIRED}, 0, 0 FROM generate_series(1, {NEEDS}) n");
        connection.execute_unprepared(&fill).await?;
        connection.execute_unprepared("ANALYZE plain.need").await?;
        let ledger = Ledger::open(url, "plain.", "claim_line").await?;
        let needs = ledger.needs().await?.into();
        Ok(Function { url: url.to_owned(), postmaster, needs, ledger, acknowledged: 0 })
    }

    pub async fn run(&mut self, connections: usize, time: Duration, seed: u64) -> Outcome<Round> {
        let start = Arc::new(Barrier::new(connections + 1));
        let mut tasks = JoinSet::new();
        for number in 0..connections {
            let mut connection = PgConnection::connect(&self.url).await?;
            let (start, needs) = (start.clone(), self.needs.clone());
            let mut dice = Dice(seed ^ (number as u64 + 1) << 32);
            tasks.spawn(async move {
                let mut latencies = Vec::new();
                let warm = claim(&mut connection, draw(&mut dice, &needs)).await;
                start.wait().await;
                warm?;
                start.wait().await;
                let begun = Instant::now();
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    claim(&mut connection, draw(&mut dice, &needs)).await?;
                    latencies.push(asked.elapsed());
                }
                Ok::<_, sqlx::Error>((latencies, connection))
            });
        }
        start.wait().await;
        let before = work_of(&[self.postmaster]);
        start.wait().await;
        let begun = Instant::now();
        let (mut latencies, mut open) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let (of_one, connection) = done??;
            latencies.extend(of_one);
            open.push(connection);
        }
        let round = Round::new(latencies, begun.elapsed(), work_of(&[self.postmaster]) - before);
        self.acknowledged += round.count + connections;
        self.ledger.recount(self.acknowledged).await?;
        Ok(round)
    }
}

async fn claim(connection: &mut PgConnection, needs: [i64; LINES]) -> Result<i64, sqlx::Error> {
    // No row where it answers NULL: nothing runs out here.
    sqlx::query_scalar("SELECT made FROM plain.claim_batch($1, $2, $3) AS made WHERE made IS NOT NULL")
        .bind(1_i64)
        .bind(needs.as_slice())
        .bind([1_i64; LINES].as_slice())
        .fetch_one(connection)
        .await
}

/// One process with one SQLite file, one transaction per batch, nobody to wait for. Its callers take turns.
pub struct Script {
    file: PathBuf,
    acknowledged: usize,
}

impl Script {
    pub fn new(file: PathBuf) -> Self {
        Script { file, acknowledged: 0 }
    }

    pub async fn run(&mut self, callers: usize, time: Duration, seed: u64) -> Outcome<Round> {
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/claims/plain_sqlite.py")).arg(&self.file);
        command.args([NEEDS, LINES].map(|n| n.to_string())).arg(REQUIRED.to_string());
        let done = command.args([time.as_secs(), seed, callers as u64].map(|n| n.to_string())).output()?;
        if !done.status.success() {
            return Err(format!("the plain script: {}", String::from_utf8_lossy(&done.stderr)).into());
        }
        let said: serde_json::Value = serde_json::from_slice(&done.stdout)?;
        let seconds = |name: &str| said[name].as_f64().map(Duration::from_secs_f64).ok_or("a figure of the script");
        let latencies = said["latencies"].as_array().ok_or("a list of the script")?;
        let latencies = latencies.iter().filter_map(|l| l.as_f64().map(Duration::from_secs_f64)).collect();
        let round = Round::new(latencies, seconds("time")?, seconds("work")?);
        self.acknowledged += round.count + 1;
        let url = format!("sqlite://{}", self.file.display());
        Ledger::open(&url, "", "claim_line").await?.recount(self.acknowledged).await?;
        Ok(round)
    }
}
