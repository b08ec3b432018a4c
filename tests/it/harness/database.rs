//! A database of its own for every test, on both kinds that Salur runs on.
//!
//! Write a test as a plain `async fn the_fact(db: TestDatabase)` and name it in
//! [`on_both_databases!`](crate::on_both_databases): it then runs as `the_fact::on_sqlite` and
//! `the_fact::on_postgres`. The database is empty; migrating it is the test's (or the
//! harness's) first step. It is gone when the [`TestDatabase`] is dropped, so that one is kept
//! until the last connection is no longer needed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr};

/// The environment variable with the address of a PostgreSQL server on which this run may
/// create and drop databases. `scripts/with-postgres.sh` sets it.
const SERVER: &str = "SALUR_TEST_POSTGRES";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        })
    }
}

impl Kind {
    pub const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];
}

/// An empty database, removed on drop.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    home: Home,
}

/// What has to be removed in the end.
#[derive(Debug)]
enum Home {
    Directory(PathBuf),
    Server { url: String, database: String },
}

impl TestDatabase {
    pub async fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::sqlite(),
            Kind::Postgres => Self::postgres().await,
        }
    }

    /// A file in a directory of its own, where SQLite may put its journal beside it.
    pub fn sqlite() -> Self {
        Self::sqlite_in(&std::env::temp_dir())
    }

    /// The same, below a directory of the test's choice.
    pub fn sqlite_in(place: &Path) -> Self {
        let directory = place.join(unique_name());
        std::fs::create_dir(&directory).expect("the directory's name is unique and the temp dir takes new entries");
        let file = directory.join("salur.db");
        File::create(&file).expect("a directory just made takes a file");
        Self { url: format!("sqlite://{}", file.display()), home: Home::Directory(directory) }
    }

    /// A database on the server that the environment names. Panics where it names none: a run
    /// that leaves PostgreSQL out must not look like one that passed.
    pub async fn postgres() -> Self {
        Self::postgres_like(&server_of_this_run(), "template0").await
    }

    /// A database on a server of the test's own. `more` goes on where CREATE DATABASE ends.
    pub async fn on_server(server: &str, more: &str) -> Self {
        Self::postgres_like(server, &format!("template0 {more}")).await
    }

    /// A copy of this database, of the same kind and with the same content. Nobody may be
    /// connected to the original meanwhile. Migrating once and copying is quicker than
    /// migrating for each test.
    pub async fn copy(&self) -> Self {
        match &self.home {
            Home::Directory(directory) => {
                let copy = Self::sqlite();
                let Home::Directory(target) = &copy.home else {
                    unreachable!("an SQLite database lives in a directory")
                };
                for entry in std::fs::read_dir(directory).expect("the original's directory can be read") {
                    let entry = entry.expect("the original's directory can be listed");
                    std::fs::copy(entry.path(), target.join(entry.file_name())).expect("its files can be copied");
                }
                copy
            }
            Home::Server { url, database } => Self::postgres_like(url, database).await,
        }
    }

    async fn postgres_like(server: &str, template: &str) -> Self {
        let database = unique_name();
        let create = format!("CREATE DATABASE {database} TEMPLATE {template}");
        on_server(server, &create).await.expect("the test server creates databases");
        Self { url: with_database(server, &database), home: Home::Server { url: server.to_owned(), database } }
    }

    /// The address in the form that `--database` takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn kind(&self) -> Kind {
        match self.home {
            Home::Directory(_) => Kind::Sqlite,
            Home::Server { .. } => Kind::Postgres,
        }
    }
}

impl Drop for TestDatabase {
    /// Reports a failure without panicking, since the test may be panicking already.
    fn drop(&mut self) {
        let outcome = match &self.home {
            Home::Directory(directory) => std::fs::remove_dir_all(directory).map_err(|error| error.to_string()),
            Home::Server { url, database } => drop_database(url, database),
        };
        if let Err(error) = outcome {
            eprintln!("{} could not be removed: {error}", self.url);
        }
    }
}

fn server_of_this_run() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| {
        panic!("{SERVER} is not set, so there is no PostgreSQL to test on: run the tests through `make test`, or one of them by `scripts/with-postgres.sh cargo test --release NAME`")
    })
}

/// Drops the database with all connections that are still open to it. The test's own runtime
/// cannot be waited on from within `drop`, hence a thread with another.
fn drop_database(server: &str, database: &str) -> Result<(), String> {
    let sql = format!("DROP DATABASE {database} WITH (FORCE)");
    let drop_it = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(on_server(server, &sql)).map_err(|e| e.to_string())
    };
    std::thread::scope(|scope| scope.spawn(drop_it).join())
        .unwrap_or_else(|_| Err("the dropping thread panicked".into()))
}

async fn on_server(url: &str, sql: &str) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let server = Database::connect(options).await?;
    server.execute_unprepared(sql).await?;
    server.close().await
}

/// A name that no other test has, in this process or in one running beside it.
fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("salur_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The same server's address with another database; the options behind `?` stay.
fn with_database(server: &str, database: &str) -> String {
    let (address, options) =
        server.split_once('?').map_or((server, None), |(address, options)| (address, Some(options)));
    let host_at = address.find("://").map_or(0, |at| at + 3);
    let host = address[host_at..].find('/').map_or(address, |slash| &address[..host_at + slash]);
    match options {
        Some(options) => format!("{host}/{database}?{options}"),
        None => format!("{host}/{database}"),
    }
}

/// Makes two tests, `on_sqlite` and `on_postgres`, from each named `async fn(TestDatabase)`.
#[macro_export]
macro_rules! on_both_databases {
    ($($fact:ident),+ $(,)?) => {$(
        mod $fact {
            use $crate::harness::database::TestDatabase;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$fact(TestDatabase::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                super::$fact(TestDatabase::postgres().await).await;
            }
        }
    )+};
}

mod tests {
    use super::*;
    use sea_orm::DatabaseConnection;

    on_both_databases!(two_databases_share_nothing, a_copy_has_the_content_and_a_life_of_its_own);

    async fn connect(db: &TestDatabase) -> DatabaseConnection {
        Database::connect(db.url()).await.expect("a test database takes connections")
    }

    async fn run(db: &DatabaseConnection, sql: &str) -> Result<u64, DbErr> {
        db.execute_unprepared(sql).await.map(|done| done.rows_affected())
    }

    async fn two_databases_share_nothing(db: TestDatabase) {
        let other = TestDatabase::new(db.kind()).await;
        let (one, two) = (connect(&db).await, connect(&other).await);
        run(&one, "CREATE TABLE only_here (n bigint)").await.expect("a fresh database takes a table");
        run(&two, "SELECT n FROM only_here").await.expect_err("the other database has no such table");
    }

    async fn a_copy_has_the_content_and_a_life_of_its_own(db: TestDatabase) {
        let original = connect(&db).await;
        run(&original, "CREATE TABLE kept (n bigint)").await.expect("a fresh database takes a table");
        run(&original, "INSERT INTO kept VALUES (1), (2)").await.expect("the table takes rows");
        original.close().await.expect("nothing is running");

        let copy = db.copy().await;
        assert_eq!(copy.kind(), db.kind());
        let copied = connect(&copy).await;
        assert_eq!(run(&copied, "DELETE FROM kept").await.expect("the copy has the table"), 2);
        let original = connect(&db).await;
        assert_eq!(run(&original, "DELETE FROM kept").await.expect("the original kept its rows"), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_dropped_database_is_gone_even_with_a_connection_open() {
        for kind in Kind::BOTH {
            let db = TestDatabase::new(kind).await;
            let url = db.url().to_owned();
            let open = connect(&db).await;
            run(&open, "CREATE TABLE t (n bigint)").await.expect("a fresh database takes a table");
            drop(db);
            Database::connect(&url).await.expect_err("the database is gone");
        }
    }

    #[test]
    fn only_the_database_in_an_address_is_replaced() {
        for (server, expected) in [
            ("postgres://u@h:1/postgres", "postgres://u@h:1/x"),
            ("postgres://u:p@h", "postgres://u:p@h/x"),
            ("postgres://u@h/a?sslmode=disable&host=/run", "postgres://u@h/x?sslmode=disable&host=/run"),
        ] {
            assert_eq!(with_database(server, "x"), expected);
        }
    }
}
