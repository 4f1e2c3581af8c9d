//! The environment, as an argument: which variables there are, and what they are called.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

/// What the names of this program's variables begin with.
pub const PREFIX: &str = "PORTCULLIS_";

/// What the names of OpenTelemetry's variables begin with.
const TELEMETRY_PREFIX: &str = "OTEL_";

/// The variables that concern this program.
#[derive(Clone, Default)]
pub struct Environment {
    settings: BTreeMap<String, OsString>,
    telemetry: BTreeMap<String, OsString>,
    user: Option<String>,
}

/// A variable whose value is not text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotText;

impl Environment {
    /// The value of a variable, if it is set.
    ///
    /// # Errors
    /// [`NotText`] where it is not UTF-8.
    pub fn setting(&self, variable: &str) -> Result<Option<&str>, NotText> {
        match self.settings.get(variable) {
            Some(value) => value.to_str().map(Some).ok_or(NotText),
            None => Ok(None),
        }
    }

    /// The names of all variables that begin with [`PREFIX`], sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.settings.keys().map(String::as_str)
    }

    /// The value of one of OpenTelemetry's variables, if it is set and not empty: as its
    /// specification has it, an empty one is none.
    ///
    /// # Errors
    /// [`NotText`] where it is not UTF-8.
    pub fn telemetry(&self, variable: &str) -> Result<Option<&str>, NotText> {
        let value = self.telemetry.get(variable).map(|value| value.to_str());
        let value = value.map(|value| value.ok_or(NotText)).transpose()?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// Who runs the program, by `USER`.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let name = name.to_string_lossy();
            if name.starts_with(PREFIX) {
                environment.settings.insert(name.into_owned(), value);
            } else if name.starts_with(TELEMETRY_PREFIX) {
                environment.telemetry.insert(name.into_owned(), value);
            } else if name == "USER" {
                environment.user = value.into_string().ok().filter(|user| !user.is_empty());
            }
        }
        environment
    }
}

/// Names alone: a value may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.settings.keys()).finish()
    }
}

/// The variable of the flag `--long`.
#[must_use]
pub fn variable(long: &str) -> String {
    format!("{PREFIX}{}", long.replace('-', "_").to_ascii_uppercase())
}

/// Of the variables that are set, those that no setting has, each with the nearest that one has.
#[must_use]
pub fn unknown<'a>(
    environment: &'a Environment,
    known: &'a [String],
) -> Vec<(&'a str, Option<&'a str>)> {
    let stray = environment
        .names()
        .filter(|name| !known.iter().any(|setting| setting == name));
    stray.map(|name| (name, nearest(name, known))).collect()
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let close = |setting: &&String| strsim::damerau_levenshtein(name, setting);
    known.iter().min_by_key(close).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(names: &[&str]) -> Environment {
        names
            .iter()
            .map(|name| (OsString::from(name), OsString::from("s3cret")))
            .collect()
    }

    #[test]
    fn a_flag_has_a_variable() {
        assert_eq!(variable("max-stale"), "PORTCULLIS_MAX_STALE");
    }

    #[test]
    fn an_unknown_variable_comes_with_the_nearest_setting() {
        let known = ["listen", "http-listen", "stale-after", "max-stale"].map(variable);
        let environment = environment(&["PORTCULLIS_STALE_AFTR", "PORTCULLIS_LISTEN", "HOME"]);
        assert_eq!(
            unknown(&environment, &known),
            [("PORTCULLIS_STALE_AFTR", Some("PORTCULLIS_STALE_AFTER"))]
        );
    }

    #[test]
    fn debug_tells_no_value() {
        let text = format!("{:?}", environment(&["PORTCULLIS_DATABASE_URL"]));
        assert_eq!(text, r#"{"PORTCULLIS_DATABASE_URL"}"#);
    }
}
