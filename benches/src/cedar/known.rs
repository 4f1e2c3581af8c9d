//! What is known of accounts, whoever decides: those of the made-up world, and all combinations of
//! settings that could matter.

use portcullis::domain::{
    Account, AccountKind, AccountProfile, EnabledMarkets, FeatureIndex, FeatureMatrix,
    PartnerPolicy, Setting, Settings, Subject, SupportProvider,
};

use crate::{cached, decisions, world};

/// Accounts of the made-up world, and of how many partners.
const ACCOUNTS: usize = 1_000;
const PARTNERS: usize = 100;

/// What is known of an account.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) profile: AccountProfile,
    /// Its partner's, of a managed account.
    pub(super) policy: Option<PartnerPolicy>,
}

impl Known {
    fn new(account: Account, settings: Settings, of_its_partner: Settings) -> Self {
        let policy = PartnerPolicy {
            settings: of_its_partner,
            markets: EnabledMarkets::default(),
        };
        Self {
            policy: account.partner().map(|_| policy),
            profile: AccountProfile { account, settings },
        }
    }

    /// One of those that `decide` alone is measured with.
    pub(super) fn varied(number: usize, features: &[FeatureIndex]) -> Self {
        let AccountProfile { account, settings } = decisions::profile(number, features);
        let policy = decisions::policy(number, features);
        Self::new(account, settings, policy.settings)
    }

    /// A managed account of the made-up world, with what its partner chose there.
    fn of_the_world(number: usize, matrix: &FeatureMatrix) -> Self {
        let stored = world::policy(number % PARTNERS).settings;
        Self::new(
            world::managed(number, PARTNERS),
            Settings::NONE,
            Settings::compile(matrix, &stored),
        )
    }

    /// What `decide` is told.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject::new(&self.profile, self.policy.as_ref()).unwrap()
    }
}

/// Accounts of the world, those that `decide` alone is measured with, and for each feature one of each
/// kind with each combination of settings for it and for what it requires.
pub(super) fn everyone(matrix: &FeatureMatrix) -> Vec<Known> {
    let features: Vec<FeatureIndex> = matrix.features().map(|(index, _)| index).collect();
    let of_the_world = (0..ACCOUNTS).map(|number| Known::of_the_world(number, matrix));
    let varied = (0..256).map(|number| Known::varied(number, &features));
    let mut everyone: Vec<Known> = of_the_world.chain(varied).collect();
    for feature in features {
        let both: Vec<_> = [feature]
            .into_iter()
            .chain(matrix.required(feature).iter())
            .collect();
        let choices = choices(&both);
        for kind in kinds() {
            for own in &choices {
                everyone.extend(choices.iter().map(|of_its_partner| {
                    let kind = kind.clone();
                    let account = Account {
                        kind,
                        ..world::managed(0, PARTNERS)
                    };
                    Known::new(account, own.clone(), of_its_partner.clone())
                }));
            }
        }
    }
    everyone
}

fn kinds() -> [AccountKind; 4] {
    let managed = |support| AccountKind::Managed {
        partner: cached::id(&world::partner(0)),
        support,
    };
    [
        AccountKind::Direct,
        AccountKind::Partner,
        managed(SupportProvider::Partner),
        managed(SupportProvider::Platform),
    ]
}

/// All settings of these features: each is unset, on or off.
fn choices(features: &[FeatureIndex]) -> Vec<Settings> {
    let mut choices = vec![Settings::NONE];
    for feature in features {
        let unset = choices.clone();
        for setting in [Setting::On, Setting::Off] {
            choices.extend(unset.iter().cloned().map(|mut settings| {
                settings.set(*feature, setting);
                settings
            }));
        }
    }
    choices
}
