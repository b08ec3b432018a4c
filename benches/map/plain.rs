//! Theirs: prepared SQL by hand on PostGIS, over PostgreSQL's own protocol.

use super::Outcome;
use super::questions::{Box4, ITEM, Kind, Question, covered};
use salur::tiles::drawn_at;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Connection, PgConnection, Row};
use serde_json::{Value, json};

pub const TABLES: &str = include_str!("plain.sql");
pub const AFTER: &str = include_str!("plain_after.sql");

/// Shapes whose box lies in the view need no closer look.
const NEEDS: &str = "
WITH found AS MATERIALIZED (
    SELECT n.id, n.severity, n.required, n.place, n.area_id, n.item_id
    FROM plain.area a JOIN plain.need n ON n.area_id = a.id
    WHERE a.geom && ST_MakeEnvelope($1, $2, $3, $4, 4326)
      AND CASE WHEN a.geom @ ST_MakeEnvelope($1, $2, $3, $4, 4326) THEN true
          ELSE ST_Intersects(a.geom, ST_MakeEnvelope($1, $2, $3, $4, 4326)) END
      AND n.allocated = 0
), few AS (SELECT * FROM found ORDER BY severity DESC, required DESC, place, id LIMIT 100)
SELECT (SELECT count(*) FROM found) AS total, f.id, f.severity, f.required, 0::bigint AS allocated, 0::bigint AS delivered,
    f.required AS unmet, 'UNSERVED' AS service, a.code, a.name, i.key
FROM few f JOIN plain.area a ON a.id = f.area_id JOIN plain.item i ON i.id = f.item_id
ORDER BY f.severity DESC, f.required DESC, f.place, f.id";

/// The index knows no second key: a few more than are wanted are put in order.
const NEAREST: &str = "
SELECT f.id, f.severity, f.required, 0::bigint AS allocated, 0::bigint AS delivered, f.required AS unmet,
    'UNSERVED' AS service, a.code, a.name, i.key
FROM (
    SELECT n.id, n.severity, n.required, n.item_id, n.place, n.area_id,
        a.mercator <-> ST_SetSRID(ST_MakePoint($1, $2), 3857) AS away
    FROM plain.area a JOIN plain.need n ON n.area_id = a.id AND n.allocated = 0
    ORDER BY a.mercator <-> ST_SetSRID(ST_MakePoint($1, $2), 3857) LIMIT 70
) f JOIN plain.area a ON a.id = f.area_id JOIN plain.item i ON i.id = f.item_id
ORDER BY f.away, f.place, f.id LIMIT 50";

/// The shape is read once, not once for each area.
const SUMS: &str = "
WITH shape AS MATERIALIZED (SELECT ST_GeomFromText($1, 4326) AS geom)
SELECT count(*) AS needs, count(*) FILTER (WHERE n.allocated = 0) AS unserved,
    coalesce(sum(n.required), 0)::bigint AS required, coalesce(sum(n.allocated), 0)::bigint AS allocated,
    coalesce(sum(n.delivered), 0)::bigint AS delivered
FROM shape JOIN plain.area a ON ST_Intersects(shape.geom, a.geom) JOIN plain.need n ON n.area_id = a.id
WHERE n.item_id = $2";

/// The level that is drawn, with its state; `LEVEL` and `STATE` are filled in.
const DRAWN: &str = "
WITH drawn AS MATERIALIZED (
    SELECT a.id, a.code, a.name, a.households,
        ST_AsMVTGeom(a.mercator, ST_TileEnvelope($1, $2, $3), 4096, 64, true) AS geom
    FROM plain.area a
    WHERE a.level = LEVEL AND a.mercator && ST_TileEnvelope($1, $2, $3, margin => 64.0 / 4096)
)
SELECT (SELECT ST_AsMVT(feature, 'drawn', 4096, 'geom') FROM (
    SELECT d.code, d.name, d.households, d.geom, s.needs, s.unserved, s.required, s.allocated, s.delivered,
        s.required - s.allocated AS unmet
    FROM drawn d LEFT JOIN STATE s ON s.area_id = d.id WHERE d.geom IS NOT NULL
) feature)";

/// A level above it, for its borders.
const BORDERS: &str = " || (SELECT ST_AsMVT(feature, 'borders_LEVEL', 4096, 'geom') FROM (
    SELECT a.code, ST_AsMVTGeom(a.mercator, ST_TileEnvelope($1, $2, $3), 4096, 64, true) AS geom FROM plain.area a
    WHERE a.level = LEVEL AND a.mercator && ST_TileEnvelope($1, $2, $3, margin => 64.0 / 4096)
) feature)";

/// Names of the three levels.
const NAMES: &str = " || (SELECT ST_AsMVT(feature, 'names', 4096, 'geom') FROM (
    SELECT a.code, a.name, ST_AsMVTGeom(a.label, ST_TileEnvelope($1, $2, $3), 4096, 0, true) AS geom FROM plain.area a
    WHERE a.level BETWEEN LEVEL - 2 AND LEVEL AND a.label && ST_TileEnvelope($1, $2, $3)
) feature)";

const LIVE: &str = "(
    SELECT n.COLUMN AS area_id, count(*) AS needs, count(*) FILTER (WHERE n.allocated = 0) AS unserved,
        sum(n.required)::bigint AS required, sum(n.allocated)::bigint AS allocated, sum(n.delivered)::bigint AS delivered
    FROM plain.need n WHERE n.COLUMN IN (SELECT id FROM drawn) AND n.item_id = $4 GROUP BY n.COLUMN)";
const ROLLED_UP: &str = "(SELECT * FROM plain.rolled_up WHERE item_id = $4)";

/// What the page is told of the areas in a tile, to be compared.
const STATE: &str = "
SELECT a.code, coalesce(s.needs, 0), coalesce(s.unserved, 0), coalesce(s.required, 0), coalesce(s.allocated, 0),
    coalesce(s.delivered, 0)
FROM plain.area a LEFT JOIN plain.rolled_up s ON s.area_id = a.id AND s.item_id = $6
WHERE a.level = $5 AND ST_Intersects(a.geom, ST_MakeEnvelope($1, $2, $3, $4, 4326)) ORDER BY a.code";

/// How a tile's state comes about; other questions have one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Live,
    RolledUp,
}

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Way::Live => "SQL",
            Way::RolledUp => "SQL, rolled up",
        }
    }
}

pub struct Caller {
    connection: PgConnection,
    way: Way,
    item: i64,
}

impl Caller {
    pub async fn connect(url: &str, way: Way, kind: Kind) -> Outcome<Self> {
        let mut connection = PgConnection::connect(url).await?;
        // Planning anew costs more than a short answer; a large one is worth a plan of its own.
        let plans = if kind == Kind::Viewport(20_000) { "force_custom_plan" } else { "force_generic_plan" };
        sqlx::query(sqlx::AssertSqlSafe(format!("SET plan_cache_mode = {plans}"))).execute(&mut connection).await?;
        let item = sqlx::query_scalar("SELECT id FROM plain.item WHERE key = $1").bind(ITEM);
        let item = item.fetch_one(&mut connection).await?;
        Ok(Caller { connection, way, item })
    }

    async fn rows(&mut self, question: &Question) -> Outcome<Vec<PgRow>> {
        let tile: String;
        let query = match question {
            Question::Viewport(Box4 { west, south, east, north }) => {
                sqlx::query(NEEDS).bind(*west).bind(*south).bind(*east).bind(*north)
            }
            Question::Nearest { lon, lat } => {
                let [x, y] = mercator(*lon, *lat);
                sqlx::query(NEAREST).bind(x).bind(y)
            }
            Question::Sums(polygon) => sqlx::query(SUMS).bind(&polygon.wkt).bind(self.item),
            Question::Tile { z, x, y } => {
                tile = tile_sql(*z, self.way)?;
                let [z, x, y] = [i32::from(*z), i32::try_from(*x)?, i32::try_from(*y)?];
                sqlx::query(sqlx::AssertSqlSafe(tile)).bind(z).bind(x).bind(y).bind(self.item)
            }
        };
        Ok(query.fetch_all(&mut self.connection).await?)
    }

    pub async fn ask(&mut self, question: &Question) -> Outcome<()> {
        self.rows(question).await.map(|_| ())
    }

    /// The answer in the form in which the program's is read.
    pub async fn answer(&mut self, question: &Question) -> Outcome<Vec<Vec<Value>>> {
        if let Question::Tile { z, x, y } = question {
            let Box4 { west, south, east, north } = covered(*z, *x, *y);
            let level = i16::try_from(drawn_at(*z).number())?;
            let query = sqlx::query(STATE).bind(west).bind(south).bind(east).bind(north).bind(level).bind(self.item);
            let rows = query.fetch_all(&mut self.connection).await?;
            let row = |row: &PgRow| -> Outcome<Vec<Value>> {
                let mut cells = vec![json!(row.try_get::<String, _>(0)?)];
                for at in 1..6 {
                    cells.push(json!(row.try_get::<i64, _>(at)?));
                }
                Ok(cells)
            };
            return rows.iter().map(row).collect();
        }
        let rows = self.rows(question).await?;
        let row = |row: &PgRow| -> Outcome<Vec<Value>> {
            let numbers: &[&str] = match question {
                Question::Sums(_) => &["needs", "unserved", "required", "allocated", "delivered"],
                Question::Viewport(_) => &["total", "id", "required", "allocated", "delivered", "unmet"],
                _ => &["id", "required", "allocated", "delivered", "unmet"],
            };
            let mut cells = Vec::new();
            for name in numbers {
                cells.push(json!(row.try_get::<i64, _>(*name)?));
            }
            if !matches!(question, Question::Sums(_)) {
                for name in ["code", "name", "key", "service"] {
                    cells.push(json!(row.try_get::<String, _>(name)?));
                }
            }
            Ok(cells)
        };
        rows.iter().map(row).collect()
    }

    /// Metres from a place to the area of a need.
    pub async fn metres(&mut self, need: i64, lon: f64, lat: f64) -> Outcome<f64> {
        let sql = "SELECT ST_Distance(a.geom::geography, ST_SetSRID(ST_MakePoint($2, $3), 4326)::geography, false)
            FROM plain.need n JOIN plain.area a ON a.id = n.area_id WHERE n.id = $1";
        Ok(sqlx::query_scalar(sql).bind(need).bind(lon).bind(lat).fetch_one(&mut self.connection).await?)
    }
}

/// Metres on the plane of tiles.
fn mercator(lon: f64, lat: f64) -> [f64; 2] {
    const RADIUS: f64 = 6_378_137.0;
    [lon.to_radians() * RADIUS, lat.to_radians().tan().asinh() * RADIUS]
}

fn tile_sql(z: u8, way: Way) -> Outcome<String> {
    let level = drawn_at(z).number();
    let column = match level {
        2 => "city_id",
        4 => "village_id",
        6 => "area_id",
        _ => return Err("tiles are compared where cities, villages or RT are drawn".into()),
    };
    let state = match way {
        Way::Live => LIVE.replace("COLUMN", column),
        Way::RolledUp => ROLLED_UP.to_owned(),
    };
    let of = |part: &str, level: i64| part.replace("LEVEL", &level.to_string());
    let borders: String = (1.max(level - 2)..level).map(|above| of(BORDERS, above)).collect();
    Ok(format!("{}{borders}{}", of(DRAWN, level).replace("STATE", &state), of(NAMES, level)))
}
