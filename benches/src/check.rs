//! Instructions of calls, compared with those that were committed: a call that became slower fails,
//! on any machine of the same architecture and however busy it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::wire::callgrind::{self, CALLS, Calls};
use crate::wire::load::Shape;
use crate::wire::request::Requests;

/// Where the committed counts are, unless another file is named.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");

const HEAD: &str = "\
# Instructions that one call takes in the server, counted by callgrind over the wire, at one call
# at a time. `make bench-check` counts them anew and fails where one has grown by more than a tenth.
# Written by `cargo run --release -p portcullis-bench -- check --write`, never by hand.
";

/// Accounts that the server has, and of how many partners.
const ACCOUNTS: usize = 10_000;
const PARTNERS: usize = 1_000;
/// The checks of a batch.
const BATCH: usize = 100;
/// The catalogue that is filtered: as many data centres as the portal shows.
const LOCATIONS: usize = 143;
const OFFERS: usize = 8;

/// A batch or a catalogue is a hundred checks, and its count as steady after fewer calls.
const LARGE: Calls = Calls {
    warm: 500,
    counted: 1_000,
};

/// Names with their instructions.
type Counts = BTreeMap<String, u64>;

/// What was counted, and with what it can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sheet {
    build: Build,
    counts: Counts,
}

/// What was built, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Build {
    profile: String,
    target: String,
    rustc: String,
}

impl Build {
    /// That of this program.
    fn this() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        // Cargo tells a build script only which profile another inherits from; the folder has its
        // name.
        let folder = program.parent().and_then(Path::file_name);
        let profile = folder.context("a program without a folder")?;
        Ok(Self {
            profile: profile.display().to_string(),
            target: env!("BUILT_FOR").to_owned(),
            rustc: env!("BUILT_BY").to_owned(),
        })
    }

    fn architecture(&self) -> &str {
        self.target.split('-').next().unwrap_or_default()
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Build {
            profile,
            target,
            rustc,
        } = &self.build;
        write!(f, "{HEAD}# profile: {profile}\n# target: {target}\n")?;
        writeln!(f, "# rustc: {rustc}")?;
        let mut lines = self.counts.iter();
        lines.try_for_each(|(name, count)| writeln!(f, "{name} {count}"))
    }
}

impl Sheet {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let said = |what: &str| {
            let mut lines = text.lines();
            let said = lines.find_map(|line| line.strip_prefix("# ")?.strip_prefix(what));
            let said = said.with_context(|| format!("no line `# {what}`"))?;
            anyhow::Ok(said.trim().to_owned())
        };
        let build = Build {
            profile: said("profile:")?,
            target: said("target:")?,
            rustc: said("rustc:")?,
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let count = |line: &str| {
            let (name, count) = line.split_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        let counts = lines.map(|line| count(line).with_context(|| format!("`{line}` is no count")));
        Ok(Self {
            build,
            counts: counts.collect::<anyhow::Result<_>>()?,
        })
    }
}

/// How a count stands to the one that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// More than a tenth above.
    Slower,
    /// Within a tenth.
    Alike,
    /// More than a tenth below.
    Faster,
    /// One of the two is not there.
    Alone,
}

/// A count before and now.
#[derive(Debug, PartialEq, Eq)]
struct Compared<'a> {
    name: &'a str,
    before: Option<u64>,
    now: Option<u64>,
}

impl Compared<'_> {
    fn verdict(&self) -> Verdict {
        match (self.before, self.now) {
            (Some(before), Some(now)) if now * 10 > before * 11 => Verdict::Slower,
            (Some(before), Some(now)) if now * 10 < before * 9 => Verdict::Faster,
            (Some(_), Some(_)) => Verdict::Alike,
            (None, _) | (_, None) => Verdict::Alone,
        }
    }
}

impl fmt::Display for Compared<'_> {
    /// A row of a table in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: Option<u64>| count.map_or("–".to_owned(), |count| count.to_string());
        let (before, now) = (count(self.before), count(self.now));
        let ratio = match (self.before, self.now) {
            (Some(before), Some(now)) => format!("{:.3} ×", whole(now) / whole(before)),
            (None, _) | (_, None) => "–".to_owned(),
        };
        let verdict = match self.verdict() {
            Verdict::Slower => "**slower**",
            Verdict::Alike => "as before",
            Verdict::Faster => "faster",
            Verdict::Alone => "**nothing to compare with**",
        };
        let name = self.name;
        write!(f, "| {name} | {before} | {now} | {ratio} | {verdict} |")
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn whole(count: u64) -> f64 {
    count as f64
}

/// Each name of either.
fn compare<'a>(before: &'a Counts, now: &'a Counts) -> Vec<Compared<'a>> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let compared = names.into_iter().map(|name| Compared {
        name,
        before: before.get(name).copied(),
        now: now.get(name).copied(),
    });
    compared.collect()
}

/// What is wrong with what was compared; nothing where all is well.
fn complaint(compared: &[Compared<'_>]) -> Option<String> {
    let named = |verdict: Verdict| {
        let of = compared.iter().filter(|each| each.verdict() == verdict);
        of.map(|each| each.name).collect::<Vec<_>>().join(", ")
    };
    let mut complaint = String::new();
    for (verdict, what) in [
        (Verdict::Slower, "slower by more than a tenth"),
        (Verdict::Alone, "counted only once, so write the file anew"),
    ] {
        let named = named(verdict);
        if !named.is_empty() {
            let apart = if complaint.is_empty() { "" } else { "; " };
            // A string takes all that is written to it.
            let _ = write!(complaint, "{apart}{what}: {named}");
        }
    }
    (!complaint.is_empty()).then_some(complaint)
}

/// Counts, and writes what it counted to `file`.
///
/// # Errors
/// Where a server does not start, a call fails, or the file cannot be written.
pub fn write(file: &Path) -> anyhow::Result<()> {
    if is_skipped() {
        return Ok(());
    }
    let sheet = Sheet {
        build: Build::this()?,
        counts: count()?,
    };
    fs::write(file, sheet.to_string())?;
    print!("{sheet}");
    Ok(())
}

/// Counts, and compares with what `file` has.
///
/// # Errors
/// Where something became slower, there is nothing to compare with, or it cannot be counted.
pub fn check(file: &Path) -> anyhow::Result<()> {
    if is_skipped() {
        return Ok(());
    }
    let shown = file.display();
    ensure!(
        file.exists(),
        "there is nothing to compare with yet: `check --write` writes {shown}"
    );
    let before = Sheet::parse(&fs::read_to_string(file)?).with_context(|| format!("{shown}"))?;
    let build = Build::this()?;
    if build.architecture() != before.build.architecture() {
        let (theirs, ours) = (before.build.architecture(), build.architecture());
        println!("skipped: the counts are of {theirs}, and this machine is {ours}");
        return Ok(());
    }
    if build.profile != before.build.profile {
        let (theirs, ours) = (before.build.profile, build.profile);
        bail!("the counts are of the profile `{theirs}`, and this program of `{ours}`");
    }
    if build.rustc != before.build.rustc {
        let (theirs, ours) = (&before.build.rustc, &build.rustc);
        println!("The counts are of rustc {theirs}; this program is of {ours}.");
    }
    let now = count()?;
    let compared = compare(&before.counts, &now);
    println!("| instructions per call | committed | now | ratio | verdict |");
    println!("| --- | --- | --- | --- | --- |");
    compared.iter().for_each(|each| println!("{each}"));
    if let Some(complaint) = complaint(&compared) {
        bail!(complaint);
    }
    let mut verdicts = compared.iter().map(Compared::verdict);
    if verdicts.any(|verdict| verdict == Verdict::Faster) {
        println!("Faster than committed: write the file anew with `check --write`.");
    }
    Ok(())
}

/// Says so where nothing can be counted.
fn is_skipped() -> bool {
    let is_there = callgrind::is_there();
    if !is_there {
        println!("skipped: callgrind is not installed (Debian's package valgrind)");
    }
    !is_there
}

fn count() -> anyhow::Result<Counts> {
    let program = std::env::current_exe()?;
    let [accounts, partners, locations, offers] =
        [ACCOUNTS, PARTNERS, LOCATIONS, OFFERS].map(|number| number.to_string());
    let own = ["serve", "portcullis", &accounts, &partners];
    let with_catalogue = [own.as_slice(), &[&locations, &offers]].concat();
    let every = Requests::every(ACCOUNTS);
    let checks = Requests::checks(ACCOUNTS);
    let batches = Requests::batches(ACCOUNTS, BATCH);
    let filters = Requests::filters(ACCOUNTS);
    let alone = Shape {
        connections: 1,
        streams: 1,
    };
    let mut counts = Counts::new();
    let mut take = |name: &str, arguments: &[&str], requests: [&Requests; 2], calls| {
        let counted = callgrind::per_call(&program, arguments, alone, requests, calls)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, and far below 2^52"
        )]
        let counted = counted.round() as u64;
        counts.insert(name.to_owned(), counted);
        anyhow::Ok(())
    };
    take("CheckFeature", &own, [&every, &checks], CALLS)?;
    let empty = ["serve", "empty"];
    take("CheckFeature-empty-handler", &empty, [&checks; 2], CALLS)?;
    take("BatchCheckFeatures-of-100", &own, [&every, &batches], LARGE)?;
    let name = "FilterCatalog-stored-143x8";
    take(name, &with_catalogue, [&every, &filters], LARGE)?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<const N: usize>(counts: [(&str, u64); N]) -> Counts {
        counts
            .map(|(name, count)| (name.to_owned(), count))
            .into_iter()
            .collect()
    }

    #[test]
    fn a_tenth_either_way_is_alike() {
        for (before, now, want) in [
            (Some(1_000), Some(1_101), Verdict::Slower),
            (Some(1_000), Some(1_100), Verdict::Alike),
            (Some(1_000), Some(900), Verdict::Alike),
            (Some(1_000), Some(899), Verdict::Faster),
            (Some(1_000), None, Verdict::Alone),
            (None, Some(1_000), Verdict::Alone),
        ] {
            let name = "it";
            let compared = Compared { name, before, now };
            assert_eq!(compared.verdict(), want, "{compared}");
        }
    }

    #[test]
    fn what_became_slower_is_named() {
        let before = counts([("a", 100), ("b", 100), ("c", 100)]);
        let now = counts([("a", 111), ("b", 50), ("c", 200)]);
        let complaint = complaint(&compare(&before, &now));
        let want = "slower by more than a tenth: a, c";
        assert_eq!(complaint.as_deref(), Some(want));
    }

    #[test]
    fn what_was_counted_once_is_named() {
        let (before, now) = (counts([("a", 1), ("b", 1)]), counts([("b", 1), ("c", 1)]));
        let complaint = complaint(&compare(&before, &now));
        let want = "counted only once, so write the file anew: a, c";
        assert_eq!(complaint.as_deref(), Some(want));
    }

    #[test]
    fn of_what_is_alike_or_faster_nothing_is_wrong() {
        let before = counts([("a", 100), ("b", 100)]);
        let now = counts([("a", 110), ("b", 10)]);
        assert_eq!(complaint(&compare(&before, &now)), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let sheet = Sheet {
            build: Build {
                profile: "release".to_owned(),
                target: "x86_64-unknown-linux-gnu".to_owned(),
                rustc: "1.95.0 (59807616e 2026-04-14)".to_owned(),
            },
            counts: counts([("CheckFeature", 10_000), ("FilterCatalog-stored", 20_000)]),
        };
        assert_eq!(Sheet::parse(&sheet.to_string()).unwrap(), sheet);
        assert_eq!(sheet.build.architecture(), "x86_64");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let head = "# profile: release\n# target: x86_64\n# rustc: 1\n";
        for text in ["a 1\n", "a\n", "a one\n", "a -1\n"] {
            let whole = if text == "a 1\n" { "" } else { head };
            assert!(Sheet::parse(&format!("{whole}{text}")).is_err(), "{text}");
        }
    }
}
