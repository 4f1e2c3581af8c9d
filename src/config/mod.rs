//! What the program is asked to do: the command line and the environment, read into values.
//!
//! Every flag that takes a value has a variable, `--max-stale` has `PORTCULLIS_MAX_STALE`, and a
//! flag goes before its variable. The environment is an argument, so that all of this can be
//! tested without touching the process. Nothing here does IO, but for [`load`], which reads the
//! files that flags name.

mod client;
mod complaint;
mod database;
mod endpoint;
mod environment;
mod layers;
pub mod load;
mod policy;
mod program;
mod proofs;
mod serve;
mod service;
pub mod text;
mod tools;
mod traces;
mod value;

use std::ffi::OsString;

use clap::FromArgMatches as _;

pub use client::{CatalogArgs, CheckArgs, ClientArgs, FeaturesArgs};
pub use complaint::{Refused, Stop};
pub use database::{DatabaseArgs, MatrixArgs};
pub use endpoint::{Endpoint, Scheme};
pub use environment::{Environment, NotText, PREFIX, unknown, variable};
pub use layers::Origins;
pub use policy::{
    AccountCommand, AccountDeleteArgs, AccountListArgs, AccountPutArgs, AccountShowArgs,
    ChangeArgs, ExplainArgs, Kind, PolicyCommand, PolicyHistoryArgs, PolicyPreviewArgs,
    PolicySetArgs, PolicyShowArgs, PolicyUpdateArgs, Support,
};
pub use program::{Command, Program};
pub use proofs::{Jwks, Proofs};
pub use serve::{DecisionsLogged, LogFormat, ServeArgs};
pub use service::ServiceArgs;
pub use tools::{
    ExportArgs, ExportFormat, HealthcheckArgs, ImportArgs, MatrixCommandArgs, MatrixFormat,
    MigrateArgs,
};
pub use traces::Traces;
pub use value::{Assignment, LogFilter, Secret};

/// A command with its settings, each of them valid.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// Where each setting came from.
    pub origins: Origins,
    /// One line for each variable that looks like a setting and is none.
    pub warnings: Vec<String>,
}

/// Reads the command line, and the environment where the command line says nothing.
///
/// # Errors
/// [`Stop`] where there is nothing to do: help was asked for, or something is not accepted.
pub fn read(arguments: Vec<OsString>, environment: &Environment) -> Result<Invocation, Stop> {
    let command = program::command();
    let (matches, origins) = layers::read(&command, arguments, environment)?;
    let program = Program::from_arg_matches(&matches)
        .map_err(|error| complaint::explain(&error, &Origins::default(), None))?;
    program.command.check(&origins)?;
    let known = program::variables(&command);
    let warnings = unknown(environment, &known)
        .into_iter()
        .map(|(name, nearest)| warning(name, nearest))
        .collect();
    Ok(Invocation {
        command: program.command,
        origins,
        warnings,
    })
}

fn warning(name: &str, nearest: Option<&str>) -> String {
    let name = text::escaped(name);
    let hint = nearest.map_or_else(String::new, |nearest| {
        format!("; the nearest setting is `{nearest}`")
    });
    format!("the variable `{name}` is no setting and is ignored{hint}")
}

#[cfg(test)]
mod caller_tests;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decisions::Logged;

    pub(super) fn read_from(line: &str, variables: &[(&str, &str)]) -> Result<Invocation, String> {
        let arguments = std::iter::once("portcullis").chain(line.split_whitespace());
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        read(
            arguments.map(OsString::from).collect(),
            &variables.collect(),
        )
        .map_err(|stop| match stop {
            Stop::Refused(refused) => refused.to_string(),
            Stop::Asked(_) | Stop::NoCommand(_) => "help".to_owned(),
        })
    }

    pub(super) fn serve(line: &str, variables: &[(&str, &str)]) -> ServeArgs {
        let invocation = read_from(&format!("serve {line}"), variables).unwrap();
        let Command::Serve(args) = invocation.command else {
            panic!("another command");
        };
        *args
    }

    #[test]
    fn the_parser_is_sound() {
        program::command().debug_assert();
    }

    #[test]
    fn a_flag_goes_before_its_variable_and_that_before_the_default() {
        let max_stale = [("PORTCULLIS_MAX_STALE", "2m")];
        for (line, variables, want) in [
            ("", &[][..], 300),
            ("", &max_stale[..], 120),
            ("--max-stale 1m", &max_stale[..], 60),
            ("--max-stale=5m", &max_stale[..], 300),
        ] {
            let args = serve(line, variables);
            assert_eq!(args.freshness.max_stale, Duration::from_secs(want));
        }
    }

    #[test]
    fn a_wrong_variable_under_a_flag_is_not_looked_at() {
        let args = serve(
            "--max-stale 1m",
            &[
                ("PORTCULLIS_MAX_STALE", "never"),
                ("PORTCULLIS_ENDPOINT", "?"),
            ],
        );
        assert_eq!(args.freshness.max_stale, Duration::from_secs(60));
    }

    #[test]
    fn a_share_of_decisions_is_for_a_sampled_log() {
        let args = serve("--decision-log sampled", &[]);
        assert_eq!(args.logging.decisions(), Logged::Sampled(0.01));
        let sample = [("PORTCULLIS_DECISION_LOG_SAMPLE", "0.5")];
        let args = serve("--decision-log sampled", &sample);
        assert_eq!(args.logging.decisions(), Logged::Sampled(0.5));
        for (line, variables, want) in [
            (
                "serve --decision-log-sample 0.5",
                &[][..],
                "`--decision-log-sample` is for a sampled decision log, and `--decision-log` is \
                 `off`: give `sampled` there, or leave it out",
            ),
            (
                "serve --decision-log denials",
                &sample,
                "`PORTCULLIS_DECISION_LOG_SAMPLE` is for a sampled decision log, and \
                 `--decision-log` is `denials`: give `sampled` there, or leave it out",
            ),
        ] {
            assert_eq!(read_from(line, variables).unwrap_err(), want);
        }
        for value in ["0", "0.00009", "1.1", "1%", "-1", "NaN", "inf"] {
            let variable = [("PORTCULLIS_DECISION_LOG_SAMPLE", value)];
            let error = read_from("serve --decision-log sampled", &variable).unwrap_err();
            let accepted = "a share from `0.0001` to `1` is accepted";
            assert!(error.contains(accepted), "{value}: {error}");
        }
    }

    #[test]
    fn switches_are_true_or_false_in_the_environment() {
        for (line, value, want) in [
            ("", "true", true),
            ("", "false", false),
            ("--allow-anonymous", "false", true),
            ("--allow-anonymous=false", "true", false),
        ] {
            let args = serve(line, &[("PORTCULLIS_ALLOW_ANONYMOUS", value)]);
            assert_eq!(args.callers.allow_anonymous, want, "{line} {value}");
        }
        let error = read_from("serve", &[("PORTCULLIS_ALLOW_ANONYMOUS", "1")]).unwrap_err();
        assert_eq!(
            error,
            "`PORTCULLIS_ALLOW_ANONYMOUS` is `1`: `true` or `false` is accepted"
        );
    }

    #[test]
    fn variables_go_before_a_double_dash() {
        let invocation = read_from(
            "check -- acme pricing.view",
            &[("PORTCULLIS_ENDPOINT", "portal:80")],
        );
        let Command::Check(args) = invocation.unwrap().command else {
            panic!("another command");
        };
        assert_eq!(args.account, "acme");
        assert_eq!(args.client.service.endpoint.to_string(), "portal:80");
    }

    #[test]
    fn a_command_of_a_command_has_its_variables_too() {
        let variables = [
            ("PORTCULLIS_ENDPOINT", "portal:80"),
            ("PORTCULLIS_ACTOR", "kim"),
            ("PORTCULLIS_ENABLE_MARKET", "AU,NZ"),
            // One of another command.
            ("PORTCULLIS_PARTNER", "northwind"),
        ];
        for line in [
            "policy set northwind pricing.view=on --comment why",
            "policy set --comment why -- northwind pricing.view=on",
        ] {
            let invocation = read_from(line, &variables).unwrap();
            let Command::Policy {
                command: PolicyCommand::Set(args),
            } = invocation.command
            else {
                panic!("another command");
            };
            assert_eq!(args.service.endpoint.to_string(), "portal:80");
            assert_eq!(args.change.actor.as_deref(), Some("kim"));
            assert_eq!(args.update.enable_market, ["AU", "NZ"]);
            assert_eq!(args.update.settings.len(), 1);
            assert!(invocation.origins.given("comment"));
            assert_eq!(invocation.warnings, [""; 0]);
        }
        let wrong = [("PORTCULLIS_EXPECT_REVISION", "latest")];
        assert_eq!(
            read_from("policy preview northwind a.b=on", &wrong).unwrap_err(),
            "`PORTCULLIS_EXPECT_REVISION` is `latest`: a revision is accepted, a whole number such \
             as `42`"
        );
    }

    #[test]
    fn lists_come_from_a_variable_too() {
        let invocation = read_from("catalog acme", &[("PORTCULLIS_METROS", "Hong Kong,Zürich")]);
        let Command::Catalog(args) = invocation.unwrap().command else {
            panic!("another command");
        };
        assert_eq!(args.metros, ["Hong Kong", "Zürich"]);
    }

    #[test]
    fn a_message_names_what_the_person_wrote() {
        let max_stale = [("PORTCULLIS_MAX_STALE", "1s")];
        for (line, variables, want) in [
            (
                "serve --max-stale 1s",
                &[][..],
                "`--stale-after` is `5s`, more than `--max-stale` (`1s`): it has to be at most that, \
                 or answers end before they are stale",
            ),
            (
                "serve --stale-after 2s",
                &max_stale[..],
                "`--stale-after` is `2s`, more than `PORTCULLIS_MAX_STALE` (`1s`): it has to be at \
                 most that, or answers end before they are stale",
            ),
        ] {
            assert_eq!(read_from(line, variables).unwrap_err(), want);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_text_is_named() {
        use std::os::unix::ffi::OsStringExt as _;
        let environment = [("PORTCULLIS_MATRIX".into(), OsString::from_vec(vec![0xff]))];
        let arguments = ["portcullis", "matrix"].map(OsString::from).to_vec();
        let stop = read(arguments, &environment.into_iter().collect()).unwrap_err();
        let Stop::Refused(refused) = stop else {
            panic!("{stop:?}");
        };
        assert_eq!(
            refused.to_string(),
            "`PORTCULLIS_MATRIX` is not text: UTF-8 is accepted"
        );
    }

    #[test]
    fn debug_of_a_configuration_tells_no_secret() {
        let url = "postgres://portcullis:hunter2@db/portcullis";
        let by_flag = read_from(&format!("migrate --database-url {url}"), &[]).unwrap();
        let by_variable = read_from("serve", &[("PORTCULLIS_DATABASE_URL", url)]).unwrap();
        for invocation in [by_flag, by_variable] {
            assert!(!format!("{invocation:?}").contains("hunter2"));
        }
    }
}
