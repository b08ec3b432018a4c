//! Whether all sides give the same answers.

use super::Outcome;
use super::graphile::Graphile;
use super::ours::Ours;
use super::plain::{Caller, Way};
use super::questions::{Kind, Question};
use super::town::Town;
use serde_json::{Value, json};

/// Questions of each kind that are compared.
const COMPARED: usize = 100;

/// Two needs whose metres differ by less than this part may change places: PostGIS measures on its own sphere.
const ALIKE: f64 = 1e-4;

type Rows = Vec<Vec<Value>>;

/// Fails at the first question that two sides answer differently.
pub async fn check(town: &Town, ours: &Ours, graphile: &Graphile, questions: &[(Kind, Vec<Question>)]) -> Outcome<()> {
    let (mut ours, mut graphile) = (ours.caller().await?, graphile.caller().await?);
    for (kind, questions) in questions {
        let mut plain = Caller::connect(&town.database, Way::Live, *kind).await?;
        let mut size = 0;
        for question in &questions[..COMPARED.min(questions.len())] {
            let expected = plain.answer(question).await?;
            size += match question {
                Question::Viewport(_) => expected.first().and_then(|row| row[0].as_u64()).unwrap_or(0),
                Question::Sums(_) => expected[0][0].as_u64().unwrap_or(0),
                _ => expected.len() as u64,
            };
            let answer = rows(question, ours.answer(question).await?)?;
            compare("Salur", &mut plain, question, &answer, &expected).await?;
            if !matches!(question, Question::Tile { .. }) {
                let answer = rows(question, respelt(graphile.answer(question).await?))?;
                compare("PostGraphile", &mut plain, question, &answer, &expected).await?;
            }
        }
        println!("{kind}: {COMPARED} answers agree, of {} records on the average", size / COMPARED as u64);
    }
    Ok(())
}

async fn compare(side: &str, plain: &mut Caller, question: &Question, answer: &Rows, expected: &Rows) -> Outcome<()> {
    if answer == expected {
        return Ok(());
    }
    if let Question::Nearest { lon, lat } = question
        && answer.len() == expected.len()
    {
        let mut differing = 0;
        for (one, other) in answer.iter().zip(expected) {
            let [one, other] = [id(one)?, id(other)?];
            if one != other {
                differing += 1;
                let metres = [plain.metres(one, *lon, *lat).await?, plain.metres(other, *lon, *lat).await?];
                if (metres[0] - metres[1]).abs() > ALIKE * metres[1].max(1.0) {
                    return Err(format!("{question:?}: {side} has need {one} where need {other} is nearer").into());
                }
            }
        }
        if differing > 0 {
            return Ok(());
        }
    }
    let at = answer.iter().zip(expected).position(|(one, other)| one != other);
    let at = at.unwrap_or_else(|| answer.len().min(expected.len()));
    Err(format!(
        "{question:?}: {side} answers {} rows and SQL {}; the first that differs are {:?} and {:?}",
        answer.len(),
        expected.len(),
        answer.get(at),
        expected.get(at)
    )
    .into())
}

fn id(row: &[Value]) -> Outcome<i64> {
    row.first().and_then(Value::as_i64).ok_or_else(|| "a row without its id".into())
}

/// An answer of a GraphQL API as rows of what SQL answers.
fn rows(question: &Question, data: Value) -> Outcome<Rows> {
    let number = |id: &Value| {
        id.as_str().and_then(|id| id.strip_prefix("need-")).map_or(id.clone(), |n| json!(n.parse::<i64>().ok()))
    };
    let need = |node: &Value| {
        let mut row = vec![number(&node["id"])];
        row.extend(["required", "allocated", "delivered", "unmet"].map(|name| node[name].clone()));
        row.extend(
            [&node["area"]["code"], &node["area"]["name"], &node["item"]["key"], &node["service"]].map(Value::clone),
        );
        row
    };
    let sums =
        |of: &Value| ["needCount", "unservedCount", "required", "allocated", "delivered"].map(|name| of[name].clone());
    let list = |of: &Value| of.as_array().cloned().ok_or("an answer holds a list");
    Ok(match question {
        Question::Viewport(_) => {
            let needs = &data["needs"];
            let total = |row| [vec![needs["totalCount"].clone()], row].concat();
            list(&needs["nodes"])?.iter().map(|node| total(need(node))).collect()
        }
        Question::Nearest { .. } => list(&data["needs"]["nodes"])?.iter().map(need).collect(),
        Question::Sums(_) => vec![sums(&data["coverage"]).to_vec()],
        Question::Tile { .. } => {
            let row = |row: &Value| [vec![row["area"]["code"].clone()], sums(&row["coverage"]).to_vec()].concat();
            list(&data["areaCoverage"])?.iter().map(row).collect()
        }
    })
}

/// PostGraphile's answer in the words of ours.
fn respelt(data: Value) -> Value {
    const WORDS: [(&str, &str); 6] = [
        ("unservedInBox", "needs"),
        ("nearestUnserved", "needs"),
        ("sumsWithin", "coverage"),
        ("areaByAreaId", "area"),
        ("itemByItemId", "item"),
        ("unserved", "unservedCount"),
    ];
    match data {
        Value::Object(fields) => {
            let is_sums = fields.contains_key("unserved");
            let word = |name: String| match WORDS.iter().find(|(theirs, _)| *theirs == name) {
                Some((_, word)) => (*word).to_owned(),
                None if is_sums && name == "needs" => "needCount".to_owned(),
                None => name,
            };
            fields
                .into_iter()
                .map(|(name, value)| (word(name), respelt(value)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Value::Array(list) => list.into_iter().map(respelt).collect(),
        // Numbers of 64 bits are texts there.
        Value::String(text) => match text.parse::<i64>() {
            Ok(number) => json!(number),
            Err(_) => Value::String(text),
        },
        other => other,
    }
}
