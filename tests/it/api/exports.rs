//! Tables as files, as people and machines fetch them: who is given which, what stands in them, and that
//! it is what the API says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::access::aid;
use crate::harness::actors::{DEVICE, FAR_RT, FAR_VILLAGE, FOOD, RT_11, RT_12, RT_21, Town, VILLAGE, Who};
use crate::harness::app::Reply;
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(
    a_file_is_given_to_whom_the_table_grants_it_and_holds_nothing_of_others,
    a_file_of_needs_says_what_the_map_says_to_the_same_eyes,
    everybody_learns_who_does_what_where_and_only_those_concerned_how_much,
    a_file_that_cannot_be_made_says_why,
);

const SUBJECTS: [&str; 5] = ["needs", "claims", "deliveries", "overlaps", "3w"];

async fn fetch(town: &Town, who: Who, file: &str) -> Reply {
    let bearer = town.key_of(who).map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|b| ("authorization", b.as_str())).collect();
    town.app.request("GET", &format!("/export/{file}"), &headers, "").await
}

/// The rows of a CSV file by column; those of HXL tags left out.
fn rows(reply: &Reply) -> Vec<BTreeMap<String, String>> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let mut reader = csv::Reader::from_reader(reply.body.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let records = reader.records().map(|r| r.expect("a record"));
    let named = |record: csv::StringRecord| {
        header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect::<BTreeMap<_, _>>()
    };
    records.map(named).filter(|row| !row.values().any(|cell| cell.starts_with("#org"))).collect()
}

fn sum(rows: &[BTreeMap<String, String>], column: &str) -> i64 {
    rows.iter().map(|row| row[column].parse::<i64>().expect("a number")).sum()
}

async fn a_file_is_given_to_whom_the_table_grants_it_and_holds_nothing_of_others(db: TestDatabase) {
    let town = Town::new(db).await;
    let near = aid(&town, Who::DonorA, RT_11, VILLAGE, None).await;
    let far = aid(&town, Who::DonorB, FAR_RT, FAR_VILLAGE, None).await;
    let mut seen = 0;
    for subject in SUBJECTS {
        for who in Who::ALL {
            let granted = match (subject, who) {
                ("needs" | "3w", _) => true,
                (_, Who::Anonymous) => false,
                ("overlaps", who) => matches!(who, Who::Officer | Who::FarOfficer | Who::Auditor | Who::Admin),
                _ => true,
            };
            let mut texts = String::new();
            for format in ["csv", "geojson", "xlsx"] {
                let reply = fetch(&town, who, &format!("{subject}.{format}")).await;
                let refused = if who == Who::Anonymous { (401, "UNAUTHENTICATED") } else { (403, "FORBIDDEN") };
                match granted {
                    true => {
                        assert_eq!(reply.status, 200, "{subject}.{format} for {who:?}: {}", reply.body);
                        let file = reply.header("content-disposition").unwrap_or_default();
                        assert!(file.starts_with(&format!("attachment; filename=\"salur-{subject}-")), "{file}");
                        assert_eq!(reply.header("cache-control"), Some("no-store"));
                    }
                    false => assert_eq!((reply.status, reply.code().as_str()), refused, "{subject} for {who:?}"),
                }
                if format != "xlsx" {
                    texts += &reply.body;
                }
            }
            let insiders = [[Who::DonorA, Who::Officer], [Who::DonorB, Who::FarOfficer]];
            for (records, insiders) in [&near, &far].into_iter().zip(insiders) {
                let inside = insiders.contains(&who) || matches!(who, Who::Auditor | Who::Admin);
                let ids: [&str; 4] = [&records.claim, &records.line, &records.delivery, &records.offer];
                for id in ids {
                    // Lines are the evidence of a finding, which its own officer sees.
                    let shown = texts.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == id);
                    assert!(inside || !shown, "{subject} tells {who:?} of {id}");
                    seen += u32::from(shown);
                }
                let claims = subject == "claims" && inside;
                assert!(!claims || texts.contains(&records.claim), "{subject} keeps {who:?}'s own from them");
            }
            assert!(!texts.contains("@donor.example"), "{subject} tells {who:?} of a person");
        }
    }
    assert!(seen > 20, "what is one's own is shown: {seen}");
    town.check_books().await;
}

async fn a_file_of_needs_says_what_the_map_says_to_the_same_eyes(db: TestDatabase) {
    let town = Town::new(db).await;
    for (area, item, required) in [(RT_11, FOOD, 3), (RT_12, FOOD, 40), (RT_21, DEVICE, 7), (FAR_RT, FOOD, 4)] {
        town.need(area, item, required).await;
    }
    let need = town.need(RT_12, DEVICE, 30).await;
    town.promises(Who::DonorA, &[(&need, 12)], json!({})).await;
    town.reports(RT_21, FOOD, 9, 2).await;
    let totals = "query($where: NeedFilter!) { needs(where: $where, first: 1) { totalCount }
        coverage(where: $where) { required allocated delivered unmet } }";
    for who in [Who::Anonymous, Who::DonorA, Who::Officer, Who::Auditor] {
        let all = rows(&fetch(&town, who, "needs.csv").await);
        let of_all = town.data(who, totals, json!({"where": {}})).await;
        assert_eq!(json!(all.len()), of_all["needs"]["totalCount"], "{who:?}");
        for (query, filter) in [
            ("item=paket", json!({"items": ["paket"]})),
            ("program=PENDIDIKAN", json!({"items": ["tablet"]})),
            (&format!("area={VILLAGE}&item=paket"), json!({"areaCode": VILLAGE, "items": ["paket"]})),
        ] {
            let told = town.data(who, totals, json!({"where": filter})).await;
            let part = rows(&fetch(&town, who, &format!("needs.csv?{query}")).await);
            assert_eq!(json!(part.len()), told["needs"]["totalCount"], "{who:?} {query}");
            for column in ["required", "allocated", "delivered", "unmet"] {
                assert_eq!(json!(sum(&part, column)), told["coverage"][column], "{who:?} {query} {column}");
            }
        }
        let geojson: Value = fetch(&town, who, "needs.geojson").await.json();
        assert_eq!(geojson["features"].as_array().map(Vec::len), Some(all.len()));
        assert_eq!(geojson["about"]["rows"], json!(all.len()));
        for feature in geojson["features"].as_array().expect("features") {
            assert_eq!(feature["geometry"]["type"], "Polygon", "{feature}");
        }
        let small = all.iter().any(|row| row["required"] == "3" || row["required"] == "4");
        assert_eq!(small, who != Who::Anonymous, "{who:?} is told of few");
    }
    town.check_books().await;
}

async fn everybody_learns_who_does_what_where_and_only_those_concerned_how_much(db: TestDatabase) {
    let town = Town::new(db).await;
    let (one, two, three) =
        (town.need(RT_11, FOOD, 50).await, town.need(RT_12, FOOD, 50).await, town.need(FAR_RT, FOOD, 50).await);
    let claim = town.promises(Who::DonorA, &[(&one, 20), (&two, 10)], json!({})).await;
    town.delivers(Who::DonorA, &claim, &[(&claim["lines"][0]["id"], 15)]).await;
    town.promises(Who::DonorB, &[(&three, 8)], json!({})).await;
    // Nothing is done by holding, nor by what was let go.
    town.holds(Who::DonorB, &[(&one, 5)], json!({})).await;
    let gone = town.promises(Who::DonorB, &[(&two, 5)], json!({})).await;
    // Nobody but those concerned learns that anything of a small need is taken.
    let few = town.need(RT_21, FOOD, 4).await;
    town.promises(Who::DonorB, &[(&few, 2)], json!({})).await;
    let release = "mutation($id: ID!) { releaseClaim(id: $id) { status } }";
    town.data(Who::DonorB, release, json!({"id": gone["id"]})).await;
    let said = |rows: &[BTreeMap<String, String>]| -> Vec<[String; 5]> {
        let of = |row: &BTreeMap<String, String>| {
            ["organization", "rw_code", "promised", "delivered", "households_reached"].map(|c| row[c].clone())
        };
        rows.iter().map(of).collect()
    };
    let row = |cells: [&str; 5]| cells.map(str::to_owned);
    let near = "31.71.01.1001.001";
    let (far, beside) = ("31.71.01.1002.001", "31.71.01.1001.002");
    let told_a = row(["Donor A", near, "30", "15", "15"]);
    let told_b = row(["Donor B", far, "8", "0", "0"]);
    let told_few = row(["Donor B", beside, "2", "0", "0"]);
    let (kept_a, kept_b) = (row(["Donor A", near, "", "", ""]), row(["Donor B", far, "", "", ""]));
    for (who, expected) in [
        (Who::Anonymous, vec![&kept_a, &kept_b]),
        (Who::PendingDonor, vec![&kept_a, &kept_b]),
        (Who::DonorA, vec![&told_a, &kept_b]),
        (Who::DonorB, vec![&kept_a, &told_few, &told_b]),
        (Who::Officer, vec![&told_a, &told_few, &kept_b]),
        (Who::Auditor, vec![&told_a, &told_few, &told_b]),
    ] {
        let reply = fetch(&town, who, "3w.csv").await;
        assert_eq!(said(&rows(&reply)).iter().collect::<Vec<_>>(), expected, "{who:?}");
        let tags = reply.body.lines().nth(1).unwrap_or_default();
        for tag in ["#org+name", "#sector", "#adm4+code", "#adm5+code", "#reached+hh"] {
            assert!(tags.split(',').any(|t| t == tag), "{tags}");
        }
    }
    town.check_books().await;
}

async fn a_file_that_cannot_be_made_says_why(db: TestDatabase) {
    let town = Town::new(db).await;
    for (file, status, code) in [
        ("people.csv", 404, "NOT_FOUND"),
        ("needs.pdf", 404, "NOT_FOUND"),
        ("needs", 404, "NOT_FOUND"),
        ("needs.csv?area=31.71.01.1009", 404, "NOT_FOUND"),
        ("needs.csv?area=abc", 400, "BAD_INPUT"),
        ("needs.csv?item=emas", 400, "BAD_INPUT"),
        ("needs.csv?program=EMAS", 400, "BAD_INPUT"),
        ("needs.csv?limit=10", 400, "BAD_INPUT"),
    ] {
        let reply = fetch(&town, Who::Auditor, file).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{file}: {}", reply.body);
    }
    let headers = |pairs: &[(&'static str, &'static str)]| pairs.to_vec();
    for (headers, status) in [
        (headers(&[("authorization", "Bearer slr_wrong")]), 401),
        (headers(&[("authorization", "Bearer x"), ("cookie", "__Host-salur=y")]), 400),
        (headers(&[("cookie", "__Host-salur=y"), ("sec-fetch-site", "cross-site")]), 403),
        // A session that is over is nobody's.
        (headers(&[("cookie", "__Host-salur=y"), ("sec-fetch-site", "same-origin")]), 401),
    ] {
        let reply = town.app.request("GET", "/export/claims.csv", &headers, "").await;
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.body);
    }
    town.check_books().await;
}
