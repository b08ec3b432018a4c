//! The records that all sides hold: the demo city or a nation, in Salur's SQLite file first, and from there
//! under the same numbers in PostGIS.

use super::Outcome;
use super::graphile::Graphile;
use super::ours::Ours;
use super::plain;
use super::questions::ITEM;
use futures_util::TryStreamExt;
use salur_nation::{AREA_FILES, NEEDS_FILE, PROGRAMS_FILE};
use sea_orm::sqlx::{self, Connection, PgConnection, Row, SqliteConnection};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

#[derive(Debug, Clone, Copy)]
pub enum Size {
    Jakarta,
    Nation { scale: u32 },
}

/// Everything that has to be removed in the end lies in one directory and one database.
pub struct Town {
    pub home: PathBuf,
    /// The directory was named by the caller and stays.
    kept: bool,
    /// Salur's database.
    pub ours: String,
    server: String,
    pub database: String,
    /// The process that all of PostgreSQL's are children of.
    pub postmaster: u32,
    /// How it was loaded.
    pub told: String,
}

/// Bytes that are handed to COPY at once.
const CHUNK: usize = 1 << 20;

impl Town {
    pub async fn build(size: Size, at: Option<PathBuf>) -> Outcome<Town> {
        let server = std::env::var("SALUR_TEST_POSTGRES")
            .map_err(|_| "SALUR_TEST_POSTGRES is not set: run `make bench`, or this below scripts/with-postgis.sh")?;
        let mut connection = PgConnection::connect(&server).await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        let stat = fs::read_to_string(format!("/proc/{backend}/stat"))
            .map_err(|_| "PostgreSQL must run on this machine: its processor time is measured")?;
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        let postmaster = parent.ok_or("a process has a parent")?.parse()?;
        let name = format!("salur_bench_{}", std::process::id());
        let kept = at.is_some();
        let home = at.unwrap_or_else(|| std::env::temp_dir().join(&name));
        fs::create_dir_all(&home)?;
        let home = home.canonicalize()?;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
        let (address, _) = server.rsplit_once('/').ok_or("the server's address ends with a database")?;
        let ours = format!("sqlite://{}", home.join("ours.db").display());
        let mut town =
            Town { database: format!("{address}/{name}"), home, kept, ours, server, postmaster, told: String::new() };
        town.fill_ours(size)?;
        town.fill_theirs().await?;
        Ok(town)
    }

    fn fill_ours(&mut self, size: Size) -> Outcome<()> {
        if self.home.join("ours.db").exists() {
            self.told = "ours: as it stands\n".into();
            return Ok(());
        }
        let begun = Instant::now();
        match size {
            Size::Jakarta => {
                self.salur(&["demo"])?;
                writeln!(self.told, "ours: the demo city in {:.0} s", begun.elapsed().as_secs_f64())?;
            }
            Size::Nation { scale } => {
                let files = self.home.join("files");
                fs::create_dir_all(&files)?;
                let totals = salur_nation::write(&files, scale)?;
                writeln!(self.told, "{totals}, made in {:.0} s", begun.elapsed().as_secs_f64())?;
                let areas = [&["import", "areas"], AREA_FILES.as_slice()].concat();
                let needs = vec!["import", "needs", NEEDS_FILE];
                for (what, arguments) in
                    [("programs", vec!["import", "programs", PROGRAMS_FILE]), ("areas", areas), ("needs", needs)]
                {
                    let begun = Instant::now();
                    let paths = arguments.iter().map(|word| match word.ends_with(".csv") {
                        true => files.join(word).display().to_string(),
                        false => (*word).to_owned(),
                    });
                    let paths: Vec<String> = paths.collect();
                    self.salur(&paths.iter().map(String::as_str).collect::<Vec<_>>())?;
                    writeln!(self.told, "ours: {what} imported in {:.0} s", begun.elapsed().as_secs_f64())?;
                }
                fs::remove_dir_all(&files)?;
            }
        }
        Ok(())
    }

    /// What a command of Salur's prints.
    pub fn salur(&self, arguments: &[&str]) -> Outcome<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_salur"));
        command.args(arguments).args(["--database", &self.ours, "--data-dir", "."]).current_dir(&self.home);
        let done = command.output()?;
        if !done.status.success() {
            return Err(format!("salur {arguments:?}: {}", String::from_utf8_lossy(&done.stderr)).into());
        }
        Ok(String::from_utf8(done.stdout)?.trim_end().to_owned())
    }

    async fn fill_theirs(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        let mut theirs = PgConnection::connect(&self.database).await?;
        sqlx::raw_sql(plain::TABLES).execute(&mut theirs).await?;
        let mut ours = SqliteConnection::connect(&format!("{}?mode=ro", self.ours)).await?;
        // Well-known binary with the number of its system, as PostGIS reads it.
        let areas = "SELECT id || char(9) || code || char(9) || name || char(9) || level || char(9) ||
            coalesce(households, '\\N') || char(9) || '0106000020E6100000' || substr(hex(geometry), 11) || char(10)
            FROM area WHERE geometry IS NOT NULL";
        copy(&mut ours, areas, &mut theirs, "plain.area (id, code, name, level, households, geom)").await?;
        let items = "SELECT id || char(9) || key || char(10) FROM item";
        copy(&mut ours, items, &mut theirs, "plain.item").await?;
        // As a caller without an account is shown them: see docs/decisions/0022-small-counts.md.
        let needs = "SELECT n.id || char(9) || area_id || char(9) || item_id || char(9) ||
            CASE WHEN NOT few THEN required || char(9) || reserved || char(9) || n.delivered
                WHEN n.delivered = required THEN 5 || char(9) || 0 || char(9) || 5
                WHEN reserved + n.delivered = required THEN 5 || char(9) || 5 || char(9) || 0
                ELSE 5 || char(9) || 0 || char(9) || 0 END || char(9) || severity || char(10)
            FROM (SELECT n.*, a.level = 6 AND required BETWEEN 1 AND 4 AS few FROM need n JOIN area a ON a.id = n.area_id) n
            WHERE status = 'VERIFIED'";
        copy(&mut ours, needs, &mut theirs, "plain.raw_need").await?;
        sqlx::raw_sql(plain::AFTER).execute(&mut theirs).await?;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut theirs).await?;
        let counts = "SELECT (SELECT count(*) FROM plain.area), (SELECT count(*) FROM plain.need)";
        let counts = sqlx::query(counts).fetch_one(&mut theirs).await?;
        let (areas, needs): (i64, i64) = (counts.try_get(0)?, counts.try_get(1)?);
        let took = begun.elapsed().as_secs_f64();
        write!(
            self.told,
            "theirs: {areas} areas and {needs} needs that the public sees, copied and indexed in {took:.0} s"
        )?;
        Ok(())
    }

    /// Points of all areas that have needs of the item.
    pub async fn places(&self) -> Outcome<Vec<[f64; 2]>> {
        let mut theirs = PgConnection::connect(&self.database).await?;
        let sql = "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(a.geom) AS p FROM plain.area a WHERE EXISTS
            (SELECT FROM plain.need n JOIN plain.item i ON i.id = n.item_id WHERE n.area_id = a.id AND i.key = $1)
            ORDER BY a.code) place";
        let rows = sqlx::query(sql).bind(ITEM).fetch_all(&mut theirs).await?;
        let places: Result<Vec<[f64; 2]>, sqlx::Error> =
            rows.iter().map(|row| Ok([row.try_get(0)?, row.try_get(1)?])).collect();
        Ok(places?)
    }

    /// Borders of so many villages, spread over all of them.
    pub async fn villages(&self, count: usize) -> Outcome<Vec<Vec<Vec<[f64; 2]>>>> {
        let mut theirs = PgConnection::connect(&self.database).await?;
        let sql = "SELECT ST_AsGeoJSON(ST_GeometryN(geom, 1), 15) FROM plain.area WHERE level = 4
            ORDER BY md5(code) LIMIT $1";
        let rows = sqlx::query(sql).bind(i64::try_from(count)?).fetch_all(&mut theirs).await?;
        let mut villages = Vec::new();
        for row in rows {
            let shape: serde_json::Value = serde_json::from_str(&row.try_get::<String, _>(0)?)?;
            villages.push(serde_json::from_value(shape["coordinates"].clone())?);
        }
        Ok(villages)
    }

    pub fn memory(&self, ours: &Ours, graphile: &Graphile) -> Outcome<String> {
        let mib = |process: u32| memory_of(process) as f64 / f64::from(1 << 20);
        let files = fs::metadata(self.home.join("ours.db"))?.len() as f64 / f64::from(1 << 20);
        Ok(format!(
            "memory: ours {:.0} MiB beside a file of {files:.0} MiB; PostgreSQL {:.0} MiB; PostGraphile's own {:.0} MiB",
            mib(ours.process()),
            mib(self.postmaster),
            mib(graphile.process())
        ))
    }

    pub async fn remove(self) -> Outcome<()> {
        if !self.kept {
            fs::remove_dir_all(&self.home)?;
        }
        let name = self.database.rsplit('/').next().unwrap_or_default();
        let mut connection = PgConnection::connect(&self.server).await?;
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await?;
        Ok(())
    }
}

/// Bytes that a process and all below it keep in memory, what several share counted once.
fn memory_of(process: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let own = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().split(' ').next()?.parse::<u64>().ok());
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let below = children.split_whitespace().filter_map(|child| child.parse().ok()).map(memory_of);
    own.unwrap_or(0) * 1024 + below.sum::<u64>()
}

/// Copies lines that the one database makes into a table of the other.
async fn copy(from: &mut SqliteConnection, lines: &str, to: &mut PgConnection, table: &str) -> Outcome<()> {
    let mut into = to.copy_in_raw(&format!("COPY {table} FROM STDIN")).await?;
    let mut rows = sqlx::query(sqlx::AssertSqlSafe(lines.to_owned())).fetch(from);
    let mut chunk = String::with_capacity(CHUNK * 2);
    while let Some(row) = rows.try_next().await? {
        chunk.push_str(row.try_get(0)?);
        if chunk.len() >= CHUNK {
            into.send(chunk.as_bytes()).await?;
            chunk.clear();
        }
    }
    into.send(chunk.as_bytes()).await?;
    into.finish().await?;
    Ok(())
}
