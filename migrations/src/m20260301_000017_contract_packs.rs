//! Packs of the audit log are folded: a leaf that resembles the one before is kept by the numbers in which it differs.
//!
//! The view that took packs apart cannot do so any more, and an older release would number leaves that it does
//! not understand. So this step contracts: it came before the first release. Packs that are there stay as they are.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};

pub struct Step;

impl MigrationName for Step {
    fn name(&self) -> &str {
        "m20260301_000017_contract_packs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::ddl::run(manager, "DROP VIEW audit_entry;\n").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let backend = connection.get_database_backend();
        let mut after = i64::MIN;
        loop {
            let page =
                format!("SELECT id, leaves FROM audit_pack WHERE entries > 1 AND id > {after} ORDER BY id LIMIT 1000");
            let packs = connection.query_all_raw(Statement::from_string(backend, page)).await?;
            for pack in &packs {
                let (id, leaves): (i64, String) = (pack.try_get("", "id")?, pack.try_get("", "leaves")?);
                let sql = match backend {
                    DbBackend::Sqlite => "UPDATE audit_pack SET leaves = ? WHERE id = ?",
                    _ => "UPDATE audit_pack SET leaves = $1 WHERE id = $2",
                };
                let values = [unfolded(&leaves).into(), id.into()];
                connection.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
                after = id;
            }
            if packs.is_empty() {
                break;
            }
        }
        crate::ddl::run(manager, VIEW).await
    }
}

/// As `m20260301_000008_packs` has it.
const VIEW: &str = r"
{postgres}CREATE VIEW audit_entry AS
    SELECT p.id AS pack_id, p.topic, p.at, p.first_sequence + l.n - 1 AS sequence, l.leaf,
        l.leaf::json ->> 'subject' AS subject, (l.leaf::json ->> 'version')::bigint AS version,
        l.leaf::json ->> 'actor' AS actor, l.leaf::json ->> 'action' AS action
    FROM audit_pack p CROSS JOIN LATERAL unnest(string_to_array(p.leaves, E'\n')) WITH ORDINALITY AS l (leaf, n);
{sqlite}CREATE VIEW audit_entry AS
    SELECT p.id AS pack_id, p.topic, p.at, p.first_sequence + l.key AS sequence, l.value AS leaf,
        l.value ->> 'subject' AS subject, l.value ->> 'version' AS version,
        l.value ->> 'actor' AS actor, l.value ->> 'action' AS action
    FROM audit_pack p, json_each('[' || replace(p.leaves, char(10), ',') || ']') AS l;
{end}";

/// The leaves, one to a line: in a line that does not begin with a brace, what stands between commas takes the places
/// of the numbers of the leaf before.
fn unfolded(folded: &str) -> String {
    let mut leaves: Vec<String> = Vec::new();
    for line in folded.split('\n') {
        let leaf = match leaves.last() {
            Some(before) if !line.starts_with('{') => with_numbers(before, line),
            _ => line.to_owned(),
        };
        leaves.push(leaf);
    }
    leaves.join("\n")
}

fn with_numbers(before: &str, line: &str) -> String {
    let mut numbers = line.split(',');
    let mut leaf = String::with_capacity(before.len());
    let mut rest = before;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        leaf.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        leaf.push_str(numbers.next().filter(|number| !number.is_empty()).unwrap_or(&rest[..end]));
        rest = &rest[end..];
    }
    leaf + rest
}
