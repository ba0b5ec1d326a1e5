//! Checks the layers of `src/lib.rs` against the imports of every source file.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Names = BTreeSet<String>;

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

/// The second column of the layer table, row by row; within a row, the sides of its semicolon.
fn layers() -> Vec<Vec<Vec<String>>> {
    let text = fs::read_to_string(source().join("lib.rs")).expect("the crate's own source");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("//! | Layer"));
    let rows = rows.skip(2).take_while(|line| line.starts_with("//! |"));
    rows.map(|row| {
        let modules = row.split('|').nth(2).expect("a second column");
        let quoted = |side: &str| {
            side.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        modules.split(';').map(quoted).collect()
    })
    .collect()
}

/// The code of a file, without comments and unit tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that `code` names after `root`, such as `crate::`; also those of a group, `crate::{a, b::C}`.
fn imports(code: &str, root: &str) -> Names {
    let first_name = |path: &str| -> String {
        let name = path.trim_start();
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
        name[..end.unwrap_or(name.len())].to_owned()
    };
    let mut names = Names::new();
    for (at, _) in code.match_indices(root) {
        let rest = &code[at + root.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(first_name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (position, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    names.insert(first_name(&group[start..position]));
                    start = position + 1;
                    if character == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    names.remove("");
    names
}

/// All source files but unit tests, each with its top-level module.
fn files() -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(source()).sort_by_file_name() {
        let path = entry.expect("a readable folder").into_path();
        let inside = path.strip_prefix(source()).expect("below the folder");
        let Some(first) = inside.iter().next() else {
            continue;
        };
        let module = first.to_string_lossy().trim_end_matches(".rs").to_owned();
        let is_code = path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs");
        if is_code && module != "lib" {
            files.push((module, path));
        }
    }
    files
}

/// What each module of the library imports from the others.
fn graph() -> BTreeMap<String, Names> {
    let mut graph = BTreeMap::<String, Names>::new();
    for (module, path) in files() {
        if module == "bin" {
            continue;
        }
        let mut imports = imports(&code(&path), "crate::");
        imports.remove(&module);
        graph.entry(module).or_default().append(&mut imports);
    }
    graph
}

fn names(names: &[&str]) -> Names {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn imports_are_found_in_paths_and_groups() {
    let code = "use crate::a::B;\nuse crate::{c, d::{E, F}, g};\nfn f() { crate::h::i() }";
    assert_eq!(imports(code, "crate::"), names(&["a", "c", "d", "g", "h"]));
}

#[test]
fn every_module_imports_only_what_the_table_allows() {
    let mut allowed = BTreeMap::<String, Names>::new();
    let mut above = Names::new();
    for row in layers() {
        for side in &row {
            let mut before = above.clone();
            for module in side {
                allowed.insert(module.clone(), before.clone());
                before.insert(module.clone());
            }
        }
        above.extend(row.into_iter().flatten());
    }
    // It has a test of its own.
    allowed.insert("host".to_owned(), names(&["error", "event_layout"]));
    let graph = graph();
    assert!(
        graph.keys().eq(allowed.keys()),
        "the table and the modules differ: {:?} and {:?}",
        allowed.keys(),
        graph.keys()
    );
    for (module, imports) in &graph {
        let wrong: Vec<_> = imports.difference(&allowed[module]).collect();
        assert!(wrong.is_empty(), "{module} imports {wrong:?}");
    }
}

/// What each file of a folder imports from the others, by the name of its module; the parent module is left out.
fn siblings(folder: &Path) -> BTreeMap<String, Names> {
    let mut graph = BTreeMap::<String, Names>::new();
    for (_, path) in files() {
        let Ok(inside) = path.strip_prefix(folder) else {
            continue;
        };
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        let module = parts[0].trim_end_matches(".rs").to_owned();
        if module == "mod" {
            continue;
        }
        // A file's parent is the module of its folder; that of `mod.rs` is one further up.
        let is_root = parts.last().is_some_and(|file| file == "mod.rs");
        let up = parts.len() - usize::from(is_root);
        let code = code(&path);
        let mut imported = imports(&code, &"super::".repeat(up));
        imported.remove(&module);
        graph.entry(module).or_default().append(&mut imported);
    }
    let modules: Names = graph.keys().cloned().collect();
    for imported in graph.values_mut() {
        imported.retain(|name| modules.contains(name));
    }
    graph
}

fn assert_no_circle(mut graph: BTreeMap<String, Names>) {
    while !graph.is_empty() {
        let free = graph.iter().find(|(_, imports)| imports.is_empty());
        let Some(free) = free.map(|(module, _)| module.clone()) else {
            panic!("a circle among {graph:?}");
        };
        graph.remove(&free);
        for imports in graph.values_mut() {
            imports.remove(&free);
        }
    }
}

#[test]
fn modules_import_each_other_without_a_circle() {
    assert_no_circle(graph());
}

#[test]
fn files_of_a_folder_import_each_other_without_a_circle() {
    let folders: BTreeSet<_> = files()
        .into_iter()
        .filter_map(|(_, path)| Some(path.parent()?.to_owned()))
        .filter(|folder| folder != source())
        .collect();
    assert!(folders.len() > 10, "only {folders:?} found");
    let mut imports = 0;
    for folder in folders {
        let graph = siblings(&folder);
        imports += graph.values().map(Names::len).sum::<usize>();
        assert_no_circle(graph);
    }
    assert!(imports > 100, "only {imports} imports found");
}

#[test]
fn delivery_imports_neither_fields_nor_extraction() {
    let graph = graph();
    for module in ["source", "aws", "pipeline", "decode", "object", "batch"] {
        for extraction in ["fields", "extract"] {
            let imports = &graph[module];
            assert!(
                !imports.contains(extraction),
                "{module} imports {extraction}"
            );
        }
    }
}

#[test]
fn host_imports_only_errors_and_the_layout_of_events() {
    let graph = graph();
    let allowed = names(&["error", "event_layout"]);
    let wrong: Vec<_> = graph["host"].difference(&allowed).collect();
    assert!(wrong.is_empty(), "host imports {wrong:?}");
}

#[test]
fn ctcat_uses_only_the_host_of_the_library() {
    let allowed = names(&["host", "error"]);
    let files = files().into_iter().filter(|(module, _)| module == "bin");
    let mut count = 0;
    for (_, path) in files {
        count += 1;
        let imports = imports(&code(&path), "cloudtrail::");
        let wrong: Vec<_> = imports.difference(&allowed).collect();
        assert!(wrong.is_empty(), "{} imports {wrong:?}", path.display());
    }
    assert!(count > 5, "only {count} files found");
}
