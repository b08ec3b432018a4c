//! Programs and items.

use crate::atlas::Ground;
use crate::domain::program as domain;
use crate::graphql::enums::{ItemKind, Locale};
use crate::graphql::written::{Asked, Record, Write, json, plain, quoted, word};
use async_graphql::{ID, Object};
use std::sync::Arc;

/// A line of aid (PANGAN, UMKM, PENDIDIKAN, PERMUKIMAN, ...). Programs and items are data, loaded from seed/, not code.
pub struct Program {
    pub ground: Arc<Ground>,
    pub program: domain::Program,
}

#[Object]
impl Program {
    pub async fn id(&self) -> ID {
        self.program.id.into()
    }

    async fn key(&self) -> &str {
        &self.program.key
    }

    async fn name(&self, #[graphql(default_with = "Some(Locale::Id)")] locale: Option<Locale>) -> &str {
        in_locale(locale, &self.program.name_id, &self.program.name_en)
    }

    async fn items(&self) -> Vec<Item> {
        self.ground.items_of(self.program.id).map(|item| Item(item.clone())).collect()
    }

    /// How long a hold lasts where the claim does not say, in seconds.
    async fn hold_seconds(&self) -> i64 {
        self.program.rules.default_seconds
    }

    /// The longest hold that may be asked for, in seconds.
    async fn max_hold_seconds(&self) -> i64 {
        self.program.rules.max_seconds
    }

    /// How often a hold may be renewed.
    async fn max_renewals(&self) -> i64 {
        self.program.rules.max_renewals
    }

    /// For so many hours after a need is verified only organisations registered in its own RW may claim it.
    async fn first_right_hours(&self) -> i64 {
        self.program.first_right_hours
    }
}

/// What is given: a kind of thing, counted in one unit.
pub struct Item(pub domain::Item);

#[Object]
impl Item {
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn key(&self) -> &str {
        &self.0.key
    }

    async fn name(&self, #[graphql(default_with = "Some(Locale::Id)")] locale: Option<Locale>) -> &str {
        in_locale(locale, &self.0.name_id, &self.0.name_en)
    }

    async fn unit(&self) -> &str {
        &self.0.unit
    }

    async fn kind(&self) -> ItemKind {
        self.0.kind.into()
    }
}

impl Record for domain::Program {
    const TYPE: &'static str = "Program";

    fn field<'a>(name: &str, _: Asked<'a>) -> Option<Write<'a, Self>> {
        Some(match name {
            "id" => plain(|program: &Self, out| quoted(out, program.id)),
            "key" => plain(|program: &Self, out| json(out, &program.key)),
            "name" => plain(|program: &Self, out| json(out, in_locale(None, &program.name_id, &program.name_en))),
            _ => return None,
        })
    }
}

impl Record for domain::Item {
    const TYPE: &'static str = "Item";

    fn field<'a>(name: &str, _: Asked<'a>) -> Option<Write<'a, Self>> {
        Some(match name {
            "id" => plain(|item: &Self, out| quoted(out, item.id)),
            "key" => plain(|item: &Self, out| json(out, &item.key)),
            "name" => plain(|item: &Self, out| json(out, in_locale(None, &item.name_id, &item.name_en))),
            "unit" => plain(|item: &Self, out| json(out, &item.unit)),
            "kind" => plain(|item: &Self, out| word::<ItemKind>(out, item.kind.into())),
            _ => return None,
        })
    }
}

pub(super) fn in_locale<'a>(locale: Option<Locale>, id: &'a str, en: &'a str) -> &'a str {
    match locale.unwrap_or(Locale::Id) {
        Locale::Id => id,
        Locale::En => en,
    }
}
