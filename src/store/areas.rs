//! Areas: published in editions, each in one transaction.

use super::audit::{self, Entry};
use super::batch::{Batch, Cell, Kind};
use super::error::StoreError;
use super::ledger::expect_rows;
use super::write::{Command, Tx};
use super::{Author, Store};
use crate::audit::state;
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::ids::AreaId;
use crate::domain::place::LonLat;
use crate::spatial::Packed;
use sea_orm::FromQueryResult;
use std::collections::HashMap;

/// One area of an edition. What is `None` keeps what stands.
#[derive(Debug, Clone, PartialEq)]
pub struct AreaRow {
    pub code: AreaCode,
    pub name: String,
    /// As the publisher wrote it, e.g. "RW. 001".
    pub label: Option<String>,
    /// A point given for the area itself.
    pub point: Option<LonLat>,
    pub shape: Option<Packed>,
    /// True where nobody surveyed the shape: it was made for a demo.
    pub generated: bool,
    pub households: Option<i64>,
    pub poor_households: Option<i64>,
    pub bps_code: Option<String>,
}

/// Publishes areas: all or none. Parents must stand already or come along.
#[derive(Debug, Clone)]
pub struct PublishAreas {
    pub author: Author,
    pub level: AreaLevel,
    pub source: String,
    /// Each code once.
    pub rows: Vec<AreaRow>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    pub edition: i64,
}

/// Rows of one statement: shapes make them large.
const CHUNK: usize = 1_000;

impl Command for PublishAreas {
    type Answer = Published;

    async fn run(&self, tx: &mut Tx) -> Result<Published, StoreError> {
        tx.take_your_time().await?;
        let now = tx.now().await?;
        let edition = tx
            .insert(
                "INSERT INTO edition (published_at, level, areas, source) VALUES ($1, $2, $3, $4) RETURNING id",
                [
                    now.0.into(),
                    self.level.number().into(),
                    (self.rows.len() as i64).into(),
                    self.source.as_str().into(),
                ],
            )
            .await?;
        for level in AreaLevel::ALL {
            let rows: Vec<&AreaRow> = self.rows.iter().filter(|r| r.code.level() == level).collect();
            for chunk in rows.chunks(CHUNK) {
                upsert(tx, edition, chunk).await?;
            }
        }
        tx.refresh_plans().await?;
        let entry = Entry::new(
            "areas.publish",
            format!("area-edition-{edition}"),
            1,
            state([
                ("level", self.level.word().into()),
                ("areas", (self.rows.len() as i64).into()),
                ("source", self.source.as_str().into()),
            ]),
        );
        audit::append(tx, now, self.author, vec![entry]).await?;
        tx.reload = true;
        if self.dry_run {
            tx.abandon();
        }
        Ok(Published { edition })
    }
}

async fn upsert(tx: &mut Tx, edition: i64, rows: &[&AreaRow]) -> Result<(), StoreError> {
    let mut batch = Batch::new([
        ("code", Kind::Plain),
        ("name", Kind::Text),
        ("label", Kind::Text),
        ("level", Kind::Int),
        ("parent", Kind::Text),
        ("lon", Kind::Real),
        ("lat", Kind::Real),
        ("geometry", Kind::Bytes),
        ("shape_source", Kind::Text),
        ("households", Kind::Int),
        ("poor_households", Kind::Int),
        ("bps_code", Kind::Text),
    ]);
    for row in rows {
        let parent = row.code.parent();
        let wkb = |shape: &Packed| shape.shape().map(|s| s.to_wkb()).ok_or_else(|| StoreError::corrupt("shape"));
        let geometry = row.shape.as_ref().map(wkb).transpose()?;
        let shape_source = geometry.as_ref().map(|_| if row.generated { "GENERATED" } else { "IMPORTED" });
        batch.push([
            row.code.as_str().into(),
            row.name.as_str().into(),
            row.label.as_deref().into(),
            row.code.level().number().into(),
            parent.as_ref().map(AreaCode::as_str).into(),
            row.point.map(LonLat::lon).into(),
            row.point.map(LonLat::lat).into(),
            Cell::Bytes(geometry),
            shape_source.into(),
            row.households.into(),
            row.poor_households.into(),
            row.bps_code.as_deref().into(),
        ]);
    }
    let sql = |source: &str| {
        format!(
            "INSERT INTO area (code, name, label, level, parent_id, lon, lat, geometry, shape_source, households,
             poor_households, bps_code, edition_id)
             SELECT r.code, r.name, r.label, r.level, p.id, r.lon, r.lat, r.geometry, r.shape_source, r.households,
             r.poor_households, r.bps_code, {edition} FROM {source} LEFT JOIN area p ON p.code = r.parent WHERE true
             ON CONFLICT (code) DO UPDATE SET name = excluded.name, label = COALESCE(excluded.label, area.label),
             lon = COALESCE(excluded.lon, area.lon), lat = COALESCE(excluded.lat, area.lat),
             geometry = COALESCE(excluded.geometry, area.geometry),
             shape_source = COALESCE(excluded.shape_source, area.shape_source),
             households = COALESCE(excluded.households, area.households),
             poor_households = COALESCE(excluded.poor_households, area.poor_households),
             bps_code = COALESCE(excluded.bps_code, area.bps_code), edition_id = excluded.edition_id"
        )
    };
    expect_rows(tx.run_batch(&batch, sql).await?, rows.len())?;
    tx.has_written(rows.len());
    Ok(())
}

/// What an import compares its rows with.
#[derive(Debug, Clone, FromQueryResult)]
pub struct AreaDigest {
    pub code: String,
    pub name: String,
    pub label: Option<String>,
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    pub geometry: Option<Vec<u8>>,
    pub households: Option<i64>,
    pub poor_households: Option<i64>,
    pub bps_code: Option<String>,
}

impl Store {
    /// All areas as they stand, by code.
    pub async fn area_digests(&self) -> Result<Vec<AreaDigest>, StoreError> {
        self.read_all(
            "SELECT code, name, label, lon, lat, geometry, households, poor_households, bps_code FROM area
             ORDER BY code",
            [],
        )
        .await
    }
}

const AREA_IDS: &str = "SELECT id, code FROM area";

#[derive(FromQueryResult)]
struct CodedArea {
    id: i64,
    code: String,
}

fn by_code(rows: Vec<CodedArea>) -> Result<HashMap<AreaCode, AreaId>, StoreError> {
    let code = |text: &str| text.parse().map_err(|_| StoreError::corrupt("area code"));
    rows.into_iter().map(|row| Ok((code(&row.code)?, AreaId(row.id)))).collect()
}

impl Store {
    /// The ids of all areas.
    pub async fn area_ids(&self) -> Result<HashMap<AreaCode, AreaId>, StoreError> {
        by_code(self.read_all(AREA_IDS, []).await?)
    }
}

impl Tx {
    /// The ids of all areas, those of this transaction among them.
    pub async fn area_ids(&mut self) -> Result<HashMap<AreaCode, AreaId>, StoreError> {
        by_code(self.all(AREA_IDS, []).await?)
    }
}
