//! The schema as a table of types, for tests that are made from it.

use std::collections::BTreeMap;

use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
};

/// A field of an object.
pub struct Field {
    pub name: String,
    /// The type that it answers with, without its brackets.
    pub of: String,
    pub arguments: Vec<Argument>,
}

/// An argument of a field, or a field of an input.
pub struct Argument {
    pub name: String,
    pub ty: Type,
    /// Without it there is no answer.
    pub needed: bool,
}

#[derive(Default)]
pub struct Sdl {
    pub objects: BTreeMap<String, Vec<Field>>,
    /// Of unions and interfaces.
    pub cases: BTreeMap<String, Vec<String>>,
    pub inputs: BTreeMap<String, Vec<Argument>>,
    pub enums: BTreeMap<String, Vec<String>>,
}

fn named(ty: &Type) -> String {
    match &ty.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(inner) => named(inner),
    }
}

fn argument(of: &InputValueDefinition) -> Argument {
    let ty = of.ty.node.clone();
    let needed = !ty.nullable && of.default_value.is_none();
    Argument { name: of.name.node.to_string(), ty, needed }
}

impl Sdl {
    pub fn read() -> Sdl {
        let document = async_graphql::parser::parse_schema(salur::graphql::sdl()).expect("our own schema parses");
        let mut sdl = Sdl::default();
        for definition in document.definitions {
            let TypeSystemDefinition::Type(kind) = definition else { continue };
            let name = kind.node.name.node.to_string();
            match kind.node.kind {
                TypeKind::Object(object) => {
                    for interface in &object.implements {
                        sdl.cases.entry(interface.node.to_string()).or_default().push(name.clone());
                    }
                    let field = |f: &FieldDefinition| Field {
                        name: f.name.node.to_string(),
                        of: named(&f.ty.node),
                        arguments: f.arguments.iter().map(|a| argument(&a.node)).collect(),
                    };
                    sdl.objects.insert(name, object.fields.iter().map(|f| field(&f.node)).collect());
                }
                TypeKind::Union(union) => {
                    sdl.cases.insert(name, union.members.iter().map(|m| m.node.to_string()).collect());
                }
                TypeKind::InputObject(input) => {
                    sdl.inputs.insert(name, input.fields.iter().map(|f| argument(&f.node)).collect());
                }
                TypeKind::Enum(of) => {
                    sdl.enums.insert(name, of.values.iter().map(|v| v.node.value.node.to_string()).collect());
                }
                _ => {}
            }
        }
        sdl
    }
}
