//! Helm, and what it rendered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

use serde_json::Value;

use super::objects::Release;

/// The oldest Kubernetes that the chart is for, and the newest that there are schemas of.
pub(crate) const VERSIONS: [&str; 2] = ["1.28.0", "1.37.0"];
/// Where releases are installed to, in name.
pub(crate) const NAMESPACE: &str = "authorization";

/// What is run, and how it came to be made.
#[derive(Debug)]
pub(crate) struct Tool {
    program: String,
    target: &'static str,
}

impl Tool {
    /// The program that a variable names; by its own name where there is none.
    pub(crate) fn named(variable: &str, name: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "tells where a tool is")]
        let program = std::env::var(variable).unwrap_or_else(|_| name.to_owned());
        Self {
            program,
            target: "tools",
        }
    }

    /// What it says to these arguments. It has no environment but a home that is empty.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        static HOME: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().unwrap().keep());
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", &*HOME);
        match command.output() {
            Ok(output) => output,
            Err(error) => panic!(
                "cannot run `{}`: {error}; install it with `make {}`",
                self.program, self.target
            ),
        }
    }
}

/// The Helms to test with: 3, and 4 where it has been made ready.
pub(crate) fn helms() -> Vec<Tool> {
    #[expect(clippy::disallowed_methods, reason = "tells where a tool is")]
    let newer = std::env::var("PORTCULLIS_TEST_HELM4").ok();
    let newer = newer.map(|program| Tool {
        program,
        target: "helm4",
    });
    let mut all = vec![Tool::named("PORTCULLIS_TEST_HELM", "helm")];
    all.extend(newer);
    all
}

/// Where the chart is.
pub(crate) fn chart() -> String {
    format!("{}/helm/portcullis", env!("CARGO_MANIFEST_DIR"))
}

/// Where the files of this test are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart")
}

/// The chart's own values.
pub(crate) fn default_values() -> Value {
    serde_saphyr::from_str(&fs::read_to_string(format!("{}/values.yaml", chart())).unwrap())
        .unwrap()
}

/// A text that a tool printed.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What `helm template` says, for a release of that name.
pub(crate) fn template(helm: &Tool, release: &str, version: &str, more: &[&str]) -> Output {
    let chart = chart();
    let mut arguments = vec!["template", release, &chart, "--namespace", NAMESPACE];
    arguments.extend(["--kube-version", version]);
    arguments.extend(more);
    helm.run(&arguments)
}

/// The objects of a release, which has to render.
pub(crate) fn render(helm: &Tool, release: &str, version: &str, more: &[&str]) -> Release {
    let output = template(helm, release, version, more);
    let what = format!("{release} {more:?} for {version}");
    assert!(output.status.success(), "{what}: {}", text(&output.stderr));
    Release::parse(what, text(&output.stdout))
}

/// The names of the files of values, without their ending.
pub(crate) fn value_files() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder().join("values"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    names
}

/// The path of a file of values.
pub(crate) fn value_file(name: &str) -> String {
    let path = folder().join("values").join(format!("{name}.yaml"));
    path.to_str().unwrap().to_owned()
}

/// Every file of values, rendered by every Helm for every version.
pub(crate) fn releases() -> &'static [Release] {
    static ALL: LazyLock<Vec<Release>> = LazyLock::new(|| {
        let mut jobs = Vec::new();
        for helm in helms() {
            let helm = std::sync::Arc::new(helm);
            for name in value_files() {
                for version in VERSIONS {
                    jobs.push((helm.clone(), name.clone(), version));
                }
            }
        }
        at_once(jobs, |(helm, name, version)| {
            let file = value_file(&name);
            let mut release = render(&helm, "gate", version, &["--values", &file]);
            let values = fs::read_to_string(&file).unwrap();
            release.values = serde_saphyr::from_str(&values).unwrap();
            release.file = name;
            release
        })
    });
    &ALL
}

/// One file of values, for the newest version.
pub(crate) fn release(file: &str) -> &'static Release {
    let mut of_file = releases().iter().filter(|release| release.file == file);
    of_file.nth(VERSIONS.len() - 1).unwrap()
}

/// The results of `work` for each of `jobs`, a few of them at a time: each is a process.
pub(crate) fn at_once<J: Send, R: Send>(jobs: Vec<J>, work: impl Fn(J) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some((place, job)) = next else { break };
                    let result = work(job);
                    done.lock().unwrap().push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn every_file_of_values_passes_helms_lint() {
    let jobs: Vec<_> = value_files()
        .into_iter()
        .map(|name| vec!["--values".to_owned(), value_file(&name)])
        .chain([Vec::new()])
        .collect();
    for helm in helms() {
        at_once(jobs.clone(), |more| {
            let chart = chart();
            let mut arguments = vec!["lint", "--strict", &chart, "--kube-version", "1.28.0"];
            arguments.extend(more.iter().map(String::as_str));
            let output = helm.run(&arguments);
            assert!(output.status.success(), "{more:?}: {output:?}");
        });
    }
}
