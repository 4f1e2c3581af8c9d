//! Why there is nothing to do, in one line that names the flag or variable, the value and what is
//! accepted.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::layers::Origins;
use super::text::shown;

/// Settings whose values are never repeated.
const SECRETS: [&str; 1] = ["database-url"];

/// Settings that are not accepted. The message names them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Refused {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Why nothing is done.
#[derive(Debug)]
pub enum Stop {
    /// It was asked for help, or for the version.
    Asked(StyledStr),
    /// No command was given, so help is called for.
    NoCommand(StyledStr),
    /// Something is not accepted.
    Refused(Refused),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Puts an error of the parser into this program's words.
pub(super) fn explain(error: &clap::Error, origins: &Origins, command: Option<&str>) -> Stop {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return Stop::Asked(error.render());
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Stop::NoCommand(error.render());
    }
    let found = Found { error, origins };
    let message = found.value().or_else(|| found.usage(command));
    let message = message.unwrap_or_else(|| "the command line cannot be read".to_owned());
    Stop::Refused(Refused(message))
}

/// What an error of the parser is about.
struct Found<'a> {
    error: &'a clap::Error,
    origins: &'a Origins,
}

impl Found<'_> {
    fn text(&self, kind: ContextKind) -> Option<String> {
        let value = self.error.get(kind)?;
        matches!(value, ContextValue::String(_) | ContextValue::Strings(_))
            .then(|| value.to_string())
    }

    /// The flag `--long` that it is about, without its dashes.
    fn long(&self) -> Option<String> {
        let argument = self.text(ContextKind::InvalidArg)?;
        let long = argument.strip_prefix("--")?;
        let end = long.find([' ', '=', '[']).unwrap_or(long.len());
        long.get(..end).map(str::to_owned)
    }

    /// About the value of a flag or of an argument.
    fn value(&self) -> Option<String> {
        let accepted = if self.error.kind() == ErrorKind::ValueValidation {
            std::error::Error::source(self.error)?.to_string()
        } else if self.error.kind() == ErrorKind::InvalidValue {
            self.choices().unwrap_or("a value is needed".to_owned())
        } else {
            return None;
        };
        let value = self.text(ContextKind::InvalidValue)?;
        let long = self.long();
        let name = match &long {
            Some(long) => self.origins.name(long),
            None => format!("`{}`", bare(&self.text(ContextKind::InvalidArg)?)),
        };
        let secret = long.is_some_and(|long| SECRETS.contains(&long.as_str()));
        Some(if value.is_empty() {
            format!("{name} is empty: {accepted}")
        } else if secret {
            format!("{name} cannot be used: {accepted}")
        } else {
            format!("{name} is {}: {accepted}", shown(&value))
        })
    }

    /// The values that are accepted, where there are few: "`a`, `b` or `c` is accepted".
    fn choices(&self) -> Option<String> {
        let Some(ContextValue::Strings(choices)) = self.error.get(ContextKind::ValidValue) else {
            return None;
        };
        let quoted: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
        let (last, others) = quoted.split_last()?;
        if others.is_empty() {
            return Some(format!("{last} is accepted"));
        }
        Some(format!("{} or {last} is accepted", others.join(", ")))
    }

    /// About the shape of the command line.
    fn usage(&self, command: Option<&str>) -> Option<String> {
        let message = self.shape()?;
        let hint = self
            .text(ContextKind::SuggestedSubcommand)
            .or_else(|| self.text(ContextKind::SuggestedArg))
            .map_or_else(String::new, |hint| format!("; did you mean `{hint}`?"));
        let see = command.map_or_else(
            || "portcullis --help".to_owned(),
            |command| format!("portcullis {command} --help"),
        );
        Some(format!("{message}{hint} (see `{see}`)"))
    }

    fn shape(&self) -> Option<String> {
        let kind = self.error.kind();
        if kind == ErrorKind::InvalidSubcommand {
            let name = self.text(ContextKind::InvalidSubcommand)?;
            return Some(format!("there is no command {}", shown(&name)));
        }
        if kind == ErrorKind::InvalidUtf8 {
            return Some("an argument is not UTF-8".to_owned());
        }
        let argument = self.text(ContextKind::InvalidArg)?;
        if kind == ErrorKind::UnknownArgument {
            Some(format!("unexpected argument {}", shown(&argument)))
        } else if kind == ErrorKind::MissingRequiredArgument {
            let missing = argument.split(", ").map(|one| format!("`{}`", bare(one)));
            let missing: Vec<_> = missing.collect();
            Some(format!("missing: {}", missing.join(", ")))
        } else if kind == ErrorKind::ArgumentConflict {
            Some(format!("`{}` is given more than once", bare(&argument)))
        } else if matches!(
            kind,
            ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues
        ) {
            Some(format!("`{}` takes one value", bare(&argument)))
        } else {
            None
        }
    }
}

/// `--flag <VALUE>` as `--flag`, `<FILE>` and `[FILE]...` as `FILE`.
fn bare(argument: &str) -> &str {
    if !argument.starts_with('-') {
        return argument.trim_matches(['<', '>', '[', ']', '.']);
    }
    let end = argument.find([' ', '=', '[']).unwrap_or(argument.len());
    argument.get(..end).unwrap_or(argument)
}
