//! What of a store somebody wants to know, and what was found.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{AccountId, AccountKind, LocationId, MarketCode, Revision};

use super::{ChangeSubject, Import, ImportMode, ReadAt, State};

/// A choice among what a store keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Accounts with their settings and policies, and their partners.
    pub accounts: Selection<AccountId>,
    /// The managed accounts of these partners, with their settings.
    pub managed_by: BTreeSet<AccountId>,
    /// One managed account of each of these partners, where there is one: enough to know that
    /// there is.
    pub any_managed_by: BTreeSet<AccountId>,
    /// Whether billing markets are wanted, all of them.
    pub markets: bool,
    /// For each of these markets one policy that enables it, where there is one. Of a policy that
    /// is read for this alone only that market is read.
    pub any_enabling: BTreeSet<MarketCode>,
    /// Locations with their offers.
    pub locations: Selection<LocationId>,
}

/// Those named, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection<T> {
    /// These alone.
    Named(BTreeSet<T>),
    /// Every one.
    All,
}

impl<T> Default for Selection<T> {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl<T: Ord> FromIterator<T> for Selection<T> {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self::Named(names.into_iter().collect())
    }
}

impl<T: Ord> Selection<T> {
    /// Whether `name` is wanted.
    #[must_use]
    pub fn contains(&self, name: &T) -> bool {
        match self {
            Self::Named(names) => names.contains(name),
            Self::All => true,
        }
    }
}

impl Scope {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self {
            accounts: Selection::All,
            markets: true,
            locations: Selection::All,
            ..Self::default()
        }
    }

    /// What [`plan()`](super::plan()) has to know to plan `import`.
    #[must_use]
    pub fn of_import(import: &Import) -> Self {
        match import.mode {
            ImportMode::Replace => return Self::all(),
            ImportMode::Merge => {}
        }
        let accounts = import.accounts.iter().map(|account| &account.value);
        let policies = import.policies.iter().map(|policy| &policy.value);
        let named = accounts
            .clone()
            .flat_map(|account| [Some(&account.id), account.partner()])
            .flatten()
            .chain(policies.clone().map(|policy| &policy.partner))
            .chain(
                policies.flat_map(|policy| policy.accounts.iter().map(|own| &own.value.account)),
            );
        let other_kind = accounts
            .clone()
            .filter(|account| !matches!(account.kind, AccountKind::Partner));
        let locations = import.locations.iter();
        Self {
            accounts: named.cloned().collect(),
            managed_by: other_kind.map(|account| account.id.clone()).collect(),
            markets: true,
            locations: locations
                .map(|location| location.value.id.clone())
                .collect(),
            ..Self::default()
        }
    }
}

/// A part of a store, read from one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The state that it was read from.
    pub at: ReadAt,
    /// What was asked for, as far as it is there.
    pub state: State,
    /// The last changes of what is in `state`.
    pub revisions: SubjectRevisions,
}

/// The revision of the last change to each subject. One that is not here does not exist, or was
/// never changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectRevisions {
    /// Of accounts, their own settings included.
    pub accounts: BTreeMap<AccountId, Revision>,
    /// Of partners' policies.
    pub policies: BTreeMap<AccountId, Revision>,
}

impl Reading {
    /// The revision of the last change to `subject`: 0 where it does not exist or was never changed.
    #[must_use]
    pub fn revision_of(&self, subject: &ChangeSubject) -> Revision {
        let last = match subject {
            ChangeSubject::Account(id) => self.revisions.accounts.get(id).copied(),
            ChangeSubject::Partner(id) => self.revisions.policies.get(id).copied(),
            ChangeSubject::Catalog => Some(self.at.catalog.revision),
            ChangeSubject::Everything => Some(self.at.head.revision),
        };
        last.unwrap_or_default()
    }
}
