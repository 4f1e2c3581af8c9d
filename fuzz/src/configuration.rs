//! What an operator configures, and where a secret may be in it.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;

use clap::CommandFactory as _;
use portcullis::config::{self, Environment, Program, Stop, variable};
use portcullis::store::postgres::{PostgresConfig, PostgresLimits};

use super::told::assert_told;

/// A password that is in no message by chance.
const SECRET: &str = "Zq7xKw9vJp2gTb5n";

/// A piece of the password this long is a leak, too.
const PIECE: usize = 5;

/// Panics where `said` has a piece of the secret.
fn assert_silent(said: &str) {
    let leaked = SECRET
        .as_bytes()
        .windows(PIECE)
        .any(|piece| said.as_bytes().windows(PIECE).any(|part| part == piece));
    assert!(!leaked, "a password comes out: {said}");
}

/// `text` with the secret in it, at the place that the first byte says.
fn with_secret(bytes: &[u8]) -> Option<String> {
    let (at, text) = bytes.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    let places = text.char_indices().map(|(place, _)| place);
    let place = places.chain([text.len()]).cycle().nth(usize::from(*at))?;
    let (before, after) = text.split_at_checked(place)?;
    Some(format!("{before}{SECRET}{after}"))
}

/// A connection string with a password anywhere in it is read or refused, and nothing that is said
/// has a piece of it: neither the error and its sources nor the configuration.
pub fn connection_string(bytes: &[u8]) {
    let Some(text) = with_secret(bytes) else {
        return;
    };
    match PostgresConfig::parse(&text, None, PostgresLimits::default()) {
        Ok(config) => assert_silent(&format!("{config:?}")),
        Err(error) => {
            assert_told(&error.to_string());
            let mut said = format!("{error:?}");
            let mut next: Option<&dyn Error> = Some(&error);
            while let Some(error) = next {
                let _ = write!(said, " {error}");
                next = error.source();
            }
            assert_silent(&said);
        }
    }
}

/// The value of a flag, which the first byte chooses, or of its variable is read or refused in one
/// line that names it. That of the database is never told.
pub fn flag(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    let command = Program::command();
    let serve = command.find_subcommand("serve").unwrap();
    let flags: Vec<_> = serve
        .get_arguments()
        .filter(|flag| flag.get_action().takes_values())
        .filter_map(clap::Arg::get_long)
        .collect();
    let Some(long) = flags.get(usize::from(choice >> 1) % flags.len()) else {
        return;
    };
    let is_secret = *long == "database-url";
    let value = match is_secret {
        true => with_secret(rest),
        false => std::str::from_utf8(rest).ok().map(str::to_owned),
    };
    let Some(value) = value.filter(|value| !value.contains('\0')) else {
        return;
    };
    let (arguments, environment) = match choice & 1 {
        0 => (Some(format!("--{long}={value}")), None),
        _ => (None, Some((variable(long), value))),
    };
    let arguments = ["portcullis", "serve"]
        .map(str::to_owned)
        .into_iter()
        .chain(arguments);
    let environment: Environment = environment
        .into_iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    let said = match config::read(arguments.map(OsString::from).collect(), &environment) {
        Ok(invocation) => format!("{invocation:?}"),
        Err(Stop::Refused(refused)) => {
            let message = refused.to_string();
            assert_told(&message);
            let variable = variable(long);
            assert!(
                message.contains(long) || message.contains(&variable),
                "{message}"
            );
            message
        }
        Err(Stop::Asked(_) | Stop::NoCommand(_)) => panic!("a value is taken for a call for help"),
    };
    if is_secret {
        assert_silent(&said);
    }
}
