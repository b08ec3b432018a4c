//! Ours: `salur serve` on SQLite, asked over HTTP and GraphQL without an account.

use super::Outcome;
use super::http::{Connection, data, post, sound};
use super::questions::{ITEM, Question, covered};
use super::town::Town;
use salur::tiles::drawn_at;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const NEEDS: &str = "query($where:NeedFilter!){needs(where:$where,first:100){totalCount nodes{id severity required \
    allocated delivered unmet service area{code name} item{key}}}}";
const NEAREST: &str = "query($where:NeedFilter!){needs(where:$where,first:50,orderBy:NEAREST){nodes{id severity required \
    allocated delivered unmet service area{code name} item{key}}}}";
const SUMS: &str = "query($where:NeedFilter!){coverage(where:$where){needCount unservedCount required allocated \
    delivered unmet}}";
/// As the page asks for what its map shows.
const STATE: &str = "query MapCoverage($level:AreaLevel!,$where:NeedFilter!,$view:BBoxInput!){areaCoverage(level:$level,\
    where:$where,view:$view){area{code name households}coverage{needCount unservedCount required allocated delivered \
    unmet}}}";

pub struct Ours {
    server: Child,
    address: String,
    /// Of the tiles.
    edition: i64,
    layout: u32,
    pub told: String,
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Ours {
    pub async fn serve(town: &Town) -> Outcome<Self> {
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_salur"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", ".", "--limit-address", "1000000000"]);
        command.args(["--database", &town.ours]).current_dir(&town.home);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(server.stdout.take().ok_or("it was piped")?).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").ok_or("the server did not start")?.1.to_owned();
        let ready = begun.elapsed();
        let mut connection = Connection::open(&address).await?;
        let described = connection.send(get(&address, "/tiles/areas.json", "identity").as_bytes()).await?;
        let described: Value = serde_json::from_slice(described)?;
        let edition = described["edition"].as_i64().ok_or("TileJSON names the edition")?;
        let told = format!("ours: process {}, ready after {:.1} s", server.id(), ready.as_secs_f64());
        Ok(Ours { server, address, edition, layout: salur::tiles::LAYOUT, told })
    }

    pub fn process(&self) -> u32 {
        self.server.id()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub async fn caller(&self) -> Outcome<Caller> {
        let connection = Connection::open(&self.address).await?;
        let (host, edition, layout) = (self.address.clone(), self.edition, self.layout);
        Ok(Caller { connection, host, edition, layout })
    }
}

pub fn get(host: &str, path: &str, encoding: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept-encoding: {encoding}\r\n\r\n")
}

pub struct Caller {
    connection: Connection,
    host: String,
    edition: i64,
    layout: u32,
}

impl Caller {
    fn graphql(&self, question: &Question) -> Vec<u8> {
        let (document, variables) = match question {
            Question::Viewport(bbox) => (NEEDS, json!({ "where": { "bbox": bbox.json(), "service": ["UNSERVED"] } })),
            Question::Nearest { lon, lat } => {
                (NEAREST, json!({ "where": { "near": { "lon": lon, "lat": lat }, "service": ["UNSERVED"] } }))
            }
            Question::Sums(polygon) => (SUMS, json!({ "where": { "within": polygon.geojson, "items": [ITEM] } })),
            Question::Tile { z, x, y } => {
                let level = drawn_at(*z).word().to_ascii_uppercase();
                let view = covered(*z, *x, *y).json();
                (STATE, json!({ "level": level, "where": { "items": [ITEM] }, "view": view }))
            }
        };
        post(&self.host, document, &variables)
    }

    /// A tile's shapes, and the state of the areas in it.
    pub async fn ask(&mut self, question: &Question) -> Outcome<()> {
        if let Question::Tile { z, x, y } = question {
            let path = format!("/tiles/{}/{z}/{x}/{y}.mvt?layout={}", self.edition, self.layout);
            self.connection.send(get(&self.host, &path, "gzip").as_bytes()).await?;
        }
        let request = self.graphql(question);
        sound(self.connection.send(&request).await?)
    }

    pub async fn answer(&mut self, question: &Question) -> Outcome<Value> {
        let request = self.graphql(question);
        data(self.connection.send(&request).await?)
    }
}
