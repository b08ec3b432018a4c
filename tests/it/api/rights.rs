//! Who may do and see what, made from the schema: every field of a root by everybody, and every field
//! of every record by everybody, on a record of their own, on somebody else's, and on none. Two
//! organisations are each other's mirror image; nothing that one is answered may hold what is the
//! other's alone.

use std::collections::BTreeSet;

use async_graphql::parser::types::{BaseType, Type};
use salur::domain::organization::{Document, DocumentKind};
use salur::service::access::{Grantee, TABLE};
use salur::store::AddDocument;
use serde_json::{Value, json};

use super::access::{Records, aid};
use crate::harness::actors::{FAR_RT, FAR_VILLAGE, RT_11, Town, VILLAGE, Who};
use crate::harness::app::code_of;
use crate::harness::database::TestDatabase;
use crate::harness::sdl::{Field, Sdl};
use crate::on_both_databases;

on_both_databases!(
    every_field_of_a_root_is_refused_to_whom_the_table_does_not_grant_it,
    nobody_is_answered_what_is_somebody_elses_by_any_field_of_any_record,
);

/// Writes documents that ask for all of the schema.
trait Asks {
    fn value(&self, ty: &Type, name: &str) -> String;
    fn call(&self, field: &Field, deep: u32) -> String;
    fn selection(&self, of: &str, deep: u32) -> String;
}

impl Asks for Sdl {
    /// A value that a field takes, as it is written in a document.
    fn value(&self, ty: &Type, name: &str) -> String {
        match &ty.base {
            BaseType::List(inner) => format!("[{}]", self.value(inner, name)),
            BaseType::Named(of) => match of.as_str() {
                "ID" => format!("\"{}\"", missing_id(name)),
                "Int" | "Quantity" => "1".into(),
                "Float" => "1.5".into(),
                "Boolean" => "true".into(),
                "Date" => "\"2021-01-01\"".into(),
                "Version" => "\"v1\"".into(),
                "String" => string_of(name).into(),
                of => match (self.enums.get(of), self.inputs.get(of)) {
                    (Some(cases), _) => cases[0].clone(),
                    (None, Some(fields)) => {
                        let needed = fields.iter().filter(|field| field.needed);
                        let written = needed.map(|of| format!("{}: {}", of.name, self.value(&of.ty, &of.name)));
                        format!("{{{}}}", written.collect::<Vec<_>>().join(", "))
                    }
                    (None, None) => panic!("{name}: no value of {of} is known here"),
                },
            },
        }
    }

    /// The field with the arguments that it needs, and `deep` levels of what it answers with.
    fn call(&self, field: &Field, deep: u32) -> String {
        let needed = field.arguments.iter().filter(|argument| argument.needed);
        let written: Vec<String> = needed.map(|of| format!("{}: {}", of.name, self.value(&of.ty, &of.name))).collect();
        let arguments = if written.is_empty() { String::new() } else { format!("({})", written.join(", ")) };
        format!("{}{arguments}{}", field.name, self.selection(&field.of, deep))
    }

    /// Everything of a type, `deep` levels down.
    fn selection(&self, of: &str, deep: u32) -> String {
        if let Some(cases) = self.cases.get(of) {
            let each = cases.iter().map(|case| format!("... on {case} {}", self.selection(case, deep)));
            return format!(" {{ __typename {} }}", each.collect::<Vec<_>>().join(" "));
        }
        let Some(fields) = self.objects.get(of) else { return String::new() };
        let plain = |f: &&Field| !self.objects.contains_key(&f.of) && !self.cases.contains_key(&f.of);
        let shown =
            fields.iter().filter(|f| (deep > 0 || plain(f)) && !f.arguments.iter().any(|argument| argument.needed));
        let written: Vec<String> = shown.map(|f| self.call(f, deep.saturating_sub(1))).collect();
        format!(" {{ __typename {} }}", written.join(" "))
    }
}

fn missing_id(name: &str) -> &'static str {
    match name {
        "needId" | "ids" => "need-4000000",
        "claimId" => "claim-4000000",
        "claimLineId" => "line-4000000",
        "organizationId" => "organization-4000000",
        _ => "claim-4000000",
    }
}

fn string_of(name: &str) -> &'static str {
    match name {
        "code" | "areaCode" => "\"31.71.01.1009\"",
        "email" => "\"tidak@ada.example\"",
        "password" | "newPassword" => "\"kuda baterai staples benar\"",
        _ => "\"x\"",
    }
}

/// Whether the table grants it to one of the town's people.
pub fn granted(name: &str, who: Who) -> bool {
    use salur::domain::actor::Role;
    let role = match who {
        Who::Anonymous => None,
        Who::DonorA | Who::DonorB | Who::PendingDonor => Some(Role::Donor),
        Who::Aggregator => Some(Role::Aggregator),
        Who::Officer | Who::FarOfficer => Some(Role::AreaOfficer),
        Who::Auditor => Some(Role::Auditor),
        Who::Admin => Some(Role::Admin),
    };
    let row = TABLE.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} has no line in the table"));
    row.grants.iter().any(|(to, _)| match to {
        Grantee::Everyone => true,
        Grantee::SignedIn => role.is_some(),
        Grantee::Manager => false,
        Grantee::Is(wanted) => role == Some(*wanted),
    })
}

/// These come with a session alone, and the town's people come with keys.
pub fn is_for_people(name: &str) -> bool {
    TABLE.iter().any(|row| row.name == name && row.by == salur::service::access::By::SessionAlone)
}

async fn every_field_of_a_root_is_refused_to_whom_the_table_does_not_grant_it(db: TestDatabase) {
    let town = Town::new(db).await;
    let sdl = Sdl::read();
    let mut cells = 0;
    for (root, keyword) in [("Query", "query"), ("Mutation", "mutation")] {
        for field in &sdl.objects[root] {
            let document = format!("{keyword} {{ {} }}", sdl.call(field, 0));
            for who in Who::ALL {
                let code = code_of(&town.ask(who, &document, json!({})).await);
                let refused = matches!(code.as_str(), "UNAUTHENTICATED" | "FORBIDDEN");
                match granted(&field.name, who) && !is_for_people(&field.name) {
                    // A pending organisation, or one whose role reaches nothing of this, is refused further in.
                    true if refused => {
                        let in_vain = matches!(who, Who::PendingDonor) || field.name == "signIn";
                        assert!(in_vain, "{} by {who:?}: {code} ({document})", field.name);
                    }
                    true => assert_ne!(code, "INTERNAL", "{} by {who:?}", field.name),
                    false => {
                        let expected = if who == Who::Anonymous { "UNAUTHENTICATED" } else { "FORBIDDEN" };
                        assert_eq!(code, expected, "{} by {who:?} ({document})", field.name);
                    }
                }
                cells += 1;
            }
        }
    }
    // Several at once: one that is refused lets none of the others through.
    let mixed = "mutation { a: signOut b: approveOrganization(id: \"organization-1\") { id } }";
    assert_eq!(town.data(Who::Admin, "{ __typename }", json!({})).await["__typename"], "Query");
    assert_eq!(town.ask(Who::DonorA, mixed, json!({})).await["data"], Value::Null);
    println!("{cells} cells");
    town.check_books().await;
}

/// What belongs to one side alone: the ids of its records, its people's addresses, its papers.
fn secrets(of: &Records, more: &[&str]) -> BTreeSet<String> {
    let ids = [&of.offer, &of.claim, &of.line, &of.delivery].map(|id| format!("\"{id}\""));
    ids.into_iter().chain(more.iter().map(|text| (*text).to_owned())).collect()
}

async fn nobody_is_answered_what_is_somebody_elses_by_any_field_of_any_record(db: TestDatabase) {
    let town = Town::new(db).await;
    let near = aid(&town, Who::DonorA, RT_11, VILLAGE, None).await;
    let far = aid(&town, Who::DonorB, FAR_RT, FAR_VILLAGE, None).await;
    for (organization, number) in town.organizations.into_iter().zip(["DOK-A", "DOK-B"]) {
        let document = Document {
            kind: DocumentKind::Nib,
            number: number.into(),
            issuer: "OSS".into(),
            valid_from: None,
            valid_until: None,
            area: None,
        };
        town.store().execute(AddDocument { author: None, organization, document }).await.expect("a paper is taken");
    }
    let sides = [
        (&near, secrets(&near, &["a@donor.example", "DOK-A"]), town.organizations[0].to_string()),
        (&far, secrets(&far, &["b@donor.example", "DOK-B"]), town.organizations[1].to_string()),
    ];
    // Who may see what is one side's alone: the side itself, its area's officer, and those who read all.
    let insiders = [[Who::DonorA, Who::Officer], [Who::DonorB, Who::FarOfficer]];
    let sdl = Sdl::read();
    let nodes: Vec<String> = sdl.cases["Node"].clone();
    let missing = Records::missing();
    let (mut cells, mut seen_own) = (0, 0);
    for who in Who::ALL {
        let hidden: Vec<&String> = sides
            .iter()
            .zip(insiders)
            .filter(|(_, insiders)| !insiders.contains(&who) && !matches!(who, Who::Auditor | Who::Admin))
            .flat_map(|((_, secrets, _), _)| secrets)
            .collect();
        let check = |what: &str, answer: &Value, sent: &str| {
            // What was asked for by its id is not news.
            let text = answer.to_string().replace(&format!("\"{sent}\""), "\"SENT\"");
            for secret in &hidden {
                assert!(!text.contains(*secret), "{who:?} is told {secret} by {what}: {text}");
            }
        };
        for ty in &nodes {
            for field in &sdl.objects[ty] {
                if field.arguments.iter().any(|argument| argument.needed) {
                    continue;
                }
                let document =
                    format!("query($id: ID!) {{ node(id: $id) {{ ... on {ty} {{ {} }} }} }}", sdl.call(field, 2));
                let of = |records: &Records, organization: &str| match ty.as_str() {
                    "Area" => town.areas.get(&records.area).map_or("area-4000000".into(), |id| id.to_string()),
                    "Need" => records.need.clone(),
                    "Organization" => organization.to_owned(),
                    "Offer" => records.offer.clone(),
                    "Claim" => records.claim.clone(),
                    "ClaimLine" => records.line.clone(),
                    "Delivery" => records.delivery.clone(),
                    "Overlap" => records.overlap.clone(),
                    _ => format!("{}-1", ty.to_lowercase()),
                };
                let none = town.ask(who, &document, json!({"id": of(&missing, "organization-4000000")})).await;
                for (side, (records, _, organization)) in sides.iter().enumerate() {
                    let id = of(records, organization);
                    let answer = town.ask(who, &document, json!({"id": id})).await;
                    let inside = insiders[side].contains(&who) || matches!(who, Who::Auditor | Who::Admin);
                    assert_ne!(code_of(&answer), "INTERNAL", "{ty}.{} by {who:?}: {answer}", field.name);
                    check(&format!("{ty}.{}", field.name), &answer, &id);
                    let private = matches!(ty.as_str(), "Offer" | "Claim" | "ClaimLine" | "Delivery");
                    let officers_offer = ty == "Offer" && matches!(who, Who::Officer | Who::FarOfficer);
                    if private && (!inside || officers_offer) {
                        assert_eq!(answer["data"], none["data"], "{ty}.{} by {who:?} is not as missing", field.name);
                        assert_eq!(answer["errors"], none["errors"], "{ty}.{} by {who:?}", field.name);
                    } else if private {
                        assert!(!answer["data"]["node"].is_null(), "{ty}.{} by {who:?}: {answer}", field.name);
                        seen_own += 1;
                    }
                    cells += 1;
                }
            }
        }
        for field in &sdl.objects["Query"] {
            if granted(&field.name, who) && field.name != "node" {
                let answer = town.ask(who, &format!("{{ {} }}", sdl.call(field, 2)), json!({})).await;
                assert_ne!(code_of(&answer), "INTERNAL", "{} by {who:?}: {answer}", field.name);
                check(&field.name, &answer, "");
                cells += 1;
            }
        }
    }
    assert!(seen_own > 100, "what is one's own is shown: {seen_own}");
    println!("{cells} cells, {seen_own} of them show what is the caller's own");
    town.check_books().await;
}
