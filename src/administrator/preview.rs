//! What an update of a partner's policy would do to the accounts that it manages.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{
    AccountId, AccountProfile, Audience, Catalog, CatalogAccess, CatalogFilter, Decision,
    FeatureKey, FeatureMatrix, Inconsistent, LocationId, Markets, PartnerPolicy, Revision,
    Settings, Subject, catalog_access, decide,
};
use crate::store::{ChangeSubject, Reading, State, StoredPolicy, WriteRequest, plan_write};

use super::{Refusal, broken};

/// The most decisions that a preview lists.
pub const MAX_CHANGES: usize = 10_000;

/// What would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The decisions that would change, by account and feature, at most [`MAX_CHANGES`].
    pub changes: Vec<DecisionChange>,
    /// Whether there are more.
    pub truncated: bool,
    /// Locations that an account would see that does not now.
    pub gained: usize,
    /// Locations that an account sees now and would not then.
    pub lost: usize,
    /// Accounts that would be decided otherwise or see other locations.
    pub affected: usize,
    /// The policy's revision.
    pub revision: Revision,
}

/// A decision that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionChange {
    /// Whose.
    pub account: AccountId,
    /// On what.
    pub feature: FeatureKey,
    /// As it is.
    pub before: Decision,
    /// As it would be.
    pub after: Decision,
}

/// Plans `request`, an update of the policy of `partner`, on `reading`, and decides all that its
/// accounts may do by the policy before and by that after.
pub(super) fn work_out(
    mut reading: Reading,
    partner: &AccountId,
    request: &WriteRequest,
) -> Result<Preview, Refusal> {
    let matrix = &*request.matrix;
    let revision = reading.revision_of(&ChangeSubject::Partner(partner.clone()));
    let state = std::mem::take(&mut reading.state);
    let (locations, accounts) = (state.locations, state.accounts);
    let mut account_settings = state.account_settings;
    // All that the plan asks for: it copies what it is given.
    let itself = accounts.get_key_value(partner);
    reading.state = State {
        markets: state.markets,
        policies: state.policies,
        accounts: itself
            .map(|(id, account)| (id.clone(), account.clone()))
            .into_iter()
            .collect(),
        ..State::default()
    };
    let delta = plan_write(&reading, request)?.delta;
    let (markets, mut policies) = (reading.state.markets, reading.state.policies);
    let before = policies.remove(partner).unwrap_or_default();
    let after = match delta.policies.get(partner) {
        Some(edit) => edit.after.clone().unwrap_or_default(),
        None => before.clone(),
    };
    let policies = Policies {
        before: compile(matrix, &before),
        after: compile(matrix, &after),
    };
    let markets = Markets::new(markets)
        .map_err(|conflict| broken("billing markets that cannot stand together", conflict))?;
    let catalog = Catalog::new(markets, locations.into_values().collect());

    let mut preview = Preview {
        changes: Vec::new(),
        truncated: false,
        gained: 0,
        lost: 0,
        affected: 0,
        revision,
    };
    let mut moves = Moves::new(&catalog);
    // Most accounts have no settings of their own, and what is alike is decided alike.
    let mut alike: HashMap<(Audience, Settings), Outcome> = HashMap::new();
    let managed = accounts
        .into_values()
        .filter(|account| account.partner() == Some(partner));
    for account in managed {
        let own = account_settings.remove(&account.id).unwrap_or_default();
        let settings = Settings::compile(matrix, &own);
        let outcome = match alike.entry((account.audience(), settings.clone())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let account = account.clone();
                let profile = AccountProfile { account, settings };
                new.insert(policies.compare(matrix, &profile, &mut moves)?)
            }
        };
        preview.note(&account.id, outcome);
    }
    preview.gained = moves.count(|change| &change.gained);
    preview.lost = moves.count(|change| &change.lost);
    Ok(preview)
}

fn compile(matrix: &FeatureMatrix, policy: &StoredPolicy) -> PartnerPolicy {
    PartnerPolicy {
        settings: Settings::compile(matrix, &policy.settings),
        markets: policy.markets.iter().copied().collect(),
    }
}

/// A partner's policy as it is, and as it would be.
struct Policies {
    before: PartnerPolicy,
    after: PartnerPolicy,
}

impl Policies {
    /// Decides all that an account may do by either.
    fn compare(
        &self,
        matrix: &FeatureMatrix,
        profile: &AccountProfile,
        moves: &mut Moves<'_>,
    ) -> Result<Outcome, Refusal> {
        let subject = |policy| {
            Subject::new(profile, Some(policy))
                .map_err(|Inconsistent| Refusal::AccountInconsistent(profile.account.id.clone()))
        };
        let (before, after) = (subject(&self.before)?, subject(&self.after)?);
        Ok(Outcome {
            decisions: differing(matrix, before, after),
            sees_others: moves.follow(
                catalog_access(matrix, before),
                catalog_access(matrix, after),
            ),
        })
    }
}

/// What would be otherwise for an account.
struct Outcome {
    decisions: Vec<(FeatureKey, Decision, Decision)>,
    sees_others: bool,
}

/// The decisions that differ, by feature.
fn differing(
    matrix: &FeatureMatrix,
    before: Subject<'_>,
    after: Subject<'_>,
) -> Vec<(FeatureKey, Decision, Decision)> {
    let decided = matrix.features().map(|(feature, row)| {
        let decided = |subject| decide(matrix, feature, subject);
        (row.key.clone(), decided(before), decided(after))
    });
    decided
        .filter(|(_, before, after)| before != after)
        .collect()
}

impl Preview {
    /// Notes what would be otherwise for `account`.
    fn note(&mut self, account: &AccountId, outcome: &Outcome) {
        let differs = outcome.sees_others || !outcome.decisions.is_empty();
        self.affected += usize::from(differs);
        let room = MAX_CHANGES - self.changes.len();
        self.truncated |= outcome.decisions.len() > room;
        let changes = outcome.decisions.iter().take(room);
        self.changes
            .extend(changes.map(|(feature, before, after)| DecisionChange {
                account: account.clone(),
                feature: feature.clone(),
                before: *before,
                after: *after,
            }));
    }
}

/// How the visible locations change. All accounts of a partner see the same ones but for whether
/// they may order at all, so that there are four cases at most.
struct Moves<'a> {
    catalog: &'a Catalog,
    cases: BTreeMap<(bool, bool), Move<'a>>,
}

struct Move<'a> {
    gained: BTreeSet<&'a LocationId>,
    lost: BTreeSet<&'a LocationId>,
}

impl<'a> Moves<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            cases: BTreeMap::new(),
        }
    }

    /// Notes an account that goes from `before` to `after`; whether it sees other locations then.
    fn follow(&mut self, before: CatalogAccess<'_>, after: CatalogAccess<'_>) -> bool {
        let catalog = self.catalog;
        let case = (before.ordering.is_allowed(), after.ordering.is_allowed());
        let change = self.cases.entry(case).or_insert_with(|| {
            let visible = |access| -> BTreeSet<&'a LocationId> {
                let all = catalog.page(&access, &CatalogFilter::default(), None, usize::MAX);
                all.locations().map(|location| &location.id).collect()
            };
            let (before, after) = (visible(before), visible(after));
            Move {
                gained: after.difference(&before).copied().collect(),
                lost: before.difference(&after).copied().collect(),
            }
        });
        !change.gained.is_empty() || !change.lost.is_empty()
    }

    /// How many locations there are in a part of any case.
    fn count<'s>(&'s self, part: impl Fn(&'s Move<'a>) -> &'s BTreeSet<&'a LocationId>) -> usize {
        let all: BTreeSet<_> = self.cases.values().flat_map(part).collect();
        all.len()
    }
}
