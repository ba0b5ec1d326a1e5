//! The project's Markdown documents, read as far as the tests need it.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

/// A document: its path from the project's root, and its text.
pub struct Document {
    pub path: PathBuf,
    pub text: String,
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents that people read, README.md first.
pub fn documents() -> Vec<Document> {
    let mut paths: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "PERF.md"]
        .into_iter()
        .chain(["SECURITY.md", "deploy/README.md", "fuzz/README.md"])
        .map(PathBuf::from)
        .collect();
    let folder = fs::read_dir(root().join("docs")).expect("docs is a folder");
    let mut docs: Vec<PathBuf> = folder
        .map(|entry| Path::new("docs").join(entry.expect("an entry").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    docs.sort();
    paths.append(&mut docs);
    paths.into_iter().map(Document::read).collect()
}

impl Document {
    /// The document at this path from the root.
    pub fn read(path: impl Into<PathBuf>) -> Document {
        let path = path.into();
        let text = fs::read_to_string(root().join(&path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Document { path, text }
    }

    /// Path for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// What stands between the marks `<!-- <mark>…-->` and `<!-- /<mark> -->`, with what is before and after it.
    pub fn marked(&self, mark: &str) -> (&str, &str, &str) {
        let text = &self.text;
        let start = text
            .find(&format!("<!-- {mark}:"))
            .and_then(|at| Some(at + text[at..].find('\n')? + 1))
            .unwrap_or_else(|| panic!("{} has no mark where {mark} starts", self.name()));
        let end = text
            .find(&format!("<!-- /{mark} -->"))
            .unwrap_or_else(|| panic!("{} has no mark where {mark} ends", self.name()));
        (&text[..start], &text[start..end], &text[end..])
    }

    /// The fenced code blocks in this language.
    pub fn blocks(&self, language: &str) -> Vec<&str> {
        let fence = format!("\n```{language}\n");
        let starts = self.text.match_indices(&fence);
        starts
            .map(|(at, _)| {
                let rest = &self.text[at + fence.len()..];
                let end = rest.find("```");
                &rest[..end.unwrap_or_else(|| panic!("{}: a block without end", self.name()))]
            })
            .collect()
    }

    /// The text without its fenced code blocks.
    pub fn prose(&self) -> String {
        let mut prose = String::new();
        for (number, part) in self.text.split("```").enumerate() {
            if number % 2 == 0 {
                prose.push_str(part);
            }
        }
        prose
    }

    /// The anchors of the headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings
            .map(|line| anchor(line.trim_start_matches('#').trim()))
            .collect()
    }

    /// Targets of links and images.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let starts = prose.split("](").skip(1);
        starts
            .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
            .collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    let lower: String = kept.flat_map(char::to_lowercase).collect();
    lower.replace(' ', "-")
}

/// The cells of a table's rows, without the head.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let table = text.lines().filter(|line| line.starts_with('|'));
    table
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// What stands in backticks.
pub fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
