//! The floors of ARCHITECTURE.md, and who breaks them.

use std::collections::BTreeSet;

use crate::source::{Name, Source};

/// A floor of the house: its modules know each other, and what is named besides.
struct Floor {
    modules: &'static [&'static str],
    knows: &'static [&'static str],
}

/// The floors from the ground up. A module that is new to the crate is put in here first.
const FLOORS: [Floor; 11] = [
    Floor {
        modules: &["domain"],
        knows: &[],
    },
    Floor {
        modules: &["clock", "reload", "pem", "metrics", "traces"],
        knows: &[],
    },
    // Who may call is no matter of what is decided: of the domain it takes the reader of YAML.
    Floor {
        modules: &["callers"],
        knows: &["clock", "reload", "pem", "domain"],
    },
    Floor {
        modules: &["decisions"],
        knows: &["callers", "clock", "metrics", "traces", "domain"],
    },
    // Generated, and so known to those alone who speak gRPC or start those who do.
    Floor {
        modules: &["proto"],
        knows: &[],
    },
    Floor {
        modules: &["store", "datafile"],
        knows: &["metrics", "traces", "domain"],
    },
    Floor {
        modules: &["store::memory", "store::postgres", "store::measured"],
        knows: &["store", "metrics", "traces", "datafile", "clock", "domain"],
    },
    // Not the adapters: the directory knows the port alone.
    Floor {
        modules: &["directory"],
        knows: &["store", "metrics", "traces", "datafile", "clock", "domain"],
    },
    Floor {
        modules: &["authorizer", "administrator"],
        knows: &[
            "directory",
            "store",
            "metrics",
            "traces",
            "datafile",
            "clock",
            "domain",
        ],
    },
    Floor {
        modules: &["grpc", "http", "edge"],
        knows: &[
            "authorizer",
            "administrator",
            "directory",
            "store::memory",
            "store::postgres",
            "store::measured",
            "store",
            "metrics",
            "traces",
            "datafile",
            "proto",
            "decisions",
            "callers",
            "reload",
            "pem",
            "clock",
            "domain",
        ],
    },
    Floor {
        modules: &["app", "config", "cli", "lib", "main"],
        knows: &[
            "grpc",
            "http",
            "edge",
            "authorizer",
            "administrator",
            "directory",
            "store::memory",
            "store::postgres",
            "store::measured",
            "store",
            "metrics",
            "traces",
            "datafile",
            "proto",
            "decisions",
            "callers",
            "reload",
            "pem",
            "clock",
            "domain",
        ],
    },
];

/// The dependencies that the domain may name.
const PURE: [&str; 5] = [
    "serde",
    "serde_json",
    "serde_saphyr",
    "smol_str",
    "thiserror",
];
/// Where the standard library does IO, waits, or looks at the world.
const IMPURE_STD: [&str; 8] = ["env", "fs", "io", "net", "os", "process", "thread", "time"];
/// Words of which each is IO or a wait.
const IMPURE_WORDS: [&str; 6] = ["async", "await", "print", "println", "eprint", "eprintln"];

/// The most lines of a file, not counting its tests.
const MAX_LINES: usize = 400;
/// `main.rs` stays below.
const MAIN_LINES: usize = 30;

/// What a set of sources breaks, a line for each.
pub(crate) fn violations(sources: &[Source], dependencies: &BTreeSet<String>) -> Vec<String> {
    let declares = sources.iter().flat_map(|source| &source.declares);
    let declared: BTreeSet<&Vec<String>> = declares.map(|(module, _)| module).collect();
    let mut found = Vec::new();
    for source in sources {
        if !is_for_tests(source, sources) {
            floors(source, &mut found);
        }
        if known(&source.module) == Some("domain") {
            purity(source, dependencies, &mut found);
        }
        one_home_of_status(source, &mut found);
        let root = ["lib", "main"].contains(&source.module[0].as_str());
        if !root && !declared.contains(&source.module) {
            found.push(format!("{}: no `mod` line names it", source.file));
        }
    }
    found
}

/// Which files are too long, a line for each.
pub(crate) fn too_long(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| !is_for_tests(source, sources))
    {
        let file = &source.file;
        let code = source.lines - source.test_lines;
        if code > MAX_LINES {
            found.push(format!(
                "{file}: {code} lines without its tests; at most {MAX_LINES} are accepted"
            ));
        }
        if source.module == ["main"] && source.lines >= MAIN_LINES {
            found.push(format!("{file}: not below {MAIN_LINES} lines"));
        }
    }
    found
}

/// Whether the module is declared for tests alone, or lies in one that is.
fn is_for_tests(source: &Source, all: &[Source]) -> bool {
    let mut declares = all.iter().flat_map(|source| &source.declares);
    declares.any(|(module, test)| *test && source.module.starts_with(module))
}

/// The module of the table that a path of modules lies in.
fn known(path: &[String]) -> Option<&'static str> {
    let all = FLOORS.iter().flat_map(|floor| floor.modules);
    // `store::memory` before `store`.
    let inside = |module: &&&str| module.split("::").zip(path).all(|(a, b)| a == b);
    let long_enough = |module: &&&str| module.split("::").count() <= path.len();
    all.filter(inside)
        .filter(long_enough)
        .max_by_key(|module| module.len())
        .copied()
}

fn floors(source: &Source, found: &mut Vec<String>) {
    let Some(own) = known(&source.module) else {
        let file = &source.file;
        found.push(format!(
            "{file}: a module that is in no floor of tests/layering"
        ));
        return;
    };
    let floor = FLOORS.iter().find(|floor| floor.modules.contains(&own));
    for name in source.names.iter().filter(|name| !name.in_test) {
        let at = format!("{}:{}", source.file, name.line);
        let [root, path @ ..] = name.path.as_slice() else {
            continue;
        };
        if root != "crate" {
            continue;
        }
        match path {
            // `pub(crate)`, and the root under another name.
            [] if name.renamed => found.push(format!("{at}: the crate's root is renamed")),
            [] => {}
            [all] if all == "*" => found.push(format!("{at}: everything of the root is imported")),
            path => match (known(path), floor) {
                (Some(other), Some(floor))
                    if floor.modules.contains(&other) || floor.knows.contains(&other) => {}
                (Some(other), _) => found.push(format!("{at}: `{own}` may not know `{other}`")),
                (None, _) => {
                    let path = path.join("::");
                    found.push(format!("{at}: `{path}` is in no floor of tests/layering"));
                }
            },
        }
    }
}

fn purity(source: &Source, dependencies: &BTreeSet<String>, found: &mut Vec<String>) {
    let file = &source.file;
    for Name { path, line, .. } in &source.names {
        let first = path[0].as_str();
        let second = path.get(1).map_or("", String::as_str);
        let std = ["std", "core", "alloc"].contains(&first);
        if (std && IMPURE_STD.contains(&second))
            || (dependencies.contains(first) && !PURE.contains(&first))
        {
            let path = path.join("::");
            found.push(format!("{file}:{line}: the domain names `{path}`"));
        }
    }
    for (word, line) in &source.words {
        if IMPURE_WORDS.contains(&word.as_str()) {
            found.push(format!("{file}:{line}: the domain says `{word}`"));
        }
    }
}

/// Where gRPC is spoken: by the server, and by the commands that are its clients.
const HOME_OF_STATUS: [&str; 3] = ["grpc", "edge", "cli"];

/// `tonic::Status`, which `tonic::Result` hides, is made and read where gRPC is spoken.
fn one_home_of_status(source: &Source, found: &mut Vec<String>) {
    if known(&source.module).is_some_and(|module| HOME_OF_STATUS.contains(&module)) {
        return;
    }
    for name in &source.names {
        let path: Vec<&str> = name.path.iter().map(String::as_str).collect();
        let names_it = match path.as_slice() {
            ["tonic", "Status" | "Result" | "*", ..] => true,
            ["tonic"] => name.renamed,
            _ => false,
        };
        if names_it {
            let (file, line) = (&source.file, name.line);
            found.push(format!(
                "{file}:{line}: `tonic::Status` outside of `grpc`, `edge` and `cli`"
            ));
        }
    }
}
