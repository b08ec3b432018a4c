//! Programs of aid and their items: `program_key,program_name_id,program_name_en,item_key,item_name_id,
//! item_name_en,unit,kind`, one row per item, and where a program has one `first_right_hours`.

use super::ImportError;
use super::cells::{quote, text};
use super::reference::{KnownProgram, Reference};
use super::report::{Account, Change, Report, Spot};
use super::source::SourceFile;
use super::table::{Sheet, SheetRow};
use crate::domain::program::{ItemKind, Program};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedProgram {
    pub key: String,
    pub name_id: String,
    pub name_en: String,
    /// What stands, where the file says nothing.
    pub first_right_hours: i64,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedItem {
    pub program_key: String,
    pub key: String,
    pub name_id: String,
    pub name_en: String,
    pub unit: String,
    pub kind: ItemKind,
    pub change: Change,
    pub row: u64,
}

/// Both by key, ascending. Every item's program is in the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramPlan {
    pub programs: Vec<PlannedProgram>,
    pub items: Vec<PlannedItem>,
}

impl From<PlannedProgram> for KnownProgram {
    fn from(p: PlannedProgram) -> Self {
        KnownProgram { key: p.key, name_id: p.name_id, name_en: p.name_en, first_right_hours: p.first_right_hours }
    }
}

const COLUMNS: &[&str] =
    &["program_key", "program_name_id", "program_name_en", "item_key", "item_name_id", "item_name_en", "unit", "kind"];

const FIRST_RIGHT: &str = "first_right_hours";

/// Plans an import of programs and items. Programs that the files do not name stay as they are.
pub fn plan_programs(files: &[SourceFile], reference: &Reference) -> Result<(ProgramPlan, Report), ImportError> {
    let mut account = Account::default();
    let mut programs: BTreeMap<String, (PlannedProgram, Spot)> = BTreeMap::new();
    let mut items: BTreeMap<String, (PlannedItem, Spot)> = BTreeMap::new();
    for file in files {
        let sheet = Sheet::open(file, COLUMNS, &[FIRST_RIGHT])?;
        sheet.each_counted(&mut account, |account, spot, row| {
            let (program, item) = read(row, spot, reference)?;
            if let Some((first, at)) = programs.get(&program.key)
                && *first != program
            {
                let (key, at) = (&program.key, account.call(*at));
                return Err(format!("program {key} is described otherwise in {at}; say the same of it in every row"));
            }
            if let Some((_, at)) = items.get(&item.key) {
                return Err(format!(
                    "item {} is in {} already; item keys are unique over all programs",
                    item.key,
                    account.call(*at)
                ));
            }
            let same = program.change == Change::Same && item.change == Change::Same;
            account.report.unchanged += u64::from(same);
            programs.entry(program.key.clone()).or_insert((program, spot));
            items.insert(item.key.clone(), (item, spot));
            Ok(())
        });
    }
    account.report.records = items.len() as u64;
    let plan = ProgramPlan {
        programs: programs.into_values().map(|(program, _)| program).collect(),
        items: items.into_values().map(|(item, _)| item).collect(),
    };
    Ok((plan, account.finish()))
}

fn read(row: &SheetRow, spot: Spot, reference: &Reference) -> Result<(PlannedProgram, PlannedItem), String> {
    let (program_key, key) = (self::key(row, "program_key")?, self::key(row, "item_key")?);
    let cell = |column: &str| text(row.get(column), column);
    let kind = ItemKind::from_word(&row.get("kind").to_ascii_uppercase()).ok_or_else(|| {
        let words: Vec<&str> = ItemKind::ALL.iter().map(|k| k.word()).collect();
        format!("kind {} is none of {}", quote(row.get("kind")), words.join(", "))
    })?;
    let mut program = PlannedProgram {
        key: program_key.clone(),
        name_id: cell("program_name_id")?,
        name_en: cell("program_name_en")?,
        first_right_hours: 0,
        change: Change::New,
    };
    let hours = first_right(row)?;
    let mut item = PlannedItem {
        program_key,
        key,
        name_id: cell("item_name_id")?,
        name_en: cell("item_name_en")?,
        unit: cell("unit")?,
        kind,
        change: Change::New,
        row: spot.row,
    };
    if let Some(known) = reference.program(&program.key) {
        program.first_right_hours = known.first_right_hours;
        let same = known.name_id == program.name_id
            && known.name_en == program.name_en
            && hours.is_none_or(|hours| hours == known.first_right_hours);
        program.change = if same { Change::Same } else { Change::Changed };
    }
    program.first_right_hours = hours.unwrap_or(program.first_right_hours);
    if let Some(known) = reference.item(&item.key) {
        if known.program_key != item.program_key {
            return Err(format!(
                "item {} belongs to program {}; give this one another key",
                item.key, known.program_key
            ));
        }
        if known.unit != item.unit {
            return Err(format!(
                "item {} is counted in {} and the row says {}; quantities would change their meaning, so give it another key",
                item.key,
                quote(&known.unit),
                quote(&item.unit)
            ));
        }
        let same = known.name_id == item.name_id && known.name_en == item.name_en && known.kind == item.kind;
        item.change = if same { Change::Same } else { Change::Changed };
    }
    Ok((program, item))
}

fn first_right(row: &SheetRow) -> Result<Option<i64>, String> {
    let text = row.get(FIRST_RIGHT);
    let hours = text.parse().ok().filter(|hours| (0..=Program::MAX_FIRST_RIGHT_HOURS).contains(hours));
    match hours {
        None if !text.is_empty() => {
            let most = Program::MAX_FIRST_RIGHT_HOURS;
            Err(format!("{FIRST_RIGHT} {} is no whole number of hours from 0 to {most}", quote(text)))
        }
        hours => Ok(hours),
    }
}

fn key(row: &SheetRow, column: &str) -> Result<String, String> {
    let key = row.get(column);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if key.is_empty() || key.len() > 64 || !key.bytes().all(plain) {
        return Err(format!("{column} {} is not a key: 1 to 64 letters, digits, _ and -", quote(key)));
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::reference::KnownItem;
    use super::super::samples::file;
    use super::*;

    const HEAD: &str = "program_key,program_name_id,program_name_en,item_key,item_name_id,item_name_en,unit,kind\n";

    fn plan(rows: &str, reference: &Reference) -> (ProgramPlan, Report) {
        plan_programs(&[file("p.csv", &(HEAD.to_owned() + rows))], reference).expect("a header")
    }

    fn standing(plan: &ProgramPlan) -> Reference {
        let programs = plan.programs.iter().cloned().map(KnownProgram::from);
        let items = plan.items.iter().cloned().map(|i| KnownItem {
            program_key: i.program_key,
            key: i.key,
            name_id: i.name_id,
            name_en: i.name_en,
            unit: i.unit,
            kind: i.kind,
        });
        Reference::default().with_items(programs, items)
    }

    #[test]
    fn programs_that_stand_are_unchanged_and_a_new_name_is_a_change() {
        let rows = "PANGAN,Pangan,Food,SEMBAKO,Paket,Package,paket,FOOD\nPANGAN,Pangan,Food,BERAS,Beras,Rice,kg,food\n";
        let (first, report) = plan(rows, &Reference::default());
        assert_eq!((report.read, report.accepted, report.unchanged), (2, 2, 0));
        assert_eq!((first.programs.len(), first.items.len(), first.items[0].change), (1, 2, Change::New));
        let (again, report) = plan(rows, &standing(&first));
        assert_eq!((report.accepted, report.unchanged, again.programs[0].change), (2, 2, Change::Same));
        let (renamed, report) = plan(
            &rows.replace("Rice", "Rice, white").replace(",kg", "\",kg").replace("Beras,Rice", "Beras,\"Rice"),
            &standing(&first),
        );
        assert_eq!((report.unchanged, renamed.items[0].change), (1, Change::Changed));
    }

    #[test]
    fn a_first_right_is_what_the_file_says_and_else_what_stands() {
        let head = HEAD.trim_end().to_owned() + ",first_right_hours\n";
        let row = |item: &str, hours: &str| format!("PANGAN,Pangan,Food,{item},Beras,Rice,kg,FOOD,{hours}\n");
        let read = |rows: &str, reference: &Reference| {
            plan_programs(&[file("p.csv", &(head.clone() + rows))], reference).expect("a header")
        };
        let (plan, report) = read(&(row("BERAS", "48") + &row("GULA", "48")), &Reference::default());
        assert_eq!((report.accepted, plan.programs[0].first_right_hours), (2, 48));
        let stands = standing(&plan);
        for (hours, expected, change) in [("", 48, Change::Same), ("48", 48, Change::Same), ("0", 0, Change::Changed)] {
            let (plan, report) = read(&row("BERAS", hours), &stands);
            let program = &plan.programs[0];
            assert_eq!((program.first_right_hours, program.change, report.rejected.len()), (expected, change, 0));
        }
        let (without, _) = super::tests::plan("PANGAN,Pangan,Food,BERAS,Beras,Rice,kg,FOOD\n", &stands);
        assert_eq!((without.programs[0].first_right_hours, without.programs[0].change), (48, Change::Same));
        for (rows, reason) in [
            (row("BERAS", "-1"), "no whole number of hours from 0 to 8760"),
            (row("BERAS", "8761"), "no whole number of hours from 0 to 8760"),
            (row("BERAS", "two"), "first_right_hours \"two\""),
            (row("BERAS", "24") + &row("GULA", "48"), "described otherwise in row 2"),
        ] {
            let (_, report) = read(&rows, &stands);
            assert!(report.rejected.last().is_some_and(|n| n.reason.contains(reason)), "{:?}", report.rejected);
        }
    }

    #[test]
    fn the_programs_that_come_with_the_program_are_taken_in_full() {
        let seed = file("programs.csv", include_str!("../../seed/programs.csv"));
        let (plan, report) = plan_programs(&[seed], &Reference::default()).expect("a header");
        assert_eq!(report.rejected, []);
        assert!(plan.programs.iter().any(|p| p.key == "PANGAN") && plan.items.len() as u64 == report.read);
        let rules = file("rules.json", include_str!("../../seed/rules.json"));
        let rules = crate::import::read_rules(&rules, &standing(&plan)).expect("rules over these programs");
        assert!(!rules.is_empty());
    }

    #[test]
    fn each_wrong_row_is_named_and_the_others_stay() {
        let (first, _) = plan("PANGAN,Pangan,Food,BERAS,Beras,Rice,kg,FOOD\n", &Reference::default());
        let rows = "PANGAN,Pangan,Food,BERAS,Beras,Rice,ton,FOOD\n\
                    UMKM,Umkm,Business,BERAS,Beras,Rice,kg,FOOD\n\
                    UMKM,Umkm,Business,MODAL,Modal,Capital,rupiah,MONEY\n\
                    UMKM,Umkm,Business,KIOS,Kios,Stall,unit,FACILITY\n\
                    UMKM,Umkm,Firms,RAK,Rak,Shelf,unit,FACILITY\n\
                    UMKM,Umkm,Business,KIOS,Kios,Stall,unit,FACILITY\n\
                    UM KM,Umkm,Business,X,X,X,unit,FACILITY\n\
                    UMKM,,Business,Y,Y,Y,unit,FACILITY\n";
        let (plan, report) = plan(rows, &standing(&first));
        assert_eq!(plan.items.iter().map(|i| i.key.as_str()).collect::<Vec<_>>(), ["KIOS"]);
        let reasons: Vec<(u64, &str)> = report.rejected.iter().map(|n| (n.row, n.reason.as_str())).collect();
        let parts = [
            (2, "counted in \"kg\""),
            (3, "belongs to program PANGAN"),
            (4, "none of FOOD"),
            (6, "described otherwise in row 5"),
            (7, "in row 5 already"),
            (8, "not a key"),
            (9, "program_name_id is empty"),
        ];
        assert_eq!(reasons.len(), parts.len(), "{reasons:?}");
        for ((row, reason), (expected, part)) in reasons.iter().zip(parts) {
            assert!(*row == expected && reason.contains(part), "{row} {reason}");
        }
    }
}
