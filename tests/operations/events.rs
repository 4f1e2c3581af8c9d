//! Every line that may be logged is in the table, with its fields.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

use crate::tables::{names, rows};

/// A level, a message, and the names of fields.
type Event = (String, String, Vec<String>);

#[test]
fn the_tables_have_every_event_and_no_other() {
    let mut logged = BTreeSet::new();
    for file in files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let text = fs::read_to_string(&file).unwrap();
        let syntax: TokenStream = text.parse().unwrap();
        collect(syntax, &mut logged);
    }
    // A warning of a setting or a line of a file, in the words of whoever checked that.
    logged.retain(|(_, message, _)| message != "{warning}");
    assert!(logged.len() > 20, "{logged:?}");
    let table = rows(&["level", "message", "fields"]);
    let table: BTreeSet<Event> = table
        .into_iter()
        .map(|row| {
            let [level, message, fields] = row.try_into().unwrap();
            (level, message, names(&fields))
        })
        .collect();
    let missing: Vec<_> = logged.difference(&table).collect();
    let stray: Vec<_> = table.difference(&logged).collect();
    assert!(
        missing.is_empty() && stray.is_empty(),
        "not in docs/operations.md: {missing:#?}\nnot in the code: {stray:#?}"
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| !path.ends_with("tests.rs"))
        .collect()
}

/// Finds `tracing::info!(…)` and its like wherever it stands, in other macros too.
fn collect(tokens: TokenStream, found: &mut BTreeSet<Event>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for window in tokens.windows(6) {
        let words: Vec<_> = window.iter().take(5).map(ToString::to_string).collect();
        let [tracing, colon, second, level, bang] = &*words else {
            continue;
        };
        let is_event = tracing == "tracing" && colon == ":" && second == ":" && bang == "!";
        if is_event
            && ["error", "warn", "info"].contains(&&**level)
            && let TokenTree::Group(arguments) = &window[5]
        {
            let (message, fields) = event(arguments.stream());
            found.insert((level.clone(), message, fields));
        }
    }
    for token in tokens {
        if let TokenTree::Group(group) = token {
            collect(group.stream(), found);
        }
    }
}

/// The message and the fields among the arguments of a macro.
fn event(arguments: TokenStream) -> (String, Vec<String>) {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let parts: Vec<_> = arguments
        .split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','))
        .filter(|part| !part.is_empty())
        .collect();
    let (message, fields) = parts.split_last().unwrap();
    let message: syn::LitStr = syn::parse2(message.iter().cloned().collect()).unwrap();
    let name = |part: &&[TokenTree]| {
        let mut words = part.iter().filter_map(|token| match token {
            TokenTree::Ident(word) => Some(word.to_string()),
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
        });
        words.next().filter(|word| word != "target")
    };
    let mut fields: Vec<_> = fields.iter().filter_map(name).collect();
    fields.sort();
    (message.value(), fields)
}
