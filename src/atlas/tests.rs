//! The map against a plain loop over everything, on small worlds, on the demo city and on Jakarta's real RW.

mod city;
pub(super) mod plain;

use super::board::BoardDraft;
use super::totals::ALL_ITEMS;
use super::*;
use crate::domain::area::{AreaCode, PointSource};
use crate::domain::ids::{AreaId, ItemId, NeedId};
use crate::domain::need::{Need, NeedStatus, ServiceStatus, Severity};
use crate::spatial::Shape;
use plain::{Plain, Random, at, boxed, catalogue, code, counters, record, small_contents};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

const ORDERS: [Order; 4] = [Order::Priority, Order::Nearest, Order::Unmet, Order::Code];

fn loaded(contents: &Contents) -> Atlas {
    let atlas = Atlas::new();
    atlas.load(contents.clone()).expect("sound contents");
    atlas
}

/// Asks one random question both ways.
fn ask(atlas: &Atlas, plain: &Plain, random: &mut Random, number: usize) {
    let mut filter = plain.random_filter(random);
    let place = plain.place(random);
    match number % 8 {
        0..4 => {
            let order = Plain::random_order(random, &mut filter, place);
            let expected = plain.needs(&filter, order);
            // All pages of a short list, the first few of a long one.
            let first =
                if expected.len() > 500 || random.one_in(2) { 1 + random.below(60) } else { 1 + random.below(7) };
            let mut query = NeedQuery { filter, order, first, after: None };
            let mut seen = 0;
            for _ in 0..12 {
                let page = atlas.needs(&query).expect("a sound query");
                let rows: Vec<_> = page.rows.iter().map(|row| (row.view.need.id, row.distance_m)).collect();
                let end = (seen + first).min(expected.len());
                assert_eq!(rows, expected[seen..end], "{query:?}");
                assert_eq!((page.total, page.has_previous), (expected.len(), seen > 0), "{query:?}");
                assert_eq!(page.has_next, end < expected.len(), "{query:?}");
                let Some(last) = page.rows.last() else { break };
                assert_eq!(last.view.need.area, last.view.area.id());
                query.after = Some(last.cursor.clone());
                seen = end;
            }
        }
        4 => assert_eq!(atlas.coverage(&filter), Ok(plain.coverage(&filter)), "{filter:?}"),
        5 => {
            let expected = plain.taken(&filter).iter().map(|need| need.id).collect::<BTreeSet<_>>();
            let compiled = atlas.compile(&filter);
            let found = plain.contents.needs.iter().filter(|need| compiled.matches(need)).map(|need| need.id).collect();
            assert_eq!(expected, found, "{filter:?}");
            let origin = (!random.one_in(3)).then_some(place);
            let found = atlas.candidates(&filter, origin).expect("a sound filter");
            let found: Vec<_> = found.iter().map(|c| (c.view.need.id, c.distance_m)).collect();
            assert_eq!(found, plain.candidates(&filter, origin), "{filter:?}");
        }
        _ => {
            let level = *random.pick(&AreaLevel::ALL);
            let expected = plain.area_coverage(level, &filter);
            let found = atlas.area_coverage(level, &filter, None, expected.len()).expect("no more rows than expected");
            let found: Vec<_> = found.into_iter().map(|(area, coverage)| (area.code().clone(), coverage)).collect();
            assert_eq!(found, expected, "{level:?} {filter:?}");
            if let Some(most) = expected.len().checked_sub(1) {
                let refused = atlas.area_coverage(level, &filter, None, most).map(|_| ());
                assert_eq!(refused, Err(QueryError::TooMany(expected.len())), "{level:?} {filter:?}");
            }
            follow(atlas, plain, random, level, &filter);
        }
    }
}

/// Who follows the areas in a random view hears of those that the question for it lists, with its sums.
fn follow(atlas: &Atlas, plain: &Plain, random: &mut Random, level: AreaLevel, filter: &Filter) {
    const MANY: usize = 1_000_000;
    let bounds = plain.random_bounds(random);
    let rows = atlas.area_coverage(level, filter, Some(&bounds), MANY).expect("no more rows than there are areas");
    let mut compiled = atlas.compile(filter);
    let shown = Shown::new(compiled.clone(), level, bounds, MANY).expect("no more areas than there are");
    let mut listed: Vec<AreaId> = rows.iter().map(|(area, _)| area.id()).collect();
    let cells = shown.cells(MANY).expect("no more cells than there are");
    let taken: BTreeSet<NeedId> = plain.taken(filter).iter().map(|need| need.id).collect();
    for need in &plain.contents.needs {
        let above = plain.area_of(need).code.at(level).and_then(|code| Some(atlas.ground().area(&code)?.id()));
        let expected = above.filter(|area| taken.contains(&need.id) && listed.contains(area));
        assert_eq!(shown.area_of(need), expected, "{level:?} {bounds:?} {filter:?}");
        if expected.is_some() {
            let cell = atlas.ground().cell_of(need.area).expect("an area of this map");
            assert!(cells.contains(&cell), "{level:?} {bounds:?} {filter:?}");
        }
    }
    // In any order, and some that are nowhere.
    listed.reverse();
    listed.push(AreaId(99_999_999));
    let sums = |rows: &[(AreaRef, Coverage)]| -> Vec<_> {
        rows.iter().map(|(area, coverage)| (area.code().clone(), *coverage)).collect()
    };
    let told = atlas.coverage_of(&mut compiled, &listed);
    assert_eq!(sums(&told), sums(&rows), "{level:?} {bounds:?} {filter:?}");
    if let Some(most) = rows.len().checked_sub(1) {
        let refused = Shown::new(compiled, level, bounds, most).map(|_| ());
        assert_eq!(refused, Err(QueryError::TooMany(most + 1)), "{level:?} {bounds:?} {filter:?}");
    }
}

/// So many in all: `SALUR_QUERIES`, or ten thousand.
fn queries() -> usize {
    std::env::var("SALUR_QUERIES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

/// Compares every kept sum with a board built anew from what the plain loop holds.
fn check_sums(atlas: &Atlas, plain: &Plain) {
    let state = atlas.read();
    for public in [false, true] {
        let level = |need: &Need| plain.area_of(need).code.level();
        let seen = |need: &Need| if public { need.for_public(level(need)) } else { *need };
        let mut draft = BoardDraft::default();
        for need in &plain.contents.needs {
            draft.add(&state.ground, &seen(need)).expect("sound needs");
        }
        let fresh = draft.finish(&state.ground).expect("sound needs");
        let (board, fresh) = (state.board.view(public), fresh.view(false));
        for slot in state.ground.all() {
            for item in (0..state.ground.items().len() as u32).chain([ALL_ITEMS]) {
                let (kept, anew) = (board.below(&state.ground, slot, item), fresh.below(&state.ground, slot, item));
                assert_eq!(kept, anew, "{} item {item}", state.ground.code(slot));
            }
        }
    }
    drop(state);
    assert_eq!(atlas.digest("salt"), digest_of("salt", &plain.contents.needs));
}

#[test]
fn small_worlds_answer_as_a_plain_loop_does_while_needs_change() {
    let mut random = Random::seeded(2020);
    let total = queries() * 93 / 100;
    let mut asked = 0;
    let mut changed = 0;
    while asked < total {
        let mut plain = Plain::new(small_contents(&mut random, 1));
        let atlas = loaded(&plain.contents);
        for _ in 0..4 {
            for _ in 0..24 {
                ask(&atlas, &plain, &mut random, asked);
                asked += 1;
            }
            let (changes, unknown) = plain.random_changes(&mut random);
            let known: Vec<_> = changes.iter().copied().filter(|need| need.area != AreaId(9_999)).collect();
            let expected = Applied { changes: plain.apply(&known), skipped: unknown };
            assert_eq!(atlas.apply(&changes), expected);
            assert_eq!(atlas.apply(&changes).changes, vec![], "what was taken in is old the second time");
            changed += expected.changes.len();
            check_sums(&atlas, &plain);
        }
    }
    assert!(changed > asked / 10, "only {changed} changes over {asked} questions");
}

/// Jakarta's RW of 2014, under one village without a shape, with needs drawn at random; `None`, loudly,
/// where the data is absent.
fn real_contents(random: &mut Random) -> Option<Contents> {
    let shared =
        std::env::var("SALUR_SHARED").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
    let path = std::path::PathBuf::from(shared).join("data/jakarta-rw-2014/rw_jakarta_update.geojson.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("*** REAL DATA ABSENT: {} — nothing is tested on it; set SALUR_SHARED ***", path.display());
        return None;
    };
    let unpacked = std::io::BufReader::new(flate2::read::GzDecoder::new(file));
    let collection: Value = serde_json::from_reader(unpacked).expect("GeoJSON");
    let mut areas = vec![record(1, code("31.71.01"), None, None)];
    for (number, feature) in collection["features"].as_array().expect("features").iter().enumerate() {
        let village = code("31.71.01").child(1_001 + number as u32 / 200).expect("a village's code");
        if number % 200 == 0 {
            areas.push(record(2 + areas.len() as i64, village.clone(), None, None));
        }
        let Ok(checked) = Shape::from_geojson(&feature["geometry"]) else { continue };
        let rw = village.child(1 + number as u32 % 200).expect("an RW's code");
        areas.push(record(2 + areas.len() as i64, rw, Some(checked.shape), None));
    }
    let (programs, items) = catalogue(3, 7);
    let need = |id| plain::random_need(random, id, areas[(id as usize * 7_919) % areas.len()].id, &items);
    let needs = (1..8_000).map(need).collect();
    Some(Contents { programs, items, areas, needs, edition: 3 })
}

#[test]
fn the_real_rw_answer_as_a_plain_loop_does() {
    let mut random = Random::seeded(2014);
    let Some(contents) = real_contents(&mut random) else { return };
    let plain = Plain::new(contents);
    let atlas = loaded(&plain.contents);
    for number in 0..queries() / 20 {
        ask(&atlas, &plain, &mut random, number);
    }
}

#[test]
fn every_need_comes_exactly_once_over_all_pages_in_every_order() {
    let mut random = Random::seeded(4);
    for _ in 0..60 {
        let plain = Plain::new(small_contents(&mut random, 1));
        let atlas = loaded(&plain.contents);
        for order in ORDERS {
            let mut filter = Filter::everything(Sight::All);
            filter.near = Some(Near { point: plain.place(&mut random), radius_m: None });
            let expected: Vec<_> = plain.needs(&filter, order).into_iter().map(|(id, _)| id).collect();
            let first = 1 + random.below(9);
            let mut query = NeedQuery { filter, order, first, after: None };
            let mut visited = Vec::new();
            loop {
                let page = atlas.needs(&query).expect("a sound query");
                assert!(!page.has_next || !page.rows.is_empty(), "{order:?}: a page of nothing leads nowhere");
                visited.extend(page.rows.iter().map(|row| row.view.need.id));
                query.after = page.rows.last().map(|row| row.cursor.clone());
                if !page.has_next {
                    break;
                }
            }
            assert_eq!(visited, expected, "{order:?}");
        }
    }
}

#[test]
fn paging_neither_repeats_nor_skips_what_did_not_change_while_needs_and_areas_change() {
    let mut random = Random::seeded(77);
    let mut visits = 0;
    for round in 0..120 {
        let mut plain = Plain::new(small_contents(&mut random, 1));
        let atlas = loaded(&plain.contents);
        let order = ORDERS[round % 4];
        let filter = Filter {
            near: Some(Near { point: plain.place(&mut random), radius_m: None }),
            ..Filter::everything(Sight::All)
        };
        let steady = |need: &Need| need.id.0 % 3 == 0 && need.id.0 < 1_000;
        let mut expected: BTreeSet<NeedId> = plain.taken(&filter).iter().filter(|n| steady(n)).map(|n| n.id).collect();
        let mut query = NeedQuery { filter, order, first: 1 + random.below(6), after: None };
        let mut visited = Vec::new();
        loop {
            let page = atlas.needs(&query).expect("a sound query");
            assert!(!page.has_next || !page.rows.is_empty(), "{order:?}: a page of nothing leads nowhere");
            visited.extend(page.rows.iter().filter(|row| steady(&row.view.need)).map(|row| row.view.need.id));
            query.after = page.rows.last().map(|row| row.cursor.clone());
            if !page.has_next {
                break;
            }
            let (mut changes, _) = plain.random_changes(&mut random);
            changes.retain(|need| !steady(need) && need.area != AreaId(9_999));
            plain.apply(&changes);
            atlas.apply(&changes);
            if random.one_in(3) && plain.contents.areas.len() > 3 {
                // A new edition: an area is gone with its needs, another is there.
                let mut contents = plain.contents.clone();
                let lost = contents.areas.swap_remove(random.below(contents.areas.len()));
                // Others may have had their point from it; theirs must not move.
                if lost.shape.is_some() || lost.point.is_some() {
                    continue;
                }
                let of_lost = |need: &Need| need.area == lost.id;
                expected.retain(|id| !contents.needs.iter().any(|n| n.id == *id && of_lost(n)));
                visited.retain(|id| !contents.needs.iter().any(|n| n.id == *id && of_lost(n)));
                contents.needs.retain(|need| !of_lost(need));
                contents.areas.push(record(lost.id.0 + 5_000, code("30"), None, Some(at(106.0, -6.0))));
                if contents.areas.iter().filter(|a| a.code.as_str() == "30").count() > 1 {
                    contents.areas.pop();
                }
                contents.edition += 1;
                plain = Plain::new(contents);
                atlas.load(plain.contents.clone()).expect("sound contents");
            }
        }
        visits += visited.len();
        let once: BTreeSet<_> = visited.iter().copied().collect();
        assert_eq!((once.len(), &once), (visited.len(), &expected), "{order:?}");
    }
    assert!(visits > 500, "only {visits} visits");
}

#[test]
fn a_cursor_that_no_list_gave_out_is_refused_and_never_a_panic() {
    let mut random = Random::seeded(13);
    let plain = Plain::new(small_contents(&mut random, 1));
    let atlas = loaded(&plain.contents);
    let filter =
        Filter { near: Some(Near { point: at(106.0, -6.0), radius_m: None }), ..Filter::everything(Sight::All) };
    let ask = |order, after: &str| {
        atlas.needs(&NeedQuery { filter: filter.clone(), order, first: 3, after: Some(after.into()) })
    };
    let long = "A".repeat(100_000);
    for wrong in ["", "x", "é", "=", "AAAA", "cA", &long, "cDAwMDAwMDAwMDAwMDAwMDA"] {
        for order in ORDERS {
            assert_eq!(ask(order, wrong).map(|_| ()), Err(QueryError::BadCursor), "{wrong}");
        }
    }
    let mut refused = 0;
    for order in ORDERS {
        let page = atlas.needs(&NeedQuery { filter: filter.clone(), order, first: 50, after: None });
        for row in page.expect("a sound query").rows {
            for other in ORDERS {
                assert_eq!(ask(other, &row.cursor).is_ok(), other == order);
            }
            for _ in 0..50 {
                let mut bytes = row.cursor.clone().into_bytes();
                let at = random.below(bytes.len());
                bytes[at] = *random.pick(b"AZaz09-_=. ");
                bytes.truncate(bytes.len() - random.below(2) * random.below(bytes.len()));
                let text = String::from_utf8(bytes).expect("ASCII");
                match ask(order, &text) {
                    Err(error) => {
                        assert_eq!(error, QueryError::BadCursor);
                        refused += 1;
                    }
                    Ok(page) => assert!(page.rows.len() <= 3),
                }
            }
        }
    }
    assert!(refused > 500, "only {refused} refused");
}

#[test]
fn an_order_by_distance_needs_a_point_and_a_page_of_none_still_counts() {
    let contents = small_contents(&mut Random::seeded(1), 1);
    let atlas = loaded(&contents);
    let mut query = NeedQuery { filter: Filter::everything(Sight::All), order: Order::Nearest, first: 0, after: None };
    assert_eq!(atlas.needs(&query).map(|_| ()), Err(QueryError::NearestNeedsPoint));
    let open = contents.needs.iter().filter(|need| need.status != NeedStatus::Closed).count();
    query.filter.near = Some(Near { point: at(106.0, -6.0), radius_m: None });
    for order in ORDERS {
        query.order = order;
        for first in [0, usize::MAX] {
            query.first = first;
            let page = atlas.needs(&query).expect("a sound query");
            assert_eq!((page.rows.len(), page.total, page.has_next), (open.min(first), open, first == 0));
        }
    }
}

/// A province with two cities, one with a shape and one without anything; a need in each.
fn two_cities() -> Contents {
    let (programs, items) = catalogue(1, 2);
    let areas = vec![
        record(1, code("31"), None, Some(at(106.5, -6.5))),
        record(2, code("31.71"), Some(boxed(106.0, -6.2, 106.2, -6.0)), None),
        record(3, code("31.72"), None, None),
        record(4, code("32.01.01"), None, None),
    ];
    let need = |id, area, status| Need {
        area: AreaId(area),
        status,
        item: items[0].id,
        counters: counters(10, 0, 0),
        ..plain::random_need(&mut Random(9), id, AreaId(area), &items)
    };
    let needs = vec![
        need(1, 2, NeedStatus::Verified),
        need(2, 3, NeedStatus::Reported),
        need(3, 3, NeedStatus::Closed),
        need(4, 4, NeedStatus::Verified),
    ];
    Contents { programs, items, areas, needs, edition: 2 }
}

#[test]
fn an_area_knows_its_relatives_and_where_its_point_comes_from() {
    let atlas = loaded(&two_cities());
    let ground = atlas.ground();
    let area = |text| ground.area(&code(text)).expect("an area");
    let (province, shaped, bare, alone) = (area("31"), area("31.71"), area("31.72"), area("32.01.01"));
    assert_eq!(province.children(), vec![shaped.clone(), bare.clone()]);
    assert_eq!((bare.parent(), alone.parent()), (Some(province.clone()), None));
    assert_eq!(bare.point(), Some((at(106.5, -6.5), PointSource::Parent)));
    let (point, source) = shaped.point().expect("a point");
    assert!(source == PointSource::Own && shaped.shape().is_some_and(|shape| shape.covers(point)));
    assert_eq!((alone.point(), alone.bounds(), alone.level()), (None, None, AreaLevel::District));
    assert_eq!(ground.area_by_id(AreaId(3)), Some(bare));
    assert_eq!(ground.locate(point, AreaLevel::City), Some(shaped));
    assert!(ground.area(&code("31.73")).is_none() && ground.area_by_id(AreaId(9)).is_none());
    assert_eq!((ground.edition(), ground.area_count()), (2, 4));
    assert_eq!(ground.items_of(ground.programs()[0].id).count(), 2);
    assert_eq!(
        ground.item_by_key("I1").and_then(|item| ground.item(item.id)).map(|item| item.key.as_str()),
        Some("I1")
    );
}

#[test]
fn who_looks_decides_which_needs_are_there() {
    let atlas = loaded(&two_cities());
    let ids = |sight: &Sight, statuses: Option<Vec<NeedStatus>>| {
        let filter = Filter { statuses, ..Filter::everything(sight.clone()) };
        let page = atlas.needs(&NeedQuery { filter, order: Order::Code, first: 10, after: None });
        page.expect("a sound query").rows.iter().map(|row| row.view.need.id.0).collect::<Vec<_>>()
    };
    let all = || Some(NeedStatus::ALL.to_vec());
    let officer = |text| Sight::Officer(code(text));
    for (sight, usual, every) in [
        (Sight::Public, vec![1, 4], vec![1, 4]),
        (Sight::Giver, vec![1, 4], vec![1, 4]),
        (officer("31.71"), vec![1, 4], vec![1, 4]),
        (officer("31"), vec![1, 2, 4], vec![1, 2, 3, 4]),
        (officer("31.72"), vec![1, 2, 4], vec![1, 2, 3, 4]),
        (Sight::All, vec![1, 2, 4], vec![1, 2, 3, 4]),
    ] {
        assert_eq!((ids(&sight, None), ids(&sight, all())), (usual, every.clone()), "{sight:?}");
        let seen = (1..=4).filter_map(|id| atlas.need(NeedId(id), &sight)).filter(|view| sight.sees(view));
        assert_eq!(seen.map(|view| view.need.id.0).collect::<Vec<_>>(), every, "{sight:?}");
    }
}

/// One that lies above the filter's area and takes part only by what is found there.
#[test]
fn an_area_above_the_filters_has_a_row_only_where_the_filter_takes_something_in() {
    let rows = |allocated: i64, service: Option<ServiceStatus>| {
        let mut contents = two_cities();
        contents.needs[0].counters = counters(10, allocated, 0);
        let area = Some(code("31.71"));
        let filter = Filter { area, service: service.map(|of| vec![of]), ..Filter::everything(Sight::Public) };
        let rows = loaded(&contents).area_coverage(AreaLevel::Province, &filter, None, 10).expect("few rows");
        rows.iter().map(|(area, coverage)| (area.code().to_string(), coverage.needs)).collect::<Vec<_>>()
    };
    let one = [("31".to_owned(), 1)];
    assert_eq!(rows(0, Some(ServiceStatus::Unserved)), one);
    assert_eq!(rows(4, Some(ServiceStatus::Unserved)), [], "what is there is served in part");
    assert_eq!(rows(4, Some(ServiceStatus::Partial)), one);
    assert_eq!(rows(4, None), one);
}

#[test]
fn quantities_are_summed_where_the_filter_leaves_one_item_and_only_there() {
    let contents = two_cities();
    let atlas = loaded(&contents);
    let sums = |items: Option<Vec<ItemId>>| {
        let filter = Filter { items, ..Filter::everything(Sight::Public) };
        atlas.coverage(&filter).expect("a sound filter").sums.map(|sums| (sums.required, sums.unmet))
    };
    let [asked, unasked] = [contents.items[0].id, contents.items[1].id];
    assert_eq!(sums(None), None, "the catalogue has two, though all needs are for one");
    assert_eq!(sums(Some(vec![asked])), Some((20, 20)));
    assert_eq!(sums(Some(vec![unasked])), Some((0, 0)), "no need at all is a sum of zero");
    assert_eq!(sums(Some(vec![])), None);
    let one = Contents { items: vec![contents.items[0].clone()], ..contents };
    let everything = Filter::everything(Sight::Public);
    assert!(loaded(&one).coverage(&everything).expect("a sound filter").sums.is_some());
}

#[test]
fn sums_of_the_largest_quantities_do_not_overflow() {
    let mut contents = two_cities();
    let most = crate::domain::quantity::MAX_QUANTITY;
    let template = Need { counters: counters(most, most, 0), ..contents.needs[0] };
    contents.needs = (1..5_000).map(|id| Need { id: NeedId(id), ..template }).collect();
    let filter = Filter { items: Some(vec![template.item]), ..Filter::everything(Sight::Public) };
    let sums = loaded(&contents).coverage(&filter).expect("a sound filter").sums.expect("one item");
    assert_eq!((sums.allocated, sums.unmet), (i128::from(most) * 4_999, 0));
}

#[test]
fn contents_that_contradict_themselves_are_refused_and_the_old_map_stands() {
    let good = two_cities();
    let atlas = Atlas::new();
    assert!(!atlas.is_ready());
    assert_eq!(atlas.coverage(&Filter::everything(Sight::All)).map(|c| c.needs), Ok(0));
    let broken = |change: &dyn Fn(&mut Contents)| {
        let mut contents = good.clone();
        change(&mut contents);
        atlas.load(contents)
    };
    assert_eq!(broken(&|c| c.areas[1].id = AreaId(1)), Err(BadContents::AreaTwice(AreaId(1))));
    assert_eq!(broken(&|c| c.areas[1].code = code("31")), Err(BadContents::CodeTwice(code("31"))));
    assert_eq!(broken(&|c| c.needs[1].id = NeedId(1)), Err(BadContents::NeedTwice(NeedId(1))));
    assert_eq!(broken(&|c| c.needs[1].area = AreaId(8)), Err(BadContents::NeedWithoutArea(NeedId(2))));
    assert_eq!(broken(&|c| c.needs[1].item = ItemId(8)), Err(BadContents::NeedWithoutItem(NeedId(2))));
    assert_eq!(broken(&|c| c.programs.clear()), Err(BadContents::ItemWithoutProgram(good.items[0].id)));
    assert!(!atlas.is_ready());
    assert_eq!(atlas.load(good.clone()), Ok(()));
    assert!(broken(&|c| c.areas.clear()).is_err());
    assert!(atlas.is_ready() && atlas.ground().area_count() == 4);
}

#[test]
fn a_compiled_filter_follows_a_new_edition_when_it_is_renewed() {
    let mut contents = two_cities();
    let atlas = loaded(&contents);
    let bounds = crate::domain::place::Bounds::new(106.4, -6.6, 106.6, -6.4).expect("a box");
    let filter = Filter { bounds: Some(bounds), ..Filter::everything(Sight::All) };
    let mut compiled = atlas.compile(&filter);
    let [in_first, in_second] = [contents.needs[0], contents.needs[1]];
    assert!(!compiled.matches(&in_first) && compiled.matches(&in_second));
    contents.areas[1].shape = Some(boxed(106.5, -6.5, 106.7, -6.3));
    contents.edition += 1;
    atlas.load(contents).expect("sound contents");
    assert!(!compiled.matches(&in_first));
    // A query that is overtaken by an edition between its geometry and its pass over the needs.
    let mut overtaken = compiled.clone();
    let state = atlas.read_with(&mut overtaken);
    assert!(overtaken.is_of(&state.ground) && overtaken.matches(&in_first));
    drop(state);
    compiled.renew_from(&atlas);
    assert!(compiled.matches(&in_first) && atlas.matches(&filter, &in_first));
}

#[test]
fn readers_see_one_state_while_the_map_is_swapped_and_fed() {
    /// In edition `n`, `10 n` areas with one need each, of which each asks for `n`.
    fn edition(n: i64) -> Contents {
        let (programs, items) = catalogue(1, 1);
        let areas: Vec<_> = (1..=10 * n)
            .map(|id| record(id, code(&format!("31.71.{id:02}")), Some(boxed(0.0, 0.0, 1.0, 1.0)), None))
            .collect();
        let template = plain::random_need(&mut Random(1), 1, AreaId(1), &items);
        let need = |id| Need {
            id: NeedId(id),
            area: AreaId(id),
            counters: counters(n, 0, 0),
            status: NeedStatus::Verified,
            severity: Severity::new(3).expect("1 to 5"),
            ..template
        };
        let needs = (1..=10 * n).map(need).collect();
        Contents { programs, items, areas, needs, edition: n }
    }
    let atlas = loaded(&edition(1));
    let (done, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let kept = Filter::everything(Sight::Public);
    let counted = Filter { bounds: crate::domain::place::Bounds::new(0.0, 0.0, 1.0, 1.0).ok(), ..kept.clone() };
    let near = Filter { near: Some(Near { point: at(2.0, 2.0), radius_m: None }), ..kept.clone() };
    let check = |coverage: Coverage| {
        let sums = coverage.sums.expect("one item");
        let n = i128::from(coverage.needs / 10);
        assert_eq!(sums.required, 10 * n * n, "{coverage:?}");
        // Each commit serves all needs at once or none.
        assert!(coverage.unserved == 0 || coverage.unserved == coverage.needs, "{coverage:?}");
        assert_eq!(
            (coverage.unserved_areas, sums.allocated),
            (coverage.unserved, if coverage.unserved == 0 { 10 * n } else { 0 })
        );
    };
    let read = || {
        while !done.load(Relaxed) {
            for filter in [&kept, &counted] {
                check(atlas.coverage(filter).expect("a sound filter"));
                let rows = atlas.area_coverage(AreaLevel::District, filter, None, 5_000).expect("few rows");
                let editions: BTreeSet<_> = rows.iter().map(|(area, _)| area.ground().edition()).collect();
                assert!(editions.len() == 1 && editions.contains(&(rows.len() as i64 / 10)), "{editions:?}");
                let unserved: BTreeSet<_> = rows.iter().map(|(_, coverage)| coverage.unserved).collect();
                assert_eq!(unserved.len(), 1, "half a commit");
            }
            for order in ORDERS {
                let query = NeedQuery { filter: near.clone(), order, first: 1_000, after: None };
                let page = atlas.needs(&query).expect("a sound query");
                let n = page.rows[0].view.area.ground().edition();
                assert_eq!((page.rows.len() as i64, page.total as i64), (10 * n, 10 * n));
                let services: BTreeSet<_> =
                    page.rows.iter().map(|row| row.view.need.counters.service() == ServiceStatus::Unserved).collect();
                assert_eq!(services.len(), 1, "half a commit");
            }
            answers.fetch_add(1, Relaxed);
        }
    };
    std::thread::scope(|threads| {
        let readers = [threads.spawn(read), threads.spawn(read)];
        let mut round = 0;
        while answers.load(Relaxed) < 300 && readers.iter().all(|reader| !reader.is_finished()) {
            let n = 1 + round % 9;
            let contents = edition(n);
            atlas.load(contents.clone()).expect("sound contents");
            for version in 2..6 {
                let served = if version % 2 == 0 { n.min(1) } else { 0 };
                let change = |need: &Need| Need { counters: counters(n, served, 0), version, ..*need };
                let changes: Vec<_> = contents.needs.iter().map(change).collect();
                assert_eq!(atlas.apply(&changes).changes.len(), changes.len());
            }
            round += 1;
        }
        done.store(true, Relaxed);
        for reader in readers {
            reader.join().expect("no reader saw a mixture");
        }
    });
}

#[test]
fn a_panic_under_the_lock_does_not_stop_the_service() {
    let atlas = loaded(&two_cities());
    let inside = atlas.clone();
    let poisoned = std::thread::spawn(move || {
        let _held = inside.write();
        panic!("on purpose");
    });
    assert!(poisoned.join().is_err());
    assert!(atlas.is_ready() && atlas.need(NeedId(1), &Sight::All).is_some());
    assert_eq!(atlas.apply(&[Need { version: 5, ..two_cities().needs[0] }]).changes.len(), 1);
}

/// What is shown of a family and of the sum above it leaves one count at a time to be worked out, until
/// nothing more can be: whoever knows only these numbers and that they add up knows no more than this.
fn work_out(contents: &Contents, shown: &mut BTreeMap<AreaCode, i64>) {
    let families: Vec<(AreaCode, Vec<AreaCode>)> = contents
        .areas
        .iter()
        .map(|above| {
            let below = contents.areas.iter().filter(|a| a.code.parent().as_ref() == Some(&above.code));
            (above.code.clone(), below.map(|a| a.code.clone()).collect::<Vec<_>>())
        })
        .filter(|(_, below)| !below.is_empty())
        .collect();
    let mut known = 0;
    while known < shown.len() {
        known = shown.len();
        for (above, below) in &families {
            let sum: i64 = below.iter().filter_map(|code| shown.get(code)).sum();
            let unknown: Vec<_> = below.iter().filter(|code| !shown.contains_key(code)).collect();
            match (shown.get(above).copied(), &unknown[..]) {
                (None, []) => drop(shown.insert(above.clone(), sum)),
                (Some(whole), [last]) => drop(shown.insert((*last).clone(), whole - sum)),
                _ => {}
            }
        }
    }
}

#[test]
fn few_households_of_an_rt_are_neither_shown_nor_worked_out() {
    let mut random = Random::seeded(17);
    let (mut small, mut shown_of_all, mut all) = (0, 0, 0);
    for _ in 0..400 {
        let mut areas = vec![plain::record(1, code("31.71.01.1001"), None, None)];
        for start in 0.. {
            let Some(above) = areas.get(start).map(|a| a.code.clone()) else { break };
            // Only children are frequent, on either level.
            for n in 1..=1 + random.below(4) as u32 {
                areas.extend(above.child(n).map(|code| plain::record(areas.len() as i64 + 1, code, None, None)));
            }
        }
        let few = if random.one_in(2) { 4 } else { 40 };
        for at in (0..areas.len()).rev() {
            let code = areas[at].code.clone();
            let (households, poor) = if code.level() == AreaLevel::Rt {
                let most = if random.one_in(few) { 5 } else { 160 };
                let households = random.below(most) as i64;
                (households, random.below(households as usize + 1) as i64 / 2)
            } else {
                let below = areas.iter().filter(|a| a.code.parent().as_ref() == Some(&code));
                below.fold((0, 0), |(h, p), a| (h + a.households.unwrap_or(0), p + a.poor_households.unwrap_or(0)))
            };
            (areas[at].households, areas[at].poor_households) = (Some(households), Some(poor));
        }
        let contents = Contents { areas, edition: 1, ..Contents::default() };
        let ground = loaded(&contents).ground();
        for of in [AreaRef::households, AreaRef::poor_households] {
            let told = |sight: &Sight| -> BTreeMap<AreaCode, i64> {
                let areas = contents.areas.iter().filter_map(|a| ground.area(&a.code));
                areas.filter_map(|a| Some((a.code().clone(), of(&a, sight)?))).collect()
            };
            let truth = told(&Sight::Giver);
            assert_eq!(truth.len(), contents.areas.len(), "who is no stranger is told everything");
            let mut public = told(&Sight::Public);
            shown_of_all += public.len();
            all += truth.len();
            work_out(&contents, &mut public);
            for (code, count) in truth.iter().filter(|(code, n)| code.level() == AreaLevel::Rt && (1..5).contains(*n)) {
                assert!(!public.contains_key(code), "{code} has {count} and that can be worked out");
                small += 1;
            }
        }
    }
    assert!(small > 500 && shown_of_all * 4 > all, "{small} small ones, {shown_of_all} of {all} shown");
}
