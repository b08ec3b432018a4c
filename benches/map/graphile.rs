//! PostGraphile over the same tables: what many would put between PostGIS and a page.

use super::Outcome;
use super::http::{Connection, data, post, sound};
use super::questions::{ITEM, Question};
use super::town::Town;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NEEDS: &str = "query($w:Float!,$s:Float!,$e:Float!,$n:Float!){unservedInBox(west:$w,south:$s,east:$e,north:$n,\
    first:100){totalCount nodes{id severity required allocated delivered unmet service areaByAreaId{code name} \
    itemByItemId{key}}}}";
const NEAREST: &str = "query($lon:Float!,$lat:Float!){nearestUnserved(lon:$lon,lat:$lat,few:50){nodes{id severity required \
    allocated delivered unmet service areaByAreaId{code name} itemByItemId{key}}}}";
const SUMS: &str = "query($wkt:String!,$item:String!){sumsWithin(wkt:$wkt,item:$item){needs unserved required allocated \
    delivered unmet}}";

pub struct Graphile {
    server: Child,
    address: String,
}

impl Drop for Graphile {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Graphile {
    /// Needs `scripts/node-modules.sh benches/map/node`, as `make bench` does.
    pub async fn serve(town: &Town) -> Outcome<Self> {
        // It wants to be told its port.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/map/node");
        let mut command = Command::new("node");
        command.args(["node_modules/.bin/postgraphile", "--connection", &town.database, "--schema", "plain"]);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--max-pool-size", "16"]);
        command.args(["--disable-query-log", "--no-ignore-rbac", "--simple-collections", "omit", "--disable-graphiql"]);
        command.current_dir(place).env("NODE_ENV", "production").env("GRAPHILE_TURBO", "1");
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut graphile = Graphile { server, address: format!("127.0.0.1:{port}") };
        let begun = Instant::now();
        let document = post(&graphile.address, "{__typename}", &json!({}));
        loop {
            if let Ok(mut connection) = Connection::open(&graphile.address).await
                && connection.send(&document).await.is_ok()
            {
                return Ok(graphile);
            }
            if begun.elapsed() > Duration::from_secs(60) || graphile.server.try_wait()?.is_some() {
                return Err("PostGraphile did not start".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn process(&self) -> u32 {
        self.server.id()
    }

    pub async fn caller(&self) -> Outcome<Caller> {
        Ok(Caller { connection: Connection::open(&self.address).await?, host: self.address.clone() })
    }
}

pub struct Caller {
    connection: Connection,
    host: String,
}

impl Caller {
    fn graphql(&self, question: &Question) -> Outcome<Vec<u8>> {
        let (document, variables) = match question {
            Question::Viewport(b) => (NEEDS, json!({ "w": b.west, "s": b.south, "e": b.east, "n": b.north })),
            Question::Nearest { lon, lat } => (NEAREST, json!({ "lon": lon, "lat": lat })),
            Question::Sums(polygon) => (SUMS, json!({ "wkt": polygon.wkt, "item": ITEM })),
            Question::Tile { .. } => return Err("PostGraphile has no tiles".into()),
        };
        Ok(post(&self.host, document, &variables))
    }

    pub async fn ask(&mut self, question: &Question) -> Outcome<()> {
        let request = self.graphql(question)?;
        sound(self.connection.send(&request).await?)
    }

    pub async fn answer(&mut self, question: &Question) -> Outcome<Value> {
        let request = self.graphql(question)?;
        data(self.connection.send(&request).await?)
    }
}
