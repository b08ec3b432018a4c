//! Overlap rules: which aid may meet and which may not, as written and dated by their owner.
//!
//! A JSON list of `{"kind": "exclusive"|"permitted", "programs": [..], "items": [..], "owner": "..",
//! "reason_id": "..", "reason_en": "..", "valid_from": "YYYY-MM-DD", "valid_until": null}`. The list
//! is taken as a whole or not at all: half a set of rules is another set of rules.

use super::ImportError;
use super::cells::{quote, text};
use super::reference::Reference;
use super::source::SourceFile;
use crate::domain::calendar::Day;
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Two of these do not go to one area in one period.
    Exclusive,
    /// These may meet.
    Permitted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRule {
    pub kind: RuleKind,
    /// Keys, ascending. An empty list stands for none, never for all; one of the two is not empty.
    pub programs: Vec<String>,
    pub items: Vec<String>,
    /// Whose rule it is.
    pub owner: String,
    pub reason_id: String,
    pub reason_en: String,
    pub valid_from: Day,
    /// The last day; `None`: until further notice.
    pub valid_until: Option<Day>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: RuleKind,
    #[serde(default)]
    programs: Vec<String>,
    #[serde(default)]
    items: Vec<String>,
    owner: String,
    reason_id: String,
    reason_en: String,
    valid_from: String,
    valid_until: Option<String>,
}

/// The rules of a file, in its order. The first wrong one refuses the file.
pub fn read_rules(file: &SourceFile, reference: &Reference) -> Result<Vec<PlannedRule>, ImportError> {
    let written: Vec<Written> = serde_json::from_str(file.text()?)
        .map_err(|e| file.refuse(format!("is not a JSON list of overlap rules: {e}")))?;
    let numbered = written.into_iter().enumerate();
    numbered
        .map(|(at, rule)| check(rule, reference).map_err(|e| file.refuse(format!("rule {}: {e}", at + 1))))
        .collect()
}

fn check(rule: Written, reference: &Reference) -> Result<PlannedRule, String> {
    let programs = keys(rule.programs, "program", |key| reference.program(key).is_some())?;
    let items = keys(rule.items, "item", |key| reference.item(key).is_some())?;
    let named = programs.len() + items.len();
    if named == 0 {
        return Err("names neither programs nor items; an empty list does not mean all".into());
    }
    if rule.kind == RuleKind::Exclusive && named < 2 {
        return Err("is exclusive and names one program or item; it takes two to exclude each other".into());
    }
    let day = |text: &str, field: &str| text.parse::<Day>().map_err(|e| format!("{field} {}: {e}", quote(text)));
    let valid_from = day(&rule.valid_from, "valid_from")?;
    let valid_until = rule.valid_until.as_deref().map(|text| day(text, "valid_until")).transpose()?;
    if let Some(until) = valid_until.filter(|until| *until < valid_from) {
        return Err(format!("valid_until {until} lies before valid_from {valid_from}"));
    }
    Ok(PlannedRule {
        kind: rule.kind,
        programs,
        items,
        owner: text(&rule.owner, "owner")?,
        reason_id: reason(&rule.reason_id, "reason_id")?,
        reason_en: reason(&rule.reason_en, "reason_en")?,
        valid_from,
        valid_until,
    })
}

fn keys(keys: Vec<String>, word: &str, known: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let count = keys.len();
    if let Some(unknown) = keys.iter().find(|key| !known(key)) {
        return Err(format!("no {word} {} is known; import programs first", quote(unknown)));
    }
    let keys: BTreeSet<String> = keys.into_iter().collect();
    if keys.len() < count {
        return Err(format!("names one {word} twice"));
    }
    Ok(keys.into_iter().collect())
}

/// The most characters of a rule's reason.
const MAX_REASON: usize = 2000;

fn reason(text: &str, field: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_REASON {
        return Err(format!("{field} is empty or longer than {MAX_REASON} characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{file, with_items};
    use super::*;

    const GOOD: &str = r#"[{"kind":"exclusive","programs":["UMKM","PANGAN"],"owner":"Dinas","reason_id":"a","reason_en":"b",
        "valid_from":"2020-06-01","valid_until":null}]"#;

    #[test]
    fn a_rule_is_read_with_its_keys_in_order_and_its_dates() {
        let rules = read_rules(&file("r.json", GOOD), &with_items()).expect("a good rule");
        assert_eq!(
            (rules[0].kind, rules[0].programs.join(" "), rules[0].valid_until),
            (RuleKind::Exclusive, "PANGAN UMKM".into(), None)
        );
        assert!(rules[0].items.is_empty());
    }

    #[test]
    fn a_wrong_rule_refuses_the_file_and_is_named() {
        for (from, to, part) in [
            ("exclusive", "forbidden", "not a JSON list"),
            (r#""UMKM","PANGAN""#, "", "does not mean all"),
            (r#""UMKM","PANGAN""#, r#""UMKM""#, "it takes two"),
            (r#""UMKM","PANGAN""#, r#""UMKM","X""#, "no program \"X\""),
            (r#""UMKM","PANGAN""#, r#""UMKM","UMKM""#, "twice"),
            ("Dinas", " ", "owner is empty"),
            (r#""reason_en":"b""#, r#""reason_en":"""#, "reason_en is empty"),
            ("2020-06-01", "01/06/2020", "valid_from"),
            ("null", "\"2020-05-31\"", "lies before"),
            ("owner", "owned_by", "not a JSON list"),
        ] {
            let refusal =
                read_rules(&file("r.json", &GOOD.replace(from, to)), &with_items()).expect_err(to).to_string();
            assert!(refusal.contains(part), "{to}: {refusal}");
        }
        let refusal =
            read_rules(&file("r.json", &GOOD.replace("2020-06-01", "x")), &with_items()).expect_err("x").to_string();
        assert!(refusal.starts_with("r.json: rule 1:"), "{refusal}");
    }
}
