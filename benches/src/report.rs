//! How time and memory grow with accounts and locations: a page with tables, and plots beside it.
//!
//! What is measured is in `accounts` and `locations`, and what is said about it in
//! `report/performance.md`, which has a place for each figure. All is of one run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

mod accounts;
mod locations;
mod plot;
mod text;

/// Where the page is, unless another folder is named.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

const PAGE: &str = include_str!("report/performance.md");

/// A place of the page, and what comes there.
type Place = (&'static str, String);

/// Measures, and writes the page and its plots to this folder.
///
/// # Errors
/// Where there is no Postgres, something cannot be measured, or the folder cannot be written to.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    // Looked for before minutes are spent on what would be written there.
    let folder = folder.canonicalize();
    let folder = folder.context("there is no folder to write to")?;
    let accounts = accounts::Growth::measure()?;
    let locations = locations::Growth::measure()?;
    let places = [machine()?, accounts.places(), locations.places()].concat();
    let files = [
        ("performance.md", fill(PAGE, &places)?),
        ("performance-accounts.svg", plot::draw(&accounts.panels())?),
        (
            "performance-locations.svg",
            plot::draw(&locations.panels())?,
        ),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// What it is measured on: the processor, and the profile, after which Cargo names the folder that a
/// program is in.
fn machine() -> anyhow::Result<Vec<Place>> {
    let said = fs::read_to_string("/proc/cpuinfo")?;
    let processor = said.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let processor = processor.context("a processor without a name")?;
    let cores = std::thread::available_parallelism()?.get();
    let program = std::env::current_exe()?;
    let profile = program.parent().and_then(Path::file_name);
    let profile = profile.context("a program without a folder")?;
    let profile = match profile.to_string_lossy().as_ref() {
        "release" => "the profile `release`, as it is shipped".to_owned(),
        other => format!("the profile `{other}`, which makes it slower than it is shipped"),
    };
    Ok(vec![
        ("processor", processor),
        ("cores", cores.to_string()),
        ("profile", profile),
        ("rustc", env!("BUILT_BY").to_owned()),
    ])
}

/// The page with its places filled. Each is filled, and there is one for whatever was measured.
fn fill(page: &str, places: &[Place]) -> anyhow::Result<String> {
    let mut filled = page.to_owned();
    for (name, text) in places {
        let place = format!("{{{name}}}");
        ensure!(
            filled.contains(&place),
            "the page has no place for `{name}`"
        );
        filled = filled.replace(&place, text);
    }
    let left = filled.split_once('{').map(|(_, rest)| rest);
    let left = left.and_then(|rest| rest.lines().next());
    ensure!(left.is_none(), "nothing fills `{{{}`", left.unwrap_or(""));
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_filled_and_has_something_to_fill_it() {
        let place = |name| (name, "12".to_owned());
        let page = "{a} of {b}, {a}";
        assert_eq!(
            fill(page, &[place("a"), place("b")]).unwrap(),
            "12 of 12, 12"
        );
        assert!(fill(page, &[place("a")]).is_err());
        assert!(fill(page, &[place("a"), place("b"), place("c")]).is_err());
    }

    #[test]
    fn the_page_has_the_places_that_are_measured() {
        let places = [
            machine().unwrap(),
            accounts::Growth::example().places(),
            locations::Growth::example().places(),
        ];
        fill(PAGE, &places.concat()).unwrap();
    }
}
