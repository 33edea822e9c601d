//! Bodies that can be broken: JSON as a tree that may repeat keys and hold numbers no type can.

use std::fmt;

use proptest::prelude::*;
use serde_json::Value;

/// JSON, with scalars as text.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Scalar(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
            scalar => Self::Scalar(scalar.to_string()),
        }
    }

    /// Any JSON, whose objects like to use `names`.
    pub(super) fn any(names: &'static [String]) -> impl Strategy<Value = Self> {
        scalar().prop_map(Self::Scalar).prop_recursive(6, 60, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Self::Array),
                prop::collection::vec((name(names), inner), 0..8).prop_map(Self::Object),
            ]
        })
    }

    /// Every name in it.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Scalar(_) => Vec::new(),
            Self::Array(items) => items.iter().flat_map(Self::names).collect(),
            Self::Object(members) => {
                members.iter().flat_map(|(name, value)| [vec![name.clone()], value.names()].concat()).collect()
            }
        }
    }

    /// The same in other words: members turned round, white space, escapes.
    pub(super) fn respelt(&self, seed: u64) -> String {
        let space = ["", " ", "\n", "\t "][(seed % 4) as usize];
        let next = seed.rotate_right(7) ^ 0x9e37;
        match self {
            Self::Scalar(text) => text.replace('/', if seed.is_multiple_of(2) { r"\/" } else { r"\u002f" }),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| item.respelt(next)).collect();
                format!("[{space}{}{space}]", items.join(&format!("{space},")))
            }
            Self::Object(members) => {
                let mut members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{}{space}:{space}{}", quoted(name), value.respelt(next)))
                    .collect();
                let turns = seed as usize % members.len().max(1);
                members.rotate_left(turns);
                format!("{{{space}{}{space}}}", members.join(&format!(",{space}")))
            }
        }
    }

    /// Every place in it, itself first.
    fn places(&self) -> usize {
        1 + match self {
            Self::Scalar(_) => 0,
            Self::Array(items) => items.iter().map(Self::places).sum(),
            Self::Object(members) => members.iter().map(|(_, value)| value.places()).sum(),
        }
    }

    fn place(&mut self, number: usize) -> &mut Self {
        fn child(tree: &mut Tree, mut number: usize) -> Option<(&mut Tree, usize)> {
            let children: Vec<&mut Tree> = match tree {
                Tree::Scalar(_) => Vec::new(),
                Tree::Array(items) => items.iter_mut().collect(),
                Tree::Object(members) => members.iter_mut().map(|(_, value)| value).collect(),
            };
            for child in children {
                let places = child.places();
                if number < places {
                    return Some((child, number));
                }
                number -= places;
            }
            None
        }
        if number == 0 {
            return self;
        }
        let (child, number) = child(self, number - 1).expect("the number is below places()");
        child.place(number)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(text) => f.write_str(text),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(","))
            }
            Self::Object(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
                write!(f, "{{{}}}", members.join(","))
            }
        }
    }
}

fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

fn name(names: &'static [String]) -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(names), 1 => any::<String>()]
}

/// Scalars as upstream never promised them.
fn scalar() -> impl Strategy<Value = String> {
    let odd = [
        "null",
        "true",
        "0",
        "-0",
        "1e999",
        "-1E-999",
        "-99999999999",
        "253402300799",
        "18446744073709551616",
        "-9223372036854775809",
        "123456789012345678901234567890.123456789",
        r#""""#,
        r#""\ud83d""#,
        r#""\ude00\ud83d""#,
        r#""\u0000""#,
        r#""NaN""#,
        r#""inf""#,
        r#""@""#,
        r#"":@c.us""#,
        r#""{{SWE001}}""#,
        r#""SWE004: 1000""#,
        r#""{{SWE""#,
        r#""incomingMessageReceived""#,
        r#""quotedMessage""#,
        r#""pollUpdateMessage""#,
    ];
    prop_oneof![
        3 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_filter("JSON has no infinities", |f| f.is_finite()).prop_map(|f| Value::from(f).to_string()),
        1 => any::<String>().prop_map(|text| quoted(&text)),
    ]
}

/// One thing done to a body.
#[derive(Debug, Clone)]
pub(super) struct Mutation {
    place: prop::sample::Index,
    member: prop::sample::Index,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Replace(Tree),
    Drop,
    Rename(String),
    Duplicate(Tree),
    Wrap { key: Option<String>, times: usize },
    Add(String, Tree),
}

impl Mutation {
    pub(super) fn any(names: &'static [String]) -> impl Strategy<Value = Self> {
        let change = prop_oneof![
            scalar().prop_map(|text| Change::Replace(Tree::Scalar(text))),
            Tree::any(names).prop_map(Change::Replace),
            Just(Change::Drop),
            name(names).prop_map(Change::Rename),
            scalar().prop_map(|text| Change::Duplicate(Tree::Scalar(text))),
            (prop::option::of(name(names)), prop_oneof![1_usize..3, Just(200)])
                .prop_map(|(key, times)| Change::Wrap { key, times }),
            (name(names), Tree::any(names)).prop_map(|(name, tree)| Change::Add(name, tree)),
        ];
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), change).prop_map(|(place, member, change)| Self {
            place,
            member,
            change,
        })
    }

    pub(super) fn apply(self, body: &mut Tree) {
        let number = self.place.index(body.places());
        let place = body.place(number);
        match (self.change, &mut *place) {
            (Change::Replace(tree), place) => *place = tree,
            (Change::Wrap { key, times }, place) => {
                for _ in 0..times {
                    let inside = std::mem::replace(place, Tree::Scalar(String::new()));
                    *place = match &key {
                        Some(key) => Tree::Object(vec![(key.clone(), inside)]),
                        None => Tree::Array(vec![inside]),
                    };
                }
            }
            (Change::Drop, Tree::Object(members)) if !members.is_empty() => {
                members.remove(self.member.index(members.len()));
            }
            (Change::Rename(name), Tree::Object(members)) if !members.is_empty() => {
                let member = self.member.index(members.len());
                members[member].0 = name;
            }
            (Change::Duplicate(tree), Tree::Object(members)) if !members.is_empty() => {
                let name = members[self.member.index(members.len())].0.clone();
                members.push((name, tree));
            }
            (Change::Add(name, tree), Tree::Object(members)) => members.insert(0, (name, tree)),
            (Change::Drop, Tree::Array(items)) if !items.is_empty() => {
                items.remove(self.member.index(items.len()));
            }
            (Change::Duplicate(tree) | Change::Add(_, tree), Tree::Array(items)) => items.push(tree),
            _ => {}
        }
    }
}
