//! The hot district, made the way a city makes it: files, and the program's own commands. Nothing
//! runs out of what is needed there.

use super::plain::{Function, Script};
use super::program::Program;
use super::{LINES, NEEDS, Outcome};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbErr, QueryResult, Statement};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const VILLAGES: usize = 10;
const RW: usize = 15;
const ITEMS: usize = NEEDS / VILLAGES / RW;
pub const REQUIRED: i64 = 1_000_000_000;

/// Everything that has to be removed in the end lies in one directory and one database.
pub struct City {
    home: PathBuf,
    /// On the server that the environment names.
    server: String,
    database: String,
    /// The process that all of PostgreSQL's are children of.
    postmaster: u32,
}

impl City {
    pub async fn new() -> Outcome<City> {
        let server = std::env::var("SALUR_TEST_POSTGRES")
            .map_err(|_| "SALUR_TEST_POSTGRES is not set: run `make bench`, or this below scripts/with-postgres.sh")?;
        let connection = Database::connect(&server).await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            if one(&connection, format!("SHOW {setting}")).await?.try_get_by_index::<String>(0)? != "on" {
                return Err(format!("{setting} must be on: set SALUR_TEST_POSTGRES_FSYNC=on").into());
            }
        }
        let backend: i32 = one(&connection, "SELECT pg_backend_pid()").await?.try_get_by_index(0)?;
        let stat = fs::read_to_string(format!("/proc/{backend}/stat"))
            .map_err(|_| "PostgreSQL must run on this machine: its processor time is measured")?;
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        let postmaster = parent.ok_or("a process has a parent")?.parse()?;
        let name = format!("salur_bench_{}", std::process::id());
        connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        let home = std::env::temp_dir().join(&name);
        fs::create_dir(&home)?;
        let (address, _) = server.rsplit_once('/').ok_or("the server's address ends with a database")?;
        Ok(City { home, database: format!("{address}/{name}"), server, postmaster })
    }

    /// The real program on a database of the given kind, with its city in it.
    pub async fn program(&self, kind: &str) -> Outcome<Program> {
        let (url, helpers) = match kind {
            "postgres" => (self.database.clone(), vec![self.postmaster]),
            _ => (format!("sqlite://{}", self.home.join("ours.db").display()), vec![]),
        };
        let codes: Vec<String> =
            (1..=VILLAGES).flat_map(|v| (1..=RW).map(move |rw| format!("31.71.01.{}.{rw:03}", 1_000 + v))).collect();
        let mut areas =
            "code,name,level\n31,DKI Jakarta,province\n31.71,Jakarta Pusat,city\n31.71.01,Gambir,district\n".to_owned();
        areas.extend((1..=VILLAGES).map(|v| format!("31.71.01.{},Kelurahan {v},village\n", 1_000 + v)));
        areas.extend(codes.iter().map(|code| format!("{code},,rw\n")));
        let mut programs =
            "program_key,program_name_id,program_name_en,item_key,item_name_id,item_name_en,unit,kind\n".to_owned();
        programs.extend((1..=ITEMS).map(|i| format!("PANGAN,Pangan,Food,ITEM_{i},Barang {i},Item {i},paket,FOOD\n")));
        let mut needs = "area_code,program,item,required,severity,period_start,period_end\n".to_owned();
        needs.extend(codes.iter().flat_map(|code| {
            (1..=ITEMS).map(move |i| format!("{code},PANGAN,ITEM_{i},{REQUIRED},3,2026-01-01,2026-12-31\n"))
        }));
        for (what, text) in [("areas", areas), ("programs", programs), ("needs", needs)] {
            fs::write(self.home.join(format!("{what}.csv")), text)?;
            self.salur(&url, &["import", what, &format!("{what}.csv")])?;
        }
        let giver = self.salur(&url, &["organization", "add", "--name", "Giver", "--category", "BUSINESS"])?;
        let email = "giver@donor.example";
        self.salur(&url, &["user", "add", "--email", email, "--role", "DONOR", "--organization", &giver])?;
        let key = self.salur(&url, &["key", "issue", "--email", email])?;
        let ledger = Ledger::open(&url, "", "every_line").await?;
        let needs = ledger.needs().await?;
        Program::serve(&self.home, &url, key, needs, helpers, ledger).await
    }

    /// The same needs as the program's, in tables of their own beside it.
    pub async fn function(&self) -> Outcome<Function> {
        Function::create(&self.database, self.postmaster).await
    }

    pub fn script(&self) -> Script {
        Script::new(self.home.join("plain.db"))
    }

    fn salur(&self, database: &str, arguments: &[&str]) -> Outcome<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_salur"));
        command.args(arguments).args(["--database", database, "--data-dir", "."]).current_dir(&self.home);
        let done = command.output()?;
        if !done.status.success() {
            return Err(format!("salur {arguments:?}: {}", String::from_utf8_lossy(&done.stderr)).into());
        }
        Ok(String::from_utf8(done.stdout)?.trim_end().to_owned())
    }

    pub async fn remove(&mut self) -> Outcome<()> {
        fs::remove_dir_all(&self.home)?;
        let name = self.database.rsplit('/').next().unwrap_or_default();
        let connection = Database::connect(&self.server).await?;
        connection.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        Ok(())
    }
}

/// A look at the tables over a connection of our own.
pub struct Ledger {
    connection: DatabaseConnection,
    /// Of the tables' names.
    prefix: &'static str,
    lines: &'static str,
}

impl Ledger {
    /// `prefix` stands before the names of tables, `lines` is the one that has a row for each line.
    pub async fn open(url: &str, prefix: &'static str, lines: &'static str) -> Outcome<Self> {
        Ok(Ledger { connection: Database::connect(url).await?, prefix, lines })
    }

    pub async fn needs(&self) -> Outcome<Vec<i64>> {
        let sql = format!("SELECT id FROM {}need ORDER BY id", self.prefix);
        let statement = Statement::from_string(self.connection.get_database_backend(), sql);
        let rows = self.connection.query_all_raw(statement).await?;
        let needs = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<_>, _>>()?;
        if needs.len() == NEEDS { Ok(needs) } else { Err(format!("{} needs were made", needs.len()).into()) }
    }

    /// Fails where the tables hold anything but `acknowledged` whole batches.
    pub async fn recount(&self, acknowledged: usize) -> Outcome<()> {
        let Ledger { prefix: p, lines, .. } = self;
        let sql = format!(
            "SELECT (SELECT CAST(SUM(reserved) AS BIGINT) FROM {p}need) AS reserved,
             (SELECT count(*) FROM {p}claim) AS claims, (SELECT count(*) FROM {p}{lines}) AS lines"
        );
        let row = one(&self.connection, sql).await?;
        let [reserved, claims, lines] = ["reserved", "claims", "lines"].map(|name| row.try_get::<i64>("", name));
        let found = [reserved?, claims?, lines?];
        let expected = [acknowledged * LINES, acknowledged, acknowledged * LINES].map(|n| n as i64);
        if found == expected {
            Ok(())
        } else {
            Err(format!("reserved, claims, lines: {found:?}, not {expected:?}").into())
        }
    }
}

async fn one(connection: &DatabaseConnection, sql: impl Into<String>) -> Result<QueryResult, DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("a query of ours answers one row".into()))
}
