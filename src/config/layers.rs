//! Two layers: the command line, and below it the environment.
//!
//! The command line is read once to learn the command and which flags it gives. For every other
//! flag of that command whose variable is set, `--flag=value` is added, and all of it is read
//! again: so a variable is read by the very rules of its flag, and whatever the second reading
//! refuses is a variable's.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::complaint::{Refused, Stop, explain};
use super::environment::{Environment, NotText, variable};

/// Which settings were given, and how; the others have their defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    flags: BTreeSet<String>,
    variables: BTreeSet<String>,
}

impl Origins {
    /// Whether `--long` or its variable was given.
    #[must_use]
    pub fn given(&self, long: &str) -> bool {
        self.flags.contains(long) || self.variables.contains(long)
    }

    /// Whether `--long` was given on the command line itself.
    #[must_use]
    pub fn on_command_line(&self, long: &str) -> bool {
        self.flags.contains(long)
    }

    /// What to call the setting `--long` in a message: by what the person wrote.
    #[must_use]
    pub fn name(&self, long: &str) -> String {
        if self.variables.contains(long) {
            format!("`{}`", variable(long))
        } else {
            format!("`--{long}`")
        }
    }
}

/// Reads `arguments` (the first is the program) by `command`, and `environment` below them.
pub(super) fn read(
    command: &clap::Command,
    mut arguments: Vec<OsString>,
    environment: &Environment,
) -> Result<(ArgMatches, Origins), Stop> {
    let first = command.clone().try_get_matches_from(&arguments);
    let (chosen, path) = chosen(command, &arguments);
    let named = (!path.is_empty()).then(|| path.join(" "));
    let first = first.map_err(|error| explain(&error, &Origins::default(), named.as_deref()))?;

    let mut given = &first;
    while let Some((_, below)) = given.subcommand() {
        given = below;
    }
    let mut origins = Origins::default();
    let mut added = Vec::new();
    for flag in chosen.get_arguments() {
        let Some(long) = flag.get_long() else {
            continue;
        };
        if given.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine) {
            origins.flags.insert(long.to_owned());
        } else if let Some(value) = value_of(environment, long)? {
            origins.variables.insert(long.to_owned());
            added.push(OsString::from(format!("--{long}={value}")));
        }
    }
    // Behind the name of the command, and so before any `--`.
    let behind = arguments.len().min(1 + path.len());
    arguments.splice(behind..behind, added);
    let both = command
        .clone()
        .try_get_matches_from(&arguments)
        .map_err(|error| explain(&error, &origins, named.as_deref()))?;
    Ok((both, origins))
}

/// The command that `arguments` name, with its path: `policy` and `set`. Names stand together at the
/// beginning, for no command that has others below it has flags of its own.
fn chosen<'a>(
    mut command: &'a clap::Command,
    arguments: &[OsString],
) -> (&'a clap::Command, Vec<&'a str>) {
    let mut path = Vec::new();
    for argument in arguments.iter().skip(1) {
        let below = argument.to_str();
        let Some(below) = below.and_then(|name| command.find_subcommand(name)) else {
            break;
        };
        command = below;
        path.push(below.get_name());
    }
    (command, path)
}

fn value_of<'a>(environment: &'a Environment, long: &str) -> Result<Option<&'a str>, Refused> {
    let variable = variable(long);
    match environment.setting(&variable) {
        Ok(Some("")) => Err(Refused::new(format!(
            "`{variable}` is empty; give it a value, or unset it"
        ))),
        Ok(value) => Ok(value),
        Err(NotText) => Err(Refused::new(format!(
            "`{variable}` is not text: UTF-8 is accepted"
        ))),
    }
}
