#![cfg(test)]
//! Holds the floors of ARCHITECTURE.md: who may know whom, what the domain must not know, where
//! `tonic::Status` lives, and how long a file may be. `layering/rules.rs` has the table.

#[path = "layering/rules.rs"]
mod rules;
#[path = "layering/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn rust_files(below: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The names of the crate's dependencies, as paths in the source start with them.
fn dependencies() -> BTreeSet<String> {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[").find_map(|section| {
        let section = section.trim_start_matches('[');
        section.strip_prefix("dependencies]\n")
    });
    let lines = section.unwrap().lines();
    let names = lines.filter_map(|line| line.split_once(['=', '.']));
    names
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect()
}

fn sources() -> Vec<Source> {
    let files = rust_files(&Path::new(ROOT).join("src"));
    let sources: Vec<Source> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(ROOT).unwrap();
            let text = fs::read_to_string(file).unwrap();
            Source::parse(name.to_str().unwrap(), &text)
        })
        .collect();
    assert!(sources.len() > 20, "{} files", sources.len());
    sources
}

#[test]
fn every_file_keeps_to_its_floor() {
    let found = rules::violations(&sources(), &dependencies());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let found = rules::too_long(&sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Only so are helper functions of a test linted as what they are. See `clippy.toml`.
#[test]
fn every_test_file_starts_with_cfg_test() {
    for file in fs::read_dir(Path::new(ROOT).join("tests")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&file).unwrap();
            let first = text.lines().find(|line| line.starts_with('#'));
            assert_eq!(first, Some("#![cfg(test)]"), "{}", file.display());
        }
    }
}

#[test]
fn the_manifest_is_read() {
    let dependencies = dependencies();
    for name in ["tonic", "tokio", "tokio_postgres", "serde", "tracing"] {
        assert!(dependencies.contains(name), "{name}: {dependencies:?}");
    }
    assert!(!dependencies.contains("proptest"), "{dependencies:?}");
}

/// What a file with this text would break, if it stood there.
fn broken_by(file: &str, text: &str) -> Vec<String> {
    let mut source = Source::parse(file, text);
    // Whatever module it is, some other file declares it.
    let module = source.module.clone();
    source.declares.insert((module, false));
    let sources = [source];
    let mut found = rules::violations(&sources, &dependencies());
    found.extend(rules::too_long(&sources));
    found
}

#[track_caller]
fn assert_breaks(file: &str, text: &str, want: &str) {
    let found = broken_by(file, text);
    assert!(
        found.iter().any(|violation| violation.contains(want)),
        "{file}: {text}: {found:?}"
    );
}

#[track_caller]
fn assert_keeps(file: &str, text: &str) {
    let found = broken_by(file, text);
    assert!(found.is_empty(), "{file}: {text}: {found:?}");
}

#[test]
fn an_import_from_a_floor_above_is_caught() {
    for (file, text, want) in [
        (
            "src/domain/id.rs",
            "use crate::store::Store;",
            "`domain` may not know `store`",
        ),
        (
            "src/domain/mod.rs",
            "use super::store::Store;",
            "`domain` may not know `store`",
        ),
        (
            "src/domain/id.rs",
            "use super::super::clock::Moment;",
            "may not know `clock`",
        ),
        (
            "src/store/plan.rs",
            "use crate::{domain::Rule, directory as d};",
            "`directory`",
        ),
        (
            "src/store/mod.rs",
            "pub mod memory; use memory::MemoryStore;",
            "`store::memory`",
        ),
        (
            "src/store/mod.rs",
            "pub mod memory; pub use self::memory::A;",
            "`store::memory`",
        ),
        (
            "src/store/mod.rs",
            "use crate::clock::Moment;",
            "may not know `clock`",
        ),
        (
            "src/store/memory.rs",
            "use crate::directory::Directory;",
            "`directory`",
        ),
        (
            "src/directory/mod.rs",
            "use crate::store::memory::MemoryStore;",
            "`store::memory`",
        ),
        (
            "src/directory/mod.rs",
            "use crate::store::{postgres::{self}};",
            "`store::postgres`",
        ),
        (
            "src/authorizer/mod.rs",
            "use crate::proto::v1;",
            "`authorizer` may not know `proto`",
        ),
        (
            "src/authorizer.rs",
            "use crate::store::memory::MemoryStore;",
            "`store::memory`",
        ),
        (
            "src/grpc/mod.rs",
            "use crate::app::Bound;",
            "`grpc` may not know `app`",
        ),
        (
            "src/edge/mod.rs",
            "use crate::{config::Listen};",
            "`edge` may not know `config`",
        ),
        (
            "src/clock.rs",
            "use crate::domain::Revision;",
            "`clock` may not know `domain`",
        ),
    ] {
        assert_breaks(file, text, want);
    }
}

#[test]
fn a_path_is_caught_wherever_it_stands() {
    for text in [
        "fn f() { crate::store::plan(); }",
        "fn f() -> Option<crate::store::Delta> { None }",
        "fn f() { assert_eq!(1, g(crate::store::N)); }",
        "fn f(x: u8) { match x { crate::store::N => {} _ => {} } }",
        "impl crate::store::Store for () {}",
        "#[derive(crate::store::Derive)] struct S;",
        "#[crate::store::attribute] struct S;",
        "macro_rules! m { () => { crate::store::plan() } }",
        "crate::store::make!();",
        "mod inner { use super::super::store::Delta; }",
        "mod inner { mod deeper { fn f() { super::super::super::store::plan() } } }",
        "fn f() { use crate::store::Delta; }",
        "pub(in crate::store) struct S;",
        "use crate::store::*;",
        "extern crate self as portcullis; use portcullis::store::Delta;",
    ] {
        assert_breaks("src/domain.rs", text, "`domain` may not know `store`");
    }
    assert_breaks("src/domain.rs", "use crate as root;", "root is renamed");
    assert_breaks(
        "src/domain.rs",
        "use crate::{self as root};",
        "root is renamed",
    );
    assert_breaks("src/domain.rs", "use super::*;", "everything of the root");
}

#[test]
fn what_the_floors_allow_is_allowed() {
    for (file, text) in [
        (
            "src/domain/id.rs",
            "use super::{Invalid, text::Text}; pub(crate) fn f() {}",
        ),
        (
            "src/domain/mod.rs",
            "mod id; pub use id::Invalid; use std::fmt;",
        ),
        (
            "src/store/plan.rs",
            "use crate::{domain::Rule, datafile::Shape, metrics};",
        ),
        (
            "src/store/mod.rs",
            "pub mod memory; use async_trait::async_trait;",
        ),
        (
            "src/store/postgres/load.rs",
            "use super::super::Delta; use crate::store::State;",
        ),
        (
            "src/directory/mod.rs",
            "use crate::{clock::Moment, store::Store};",
        ),
        (
            "src/grpc/mod.rs",
            "use crate::{proto::v1, authorizer::Authorizer}; use tonic::Status;",
        ),
        (
            "src/app/mod.rs",
            "use crate::{grpc::A, store::postgres::B, config::C, proto::v1};",
        ),
        ("src/main.rs", "fn main() { portcullis::cli::run() }"),
        // Tests beside the code may build on what is above.
        (
            "src/directory/x.rs",
            "#[cfg(test)] mod tests { use crate::store::memory::M; }",
        ),
    ] {
        assert_keeps(file, text);
    }
}

#[test]
fn an_impure_domain_is_caught() {
    for (text, want) in [
        ("use tokio::sync::Mutex;", "tokio::sync::Mutex"),
        ("fn f() { tokio::spawn(g()); }", "tokio::spawn"),
        ("use tonic::Code;", "tonic::Code"),
        ("fn f() { tracing::info!(\"x\"); }", "tracing::info"),
        ("use tokio_postgres::Row;", "tokio_postgres::Row"),
        ("use std::{fmt, time::Duration};", "std::time::Duration"),
        ("fn f() { std::env::args(); }", "std::env::args"),
        (
            "fn f() { let _ = vec![std::fs::read(\"x\")]; }",
            "std::fs::read",
        ),
        ("use std::net::IpAddr;", "std::net::IpAddr"),
        ("use core::time;", "core::time"),
        ("async fn f() {}", "says `async`"),
        ("fn f() { let _ = async {}; }", "says `async`"),
        ("trait T { async fn f(); }", "says `async`"),
        ("fn f() { println!(); }", "says `println`"),
        ("#[cfg(test)] mod tests { use std::fs; }", "std::fs"),
    ] {
        assert_breaks("src/domain/x.rs", text, want);
    }
    assert_keeps(
        "src/domain/x.rs",
        "//! No async, no std::fs.\nuse std::fmt; fn f(bytes: u8) { g(bytes) }",
    );
    assert_keeps("src/store/x.rs", "use std::time::Duration; async fn f() {}");
}

#[test]
fn a_status_far_from_grpc_is_caught() {
    for text in [
        "use tonic::Status;",
        "use tonic::{Request, Status};",
        "use tonic::{self, Code}; fn f() -> tonic::Status { g() }",
        "fn f() { Err(tonic::Status::internal(\"x\")) }",
        "use tonic::*;",
        "use tonic as t;",
        "fn f() -> tonic::Result<()> { Ok(()) }",
    ] {
        assert_breaks("src/http/x.rs", text, "`tonic::Status` outside of");
        assert_breaks("src/app/x.rs", text, "`tonic::Status` outside of");
        assert_keeps("src/grpc/x.rs", text);
        assert_keeps("src/edge/x.rs", text);
        assert_keeps("src/cli/x.rs", text);
    }
    assert_keeps(
        "src/edge/x.rs",
        "use tonic::body::Body; use crate::directory::Status;",
    );
}

#[test]
fn a_module_without_a_floor_is_caught() {
    assert_breaks("src/helpers.rs", "", "in no floor");
    assert_breaks("src/helpers/mod.rs", "", "in no floor");
    assert_breaks(
        "src/app/mod.rs",
        "use crate::helpers::X;",
        "`helpers::X` is in no floor",
    );
}

#[test]
fn a_file_that_no_mod_line_names_is_caught() {
    let source = |file, text| Source::parse(file, text);
    let parent = source("src/store/mod.rs", "mod delta;");
    let delta = source("src/store/delta.rs", "");
    let lost = source("src/store/lost.rs", "");
    let lib = source("src/lib.rs", "pub mod store;");
    let found = rules::violations(&[lib, parent, delta, lost], &BTreeSet::new());
    assert_eq!(found, ["src/store/lost.rs: no `mod` line names it"]);
}

#[test]
fn a_long_file_is_caught() {
    let constant = "const _: () = ();\n";
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", constant.repeat(500));
    assert_keeps("src/store/x.rs", &constant.repeat(400));
    assert_keeps(
        "src/store/x.rs",
        &format!("{}{tests}", constant.repeat(400)),
    );
    assert_breaks("src/store/x.rs", &constant.repeat(401), "401 lines");
    let code = format!("{}{tests}", constant.repeat(401));
    assert_breaks("src/store/x.rs", &code, "401 lines");

    // A file of tests is as long as it has to be.
    let parent = Source::parse("src/store/mod.rs", "#[cfg(test)] mod tests;");
    let child = Source::parse("src/store/tests.rs", &constant.repeat(500));
    let lib = Source::parse("src/lib.rs", "mod store;");
    let found = rules::too_long(&[lib, parent, child]);
    assert!(found.is_empty(), "{found:?}");

    assert_keeps("src/main.rs", &constant.repeat(29));
    assert_breaks("src/main.rs", &constant.repeat(30), "not below 30 lines");
}
