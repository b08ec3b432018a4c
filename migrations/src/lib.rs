//! The shape of the database, one source for SQLite and PostgreSQL.
//!
//! A step is never edited after a release. Every constraint has a name. Steps run inside a
//! transaction on both databases, so that a broken step leaves nothing of itself behind.
//! Nothing of the program is imported here: types move on, history must not.

#![forbid(unsafe_code)]

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, sea_orm};

mod ddl;
mod m20260301_000001_places;
mod m20260301_000002_people;
mod m20260301_000003_ledger;
mod m20260301_000004_deliveries;
mod m20260301_000005_overlap;
mod m20260301_000006_journal;
mod m20260301_000007_feed;
mod m20260301_000008_packs;
mod m20260301_000009_references;
mod m20260301_000010_identity;
mod m20260301_000011_outbox;
mod m20260301_000012_first_right;
mod m20260301_000013_oidc;
mod m20260301_000014_retention;
mod m20260301_000015_imported;
mod m20260301_000016_cheaper_claims;
mod m20260301_000017_contract_packs;
mod m20260301_000018_contract_lines;
mod m20260301_000019_contract_bundles;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20260301_000001_places::Step),
            Box::new(m20260301_000002_people::Step),
            Box::new(m20260301_000003_ledger::Step),
            Box::new(m20260301_000004_deliveries::Step),
            Box::new(m20260301_000005_overlap::Step),
            Box::new(m20260301_000006_journal::Step),
            Box::new(m20260301_000007_feed::Step),
            Box::new(m20260301_000008_packs::Step),
            Box::new(m20260301_000009_references::Step),
            Box::new(m20260301_000010_identity::Step),
            Box::new(m20260301_000011_outbox::Step),
            Box::new(m20260301_000012_first_right::Step),
            Box::new(m20260301_000013_oidc::Step),
            Box::new(m20260301_000014_retention::Step),
            Box::new(m20260301_000015_imported::Step),
            Box::new(m20260301_000016_cheaper_claims::Step),
            Box::new(m20260301_000017_contract_packs::Step),
            Box::new(m20260301_000018_contract_lines::Step),
            Box::new(m20260301_000019_contract_bundles::Step),
        ]
    }
}
