//! Needs: `area_code,program,item,required,severity,period_start,period_end,allocated,delivered,external_id`.
//!
//! `allocated` and `delivered` are opening balances: what had been promised (what is delivered included)
//! and what had been delivered before Salur kept the books. A row whose `external_id` is known is an
//! update of that need, not a twin.

use super::ImportError;
use super::cells::{MAX_TEXT, period, quantity, quote};
use super::reference::{KnownItem, KnownNeed, Reference};
use super::report::{Account, Change, Report, Spot};
use super::source::SourceFile;
use super::table::{Sheet, SheetRow};
use crate::domain::area::AreaCode;
use crate::domain::calendar::Period;
use crate::domain::need::Severity;
use crate::domain::nik;
use crate::domain::quantity::Quantity;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedNeed {
    pub area_code: AreaCode,
    /// Shared by all needs of the item.
    pub program_key: Arc<str>,
    pub item_key: Arc<str>,
    pub required: Quantity,
    pub severity: Severity,
    pub period: Period,
    /// Promised before Salur, with what was delivered; `delivered <= allocated <= required`.
    pub allocated: Quantity,
    pub delivered: Quantity,
    pub external_id: Option<String>,
    pub change: Change,
    /// As in [`super::Note::row`], in the file at this place of the run.
    pub row: u64,
    pub file: usize,
}

/// In the order of the files and their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NeedPlan {
    pub needs: Vec<PlannedNeed>,
}

const REQUIRED: &[&str] = &["area_code", "program", "item", "required", "severity", "period_start", "period_end"];
const OPTIONAL: &[&str] = &["allocated", "delivered", "external_id"];

/// Plans an import of needs.
pub fn plan_needs(files: &[SourceFile], reference: &Reference) -> Result<(NeedPlan, Report), ImportError> {
    let mut account = Account::default();
    let mut needs: Vec<PlannedNeed> = Vec::new();
    let (mut ids, mut alike, mut keys) = (Firsts::default(), Firsts::default(), Keys::default());
    for file in files {
        let sheet = Sheet::open(file, REQUIRED, OPTIONAL)?;
        sheet.each_counted(&mut account, |account, spot, row| {
            let need = read(row, spot, reference, &mut keys)?;
            let spot_of = |at: usize| Spot { file: needs[at].file, row: needs[at].row };
            if let Some(id) = &need.external_id
                && let Some(first) = ids.first(id, needs.len(), |at| needs[at].external_id.as_ref() == Some(id))
            {
                return Err(format!("external_id {} is in {} already", quote(id), account.call(spot_of(first))));
            }
            let key = |need: &PlannedNeed| (need.area_code.clone(), need.item_key.clone(), need.period);
            let own = key(&need);
            if let Some(first) = alike.first(&own, needs.len(), |at| key(&needs[at]) == own) {
                let first = account.call(spot_of(first));
                account.note(spot, format!("same area, item and period as {first}; both are taken"));
            }
            account.report.unchanged += u64::from(need.change == Change::Same);
            needs.push(need);
            Ok(())
        });
    }
    account.report.records = needs.len() as u64;
    Ok((NeedPlan { needs }, account.finish()))
}

/// Where in a list each of very many different keys came first. The keys stay in the list: here is a digest of
/// each.
#[derive(Default)]
struct Firsts {
    digests: RandomState,
    first: HashMap<u64, usize>,
    /// Other keys with the digest of one that came before.
    others: Vec<usize>,
}

impl Firsts {
    /// Where the key came first, if it did before; `is_same` says whether it is the one at a place.
    fn first(&mut self, key: &impl Hash, at: usize, is_same: impl Fn(usize) -> bool) -> Option<usize> {
        match self.first.entry(self.digests.hash_one(key)) {
            Entry::Vacant(vacant) => {
                vacant.insert(at);
                None
            }
            Entry::Occupied(first) if is_same(*first.get()) => Some(*first.get()),
            Entry::Occupied(_) => {
                let first = self.others.iter().copied().find(|at| is_same(*at));
                if first.is_none() {
                    self.others.push(at);
                }
                first
            }
        }
    }
}

/// Keys of programs and items, each once for all the needs that name it.
#[derive(Default)]
struct Keys(HashMap<String, [Arc<str>; 2]>);

impl Keys {
    fn of(&mut self, item: &KnownItem) -> [Arc<str>; 2] {
        if let Some(keys) = self.0.get(&item.key) {
            return keys.clone();
        }
        let keys = [Arc::from(item.program_key.as_str()), Arc::from(item.key.as_str())];
        self.0.entry(item.key.clone()).or_insert(keys).clone()
    }
}

fn read(row: &SheetRow, spot: Spot, reference: &Reference, keys: &mut Keys) -> Result<PlannedNeed, String> {
    let area_code = known_area(row.get("area_code"), reference)?;
    let item = known_item(row.get("item"), reference)?;
    let program = row.get("program");
    if reference.program(program).is_none() {
        return Err(format!("no program {} is known; import programs first", quote(program)));
    }
    if item.program_key != program {
        return Err(format!("item {} belongs to program {}, not to {program}", item.key, item.program_key));
    }
    let required = sane_quantity(row.get("required"), "required", item)?;
    let opening = |column: &str| match row.get(column) {
        "" => Ok(Quantity::ZERO),
        cell => quantity(cell, column),
    };
    let (allocated, delivered) = (opening("allocated")?, opening("delivered")?);
    if allocated > required {
        return Err(format!("allocated {} is more than required {}", allocated.get(), required.get()));
    }
    if delivered > allocated {
        return Err(format!(
            "delivered {} is more than allocated {}; allocated includes what is delivered",
            delivered.get(),
            allocated.get()
        ));
    }
    let cell = row.get("severity");
    let severity = whole(cell).and_then(Severity::new);
    let severity = severity.ok_or_else(|| format!("severity {} is not 1, 2, 3, 4 or 5", quote(cell)))?;
    let period = period(row.get("period_start"), row.get("period_end"))?;
    let external_id = external_id(row)?;
    let [program_key, item_key] = keys.of(item);
    let mut need = PlannedNeed {
        area_code,
        program_key,
        item_key,
        required,
        severity,
        period,
        allocated,
        delivered,
        external_id,
        change: Change::New,
        row: spot.row,
        file: spot.file,
    };
    if let Some(known) = need.external_id.as_deref().and_then(|id| reference.need(id)) {
        need.change = update(&need, known)?;
    }
    Ok(need)
}

/// What a row does to the need it updates.
fn update(need: &PlannedNeed, known: &KnownNeed) -> Result<Change, String> {
    if need.area_code != known.area_code || *need.item_key != *known.item_key {
        return Err(format!(
            "external_id {} stands for item {} in {}; a need elsewhere or of another item takes an external_id of its own",
            quote(&known.external_id),
            known.item_key,
            known.area_code
        ));
    }
    let taken = need.allocated.checked_add(known.claimed);
    if taken.is_none_or(|taken| taken > need.required) {
        return Err(format!(
            "required {} would fall below what is taken: {} by this row and {} by claims",
            need.required.get(),
            need.allocated.get(),
            known.claimed.get()
        ));
    }
    let same = need.required == known.required
        && need.severity.get() == known.severity
        && need.period == known.period
        && need.allocated == known.allocated
        && need.delivered == known.delivered;
    Ok(if same { Change::Same } else { Change::Changed })
}

fn whole(cell: &str) -> Option<i64> {
    if cell.len() == 1 && cell.bytes().all(|b| b.is_ascii_digit()) { cell.parse().ok() } else { None }
}

/// The standing area with this dotted code.
pub(super) fn known_area(cell: &str, reference: &Reference) -> Result<AreaCode, String> {
    if cell.is_empty() {
        return Err("area_code is empty".into());
    }
    let code: AreaCode = cell.parse().map_err(|e| format!("area_code {}: {e}", quote(cell)))?;
    match reference.knows(&code) {
        true => Ok(code),
        false => Err(format!("no area {code} is known; import areas of level {} first", code.level().word())),
    }
}

pub(super) fn known_item<'a>(cell: &str, reference: &'a Reference) -> Result<&'a KnownItem, String> {
    reference.item(cell).ok_or_else(|| format!("no item {} is known; import programs first", quote(cell)))
}

/// The most units of goods or services that one row may speak of: more than three for every inhabitant
/// of the country. Money is bounded by [`Quantity`] alone.
const MAX_UNITS: i64 = 1_000_000_000;

/// A quantity above zero that can be meant.
pub(super) fn sane_quantity(cell: &str, column: &str, item: &KnownItem) -> Result<Quantity, String> {
    use crate::domain::program::ItemKind;
    let quantity = quantity(cell, column)?;
    if quantity.is_zero() {
        return Err(format!("{column} is 0; leave the row out if there is nothing"));
    }
    if quantity.get() > MAX_UNITS && item.kind != ItemKind::Capital {
        let (n, unit) = (quantity.get(), &item.unit);
        return Err(format!("{column} {n} {unit} is more than three for everybody in the country; is it a slip?"));
    }
    Ok(quantity)
}

pub(super) fn external_id(row: &SheetRow) -> Result<Option<String>, String> {
    match row.get("external_id") {
        "" => Ok(None),
        id if id.chars().count() > MAX_TEXT || id.chars().any(char::is_control) => {
            Err(format!("external_id is longer than {MAX_TEXT} characters or holds a line break"))
        }
        id if nik::is_in(id) => Err(format!("external_id {}", nik::REFUSAL)),
        id => Ok(Some(id.to_owned())),
    }
}

/// Refuses the second row with one `external_id`; rows that were refused themselves do not count.
pub(super) fn once(
    id: Option<&str>,
    spot: Spot,
    seen: &mut HashMap<String, Spot>,
    account: &Account,
) -> Result<(), String> {
    let Some(id) = id else { return Ok(()) };
    match seen.get(id) {
        Some(first) => Err(format!("external_id {} is in {} already", quote(id), account.call(*first))),
        None => {
            seen.insert(id.to_owned(), spot);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Dice, file, with_items as reference};
    use super::*;

    const HEAD: &str =
        "area_code,program,item,required,severity,period_start,period_end,allocated,delivered,external_id\n";

    fn plan(rows: &str, reference: &Reference) -> (NeedPlan, Report) {
        plan_needs(&[file("n.csv", &(HEAD.to_owned() + rows))], reference).expect("a header")
    }

    fn standing(plan: &NeedPlan, claimed: i64) -> Reference {
        let needs = plan.needs.iter().filter_map(|n| {
            Some(KnownNeed {
                external_id: n.external_id.clone()?,
                area_code: n.area_code.clone(),
                item_key: n.item_key.to_string(),
                period: n.period,
                required: n.required,
                severity: n.severity.get(),
                allocated: n.allocated,
                delivered: n.delivered,
                claimed: Quantity::new(claimed).expect("in range"),
            })
        });
        reference().with_needs(needs)
    }

    const GOOD: &str = "31.71.01.1001.003,PANGAN,SEMBAKO,120,4,2020-11-01,2020-11-30,20,10,A-1\n";

    #[test]
    fn a_second_import_of_the_same_row_is_unchanged_and_a_new_quantity_an_update() {
        let (first, report) = plan(GOOD, &reference());
        assert_eq!((report.read, report.accepted, report.unchanged), (1, 1, 0));
        assert_eq!((first.needs[0].change, first.needs[0].row, first.needs[0].allocated.get()), (Change::New, 2, 20));
        let (_, report) = plan(GOOD, &standing(&first, 0));
        assert_eq!((report.accepted, report.unchanged), (1, 1));
        let (changed, report) = plan(&GOOD.replace("120", "130"), &standing(&first, 100));
        assert_eq!((report.unchanged, changed.needs[0].change), (0, Change::Changed));
        let (_, report) = plan(GOOD, &standing(&first, 101));
        assert!(report.rejected[0].reason.contains("fall below what is taken: 20 by this row and 101 by claims"));
        let (_, report) = plan(&GOOD.replace("PANGAN,SEMBAKO", "UMKM,MODAL"), &standing(&first, 0));
        assert!(report.rejected[0].reason.contains("external_id of its own"));
    }

    #[test]
    fn each_wrong_row_is_rejected_with_its_own_reason() {
        for (from, to, part) in [
            ("31.71.01.1001.003", "31.71.01.1001.004", "no area 31.71.01.1001.004 is known"),
            ("31.71.01.1001.003", "3171011001003", "an area code is written like"),
            ("31.71.01.1001.003", "", "area_code is empty"),
            ("SEMBAKO", "BERAS", "no item \"BERAS\""),
            ("PANGAN", "GIZI", "no program \"GIZI\""),
            ("PANGAN", "UMKM", "belongs to program PANGAN"),
            (",120,", ",1.200,", "separator"),
            (",120,", ",-120,", "negative"),
            (",120,", ",0,", "required is 0"),
            (",120,", ",2000000000,", "three for everybody"),
            (",120,", ",19,", "allocated 20 is more than required 19"),
            (",20,10,", ",9,10,", "delivered 10 is more than allocated 9"),
            (",4,", ",6,", "severity"),
            (",4,", ",,", "severity"),
            ("2020-11-30", "2020-10-30", "lies before"),
            ("2020-11-30", "30/11/2020", "YYYY-MM-DD"),
        ] {
            let (plan, report) = plan(&GOOD.replace(from, to), &reference());
            assert!(plan.needs.is_empty() && report.accepted == 0, "{to}");
            assert!(report.rejected[0].reason.contains(part), "{to}: {}", report.rejected[0].reason);
        }
    }

    #[test]
    fn money_may_be_large_and_a_doubled_external_id_names_the_first_row() {
        let rows = GOOD.to_owned() + GOOD + "31.71.01.1001,UMKM,MODAL,5000000000,1,2020-11-01,2020-11-30,,,\n";
        let (plan, report) = plan(&rows, &reference());
        assert_eq!((plan.needs.len(), report.accepted), (2, 2));
        assert_eq!(
            (report.rejected[0].row, report.rejected[0].reason.as_str()),
            (3, "external_id \"A-1\" is in row 2 already")
        );
        assert_eq!(plan.needs[1].external_id, None);
    }

    #[test]
    fn spoiled_files_never_panic_and_every_row_is_accounted_for() {
        let seed = 20201126;
        let mut dice = Dice(seed);
        let base = (HEAD.to_owned() + GOOD + &GOOD.replace("A-1", "A-2")).into_bytes();
        let reference = reference();
        for round in 0..3000 {
            let Ok(file) = SourceFile::new("n.csv", dice.spoil(&base)) else { continue };
            if let Ok((plan, report)) = plan_needs(&[file], &reference) {
                let accounted = report.accepted + report.rejected.len() as u64;
                assert_eq!(report.read, accounted, "seed {seed} round {round}");
                assert_eq!(plan.needs.len() as u64, report.accepted, "seed {seed} round {round}");
                assert!(plan.needs.iter().all(|n| n.delivered <= n.allocated && n.allocated <= n.required));
            }
        }
    }
}
