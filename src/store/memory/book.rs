//! What the memory store holds: the state, and the history that led to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use uuid::Uuid;

use crate::clock;
use crate::domain::{AccountId, AccountKind, ChangeId, FeatureKey, Head, Revision, SettingMap};
use crate::store::{
    AccountRecord, ChangeDraft, ChangeEntry, ChangeSubject, ChangedKeys, Delta, Edits, MAX_POLLED,
    Poll, ReadAt, Snapshot, State, SubjectRevisions,
};

use super::answers::Answers;

/// Everything, under one lock.
pub(super) struct Book {
    pub(super) state: State,
    /// The changes, that of revision n at place n.
    pub(super) changes: Vec<Recorded>,
    pub(super) catalog: Head,
    pub(super) revisions: SubjectRevisions,
    pub(super) set_by: SetBy,
    pub(super) answers: Answers,
}

/// A change as it was made.
pub(super) struct Recorded {
    pub(super) change: ChangeId,
    pub(super) committed_at: SystemTime,
    pub(super) draft: ChangeDraft,
}

/// Which change made each setting.
#[derive(Default)]
pub(super) struct SetBy {
    /// Accounts' own.
    pub(super) own: Origins,
    /// Partner-wide ones.
    pub(super) partner: Origins,
}

pub(super) type Origins = BTreeMap<AccountId, BTreeMap<FeatureKey, Revision>>;

impl Book {
    pub(super) fn new() -> Self {
        let genesis = Recorded {
            change: ChangeId(Uuid::new_v4().as_u128()),
            committed_at: clock::time_of_day(),
            draft: ChangeDraft {
                by: crate::store::By::default(),
                subject: ChangeSubject::Everything,
                keys: ChangedKeys::Everything,
                partners: BTreeSet::new(),
                before: serde_json::Value::Null,
                after: serde_json::Value::Null,
            },
        };
        Self {
            state: State::default(),
            catalog: Head {
                revision: Revision(0),
                change: genesis.change,
            },
            changes: vec![genesis],
            revisions: SubjectRevisions::default(),
            set_by: SetBy::default(),
            answers: Answers::default(),
        }
    }

    pub(super) fn head(&self) -> Head {
        // The genesis change is always there.
        let last = self.changes.last().map(|last| last.change);
        Head {
            revision: Revision(self.changes.len().saturating_sub(1) as u64),
            change: last.unwrap_or(self.catalog.change),
        }
    }

    pub(super) fn read_at(&self) -> ReadAt {
        ReadAt {
            head: self.head(),
            catalog: self.catalog,
            primary: true,
        }
    }

    /// Makes `delta`, which is not empty, the next revision.
    pub(super) fn commit(&mut self, delta: Delta, draft: ChangeDraft) -> Revision {
        self.changes.push(Recorded {
            change: ChangeId(Uuid::new_v4().as_u128()),
            committed_at: clock::time_of_day(),
            draft,
        });
        let head = self.head();
        if delta.touches_catalog() {
            self.catalog = head;
        }
        self.raise(&delta, head.revision);
        self.state.apply(delta);
        head.revision
    }

    /// Notes `revision` for what `delta` changes.
    fn raise(&mut self, delta: &Delta, revision: Revision) {
        let accounts = &mut self.revisions.accounts;
        let settled = delta.accounts.keys().chain(delta.account_settings.keys());
        accounts.extend(settled.map(|id| (id.clone(), revision)));
        let policies = &mut self.revisions.policies;
        policies.extend(delta.policies.keys().map(|id| (id.clone(), revision)));
        for (id, edit) in &delta.accounts {
            if edit.after.is_none() {
                accounts.remove(id);
            }
            let is_partner = |kind: &AccountKind| matches!(kind, AccountKind::Partner);
            if !edit
                .after
                .as_ref()
                .is_some_and(|after| is_partner(&after.kind))
            {
                policies.remove(id);
            }
        }
        let own = &delta.account_settings;
        note(&mut self.set_by.own, own, |settings| settings, revision);
        let policies = &delta.policies;
        note(
            &mut self.set_by.partner,
            policies,
            |policy| &policy.settings,
            revision,
        );
    }

    pub(super) fn snapshot(&self, accounts: &[AccountId]) -> Snapshot {
        let state = &self.state;
        let is_partner = |id: &&AccountId| {
            let account = state.accounts.get(*id);
            account.is_some_and(|account| matches!(account.kind, AccountKind::Partner))
        };
        let partners = accounts
            .iter()
            .filter_map(|id| state.accounts.get(id)?.partner())
            .filter(is_partner);
        let policy = |id: &AccountId| state.policies.get(id).cloned().unwrap_or_default();
        let record = |id: &AccountId| {
            let account = state.accounts.get(id)?.clone();
            let settings = state.account_settings.get(id).cloned().unwrap_or_default();
            Some((id.clone(), AccountRecord::Sound { account, settings }))
        };
        Snapshot {
            at: self.read_at(),
            accounts: accounts.iter().filter_map(record).collect(),
            policies: partners.map(|id| (id.clone(), policy(id))).collect(),
        }
    }

    pub(super) fn poll(&self, seen: Option<Head>) -> Poll {
        let place = |revision: Revision| usize::try_from(revision.0).unwrap_or(usize::MAX);
        let first = match seen {
            Some(seen) => place(seen.revision.next()),
            // The genesis change is none that could be announced.
            None => self.changes.len().saturating_sub(MAX_POLLED).max(1),
        };
        let entries = self.changes.iter().enumerate().skip(first).take(MAX_POLLED);
        let known = seen.and_then(|seen| self.changes.get(place(seen.revision)));
        Poll {
            at: self.read_at(),
            seen: known.map(|known| known.change),
            changes: entries
                .map(|(place, recorded)| match seen {
                    Some(_) => recorded.entry(place),
                    None => recalled(recorded.entry(place)),
                })
                .collect(),
            matrix_changes: 0,
            matrix_changed_at: None,
        }
    }
}

impl Recorded {
    fn entry(&self, place: usize) -> ChangeEntry {
        ChangeEntry {
            head: Head {
                revision: Revision(place as u64),
                change: self.change,
            },
            subject: self.draft.subject.clone(),
            keys: self.draft.keys.clone(),
        }
    }
}

/// A change that came before anything was loaded: of an import without its keys.
fn recalled(mut entry: ChangeEntry) -> ChangeEntry {
    match (&entry.subject, &mut entry.keys) {
        (
            ChangeSubject::Everything,
            ChangedKeys::Named {
                accounts, partners, ..
            },
        ) => {
            accounts.clear();
            partners.clear();
        }
        (
            ChangeSubject::Everything
            | ChangeSubject::Account(_)
            | ChangeSubject::Partner(_)
            | ChangeSubject::Catalog,
            ChangedKeys::Named { .. } | ChangedKeys::Everything,
        ) => {}
    }
    entry
}

/// Notes `revision` for every setting that is made, and forgets those that are gone.
fn note<T>(
    origins: &mut Origins,
    edits: &Edits<AccountId, T>,
    settings: fn(&T) -> &SettingMap,
    revision: Revision,
) {
    for (id, edit) in edits {
        let before = edit.before.as_ref().map(settings);
        let Some(after) = edit.after.as_ref().map(settings) else {
            origins.remove(id);
            continue;
        };
        let origins = origins.entry(id.clone()).or_default();
        origins.retain(|feature, _| after.contains_key(feature));
        let made = after.iter().filter(|(feature, setting)| {
            before.and_then(|old| old.get(*feature)) != Some(*setting)
        });
        origins.extend(made.map(|(feature, _)| (feature.clone(), revision)));
    }
}
