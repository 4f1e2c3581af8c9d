//! The memory store as PolicyService sees it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock;
use crate::domain::{Account, AccountId, AccountKind, Revision, SettingMap};
use crate::store::{
    AccountTrace, AccountsPage, By, ChangeDraft, ChangeRecord, ChangeSubject, ChangedKeys,
    ChangesPage, PolicyStore, Reading, Scope, SettingOrigin, State, StoreError, SubjectRevisions,
    WriteError, WritePlan, WriteRequest, Written, plan_write,
};

use super::MemoryStore;
use super::book::{Book, Origins, Recorded};

#[async_trait]
impl PolicyStore for MemoryStore {
    async fn write(&self, request: Arc<WriteRequest>) -> Result<Written, WriteError> {
        let mut book = self.lock();
        if let Some(written) = book.answers.find(&request)? {
            return Ok(written.clone());
        }
        let current = book.read(&request.write.scope());
        let WritePlan { delta, now } = plan_write(&current, &request)?;
        let subject = request.write.subject();
        let revision = if delta.is_empty() {
            current.revision_of(&subject)
        } else {
            let by = By {
                actor: request.actor.clone(),
                caller: request.caller.clone(),
                comment: request.comment.clone(),
            };
            let draft = ChangeDraft::new(&current.state, &delta, subject, by);
            self.changed.send_replace(());
            book.commit(delta, draft)
        };
        let written = Written { revision, now };
        book.answers.keep(&request, &written, clock::time_of_day());
        Ok(written)
    }

    async fn read(&self, scope: &Scope) -> Result<Reading, StoreError> {
        Ok(self.lock().read(scope))
    }

    async fn list_accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
        let book = self.lock();
        let after = page
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let following = book
            .state
            .accounts
            .range::<AccountId, _>((after, Bound::Unbounded));
        let is_wanted = |account: &&Account| match &page.partner {
            Some(partner) => account.partner() == Some(partner),
            None => true,
        };
        let accounts = following.map(|(_, account)| account).filter(is_wanted);
        Ok(accounts.take(page.limit).cloned().collect())
    }

    async fn list_changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
        let book = self.lock();
        let mut bytes = 0_usize;
        let mut found: Vec<ChangeRecord> = Vec::new();
        for (place, recorded) in book.changes.iter().enumerate() {
            let revision = Revision(place as u64);
            if revision <= page.after || !recorded.is_wanted(page) {
                continue;
            }
            bytes = bytes.saturating_add(recorded.bytes());
            let is_full = found.len() == page.limit || bytes > page.limit_bytes;
            if is_full && !found.is_empty() {
                break;
            }
            found.push(recorded.record(revision));
        }
        Ok(found)
    }

    async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
        let book = self.lock();
        let state = &book.state;
        let Some(account) = state.accounts.get(account).cloned() else {
            return Ok(None);
        };
        let own = book.origins(
            state.account_settings.get(&account.id),
            &book.set_by.own,
            &account.id,
        );
        let partner = account
            .partner()
            .and_then(|id| state.accounts.get(id))
            .filter(|partner| matches!(partner.kind, AccountKind::Partner))
            .map(|partner| {
                let settings = state
                    .policies
                    .get(&partner.id)
                    .map(|policy| &policy.settings);
                book.origins(settings, &book.set_by.partner, &partner.id)
            });
        Ok(Some(AccountTrace {
            revision: book.head().revision,
            account,
            own,
            partner,
        }))
    }
}

impl Book {
    /// What is in `scope`.
    fn read(&self, scope: &Scope) -> Reading {
        let all = &self.state;
        let mut state = State::default();
        let managed = |account: &Account| {
            account
                .partner()
                .is_some_and(|partner| scope.managed_by.contains(partner))
        };
        for (id, account) in &all.accounts {
            let is_named = scope.accounts.contains(id);
            if !is_named && !managed(account) {
                continue;
            }
            state.accounts.insert(id.clone(), account.clone());
            if let Some(own) = all.account_settings.get(id) {
                state.account_settings.insert(id.clone(), own.clone());
            }
            if let Some(policy) = all.policies.get(id).filter(|_| is_named) {
                state.policies.insert(id.clone(), policy.clone());
            }
        }
        let partners = state.accounts.values().filter_map(Account::partner);
        let also: Vec<_> = partners
            .filter_map(|id| all.accounts.get(id))
            .cloned()
            .collect();
        let one_of = |partner: &AccountId| {
            let mut accounts = all.accounts.values();
            accounts
                .find(|account| account.partner() == Some(partner))
                .cloned()
        };
        let examples: Vec<_> = scope.any_managed_by.iter().filter_map(one_of).collect();
        let more = also.into_iter().chain(examples);
        state
            .accounts
            .extend(more.map(|account| (account.id.clone(), account)));
        for code in &scope.any_enabling {
            let enabling = all
                .policies
                .iter()
                .find(|(_, policy)| policy.markets.contains(code));
            if let Some((partner, _)) = enabling {
                let policy = state.policies.entry(partner.clone()).or_default();
                policy.markets.insert(*code);
            }
        }
        if scope.markets {
            state.markets.clone_from(&all.markets);
        }
        let locations = all
            .locations
            .iter()
            .filter(|(id, _)| scope.locations.contains(id));
        state.locations = locations
            .map(|(id, place)| (id.clone(), place.clone()))
            .collect();
        Reading {
            at: self.read_at(),
            revisions: self.revisions_of(&state),
            state,
        }
    }

    fn revisions_of(&self, state: &State) -> SubjectRevisions {
        let of = |known: &BTreeMap<AccountId, Revision>| -> BTreeMap<AccountId, Revision> {
            let found = state.accounts.keys();
            let found = found.filter_map(|id| Some((id.clone(), *known.get(id)?)));
            found.collect()
        };
        SubjectRevisions {
            accounts: of(&self.revisions.accounts),
            policies: of(&self.revisions.policies),
        }
    }

    fn origins(
        &self,
        settings: Option<&SettingMap>,
        origins: &Origins,
        owner: &AccountId,
    ) -> BTreeMap<crate::domain::FeatureKey, SettingOrigin> {
        let origins = origins.get(owner);
        let origin = |(feature, setting): (&crate::domain::FeatureKey, &_)| {
            let revision = *origins?.get(feature)?;
            let made = self.changes.get(usize::try_from(revision.0).ok()?)?;
            let origin = SettingOrigin {
                setting: *setting,
                revision,
                committed_at: made.committed_at,
                actor: made.draft.by.actor.clone(),
                comment: made.draft.by.comment.clone(),
            };
            Some((feature.clone(), origin))
        };
        settings.into_iter().flatten().filter_map(origin).collect()
    }
}

impl Recorded {
    fn is_wanted(&self, page: &ChangesPage) -> bool {
        let draft = &self.draft;
        let is_import = matches!(draft.subject, ChangeSubject::Everything);
        let of_partner = |partner: &AccountId| is_import || draft.partners.contains(partner);
        let of_account = |account: &AccountId| match (&draft.subject, &draft.keys) {
            (ChangeSubject::Account(subject), _) => subject == account,
            (ChangeSubject::Everything, ChangedKeys::Everything) => true,
            (ChangeSubject::Everything, ChangedKeys::Named { accounts, .. }) => {
                accounts.contains(account)
            }
            (ChangeSubject::Partner(_) | ChangeSubject::Catalog, _) => false,
        };
        match (&page.partner, &page.account) {
            (None, None) => true,
            (partner, account) => {
                partner.as_ref().is_some_and(of_partner) || account.as_ref().is_some_and(of_account)
            }
        }
    }

    /// How many bytes before and after take.
    fn bytes(&self) -> usize {
        self.draft.before.to_string().len() + self.draft.after.to_string().len()
    }

    fn record(&self, revision: Revision) -> ChangeRecord {
        let draft = &self.draft;
        ChangeRecord {
            revision,
            committed_at: self.committed_at,
            actor: draft.by.actor.clone(),
            caller: draft.by.caller.clone(),
            comment: draft.by.comment.clone(),
            subject: draft.subject.clone(),
            before: draft.before.clone(),
            after: draft.after.clone(),
        }
    }
}
