//! The map of the demo city: all of Jakarta's areas down to the RT.

use super::plain::{Plain, Random, catalogue, day, random_counters, record};
use super::{ask, loaded, queries};
use crate::atlas::Contents;
use crate::demo;
use crate::domain::area::AreaCode;
use crate::domain::ids::{AreaId, ItemId, NeedId, ProgramId};
use crate::domain::need::Need;
use crate::domain::program::{Item, Program};
use crate::spatial::Shape;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The demo city with the needs of its story, spoken for at random.
pub fn demo_contents() -> Contents {
    let areas = demo::city().expect("the demo city");
    let today = day(20_000);
    let story = demo::story(&areas, today).expect("the demo story");
    let (mut programs, mut items) = catalogue(1, 1);
    let (program, item) = (programs.remove(0), items.remove(0));
    let mut keys: BTreeMap<String, ItemId> = BTreeMap::new();
    for need in &story.needs {
        if !programs.iter().any(|p| p.key == need.program) {
            let id = ProgramId(1 + programs.len() as i64);
            programs.push(Program { id, key: need.program.into(), ..program.clone() });
        }
        if !keys.contains_key(need.item) {
            let id = ItemId(1 + items.len() as i64);
            let program = programs.iter().find(|p| p.key == need.program).expect("just put in").id;
            items.push(Item { id, program, key: need.item.into(), ..item.clone() });
            keys.insert(need.item.into(), id);
        }
    }
    let ring = |ring: &[[f64; 2]]| ring.iter().map(|c| json!(c)).collect::<Value>();
    let shape = |area: &demo::DemoArea| {
        let polygons = area.shape.iter().map(|polygon| {
            let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
            rings.map(|r| ring(&r.0.iter().map(|c| [c.x, c.y]).collect::<Vec<_>>())).collect::<Value>()
        });
        let geometry = json!({ "type": "MultiPolygon", "coordinates": polygons.collect::<Value>() });
        Shape::from_geojson(&geometry).expect("a sound shape").shape
    };
    let areas: Vec<_> = (1i64..)
        .zip(&areas)
        .map(|(id, area)| record(id, area.code.clone(), Some(shape(area)), Some(area.point)))
        .collect();
    let ids: BTreeMap<AreaCode, AreaId> = areas.iter().map(|a| (a.code.clone(), a.id)).collect();
    let mut random = Random::seeded(5);
    let needs = (1i64..).zip(&story.needs).map(|(id, need)| {
        let item = keys[need.item];
        let drawn = random_counters(&mut random, need.required.get() as usize);
        Need {
            id: NeedId(id),
            area: ids[&need.area_code],
            program: items[item.0 as usize - 1].program,
            item,
            period: need.period,
            counters: drawn,
            severity: need.severity,
            status: need.status,
            first_right_until: None,
            last_line: None,
            version: 1,
        }
    });
    let needs = needs.collect();
    Contents { programs, items, areas, needs, edition: 7 }
}

#[test]
fn the_demo_city_answers_as_a_plain_loop_does() {
    let plain = Plain::new(demo_contents());
    assert!(plain.contents.areas.len() > 33_000 && plain.contents.needs.len() > 10_000);
    let atlas = loaded(&plain.contents);
    let mut random = Random::seeded(31);
    for number in 0..queries() / 50 {
        ask(&atlas, &plain, &mut random, number);
    }
}
