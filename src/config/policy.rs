//! The settings of the commands that look after policies and accounts on a running service.

use clap::{Args, Subcommand, ValueEnum};

use super::complaint::Refused;
use super::layers::Origins;
use super::service::ServiceArgs;
use super::value::{self, Assignment};

/// `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// What PARTNER has set for its accounts, and the markets that it enabled
    Show(PolicyShowArgs),

    /// Change the settings and markets of PARTNER, or the settings of one of its accounts
    ///
    /// Only what is named changes. `policy preview` with the same arguments tells before what would.
    Set(Box<PolicySetArgs>),

    /// What a change would do to the accounts of PARTNER; nothing is written
    Preview(PolicyPreviewArgs),

    /// Who changed the policy of PARTNER or one of its accounts, when and why; oldest first
    History(PolicyHistoryArgs),
}

/// `account`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// One account with its own settings
    Show(AccountShowArgs),

    /// Create ACCOUNT, or replace it whole
    ///
    /// Its own settings stay, unless it moves to another partner or becomes another kind: they were
    /// its partner's choices.
    Put(Box<AccountPutArgs>),

    /// Delete ACCOUNT with its settings, and with its policy where it is a partner
    Delete(AccountDeleteArgs),

    /// All accounts, or those of one partner
    List(AccountListArgs),
}

/// `policy show`.
#[derive(Debug, Clone, Args)]
pub struct PolicyShowArgs {
    /// The partner
    #[arg(value_name = "PARTNER")]
    pub partner: String,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// What is to change of a policy.
#[derive(Debug, Clone, Args)]
pub struct PolicyUpdateArgs {
    /// The partner
    #[arg(value_name = "PARTNER")]
    pub partner: String,

    /// Settings: `pricing.view=on`, `=off`, or `=unset` to go back to inheriting
    #[arg(value_name = "FEATURE=SETTING", value_parser = Assignment::parse)]
    pub settings: Vec<Assignment>,

    /// Enable these billing markets, by code or alias; commas between them
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub enable_market: Vec<String>,

    /// Disable these billing markets, by code or alias; commas between them
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub disable_market: Vec<String>,
}

/// `policy set`.
#[derive(Debug, Clone, Args)]
pub struct PolicySetArgs {
    /// What is to change.
    #[command(flatten)]
    pub update: PolicyUpdateArgs,

    /// Set it for this account of PARTNER alone; default: for all of its accounts
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,

    /// Who and why.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

impl PolicySetArgs {
    fn check(&self, origins: &Origins) -> Result<(), Refused> {
        self.update.check(origins)?;
        let markets = ["enable-market", "disable-market"];
        let market = markets.into_iter().find(|long| origins.given(long));
        match (&self.account, market) {
            (Some(_), Some(market)) => Err(Refused::new(format!(
                "{} and {} do not go together: markets are enabled for all accounts of a partner",
                origins.name(market),
                origins.name("account")
            ))),
            (Some(_), None) | (None, _) => Ok(()),
        }
    }
}

impl PolicyUpdateArgs {
    fn check(&self, origins: &Origins) -> Result<(), Refused> {
        if self.settings.is_empty()
            && self.enable_market.is_empty()
            && self.disable_market.is_empty()
        {
            return Err(Refused::new(
                "nothing to change: give settings such as `pricing.view=on`, `--enable-market` or \
                 `--disable-market`",
            ));
        }
        for (index, one) in self.settings.iter().enumerate() {
            let before = self.settings.iter().take(index);
            if before.clone().any(|other| other.feature == one.feature) {
                let feature = super::text::shown(&one.feature);
                return Err(Refused::new(format!("{feature} is set more than once")));
            }
        }
        let both = |code: &&String| self.disable_market.contains(code);
        match self.enable_market.iter().find(both) {
            None => Ok(()),
            Some(code) => Err(Refused::new(format!(
                "{} is in {} and in {}",
                super::text::shown(code),
                origins.name("enable-market"),
                origins.name("disable-market")
            ))),
        }
    }
}

/// `policy preview`.
#[derive(Debug, Clone, Args)]
pub struct PolicyPreviewArgs {
    /// What would change.
    #[command(flatten)]
    pub update: PolicyUpdateArgs,

    /// Only if this is the revision of the policy
    #[arg(long, value_name = "REVISION", value_parser = value::revision)]
    pub expect_revision: Option<u64>,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `policy history`.
#[derive(Debug, Clone, Args)]
pub struct PolicyHistoryArgs {
    /// The partner; it need not exist any more
    #[arg(value_name = "PARTNER")]
    pub partner: String,

    /// Only changes after this revision
    #[arg(long, value_name = "REVISION", value_parser = value::revision, default_value = "0")]
    pub after_revision: u64,

    /// Only the last so many changes; default: all
    #[arg(long, value_name = "COUNT", value_parser = value::size)]
    pub last: Option<u64>,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `account show`.
#[derive(Debug, Clone, Args)]
pub struct AccountShowArgs {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `account put`.
#[derive(Debug, Clone, Args)]
pub struct AccountPutArgs {
    /// The account's id
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// How it buys
    #[arg(long, value_name = "KIND")]
    pub kind: Kind,

    /// The partner that a managed account buys through
    #[arg(long, value_name = "PARTNER")]
    pub partner: Option<String>,

    /// Who supports a managed account
    #[arg(long, value_name = "PROVIDER")]
    pub support: Option<Support>,

    /// A name for people; default: none
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,

    /// Who and why.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

impl AccountPutArgs {
    fn check(&self, origins: &Origins) -> Result<(), Refused> {
        let kind = origins.name("kind");
        for (long, given) in [
            ("partner", self.partner.is_some()),
            ("support", self.support.is_some()),
        ] {
            match self.kind {
                Kind::Managed if !given => {
                    return Err(Refused::new(format!(
                        "{kind} is `managed`: `--{long}` is needed"
                    )));
                }
                Kind::Direct | Kind::Partner if given => {
                    return Err(Refused::new(format!(
                        "{} is for managed accounts alone, by {kind}",
                        origins.name(long)
                    )));
                }
                Kind::Managed | Kind::Direct | Kind::Partner => {}
            }
        }
        Ok(())
    }
}

/// How an account buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// From the platform.
    Direct,
    /// From the platform, and sells on.
    Partner,
    /// Through a partner.
    Managed,
}

/// Who supports a managed account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Support {
    /// Its partner.
    Partner,
    /// The platform.
    Platform,
}

/// `account delete`.
#[derive(Debug, Clone, Args)]
pub struct AccountDeleteArgs {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// Who and why.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `account list`.
#[derive(Debug, Clone, Args)]
pub struct AccountListArgs {
    /// Only the accounts that this partner manages
    #[arg(long, value_name = "PARTNER")]
    pub partner: Option<String>,

    /// The most accounts to print; default: all
    #[arg(long, value_name = "COUNT", value_parser = value::size)]
    pub limit: Option<u64>,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// The feature, such as `pricing.view`
    #[arg(value_name = "FEATURE")]
    pub feature: String,

    /// Whom to ask.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// Who changes something, why, and under which conditions.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Changing")]
pub struct ChangeArgs {
    /// Who makes the change, for the history; default: the user's name, from USER
    #[arg(long, value_name = "NAME", value_parser = value::actor)]
    pub actor: Option<String>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = value::comment)]
    pub comment: Option<String>,

    /// Only if this is still the revision that was shown; 0: it must not exist yet
    #[arg(long, value_name = "REVISION", value_parser = value::revision)]
    pub expect_revision: Option<u64>,

    /// Makes it safe to run the same command again; default: a new key each time
    ///
    /// With the same key and the same change the service answers what it did the first time, and
    /// writes nothing. A key is printed where it is not known whether a change was made.
    #[arg(long, value_name = "KEY", value_parser = value::idempotency_key)]
    pub idempotency_key: Option<String>,
}

impl PolicyCommand {
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        let service = match self {
            Self::Show(args) => &args.service,
            Self::Set(args) => {
                args.check(origins)?;
                &args.service
            }
            Self::Preview(args) => {
                args.update.check(origins)?;
                &args.service
            }
            Self::History(args) => &args.service,
        };
        service.check(origins)
    }
}

impl AccountCommand {
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        let service = match self {
            Self::Show(args) => &args.service,
            Self::Put(args) => {
                args.check(origins)?;
                &args.service
            }
            Self::Delete(args) => &args.service,
            Self::List(args) => &args.service,
        };
        service.check(origins)
    }
}
