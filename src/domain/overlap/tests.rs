//! Findings against hand-counted cases and against plain loops over all pairs.

use super::*;

const RICE: i64 = 1;
const TABLET: i64 = 2;
const PKH: i64 = 1;
const BPNT: i64 = 2;
const PANGAN: i64 = 3;

fn day(number: i32) -> Day {
    Day::from_number(number).expect("a day")
}

fn days(start: i32, end: i32) -> Period {
    Period::new(day(start), day(end)).expect("a period")
}

fn q(value: i64) -> Quantity {
    Quantity::new(value).expect("a quantity")
}

/// Ten units of rice for area 1, under claim line `id`.
fn gave(id: i64, organization: i64, period: Period) -> Served {
    Served {
        area: AreaId(1),
        program: ProgramId(PANGAN),
        item: ItemId(RICE),
        organization: OrganizationId(organization),
        period,
        quantity: q(10),
        source: line(id),
    }
}

fn line(id: i64) -> Source {
    Source::ClaimLine(ClaimLineId(id))
}

fn outside(id: i64) -> Source {
    Source::Outside(DistributionId(id))
}

fn opening(id: i64) -> Source {
    Source::Opening(ClaimLineId(id))
}

fn asked(required: i64, period: Period) -> Required {
    Required { area: AreaId(1), program: ProgramId(PANGAN), item: ItemId(RICE), period, required: q(required) }
}

fn rule(kind: RuleKind, from: i32, until: Option<i32>) -> Rule {
    Rule {
        kind,
        owner: "Dinas Sosial".to_string(),
        valid_from: day(from),
        valid_until: until.map(day),
        reason_id: "Satu keluarga satu bantuan".to_string(),
        reason_en: "One household, one aid".to_string(),
    }
}

fn exclusive(from: i32, until: Option<i32>) -> Rule {
    rule(RuleKind::Exclusive { programs: (ProgramId(BPNT), ProgramId(PKH)) }, from, until)
}

fn permitted(programs: &[i64], items: &[i64], from: i32, until: Option<i32>) -> Rule {
    let kind = RuleKind::Permitted {
        programs: programs.iter().copied().map(ProgramId).collect(),
        items: items.iter().copied().map(ItemId).collect(),
    };
    rule(kind, from, until)
}

fn under(program: i64, served: Served) -> Served {
    Served { program: ProgramId(program), item: ItemId(100 + program), ..served }
}

fn organizations(ids: &[i64]) -> Vec<OrganizationId> {
    ids.iter().copied().map(OrganizationId).collect()
}

fn only(mut found: Vec<Finding>) -> Finding {
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn one_organization_that_gives_more_than_is_required_over_serves() {
    let need = [asked(15, days(0, 30))];
    let found = only(findings(&[gave(1, 7, days(5, 10)), gave(2, 7, days(20, 40))], &need, &[]));
    let expected = Finding {
        kind: OverlapKind::OverServed,
        status: OverlapStatus::Suspected,
        area: AreaId(1),
        item: Some(ItemId(RICE)),
        programs: None,
        organizations: organizations(&[7]),
        quantity: Some(q(20)),
        excess: Some(q(5)),
        period: days(0, 40),
        anchor: day(0),
        evidence: vec![line(1), line(2)],
        rule: None,
        permitted_by: None,
    };
    assert_eq!(found, expected);
    assert_eq!(found.key(), "OVER_SERVED/area-1/item-1/1970-01-01");
    assert_eq!(findings(&[gave(1, 7, days(5, 10))], &need, &[]), [], "less than required");
    let exact = Served { quantity: q(15), ..gave(1, 7, days(5, 10)) };
    assert_eq!(findings(&[exact], &need, &[]), [], "just what is required");
}

#[test]
fn opening_balances_and_outside_aid_count_for_what_was_delivered() {
    let need = [asked(25, days(0, 30))];
    let served = [
        gave(1, 7, days(0, 30)),
        Served { source: opening(2), ..gave(2, 8, days(0, 30)) },
        Served { source: outside(3), quantity: q(6), ..gave(3, 7, days(0, 30)) },
    ];
    let found = only(findings(&served, &need, &[]));
    assert_eq!((found.quantity, found.excess), (Some(q(26)), Some(q(1))));
    assert_eq!(found.organizations, organizations(&[7]), "the giver of an opening balance is unknown");
    assert_eq!(found.evidence, [line(1), outside(3), opening(2)]);
}

#[test]
fn aid_is_counted_against_the_needs_it_is_chained_to_and_no_others() {
    let needs = [asked(10, days(0, 9)), asked(5, days(10, 19)), asked(100, days(40, 49))];
    // Days 9 to 10 chain the first two needs; 39 touches neither side of the third.
    let served = [gave(1, 7, days(9, 10)), gave(2, 7, days(12, 12)), gave(3, 7, days(30, 39))];
    let found = only(findings(&served, &needs, &[]));
    assert_eq!((found.excess, found.period, found.anchor), (Some(q(5)), days(0, 19), day(0)));
    assert_eq!(found.evidence, [line(1), line(2)]);
    assert_eq!(findings(&[gave(1, 7, days(0, 9))], &[], &[]), [], "without a need nothing is too much");
    let elsewhere = Served { area: AreaId(2), ..gave(1, 7, days(0, 9)) };
    assert_eq!(findings(&[elsewhere], &[asked(1, days(0, 9))], &[]), []);
}

#[test]
fn two_organizations_meet_where_one_ends_on_the_day_the_other_starts() {
    let found = only(findings(&[gave(1, 7, days(0, 10)), gave(2, 8, days(10, 20))], &[], &[]));
    assert_eq!(found.kind, OverlapKind::SameAreaSameItem);
    assert_eq!((found.period, found.anchor), (days(10, 10), day(10)));
    assert_eq!((found.quantity, found.excess), (Some(q(20)), None));
    assert_eq!(found.organizations, organizations(&[7, 8]));
    assert_eq!(found.key(), "SAME_AREA_SAME_ITEM/area-1/item-1/1970-01-11");
    assert_eq!(findings(&[gave(1, 7, days(0, 9)), gave(2, 8, days(10, 20))], &[], &[]), [], "the next day");
}

#[test]
fn one_organization_does_not_meet_itself_and_opening_balances_meet_nobody() {
    assert_eq!(findings(&[gave(1, 7, days(0, 10)), gave(2, 7, days(5, 20))], &[], &[]), []);
    let unknown = Served { source: opening(2), ..gave(2, 8, days(5, 20)) };
    assert_eq!(findings(&[gave(1, 7, days(0, 10)), unknown], &[], &[]), []);
    let nothing = Served { quantity: q(0), ..gave(2, 8, days(5, 20)) };
    assert_eq!(findings(&[gave(1, 7, days(0, 10)), nothing], &[], &[]), []);
    let other_item = Served { item: ItemId(TABLET), ..gave(2, 8, days(5, 20)) };
    assert_eq!(findings(&[gave(1, 7, days(0, 10)), other_item], &[], &[]), []);
}

#[test]
fn only_services_that_meet_another_organization_are_evidence() {
    let served = [
        gave(1, 7, days(0, 100)),  // meets 2 and 4
        gave(2, 8, days(10, 20)),  // within 1
        gave(3, 7, days(90, 120)), // chained through 1, meets its own organisation only
        gave(4, 9, days(40, 50)),
    ];
    let found = only(findings(&served, &[], &[]));
    assert_eq!(found.evidence, [line(1), line(2), line(4)]);
    assert_eq!(found.organizations, organizations(&[7, 8, 9]));
    assert_eq!((found.period, found.quantity), (days(10, 50), Some(q(30))));
}

#[test]
fn exclusive_programs_meet_only_on_days_on_which_the_rule_holds() {
    let served = [under(PKH, gave(1, 7, days(0, 20))), under(BPNT, gave(2, 8, days(10, 30)))];
    let found = only(findings(&served, &[], &[exclusive(0, None)]));
    assert_eq!(found.kind, OverlapKind::ExclusivePrograms);
    assert_eq!(found.programs, Some((ProgramId(PKH), ProgramId(BPNT))));
    assert_eq!((found.item, found.quantity, found.excess, found.rule), (None, None, None, Some(0)));
    assert_eq!((found.period, &found.organizations), (days(10, 20), &organizations(&[7, 8])));
    assert_eq!(found.key(), "EXCLUSIVE_PROGRAMS/area-1/program-1/program-2/1970-01-11");

    let late = only(findings(&served, &[], &[exclusive(0, Some(9)), exclusive(20, None)]));
    assert_eq!((late.period, late.rule), (days(20, 20), Some(1)));
    for rules in [vec![exclusive(21, None)], vec![exclusive(0, Some(9))], vec![exclusive(15, Some(12))], vec![]] {
        assert_eq!(findings(&served, &[], &rules), [], "{rules:?}");
    }
    let apart = [served[0], Served { area: AreaId(2), ..served[1] }];
    assert_eq!(findings(&apart, &[], &[exclusive(0, None)]), []);
}

#[test]
fn an_opening_balance_counts_for_exclusive_programs_without_naming_a_giver() {
    let before = Served { source: opening(2), ..under(BPNT, gave(2, 8, days(10, 30))) };
    let found = only(findings(&[under(PKH, gave(1, 7, days(0, 20))), before], &[], &[exclusive(0, None)]));
    assert_eq!(found.organizations, organizations(&[7]));
    assert_eq!(found.evidence, [line(1), opening(2)]);
}

#[test]
fn a_permitting_rule_covers_what_it_names_on_all_days_of_the_period() {
    let status = |served: &[Served], rules: &[Rule]| {
        let found = only(findings(served, &[], rules));
        assert_eq!(found.permitted_by.is_some(), found.status == OverlapStatus::Permitted);
        found.status
    };
    use OverlapStatus::{Permitted, Suspected};
    let same = [gave(1, 7, days(0, 10)), gave(2, 8, days(5, 20))];
    assert_eq!(status(&same, &[permitted(&[], &[RICE], 5, Some(10))]), Permitted);
    assert_eq!(status(&same, &[permitted(&[PANGAN], &[], 0, None)]), Permitted);
    assert_eq!(status(&same, &[permitted(&[], &[RICE], 6, None)]), Suspected, "not yet on day 5");
    assert_eq!(status(&same, &[permitted(&[], &[RICE], 0, Some(9))]), Suspected, "no longer on day 10");
    assert_eq!(status(&same, &[permitted(&[PKH], &[TABLET], 0, None)]), Suspected, "other names");
    assert_eq!(status(&same, &[permitted(&[], &[], 0, None)]), Suspected, "empty lists name nothing");

    let pair = [under(PKH, gave(1, 7, days(0, 20))), under(BPNT, gave(2, 8, days(10, 30)))];
    let rules = [exclusive(0, None), permitted(&[PKH], &[101, 102], 0, None), permitted(&[BPNT, PKH], &[], 0, None)];
    let found = only(findings(&pair, &[], &rules));
    assert_eq!((found.status, found.rule, found.permitted_by), (Permitted, Some(0), Some(2)));
    assert_eq!(status(&pair, &rules[..2]), Suspected, "one of the two programs is not enough");

    let over = |rules: &[Rule]| only(findings(&same[..1], &[asked(1, days(0, 10))], rules)).status;
    assert_eq!(over(&[permitted(&[PANGAN], &[], 0, None)]), Suspected, "programs may meet, not exceed");
    assert_eq!(over(&[permitted(&[], &[RICE], 0, None)]), Permitted);
}

#[test]
fn sums_beyond_the_largest_quantity_are_shown_as_the_largest() {
    let full = |id, organization| Served { quantity: q(MAX_QUANTITY), ..gave(id, organization, days(0, 10)) };
    let found = findings(&[full(1, 7), full(2, 8)], &[asked(1, days(0, 10))], &[]);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|f| f.quantity == Some(q(MAX_QUANTITY))));
    assert_eq!(found[0].excess, Some(q(MAX_QUANTITY)));
}

/// SplitMix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end) as i64
    }

    fn days(&mut self, within: u64, longest: u64) -> Period {
        let start = self.below(within) as i32;
        days(start, start + self.below(longest) as i32)
    }
}

/// Connects indices pair by pair and returns the groups.
fn closure(count: usize, linked: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut label: Vec<usize> = (0..count).collect();
    for a in 0..count {
        for b in 0..count {
            if label[a] != label[b] && linked(a, b) {
                let (from, to) = (label[a], label[b]);
                label.iter_mut().filter(|l| **l == from).for_each(|l| *l = to);
            }
        }
    }
    (0..count)
        .map(|l| (0..count).filter(|i| label[*i] == l).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

fn common_days(a: Period, b: Period) -> Vec<Day> {
    (a.start.number()..=a.end.number()).map(day).filter(|d| b.contains(*d)).collect()
}

/// Hull of days, which must not be empty.
fn span(of: &[Day]) -> Period {
    Period::new(*of.iter().min().expect("days"), *of.iter().max().expect("days")).expect("a period")
}

type Plain = (String, Period, Vec<Source>, Vec<OrganizationId>, Option<i64>, Option<i64>, Option<usize>);

fn plain(finding: &Finding) -> Plain {
    let number = |q: Option<Quantity>| q.map(Quantity::get);
    let f = finding.clone();
    (finding.key(), f.period, f.evidence, f.organizations, number(f.quantity), number(f.excess), f.rule)
}

/// The three kinds by loops over all pairs and days.
fn by_plain_loops(served: &[Served], required: &[Required], rules: &[Rule]) -> Vec<Plain> {
    let served: Vec<&Served> = served.iter().filter(|s| s.quantity.get() > 0).collect();
    let is_opening = |s: &Served| matches!(s.source, Source::Opening(_));
    let facts = |group: &[&Served]| {
        let mut evidence: Vec<Source> = group.iter().map(|s| s.source).collect();
        evidence.sort();
        let mut givers: Vec<_> = group.iter().filter(|s| !is_opening(s)).map(|s| s.organization).collect();
        givers.sort();
        givers.dedup();
        (evidence, givers, group.iter().map(|s| s.quantity.get()).sum::<i64>())
    };
    let mut found = Vec::new();

    let n = required.len();
    let place =
        |i: usize| if i < n { (required[i].area, required[i].item) } else { (served[i - n].area, served[i - n].item) };
    let when = |i: usize| if i < n { required[i].period } else { served[i - n].period };
    for group in closure(n + served.len(), |a, b| place(a) == place(b) && when(a).intersects(when(b))) {
        let needs: Vec<&Required> = group.iter().filter(|i| **i < n).map(|i| &required[*i]).collect();
        let given: Vec<&Served> = group.iter().filter(|i| **i >= n).map(|i| served[*i - n]).collect();
        let asked: i64 = needs.iter().map(|r| r.required.get()).sum();
        let (evidence, givers, sum) = facts(&given);
        if let Some(first) = needs.iter().map(|r| r.period.start).min()
            && sum > asked
        {
            let ends: Vec<Day> = group.iter().flat_map(|i| [when(*i).start, when(*i).end]).collect();
            let (area, item) = place(group[0]);
            let key = format!("OVER_SERVED/{area}/{item}/{first}");
            found.push((key, span(&ends), evidence, givers, Some(sum), Some(sum - asked), None));
        }
    }

    let known: Vec<&Served> = served.iter().copied().filter(|s| !is_opening(s)).collect();
    let place = |s: &Served| (s.area, s.item);
    let chained =
        |a: usize, b: usize| place(known[a]) == place(known[b]) && known[a].period.intersects(known[b].period);
    for group in closure(known.len(), chained) {
        let mut met = Vec::new();
        let mut meeting: Vec<&Served> = Vec::new();
        for &a in &group {
            let with: Vec<Day> = group
                .iter()
                .filter(|b| known[**b].organization != known[a].organization)
                .flat_map(|b| common_days(known[a].period, known[*b].period))
                .collect();
            if !with.is_empty() {
                meeting.push(known[a]);
                met.extend(with);
            }
        }
        if !met.is_empty() {
            let (evidence, givers, sum) = facts(&meeting);
            let period = span(&met);
            let key = format!("SAME_AREA_SAME_ITEM/{}/{}/{}", meeting[0].area, meeting[0].item, period.start);
            found.push((key, period, evidence, givers, Some(sum), None, None));
        }
    }

    let mut pairs: Vec<(ProgramId, ProgramId)> = rules
        .iter()
        .filter_map(|r| match r.kind {
            RuleKind::Exclusive { programs: (a, b) } => Some((a.min(b), a.max(b))),
            RuleKind::Permitted { .. } => None,
        })
        .collect();
    pairs.sort();
    pairs.dedup();
    for (a, b) in pairs {
        let rule_on = |d: Day| {
            rules.iter().position(|r| {
                matches!(r.kind, RuleKind::Exclusive { programs: (x, y) } if (x.min(y), x.max(y)) == (a, b))
                    && r.valid_from <= d
                    && r.valid_until.is_none_or(|u| d <= u)
            })
        };
        let together = |x: usize, y: usize| -> Vec<Day> {
            let (x, y) = (served[x], served[y]);
            let programs = (x.program.min(y.program), x.program.max(y.program));
            if x.area != y.area || programs != (a, b) {
                return Vec::new();
            }
            common_days(x.period, y.period).into_iter().filter(|d| rule_on(*d).is_some()).collect()
        };
        for group in closure(served.len(), |x, y| !together(x, y).is_empty()) {
            let met: Vec<Day> = group.iter().flat_map(|x| group.iter().flat_map(|y| together(*x, *y))).collect();
            if !met.is_empty() {
                let given: Vec<&Served> = group.iter().map(|i| served[*i]).collect();
                let (evidence, givers, _) = facts(&given);
                let period = span(&met);
                let key = format!("EXCLUSIVE_PROGRAMS/{}/{a}/{b}/{}", given[0].area, period.start);
                found.push((key, period, evidence, givers, None, None, rule_on(period.start)));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_sweeps_find_what_loops_over_all_pairs_find() {
    let seed = 2_020;
    let mut random = Random(seed);
    let mut kinds = [0_usize; 3];
    for round in 0..3_000 {
        let longest = |random: &mut Random| [1, 4, 12, 30][random.below(4) as usize];
        let mut served: Vec<Served> = (0..random.below(22))
            .map(|id| {
                let source = [line(id), line(id), outside(id), opening(id)][random.below(4) as usize];
                let program = 1 + random.below(3);
                let longest = longest(&mut random);
                Served {
                    area: AreaId(1 + random.below(2)),
                    program: ProgramId(program),
                    item: ItemId(program),
                    organization: OrganizationId(1 + random.below(3)),
                    period: random.days(40, longest),
                    quantity: q(random.below(5)),
                    source,
                }
            })
            .collect();
        let required: Vec<Required> = (0..random.below(5))
            .map(|_| {
                let program = 1 + random.below(3);
                let longest = longest(&mut random);
                Required {
                    area: AreaId(1 + random.below(2)),
                    program: ProgramId(program),
                    item: ItemId(program),
                    period: random.days(40, longest),
                    required: q(1 + random.below(4)),
                }
            })
            .collect();
        let rules: Vec<Rule> = (0..random.below(4))
            .map(|_| {
                let a = 1 + random.below(3);
                let programs = (ProgramId(a), ProgramId(1 + (a + random.below(2)) % 3));
                let from = random.below(40) as i32;
                let until = (random.below(3) > 0).then(|| from + random.below(25) as i32);
                rule(RuleKind::Exclusive { programs }, from, until)
            })
            .collect();
        let found = findings(&served, &required, &rules);
        let context = format!("seed {seed}, round {round}: {served:?} {required:?} {rules:?}");
        let mut plainly: Vec<Plain> = found.iter().map(plain).collect();
        plainly.sort();
        assert_eq!(plainly, by_plain_loops(&served, &required, &rules), "{context}");
        assert!(plainly.windows(2).all(|w| w[0].0 != w[1].0), "a key twice: {context}");
        found.iter().for_each(|f| kinds[f.kind as usize] += 1);
        served.reverse();
        assert_eq!(findings(&served, &required, &rules), found, "another order: {context}");
    }
    assert!(kinds.iter().all(|k| *k > 500), "too few to mean anything: {kinds:?}, seed {seed}");
}

#[test]
fn many_services_of_one_area_are_not_compared_pair_by_pair() {
    // 60,000 services that nearly all meet each other are 1.8 thousand million pairs.
    let seed = 60_000;
    let mut random = Random(seed);
    let served: Vec<Served> = (0..60_000)
        .map(|id| {
            let program = 1 + random.below(2);
            let organization = 1 + random.below(50);
            let served = gave(id, organization, random.days(300, 300));
            Served { program: ProgramId(program), ..served }
        })
        .collect();
    let found = findings(&served, &[asked(5, days(0, 9))], &[exclusive(0, None)]);
    assert_eq!(found.iter().map(|f| f.kind).collect::<Vec<_>>(), OverlapKind::ALL);
    assert!(found.iter().all(|f| f.evidence.len() > 59_000), "seed {seed}");
}

fn two_meet() -> Finding {
    only(findings(&[gave(1, 7, days(0, 10)), gave(2, 8, days(5, 20))], &[], &[]))
}

fn stored(finding: Finding) -> Overlap {
    let status = finding.status;
    Overlap { id: OverlapId(1), finding, status, version: 4, note: None, open: true }
}

fn decided(finding: Finding, status: OverlapStatus) -> Overlap {
    Overlap { status, note: Some("seen on site".to_string()), ..stored(finding) }
}

fn updated(change: Change) -> (Overlap, Turn) {
    match change {
        Change::Update(after, turn) => (after, turn),
        other => panic!("not an update: {other:?}"),
    }
}

#[test]
fn a_new_finding_is_inserted_and_an_equal_one_changes_nothing() {
    let finding = two_meet();
    assert_eq!(merge(None, None), Change::Unchanged);
    assert_eq!(merge(None, Some(&finding)), Change::Insert(finding.clone()));
    for stored in [stored(finding.clone()), decided(finding.clone(), OverlapStatus::Confirmed)] {
        assert_eq!(merge(Some(&stored), Some(&finding)), Change::Unchanged);
    }
}

#[test]
fn a_finding_that_grew_is_suspected_again_whatever_was_decided() {
    let before = decided(two_meet(), OverlapStatus::Permitted);
    let more = [gave(1, 7, days(0, 10)), Served { quantity: q(11), ..gave(2, 8, days(5, 20)) }];
    let another = [gave(1, 7, days(0, 10)), gave(3, 9, days(5, 20))];
    for served in [more, another] {
        let fresh = only(findings(&served, &[], &[]));
        let (after, turn) = updated(merge(Some(&before), Some(&fresh)));
        assert_eq!((turn, after.status, after.note, after.version), (Turn::Grew, OverlapStatus::Suspected, None, 5));
        assert_eq!((after.id, after.finding, after.open), (before.id, fresh, true));
    }
    let pair = [under(PKH, gave(1, 7, days(0, 20))), under(BPNT, gave(2, 8, days(10, 30)))];
    let before = decided(only(findings(&pair, &[], &[exclusive(0, None)])), OverlapStatus::Permitted);
    let third = under(PKH, gave(3, 7, days(15, 15)));
    let fresh = only(findings(&[pair[0], pair[1], third], &[], &[exclusive(0, None)]));
    assert_eq!(updated(merge(Some(&before), Some(&fresh))).1, Turn::Grew, "a new service where nothing is summed");
}

#[test]
fn a_finding_that_shrank_keeps_what_was_decided() {
    let before = decided(two_meet(), OverlapStatus::Confirmed);
    let less = [gave(1, 7, days(0, 10)), Served { quantity: q(3), ..gave(2, 8, days(5, 20)) }];
    let fresh = only(findings(&less, &[], &[]));
    let (after, turn) = updated(merge(Some(&before), Some(&fresh)));
    assert_eq!((turn, after.status, after.version), (Turn::Changed, OverlapStatus::Confirmed, 5));
    assert_eq!((after.note, after.finding), (before.note, fresh));
}

#[test]
fn a_new_rule_speaks_only_where_no_auditor_has() {
    let served = [gave(1, 7, days(0, 10)), gave(2, 8, days(5, 20))];
    let fresh = only(findings(&served, &[], &[permitted(&[], &[RICE], 0, None)]));
    let (after, turn) = updated(merge(Some(&stored(two_meet())), Some(&fresh)));
    assert_eq!((turn, after.status, after.version), (Turn::Judged, OverlapStatus::Permitted, 5));
    assert_eq!(merge(Some(&decided(two_meet(), OverlapStatus::Confirmed)), Some(&fresh)), Change::Unchanged);
}

#[test]
fn a_finding_that_is_gone_is_withdrawn_once_and_suspected_when_it_returns() {
    let before = decided(two_meet(), OverlapStatus::Permitted);
    let (gone, turn) = updated(merge(Some(&before), None));
    assert_eq!((turn, gone.open, gone.version), (Turn::Withdrawn, false, 5));
    assert_eq!((gone.status, &gone.note), (OverlapStatus::Permitted, &before.note));
    assert_eq!(merge(Some(&gone), None), Change::Unchanged);
    let (back, turn) = updated(merge(Some(&gone), Some(&two_meet())));
    assert_eq!((turn, back.open, back.version), (Turn::Reopened, true, 6));
    assert_eq!((back.status, back.note), (OverlapStatus::Suspected, None));
}

#[test]
fn an_auditor_may_choose_any_status_with_a_note_while_the_finding_stands() {
    for from in OverlapStatus::ALL {
        for to in OverlapStatus::ALL {
            let before = Overlap { status: from, ..stored(two_meet()) };
            assert_eq!(resolve(&before, to, " \n"), Err(Unresolvable::NoteMissing));
            let after = resolve(&before, to, " agreed ").expect("legal").expect("a change");
            assert_eq!((after.status, after.note.as_deref(), after.version), (to, Some("agreed"), 5));
            assert_eq!(resolve(&after, to, "agreed"), Ok(None));
            assert!(resolve(&after, to, "otherwise").is_ok_and(|o| o.is_some()));
            let gone = Overlap { open: false, ..after };
            assert_eq!(resolve(&gone, to, "agreed"), Err(Unresolvable::Withdrawn));
        }
    }
}

#[test]
fn words_and_kinds_translate_both_ways() {
    for kind in OverlapKind::ALL {
        assert_eq!(OverlapKind::from_word(kind.word()), Some(kind));
    }
    for status in OverlapStatus::ALL {
        assert_eq!(OverlapStatus::from_word(status.word()), Some(status));
    }
    assert_eq!(OverlapKind::from_word("over_served"), None);
}
