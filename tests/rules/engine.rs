//! Evaluates rules on events as Falco does, with field values from the plugin library.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use cloudtrail::host::{Event, OwnedValue as Value, Plugin, Requests};

use crate::condition::{Definitions, Expr, Op, Right};
use crate::support::rules;

/// Falco's setting `rule_matching`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Matching {
    /// The first rule of the file that matches raises an alert (the default).
    First,
    /// Every rule that matches raises an alert.
    All,
}

/// A rule, its fields resolved.
struct Rule {
    name: String,
    priority: String,
    condition: Node,
}

/// Like [`Expr`], with fields as indexes into [`Engine::fields`].
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Check {
        field: usize,
        op: Op,
        right: NodeRight,
    },
}

enum NodeRight {
    Nothing,
    Text(String),
    List(Vec<String>),
    Field(usize),
}

/// The rules and the fields that they use.
pub struct Engine<'p> {
    plugin: &'p Plugin,
    rules: Vec<Rule>,
    fields: Vec<Requests>,
    indexes: BTreeMap<String, usize>,
    /// Calls of the plugin so far. Falco remembers values within a rule, not across rules.
    pub extractions: usize,
}

/// The values that one rule has asked for on one event.
type Known = BTreeMap<usize, Option<Value>>;

impl<'p> Engine<'p> {
    /// The rules of the project.
    pub fn of_project(plugin: &'p Plugin) -> Engine<'p> {
        let definitions = definitions();
        let mut engine = Engine::new(plugin);
        for rule in rules::items_of("rule") {
            let condition = definitions
                .parse(rule.value("condition"))
                .unwrap_or_else(|error| panic!("{}: {error}", rule.name));
            engine.add(&rule.name, rule.value("priority"), condition);
        }
        engine
    }

    /// An engine without rules.
    pub fn new(plugin: &'p Plugin) -> Engine<'p> {
        Engine {
            plugin,
            rules: Vec::new(),
            fields: Vec::new(),
            indexes: BTreeMap::new(),
            extractions: 0,
        }
    }

    /// Appends a rule.
    pub fn add(&mut self, name: &str, priority: &str, condition: Expr) {
        let condition = self.node(condition);
        self.rules.push(Rule {
            name: name.to_owned(),
            priority: priority.to_owned(),
            condition,
        });
    }

    /// The names of the rules that raise alerts for an event.
    pub fn alerts(&mut self, event: Event, matching: Matching) -> Vec<String> {
        let rules = std::mem::take(&mut self.rules);
        let mut alerts = Vec::new();
        for rule in &rules {
            let mut known = Known::new();
            if self.holds(&rule.condition, event, &mut known) {
                alerts.push(rule.name.clone());
                if matching == Matching::First {
                    break;
                }
            }
        }
        self.rules = rules;
        alerts
    }

    /// The priority of a rule.
    pub fn priority(&self, name: &str) -> &str {
        let rule = self.rules.iter().find(|rule| rule.name == name);
        &rule.expect("a rule of this name").priority
    }

    /// The value of a field that needs not be in any rule.
    pub fn value(&mut self, event: Event, field: &str) -> Option<Value> {
        let index = self.index(field);
        self.extract(event, index)
    }

    /// The value of a field that is a text.
    pub fn text(&mut self, event: Event, field: &str) -> Option<String> {
        match self.value(event, field)? {
            Value::Str(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            other => panic!("{field} is {other:?}"),
        }
    }

    fn node(&mut self, expr: Expr) -> Node {
        match expr {
            Expr::And(parts) => Node::And(parts.into_iter().map(|part| self.node(part)).collect()),
            Expr::Or(parts) => Node::Or(parts.into_iter().map(|part| self.node(part)).collect()),
            Expr::Not(part) => Node::Not(Box::new(self.node(*part))),
            Expr::Check { field, op, right } => Node::Check {
                field: self.index(&field),
                op,
                right: match right {
                    Right::Nothing => NodeRight::Nothing,
                    Right::Text(text) => NodeRight::Text(text),
                    Right::List(list) => NodeRight::List(list),
                    Right::Field(other) => NodeRight::Field(self.index(&other)),
                },
            },
        }
    }

    fn index(&mut self, field: &str) -> usize {
        if let Some(index) = self.indexes.get(field) {
            return *index;
        }
        let request = self.plugin.request(field);
        let request = request.unwrap_or_else(|error| panic!("{field}: {error}"));
        self.fields
            .push(Requests::new(vec![request]).expect("a request of this plugin"));
        self.indexes.insert(field.to_owned(), self.fields.len() - 1);
        self.fields.len() - 1
    }

    fn holds(&mut self, node: &Node, event: Event, known: &mut Known) -> bool {
        match node {
            Node::And(parts) => parts.iter().all(|part| self.holds(part, event, known)),
            Node::Or(parts) => parts.iter().any(|part| self.holds(part, event, known)),
            Node::Not(part) => !self.holds(part, event, known),
            Node::Check { field, op, right } => {
                let Some(left) = self.remembered(event, *field, known) else {
                    return false;
                };
                match right {
                    NodeRight::Nothing => true,
                    NodeRight::Text(text) => compare(&left, *op, text),
                    NodeRight::List(list) => is_among(&left, *op, list),
                    NodeRight::Field(other) => {
                        let other = self.remembered(event, *other, known);
                        other.is_some_and(|other| match op {
                            Op::Eq => left == other,
                            Op::Ne => left != other,
                            Op::Contains => match (&left, &other) {
                                (Value::Str(_), Value::Str(other)) => {
                                    compare(&left, *op, &String::from_utf8_lossy(other))
                                }
                                _ => panic!("{op:?} between {left:?} and {other:?}"),
                            },
                            _ => panic!("{op:?} between two fields"),
                        })
                    }
                }
            }
        }
    }

    fn remembered(&mut self, event: Event, field: usize, known: &mut Known) -> Option<Value> {
        if let Some(value) = known.get(&field) {
            return value.clone();
        }
        self.extractions += 1;
        let value = self.extract(event, field);
        known.insert(field, value.clone());
        value
    }

    fn extract(&mut self, event: Event, field: usize) -> Option<Value> {
        let values = self
            .plugin
            .extract(event, &mut self.fields[field], false)
            .unwrap_or_else(|error| panic!("extraction failed: {error}"));
        values.field(0).to_value()
    }
}

/// The macros and lists of the rules file.
pub fn definitions() -> Definitions {
    let mut definitions = Definitions::default();
    for item in rules::items() {
        match item.kind.as_str() {
            "macro" => {
                let condition = item.value("condition").to_owned();
                definitions.macros.insert(item.name, condition);
            }
            "list" => {
                let items = rules::list_items(item.value("items"));
                definitions.lists.insert(item.name, items);
            }
            _ => {}
        }
    }
    definitions
}

fn compare(left: &Value, op: Op, right: &str) -> bool {
    match left {
        Value::U64(left) => {
            let right: u64 = right
                .parse()
                .unwrap_or_else(|_| panic!("{right:?} is compared with a number"));
            match op {
                Op::Eq => *left == right,
                Op::Ne => *left != right,
                Op::Lt => *left < right,
                Op::Le => *left <= right,
                Op::Gt => *left > right,
                Op::Ge => *left >= right,
                _ => panic!("{op:?} on a number"),
            }
        }
        Value::Str(left) => {
            let left = String::from_utf8_lossy(left);
            match op {
                Op::Eq => left == right,
                Op::Ne => left != right,
                Op::Contains => left.contains(right),
                Op::IContains => left.to_lowercase().contains(&right.to_lowercase()),
                Op::StartsWith => left.starts_with(right),
                Op::EndsWith => left.ends_with(right),
                Op::Glob => glob(right.as_bytes(), left.as_bytes()),
                Op::IGlob => glob(
                    right.to_lowercase().as_bytes(),
                    left.to_lowercase().as_bytes(),
                ),
                _ => panic!("{op:?} on a text"),
            }
        }
        _ => panic!("{op:?} on a list: only in, intersects and exists are possible"),
    }
}

fn is_among(left: &Value, op: Op, right: &[String]) -> bool {
    let has = |text: &[u8]| right.iter().any(|item| item.as_bytes() == text);
    match (left, op) {
        (Value::Str(text), _) => has(text),
        (Value::U64(number), _) => has(number.to_string().as_bytes()),
        (Value::StrList(list), Op::In) => list.iter().all(|text| has(text)),
        (Value::StrList(list), Op::Intersects) => list.iter().any(|text| has(text)),
        _ => panic!("{op:?} on {left:?}"),
    }
}

/// Matches a whole text against a pattern with `*`, `?` and `[…]`, as fnmatch does.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|&c| c == b']');
            let end = end.unwrap_or_else(|| panic!("an open bracket in a glob"));
            let Some((first, after)) = text.split_first() else {
                return false;
            };
            let is_in = match &rest[..end] {
                [from, b'-', to] => (from..=to).contains(&first),
                set => set.contains(first),
            };
            is_in && glob(&rest[end + 1..], after)
        }
        [b'?', rest @ ..] => !text.is_empty() && glob(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}
