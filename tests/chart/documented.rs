//! Whether what is written about the values is true: the chart's README, and the settings against the program's flags.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::helm::{chart, default_values};

/// Each value that has a comment of its own, with what it says; in the order of the file.
fn comments(values: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut comment: Option<String> = None;
    for line in values.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(text) = line.strip_prefix("# -- ") {
            // A type in front, which is a column of its own in the README.
            let text = text
                .strip_prefix('(')
                .and_then(|it| it.split_once(") "))
                .map_or(text, |it| it.1);
            comment = Some(text.to_owned());
        } else if let Some(more) = line.strip_prefix("# ") {
            if !more.starts_with("@default")
                && let Some(text) = &mut comment
            {
                text.push(' ');
                text.push_str(more);
            }
        } else if let Some((key, _)) = line
            .split_once(':')
            .filter(|it| !it.0.starts_with(['-', '#']))
        {
            parents.retain(|(depth, _)| *depth < indent);
            parents.push((indent, key.to_owned()));
            if let Some(text) = comment.take() {
                let path: Vec<_> = parents.iter().map(|(_, key)| key.as_str()).collect();
                found.push((path.join("."), text));
            }
        }
    }
    found
}

/// The leaves of the values, as paths.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(value, &path, found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

/// The rows of the README's table: key, default and description.
fn rows(readme: &str) -> Vec<[String; 3]> {
    let (_, table) = readme
        .split_once("| Key | Type | Default | Description |")
        .unwrap();
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| "))
        .map(|line| {
            let cells: Vec<_> = line
                .trim_matches('|')
                .splitn(4, " | ")
                .map(str::trim)
                .collect();
            [cells[0], cells[2], cells[3]].map(str::to_owned)
        })
        .collect()
}

#[test]
fn the_readme_says_of_each_value_what_its_comment_says() {
    let values = fs::read_to_string(format!("{}/values.yaml", chart())).unwrap();
    let readme = fs::read_to_string(format!("{}/README.md", chart())).unwrap();
    let rows = rows(&readme);
    let said: Vec<_> = rows
        .iter()
        .map(|[key, _, text]| (key.clone(), text.clone()))
        .collect();
    let commented = comments(&values);
    assert!(commented.len() > 100, "{}", commented.len());
    for (row, comment) in said.iter().zip(&commented) {
        assert_eq!(row, comment, "run `make chart-docs`");
    }
    assert_eq!(said.len(), commented.len(), "run `make chart-docs`");

    let defaults = default_values();
    for [key, default, _] in &rows {
        let Some(shown) = default
            .strip_prefix('`')
            .and_then(|it| it.strip_suffix('`'))
        else {
            continue;
        };
        let value = key.split('.').fold(&defaults, |value, key| &value[key]);
        // Where it is said in words, the program or the cluster decides.
        if let (Ok(shown), false) = (serde_json::from_str::<Value>(shown), value.is_null()) {
            assert_eq!(&shown, value, "{key}: run `make chart-docs`");
        }
    }
}

#[test]
fn every_value_has_a_comment() {
    let values = fs::read_to_string(format!("{}/values.yaml", chart())).unwrap();
    let commented: BTreeSet<_> = comments(&values)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    let mut all = Vec::new();
    leaves(&default_values(), "", &mut all);
    for leaf in &all {
        let is_said = commented
            .iter()
            .any(|path| leaf == path || leaf.starts_with(&format!("{path}.")));
        assert!(is_said, "`{leaf}` has no comment that begins with `# --`");
    }
    for path in &commented {
        let is_there = all
            .iter()
            .any(|leaf| leaf == path || leaf.starts_with(&format!("{path}.")));
        assert!(is_there, "`{path}` is no value");
    }
}

/// The flags of `serve`, with their defaults.
fn flags() -> BTreeMap<String, Option<String>> {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["serve", "--help"])
        .env_clear()
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let mut flags = BTreeMap::new();
    let mut last = None;
    for line in help.lines() {
        // Deeper is the text below, which may begin with a flag too.
        if let Some(flag) = line.strip_prefix("      --") {
            let name = flag.split([' ', '[', '=']).next().unwrap().to_owned();
            flags.insert(name.clone(), None);
            last = Some(name);
        } else if let Some(default) = line
            .trim()
            .strip_prefix("[default: ")
            .and_then(|it| it.strip_suffix(']'))
        {
            flags.insert(last.clone().unwrap(), Some(default.to_owned()));
        }
    }
    assert!(flags.len() > 30, "{flags:?}");
    flags
}

fn kebab(name: &str) -> String {
    let mut result = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            result.push('-');
        }
        result.push(letter.to_ascii_lowercase());
    }
    result
}

#[test]
fn settings_are_flags_with_the_same_defaults() {
    // What is another in a cluster, and why is said in the values.
    let unlike = ["logFormat", "shutdownDelay", "workers"];
    let flags = flags();
    let defaults = default_values();
    let settings = defaults["settings"].as_object().unwrap();
    for (name, value) in settings {
        let default = flags.get(&kebab(name));
        let default =
            default.unwrap_or_else(|| panic!("`serve` has no flag for `settings.{name}`"));
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let is_same = default.as_ref() == Some(&value);
        assert_ne!(
            is_same,
            unlike.contains(&name.as_str()),
            "settings.{name}: {value}, {default:?}"
        );
    }
}

/// A new flag is a decision: a setting, or a value of its own, or none.
#[test]
fn every_flag_can_be_set_by_a_value() {
    let by_other_values = [
        "allow-anonymous",
        "allow-plaintext",
        "auth",
        "callers",
        "database-tls-ca",
        "database-url-file",
        "http-listen",
        "jwt-audience",
        "jwt-issuer",
        "jwt-jwks",
        "jwt-jwks-ca",
        "jwt-jwks-token-file",
        "listen",
        "matrix",
        "tls-cert",
        "tls-client-ca",
        "tls-key",
        "trust-domain",
    ];
    // The URL is in no command line, and a data file would be `extraVolumes` and `extraArgs`.
    let by_none = ["data", "database-url"];
    let defaults = default_values();
    let settings: BTreeSet<_> = defaults["settings"]
        .as_object()
        .unwrap()
        .keys()
        .map(|it| kebab(it))
        .collect();
    let known: BTreeSet<_> = by_other_values
        .iter()
        .chain(&by_none)
        .map(|it| (*it).to_owned())
        .collect();
    let known: BTreeSet<_> = known.union(&settings).cloned().collect();
    let flags: BTreeSet<_> = flags().into_keys().collect();
    let missing: Vec<_> = flags.symmetric_difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
