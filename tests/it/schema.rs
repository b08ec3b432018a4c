//! The printed schema is the committed one, and the contract's names are all in it.

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn the_committed_schema_is_the_one_that_the_code_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let committed = std::fs::read_to_string(path).expect("schema.graphql is committed");
    assert!(committed == salur::graphql::sdl(), "schema.graphql is stale: run `make bless` and read the difference");
}

/// What tells one shape of variables from another (`graphql/known.rs`) takes a word in capitals for an enum's.
#[test]
fn every_value_of_an_enum_is_a_word_in_capitals() {
    let schema = parse_schema(salur::graphql::sdl()).expect("our own schema parses");
    let mut values = 0;
    for definition in &schema.definitions {
        let TypeSystemDefinition::Type(kind) = definition else { continue };
        let TypeKind::Enum(kind) = &kind.node.kind else { continue };
        for value in &kind.values {
            let name = value.node.value.node.as_str();
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{name}");
            values += 1;
        }
    }
    assert!(values > 50, "only {values} values were read");
}

#[test]
fn every_name_of_the_contract_is_in_the_schema_with_the_same_type() {
    let shared =
        std::env::var("SALUR_SHARED").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let Ok(contract) = std::fs::read_to_string(Path::new(&shared).join("contract.graphql")) else {
        eprintln!("SKIPPED: {shared}/contract.graphql is not here, so the schema was not compared with the contract");
        return;
    };
    let wanted = facts(&contract);
    let ours = facts(&salur::graphql::sdl());
    assert!(wanted.len() > 250, "only {} facts were read from the contract", wanted.len());
    let missing: Vec<String> = wanted
        .iter()
        .filter(|(name, fact)| ours.get(*name) != Some(fact))
        .map(|(name, fact)| format!("{name}: contract says {fact:?}, schema {:?}", ours.get(name)))
        .collect();
    assert!(missing.is_empty(), "{} differences:\n{}", missing.len(), missing.join("\n"));
}

/// Everything a schema says, one line a fact: `Area.coverage(where)` is of type `NeedFilter`.
fn facts(sdl: &str) -> BTreeMap<String, String> {
    let document = parse_schema(sdl).expect("a schema that parses");
    let mut facts = BTreeMap::new();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let definition = definition.node;
        let name = definition.name.node.to_string();
        match definition.kind {
            TypeKind::Scalar => {
                facts.insert(name, "scalar".into());
            }
            TypeKind::Object(object) => {
                facts.insert(name.clone(), "type".into());
                for interface in &object.implements {
                    facts.insert(format!("{name} implements {}", interface.node), "yes".into());
                }
                fields(&mut facts, &name, object.fields.iter().map(|f| &f.node));
            }
            TypeKind::Interface(interface) => {
                facts.insert(name.clone(), "interface".into());
                fields(&mut facts, &name, interface.fields.iter().map(|f| &f.node));
            }
            TypeKind::Union(union) => {
                facts.insert(name.clone(), "union".into());
                for member in &union.members {
                    facts.insert(format!("{name} = {}", member.node), "member".into());
                }
            }
            TypeKind::Enum(values) => {
                facts.insert(name.clone(), "enum".into());
                for value in &values.values {
                    facts.insert(format!("{name}.{}", value.node.value.node), "value".into());
                }
            }
            TypeKind::InputObject(input) => {
                facts.insert(name.clone(), "input".into());
                for field in &input.fields {
                    value(&mut facts, format!("{name}.{}", field.node.name.node), &field.node);
                }
            }
        }
    }
    facts
}

fn fields<'a>(facts: &mut BTreeMap<String, String>, owner: &str, fields: impl Iterator<Item = &'a FieldDefinition>) {
    for field in fields {
        let name = format!("{owner}.{}", field.name.node);
        for argument in &field.arguments {
            value(facts, format!("{name}({})", argument.node.name.node), &argument.node);
        }
        facts.insert(name, field.ty.node.to_string());
    }
}

fn value(facts: &mut BTreeMap<String, String>, name: String, definition: &InputValueDefinition) {
    let default = definition.default_value.as_ref().map(|d| format!(" = {}", d.node)).unwrap_or_default();
    facts.insert(name, format!("{}{default}", definition.ty.node));
}
