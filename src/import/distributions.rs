//! Aid given outside Salur, for the overlap audit:
//! `external_id,organization,area_code,item,quantity,period_start,period_end`.

use super::ImportError;
use super::cells::{period, quote, text};
use super::needs::{external_id, known_area, known_item, once, sane_quantity};
use super::reference::Reference;
use super::report::{Account, Change, Report, Spot};
use super::source::SourceFile;
use super::table::{Sheet, SheetRow};
use crate::domain::area::AreaCode;
use crate::domain::calendar::Period;
use crate::domain::quantity::Quantity;
use std::collections::HashMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDistribution {
    /// Unique within the source.
    pub external_id: String,
    /// The giver's name as the file writes it.
    pub organization: String,
    pub area_code: AreaCode,
    pub item_key: String,
    pub quantity: Quantity,
    pub period: Period,
    pub change: Change,
    pub row: u64,
    pub file: usize,
}

/// In the order of the files and their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DistributionPlan {
    pub distributions: Vec<PlannedDistribution>,
}

const COLUMNS: &[&str] =
    &["external_id", "organization", "area_code", "item", "quantity", "period_start", "period_end"];

/// Plans an import of one source's distributions; `reference` holds those that stand of that source.
pub fn plan_distributions(
    files: &[SourceFile],
    reference: &Reference,
) -> Result<(DistributionPlan, Report), ImportError> {
    let mut account = Account::default();
    let mut distributions = Vec::new();
    let mut seen: HashMap<String, Spot> = HashMap::new();
    let mut alike: HashMap<(String, AreaCode, String, Quantity, Period), Spot> = HashMap::new();
    for file in files {
        let sheet = Sheet::open(file, COLUMNS, &[])?;
        sheet.each_counted(&mut account, |account, spot, row| {
            let given = read(row, spot, reference)?;
            once(Some(&given.external_id), spot, &mut seen, account)?;
            let PlannedDistribution { organization, area_code, item_key, quantity, period, .. } = given.clone();
            let key = (organization, area_code, item_key, quantity, period);
            if let Some(first) = alike.get(&key) {
                let first = account.call(*first);
                account
                    .note(spot, format!("equal to {first} but for its external_id; is it there twice? Both are taken"));
            } else {
                alike.insert(key, spot);
            }
            account.report.unchanged += u64::from(given.change == Change::Same);
            distributions.push(given);
            Ok(())
        });
    }
    account.report.records = distributions.len() as u64;
    Ok((DistributionPlan { distributions }, account.finish()))
}

fn read(row: &SheetRow, spot: Spot, reference: &Reference) -> Result<PlannedDistribution, String> {
    let external_id = external_id(row)?.ok_or("external_id is empty; without it a second import would be a twin")?;
    let item = known_item(row.get("item"), reference)?;
    let mut given = PlannedDistribution {
        external_id,
        organization: text(row.get("organization"), "organization")?,
        area_code: known_area(row.get("area_code"), reference)?,
        item_key: item.key.clone(),
        quantity: sane_quantity(row.get("quantity"), "quantity", item)?,
        period: period(row.get("period_start"), row.get("period_end"))?,
        change: Change::New,
        row: spot.row,
        file: spot.file,
    };
    if let Some(known) = reference.distribution(&given.external_id) {
        let same = known.organization == given.organization
            && known.area_code == given.area_code
            && known.item_key == given.item_key
            && known.quantity == given.quantity
            && known.period == given.period;
        given.change = if same { Change::Same } else { Change::Changed };
    }
    if given.organization.chars().all(|c| !c.is_alphanumeric()) {
        return Err(format!("organization {} is no name", quote(&given.organization)));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::super::reference::KnownDistribution;
    use super::super::samples::{file, with_items};
    use super::*;

    const HEAD: &str = "external_id,organization,area_code,item,quantity,period_start,period_end\n";
    const GOOD: &str = "B-1,PMI,31.71.01.1001,SEMBAKO,50,2020-11-01,2020-11-30\n";

    fn plan(rows: &str, reference: &Reference) -> (DistributionPlan, Report) {
        plan_distributions(&[file("d.csv", &(HEAD.to_owned() + rows))], reference).expect("a header")
    }

    #[test]
    fn what_stands_is_unchanged_and_rows_equal_but_for_their_id_are_pointed_out() {
        let (first, _) = plan(GOOD, &with_items());
        let stands = first.distributions.iter().cloned().map(|d| KnownDistribution {
            external_id: d.external_id,
            organization: d.organization,
            area_code: d.area_code,
            item_key: d.item_key,
            quantity: d.quantity,
            period: d.period,
        });
        let reference = with_items().with_distributions(stands);
        let (again, report) = plan(&(GOOD.to_owned() + &GOOD.replace("B-1", "B-2")), &reference);
        assert_eq!((report.accepted, report.unchanged), (2, 1));
        assert_eq!((again.distributions[0].change, again.distributions[1].change), (Change::Same, Change::New));
        assert!(report.notes[0].row == 3 && report.notes[0].reason.contains("equal to row 2"));
    }

    #[test]
    fn each_wrong_row_is_rejected_with_its_own_reason() {
        for (from, to, part) in [
            ("B-1", "", "external_id is empty"),
            ("PMI", "", "organization is empty"),
            ("PMI", "-", "no name"),
            ("31.71.01.1001", "31.71.01.1009", "no area"),
            ("SEMBAKO", "X", "no item"),
            (",50,", ",-50,", "negative"),
            (",50,", ",0,", "quantity is 0"),
            (",50,", ",99999999999,", "three for everybody"),
            ("2020-11-30", "2020-10-30", "lies before"),
        ] {
            let (plan, report) = plan(&GOOD.replace(from, to), &with_items());
            assert!(plan.distributions.is_empty(), "{to}");
            assert!(report.rejected[0].reason.contains(part), "{to}: {}", report.rejected[0].reason);
        }
    }
}
