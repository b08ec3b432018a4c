//! Programs and items, entered from a file.

use super::audit::{self, Entry};
use super::dialect::Column::{Int, Text};
use super::error::StoreError;
use super::rows::batch;
use super::write::{Command, Tx};
use super::{Author, Store};
use crate::audit::{State, state};
use crate::domain::ids::{ItemId, ProgramId};
use crate::domain::program::{HoldRules, Item, ItemKind, Program};
use sea_orm::FromQueryResult;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// One item with its program, as a file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramRow {
    pub program_key: String,
    pub program_name_id: String,
    pub program_name_en: String,
    pub first_right_hours: i64,
    pub item_key: String,
    pub item_name_id: String,
    pub item_name_en: String,
    pub unit: String,
    pub kind: ItemKind,
}

/// Enters programs and items; known keys get the names of the file. An item never changes its
/// program, since needs stand on both.
#[derive(Debug, Clone)]
pub struct ImportPrograms {
    pub author: Author,
    pub rows: Vec<ProgramRow>,
    pub dry_run: bool,
}

impl Command for ImportPrograms {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let programs: BTreeMap<&str, &ProgramRow> = self.rows.iter().map(|r| (r.program_key.as_str(), r)).collect();
        let hold = HoldRules::default();
        let columns = [("key", Text), ("name_id", Text), ("name_en", Text), ("first_right_hours", Int)];
        let sql = format!(
            "INSERT INTO program (key, name_id, name_en, first_right_hours, hold_seconds, max_hold_seconds, max_renewals,
             version)
             SELECT key, name_id, name_en, first_right_hours, CAST($2 AS BIGINT), CAST($3 AS BIGINT),
             CAST($4 AS BIGINT), 1 FROM {} WHERE true
             ON CONFLICT (key) DO UPDATE SET name_id = excluded.name_id, name_en = excluded.name_en,
             first_right_hours = excluded.first_right_hours, version = program.version + 1
             WHERE (program.name_id, program.name_en, program.first_right_hours)
                 <> (excluded.name_id, excluded.name_en, excluded.first_right_hours)
             RETURNING {}",
            tx.dialect.rows("$1", &columns),
            KeptProgram::columns()
        );
        let values = batch(programs.values(), |r| {
            json!({"key": r.program_key, "name_id": r.program_name_id, "name_en": r.program_name_en,
                   "first_right_hours": r.first_right_hours})
        });
        let limits = [hold.default_seconds, hold.max_seconds, hold.max_renewals];
        let written: Vec<KeptProgram> =
            tx.all(&sql, [values, limits[0].into(), limits[1].into(), limits[2].into()]).await?;
        let mut entries: Vec<Entry> = written.iter().map(KeptProgram::entry).collect();
        let columns =
            [("program", Text), ("key", Text), ("name_id", Text), ("name_en", Text), ("unit", Text), ("kind", Text)];
        let sql = format!(
            "INSERT INTO item (program_id, key, name_id, name_en, unit, kind, version)
             SELECT p.id, r.key, r.name_id, r.name_en, r.unit, r.kind, 1 FROM {} JOIN program p ON p.key = r.program
             WHERE true ON CONFLICT (key) DO UPDATE SET name_id = excluded.name_id, name_en = excluded.name_en,
             unit = excluded.unit, kind = excluded.kind, version = item.version + 1
             WHERE (item.name_id, item.name_en, item.unit, item.kind)
                 <> (excluded.name_id, excluded.name_en, excluded.unit, excluded.kind)
             RETURNING {}",
            tx.dialect.rows("$1", &columns),
            KeptItem::columns()
        );
        let values = batch(&self.rows, |r| {
            json!({"program": r.program_key, "key": r.item_key, "name_id": r.item_name_id,
                   "name_en": r.item_name_en, "unit": r.unit, "kind": r.kind.word()})
        });
        let written: Vec<KeptItem> = tx.all(&sql, [values]).await?;
        entries.extend(written.iter().map(KeptItem::entry));
        audit::append(tx, now, self.author, entries).await?;
        tx.reload = true;
        if self.dry_run {
            tx.abandon();
        }
        Ok(())
    }
}

const ACTION: &str = "programs.import";

/// What the log holds of a program.
#[derive(FromQueryResult)]
pub(super) struct KeptProgram {
    #[sea_orm(nested)]
    program: ProgramRecord,
    version: i64,
}

impl KeptProgram {
    pub fn columns() -> String {
        format!("{PROGRAM_COLUMNS}, version")
    }

    pub fn id(&self) -> i64 {
        self.program.id
    }

    pub fn entry(&self) -> Entry {
        self.with(state([("firstRightHours", self.program.first_right_hours.into())]))
    }

    /// And as it was written before programs had first rights.
    pub fn entries(&self) -> [Entry; 2] {
        [self.entry(), self.with(State::new())]
    }

    fn with(&self, more: State) -> Entry {
        let ProgramRecord { id, key, name_id, name_en, .. } = &self.program;
        Entry::new(ACTION, ProgramId(*id).to_string(), self.version, named(key, name_id, name_en, more))
    }
}

fn named(key: &str, name_id: &str, name_en: &str, more: State) -> State {
    let mut own = state([("key", key.into()), ("nameId", name_id.into()), ("nameEn", name_en.into())]);
    own.extend(more);
    own
}

/// What the log holds of an item.
#[derive(FromQueryResult)]
pub(super) struct KeptItem {
    #[sea_orm(nested)]
    item: ItemRecord,
    version: i64,
}

impl KeptItem {
    pub fn columns() -> String {
        format!("{ITEM_COLUMNS}, version")
    }

    pub fn id(&self) -> i64 {
        self.item.id
    }

    pub fn entry(&self) -> Entry {
        let more = state([
            ("program", ProgramId(self.item.program_id).to_string().into()),
            ("unit", self.item.unit.as_str().into()),
            ("kind", self.item.kind.as_str().into()),
        ]);
        self.with(more)
    }

    /// And as it was written before entries told of the program, the unit and the kind.
    pub fn entries(&self) -> [Entry; 2] {
        [self.entry(), self.with(State::new())]
    }

    fn with(&self, more: State) -> Entry {
        let ItemRecord { id, key, name_id, name_en, .. } = &self.item;
        Entry::new(ACTION, ItemId(*id).to_string(), self.version, named(key, name_id, name_en, more))
    }
}

#[derive(FromQueryResult)]
pub(super) struct ProgramRecord {
    id: i64,
    key: String,
    name_id: String,
    name_en: String,
    hold_seconds: i64,
    max_hold_seconds: i64,
    max_renewals: i64,
    first_right_hours: i64,
}

pub(super) const PROGRAM_COLUMNS: &str =
    "id, key, name_id, name_en, hold_seconds, max_hold_seconds, max_renewals, first_right_hours";

impl ProgramRecord {
    pub fn into_program(self) -> Program {
        Program {
            id: ProgramId(self.id),
            key: self.key,
            name_id: self.name_id,
            name_en: self.name_en,
            rules: HoldRules {
                default_seconds: self.hold_seconds,
                max_seconds: self.max_hold_seconds,
                max_renewals: self.max_renewals,
            },
            first_right_hours: self.first_right_hours,
        }
    }
}

#[derive(FromQueryResult)]
pub(super) struct ItemRecord {
    id: i64,
    program_id: i64,
    key: String,
    name_id: String,
    name_en: String,
    unit: String,
    kind: String,
}

pub(super) const ITEM_COLUMNS: &str = "id, program_id, key, name_id, name_en, unit, kind";

impl ItemRecord {
    pub fn into_item(self) -> Result<Item, StoreError> {
        Ok(Item {
            id: ItemId(self.id),
            program: ProgramId(self.program_id),
            key: self.key,
            name_id: self.name_id,
            name_en: self.name_en,
            unit: self.unit,
            kind: ItemKind::from_word(&self.kind).ok_or_else(|| StoreError::corrupt("item kind"))?,
        })
    }
}

impl Store {
    pub async fn programs(&self) -> Result<(Vec<Program>, Vec<Item>), StoreError> {
        let sql = format!("SELECT {PROGRAM_COLUMNS} FROM program ORDER BY key");
        let programs: Vec<ProgramRecord> = self.read_all(&sql, []).await?;
        let sql = format!("SELECT {ITEM_COLUMNS} FROM item ORDER BY key");
        let items: Vec<ItemRecord> = self.read_all(&sql, []).await?;
        let items = items.into_iter().map(ItemRecord::into_item).collect::<Result<_, _>>()?;
        Ok((programs.into_iter().map(ProgramRecord::into_program).collect(), items))
    }
}

impl Tx {
    /// The ids of all items with those of their programs, by key.
    pub async fn item_ids(&mut self) -> Result<HashMap<String, (ProgramId, ItemId)>, StoreError> {
        let items: Vec<ItemRecord> = self.all(&format!("SELECT {ITEM_COLUMNS} FROM item"), []).await?;
        Ok(items.into_iter().map(|i| (i.key, (ProgramId(i.program_id), ItemId(i.id)))).collect())
    }

    /// The ids of all programs, by key.
    pub async fn program_ids(&mut self) -> Result<HashMap<String, ProgramId>, StoreError> {
        let programs: Vec<ProgramRecord> = self.all(&format!("SELECT {PROGRAM_COLUMNS} FROM program"), []).await?;
        Ok(programs.into_iter().map(|p| (p.key, ProgramId(p.id))).collect())
    }
}
