//! Terraform's language, as far as the tests read it without Terraform.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

/// Checks that brackets balance, and that each variable and resource that is named in this file exists in its folder.
pub fn check(name: &str, text: &str) {
    let code = code(name, text);
    let mut open = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for c in line.chars() {
            match c {
                '(' | '[' | '{' => open.push((c, number)),
                ')' | ']' | '}' => {
                    let expected = match open.pop() {
                        Some(('(', _)) => ')',
                        Some(('[', _)) => ']',
                        Some(_) => '}',
                        None => panic!("{name}:{}: closes nothing", number + 1),
                    };
                    assert_eq!(c, expected, "{name}:{}", number + 1);
                }
                _ => {}
            }
        }
    }
    assert_eq!(open, [], "{name}: not closed");

    let main = include_str!("../../deploy/terraform/main.tf");
    let variables = include_str!("../../deploy/terraform/variables.tf");
    let words: BTreeSet<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c)))
        .collect();
    for word in words {
        let parts: Vec<&str> = word.split('.').collect();
        let declared = match parts[..] {
            ["var", variable, ..] => variables.contains(&format!("variable \"{variable}\" {{")),
            ["local", local, ..] => main.contains(&format!("\n  {local} ")),
            ["data", kind, label, ..] => main.contains(&format!("data \"{kind}\" \"{label}\" {{")),
            [kind, label, ..] if kind.starts_with("aws_") => {
                main.contains(&format!("resource \"{kind}\" \"{label}\" {{"))
            }
            _ => true,
        };
        assert!(declared, "{name}: {word} is not declared");
    }
}

/// The content of the block that starts with `head`.
pub fn block<'a>(text: &'a str, head: &str) -> &'a str {
    let start = text
        .find(&format!("{head} {{\n"))
        .unwrap_or_else(|| panic!("no block {head}"));
    // By `terraform fmt`, a block's end is the next brace at the start of a line.
    let end = text[start..].find("\n}").expect("the block ends");
    &text[start..start + end]
}

/// The value of a key that occurs once in a block.
pub fn value(block: &str, key: &str) -> String {
    let mut values = block.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    });
    let first = values.next().unwrap_or_else(|| panic!("no {key}: {block}"));
    assert_eq!(values.next(), None, "{key} occurs twice: {block}");
    first
}

/// The texts in all lists with this key.
pub fn lists(block: &str, key: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for rest in block.split(&format!(" {key} ")).skip(1) {
        let (_, rest) = rest.split_once('[').expect("a list");
        let (list, _) = rest.split_once(']').expect("its end");
        texts.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    texts
}

/// The text without strings and comments. A string must end on its line.
fn code(name: &str, text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let mut in_string = false;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (c, in_string) {
                ('"', _) => in_string = !in_string,
                ('\\', true) => drop(chars.next()),
                ('#', false) => break,
                (_, true) => {}
                (_, false) => code.push(c),
            }
        }
        assert!(!in_string, "{name}: a string without end: {line}");
        code.push('\n');
    }
    code
}
