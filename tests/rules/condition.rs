//! Parser of Falco conditions, as far as the rules file uses the language: no `regex`, `pmatch`, exceptions or
//! transformers. Anything else is an error.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

/// A parsed condition with macros and lists replaced by what they stand for.
#[derive(Debug, PartialEq)]
pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Check { field: String, op: Op, right: Right },
}

/// An operator between a field and its right side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    Exists,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Intersects,
    Contains,
    IContains,
    StartsWith,
    EndsWith,
    Glob,
    IGlob,
}

/// The right side of a check.
#[derive(Debug, PartialEq)]
pub enum Right {
    Nothing,
    Text(String),
    List(Vec<String>),
    /// `val(field)`
    Field(String),
}

/// The definitions that conditions may name.
#[derive(Default)]
pub struct Definitions {
    /// Conditions by macro name.
    pub macros: BTreeMap<String, String>,
    /// Items by list name.
    pub lists: BTreeMap<String, Vec<String>>,
}

impl Definitions {
    /// Parses a condition.
    ///
    /// # Errors
    /// The text is no condition, or uses a part of the language that this parser does not know.
    pub fn parse(&self, condition: &str) -> Result<Expr, String> {
        let mut parser = Parser {
            definitions: self,
            tokens: tokens(condition)?,
            at: 0,
        };
        let expr = parser.any_of()?;
        match parser.peek() {
            None => Ok(expr),
            Some(token) => Err(format!("{token:?} after the end of a condition")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Comma,
    Symbol(&'static str),
    Word(String),
    Quoted(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        at += 1;
        match c {
            _ if c.is_whitespace() => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '=' => tokens.push(Token::Symbol("=")),
            '!' | '<' | '>' => {
                let with_equals = chars.get(at) == Some(&'=');
                at += usize::from(with_equals);
                tokens.push(Token::Symbol(match (c, with_equals) {
                    ('!', true) => "!=",
                    ('<', true) => "<=",
                    ('>', true) => ">=",
                    ('<', false) => "<",
                    ('>', false) => ">",
                    _ => return Err("a single !".to_owned()),
                }));
            }
            '"' | '\'' => {
                let length = chars[at..].iter().position(|&end| end == c);
                let length = length.ok_or("a quote that does not end")?;
                let quoted: String = chars[at..at + length].iter().collect();
                if quoted.contains('\\') {
                    return Err(format!("an escape in {quoted:?}"));
                }
                tokens.push(Token::Quoted(quoted));
                at += length + 1;
            }
            _ => {
                let start = at - 1;
                let mut in_brackets = c == '[';
                while at < chars.len() {
                    let next = chars[at];
                    let ends = next.is_whitespace() || "()=!<>,\"'".contains(next);
                    if ends && !in_brackets {
                        break;
                    }
                    in_brackets = (in_brackets || next == '[') && next != ']';
                    at += 1;
                }
                tokens.push(Token::Word(chars[start..at].iter().collect()));
            }
        }
    }
    Ok(tokens)
}

struct Parser<'d> {
    definitions: &'d Definitions,
    tokens: Vec<Token>,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("an early end")?;
        self.at += 1;
        Ok(token)
    }

    fn expect(&mut self, expected: Token) -> Result<(), String> {
        let token = self.next()?;
        if token == expected {
            Ok(())
        } else {
            Err(format!("{token:?} instead of {expected:?}"))
        }
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Word(next)) if next == word);
        self.at += usize::from(is_there);
        is_there
    }

    fn any_of(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.all_of()?];
        while self.skip_word("or") {
            parts.push(self.all_of()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn all_of(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.negation()?];
        while self.skip_word("and") {
            parts.push(self.negation()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn negation(&mut self) -> Result<Expr, String> {
        if self.skip_word("not") {
            return Ok(Expr::Not(Box::new(self.negation()?)));
        }
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            let expr = self.any_of()?;
            self.expect(Token::Close)?;
            return Ok(expr);
        }
        self.check()
    }

    fn check(&mut self) -> Result<Expr, String> {
        let Token::Word(field) = self.next()? else {
            return Err(format!("{:?} instead of a field", self.tokens[self.at - 1]));
        };
        if !field.contains('.') {
            let condition = self.definitions.macros.get(&field);
            let condition = condition.ok_or_else(|| format!("no macro {field}"))?;
            return self.definitions.parse(condition);
        }
        let op = match self.next()? {
            Token::Symbol("=") => Op::Eq,
            Token::Symbol("!=") => Op::Ne,
            Token::Symbol("<") => Op::Lt,
            Token::Symbol("<=") => Op::Le,
            Token::Symbol(">") => Op::Gt,
            Token::Symbol(">=") => Op::Ge,
            Token::Word(word) => match word.as_str() {
                "exists" => Op::Exists,
                "in" => Op::In,
                "intersects" => Op::Intersects,
                "contains" => Op::Contains,
                "icontains" => Op::IContains,
                "startswith" => Op::StartsWith,
                "endswith" => Op::EndsWith,
                "glob" => Op::Glob,
                "iglob" => Op::IGlob,
                _ => return Err(format!("{field}: unknown operator {word}")),
            },
            token => return Err(format!("{field}: {token:?} instead of an operator")),
        };
        let right = match op {
            Op::Exists => Right::Nothing,
            Op::In | Op::Intersects => Right::List(self.list()?),
            _ => self.value()?,
        };
        Ok(Expr::Check { field, op, right })
    }

    fn value(&mut self) -> Result<Right, String> {
        match self.next()? {
            Token::Quoted(text) => Ok(Right::Text(text)),
            Token::Word(word) if word == "val" => {
                self.expect(Token::Open)?;
                let Token::Word(field) = self.next()? else {
                    return Err("val() without a field".to_owned());
                };
                self.expect(Token::Close)?;
                Ok(Right::Field(field))
            }
            Token::Word(word) => Ok(Right::Text(word)),
            token => Err(format!("{token:?} instead of a value")),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        self.expect(Token::Open)?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Token::Close => return Ok(items),
                Token::Comma => {}
                Token::Quoted(text) => items.push(text),
                Token::Word(word) => match self.definitions.lists.get(&word) {
                    Some(list) => items.extend(list.iter().cloned()),
                    None => items.push(word),
                },
                token => return Err(format!("{token:?} in a list")),
            }
        }
    }
}

fn one_or(mut parts: Vec<Expr>, whole: fn(Vec<Expr>) -> Expr) -> Expr {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        whole(parts)
    }
}
