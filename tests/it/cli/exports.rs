//! `salur export`: real files of the real program, read back as others read them.

use calamine::{Data, Reader, Xlsx};
use serde_json::{Value, json};

use super::{Home, salur};
use crate::harness::actors::{DEVICE, FOOD, RT_11, RT_12, Town, Who};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(what_is_exported_is_read_by_others_and_by_ourselves);

async fn what_is_exported_is_read_by_others_and_by_ourselves(db: TestDatabase) {
    let town = Town::new(db).await;
    let (one, two) = (town.need(RT_11, FOOD, 50).await, town.need(RT_12, DEVICE, 500_000_000).await);
    let claim = town.promises(Who::DonorA, &[(&one, 20), (&two, 3)], json!({})).await;
    town.delivers(Who::DonorA, &claim, &[(&claim["lines"][0]["id"], 15)]).await;
    let home = Home::new();
    let lines = |text: &str| text.lines().count();
    for (subject, count) in [("needs", 2), ("claims", 2), ("deliveries", 1), ("overlaps", 0), ("3w", 2)] {
        let header = if subject == "3w" { 2 } else { 1 };
        let run = salur(&home, &town.db, &["export", subject, "--format", "csv"]);
        assert_eq!((run.code, lines(&run.out)), (0, count + header), "{run:?}");
        let file = format!("{subject}.csv");
        salur(&home, &town.db, &["export", subject, "--out", &file]).ok();
        assert_eq!(home.read(&file), run.out, "the same in a file");
        salur(&home, &town.db, &["export", subject, "--format", "geojson", "--out", "table.geojson"]).ok();
        let geojson: Value = home.json("table.geojson");
        assert_eq!(geojson["features"].as_array().map(Vec::len), Some(count));
        salur(&home, &town.db, &["export", subject, "--format", "xlsx", "--out", "table.xlsx"]).ok();
        let mut book: Xlsx<_> = calamine::open_workbook(home.path("table.xlsx")).expect("a workbook");
        assert_eq!(book.sheet_names(), [subject, "about"]);
        let table = book.worksheet_range(subject).expect("the table");
        assert_eq!(table.height(), count + header);
        let about = book.worksheet_range("about").expect("what it is");
        let rows = about.rows().find(|row| row[0] == Data::String("rows".into())).expect("the number of rows");
        assert_eq!(rows[1], Data::String(count.to_string()));
        if subject == "needs" {
            assert_eq!(table.get((2, 3)), Some(&Data::Float(500_000_000.0)));
            assert_eq!(table.get((1, 0)), Some(&Data::String(RT_11.into())));
        }
    }
    let run = salur(&home, &town.db, &["import", "needs", "needs.csv", "--dry-run", "--report", "report.json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let report = home.json("report.json");
    assert_eq!((&report["read"], &report["accepted"]), (&json!(2), &json!(2)), "{report}");
    for (wrong, code) in [
        (&["export", "people"][..], 2),
        (&["export", "needs", "--format", "pdf"], 2),
        (&["export", "needs", "--area", "31.71.01.1009"], 1),
        (&["export", "needs", "--out", "no/such/directory/file.csv"], 1),
    ] {
        let run = salur(&home, &town.db, wrong);
        assert_eq!((run.code, lines(&run.err)), (code, 1), "{run:?}");
    }
    town.check_books().await;
}
