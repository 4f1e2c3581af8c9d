//! The settings of the commands that ask a running service.

use clap::Args;

use super::complaint::Refused;
use super::database::exclusive;
use super::layers::Origins;
use super::service::ServiceArgs;
use super::value;

/// How to ask for decisions, and how to print.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Asking")]
pub struct ClientArgs {
    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,

    /// Ask for an answer that includes this revision, one that `import` printed say
    #[arg(long, value_name = "REVISION", value_parser = value::revision)]
    pub at_least_revision: Option<u64>,

    /// Ask for an answer read from the store now, whatever is cached
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub fully_consistent: bool,
}

impl ClientArgs {
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        self.service.check(origins)?;
        if self.at_least_revision.is_some() && self.fully_consistent {
            return Err(exclusive(origins, "at-least-revision", "fully-consistent"));
        }
        Ok(())
    }
}

/// `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The account that wants to use the feature
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// The feature, such as `pricing.view`
    #[arg(value_name = "FEATURE")]
    pub feature: String,

    /// How to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `features`.
#[derive(Debug, Clone, Args)]
pub struct FeaturesArgs {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// How to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `catalog`.
#[derive(Debug, Clone, Args)]
pub struct CatalogArgs {
    /// The account that looks at the catalogue
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// Only locations in these billing markets, by code or alias; commas between them
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub markets: Vec<String>,

    /// Only locations in these metros, as they are spelt; commas between them
    #[arg(long, value_name = "METRO", value_delimiter = ',')]
    pub metros: Vec<String>,

    /// Print ids alone, one a line
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub ids: bool,

    /// The most locations to print; default: all
    #[arg(long, value_name = "COUNT", value_parser = value::size)]
    pub limit: Option<u64>,

    /// How many locations to fetch with one call
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = value::page_size)]
    pub page_size: u32,

    /// How to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}
