//! The program as people run it: the real binary, real files, exit codes, what it says.

mod areas;
mod audit;
mod demo;
mod exports;
mod needs;
mod people;
mod usage;

use crate::harness::database::TestDatabase;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A working directory of its own, removed at the end.
pub struct Home(PathBuf);

impl Home {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("salur_home_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("the name is new and the temp dir takes entries");
        Home(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).expect("the home takes files");
        name.to_owned()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file is there and is text")
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("the file is JSON")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// The run succeeded; answers its stdout without the last line feed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out.trim_end().to_owned()
    }

    /// The run failed with `code` and said one line that holds `part`.
    pub fn fails(self, code: i32, part: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "an error is one line: {self:?}");
        assert!(self.err.starts_with("salur: ") && self.err.contains(part), "{part:?} is not in {self:?}");
    }
}

/// Runs the program in `home` with exactly these variables in its environment.
pub fn run(home: &Home, environment: &[(&str, &str)], arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_salur"))
        .args(arguments)
        .current_dir(&home.0)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program on a database, with its keys in `home`.
pub fn salur(home: &Home, db: &TestDatabase, arguments: &[&str]) -> Run {
    run(home, &[("SALUR_DATABASE", db.url()), ("SALUR_DATA_DIR", ".")], arguments)
}

/// A file of the shared set of real data.
pub fn shared(path: &str) -> String {
    let root = std::env::var("SALUR_SHARED").unwrap_or_else(|_| "../shared".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let file = root.join("data").join(path);
    assert!(file.exists(), "{} is not there: set SALUR_SHARED to the directory that holds data/", file.display());
    file.to_str().expect("the path is UTF-8").to_owned()
}

pub fn seed(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seed").join(path).to_str().expect("the path is UTF-8").to_owned()
}

/// One village with its ancestors and two RW.
pub const SMALL: &str = "code,name,level,households\n31,DKI Jakarta,province,\n31.71,Jakarta Pusat,city,\n\
    31.71.01,Gambir,district,\n31.71.01.1001,Gambir,village,900\n31.71.01.1001.001,,rw,120\n31.71.01.1001.002,,rw,110\n";

/// A database with the small village and the programs of the seed.
pub fn settle(home: &Home, db: &TestDatabase) {
    home.write("small.csv", SMALL);
    salur(home, db, &["import", "areas", "small.csv"]).ok();
    salur(home, db, &["import", "programs", &seed("programs.csv")]).ok();
}

/// Counts of the report that `--report` wrote: read, accepted, unchanged, rejected.
pub fn counts(report: &Value) -> [u64; 4] {
    let number = |name: &str| report[name].as_u64().expect("a count");
    let rejected = report["rejected"].as_array().expect("a list").len() as u64;
    [number("read"), number("accepted"), number("unchanged"), rejected]
}
