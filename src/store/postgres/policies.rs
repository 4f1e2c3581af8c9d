//! The Postgres store as PolicyService sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use tokio_util::task::AbortOnDropHandle;

use super::config::PostgresLimits;
use super::load::within;
use super::pool::Connections;
use super::row::Parameter;
use super::{PostgresStore, change, read, row};
use crate::domain::{Account, AccountId, FeatureKey};
use crate::store::{
    AccountTrace, AccountsPage, ChangeRecord, ChangesPage, PolicyStore, Reading, Scope,
    SettingOrigin, StoreError, Unavailable, WriteError, WriteRequest, Written,
};

static ACCOUNTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} FROM account
        WHERE ($1::text IS NULL OR partner_id = $1) AND ($2::text IS NULL OR id > $2)
        ORDER BY id LIMIT $3",
        row::ACCOUNT
    )
});

/// The columns of a change, and the condition that each kind of history adds.
///
/// Each kind is found by an index of its own; a condition with OR would be answered by reading the
/// whole history.
const CHANGES: &str = "WITH wanted AS (
        (SELECT revision FROM policy_change
            WHERE $2::text IS NULL AND $3::text IS NULL AND revision > $1
            ORDER BY revision LIMIT $4)
        UNION (SELECT revision FROM policy_change
            WHERE partners @> ARRAY[$2::text] AND revision > $1 ORDER BY revision LIMIT $4)
        UNION (SELECT revision FROM policy_change
            WHERE subject_kind = 'account' AND subject_id = $3 AND revision > $1
            ORDER BY revision LIMIT $4)
        UNION (SELECT revision FROM policy_change
            WHERE subject_kind = 'everything' AND revision > $1
                AND ($2::text IS NOT NULL OR changed_everything OR changed_accounts @> ARRAY[$3::text])
                AND ($2::text IS NOT NULL OR $3::text IS NOT NULL)
            ORDER BY revision LIMIT $4)
        ORDER BY revision LIMIT $4),
    measured AS (
        SELECT revision, committed_at, actor, caller, comment, subject_kind, subject_id,
            before, after, sum(coalesce(octet_length(before::text), 0)
                + coalesce(octet_length(after::text), 0)) OVER (ORDER BY revision) AS bytes,
            row_number() OVER (ORDER BY revision) AS place
        FROM policy_change WHERE revision IN (SELECT revision FROM wanted))
    SELECT revision, committed_at, actor, caller, comment, subject_kind, subject_id, before, after
    FROM measured WHERE place = 1 OR bytes <= $5 ORDER BY revision";

/// An account, and whether its partner is one.
static TRACED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {}, EXISTS (
            SELECT FROM account partner WHERE partner.id = account.partner_id AND kind = 'partner')
        FROM account WHERE id = $1",
        row::ACCOUNT
    )
});

const OWN_ORIGINS: &str = "SELECT feature, setting, revision, committed_at, actor, comment
    FROM account_setting JOIN policy_change USING (revision) WHERE account_id = $1";

const PARTNER_ORIGINS: &str = "SELECT feature, setting, revision, committed_at, actor, comment
    FROM partner_setting JOIN policy_change USING (revision)
    WHERE partner_id = (SELECT partner_id FROM account WHERE id = $1)";

/// What PolicyService uses of the store.
///
/// All of it runs on the runtime that the store was made on, whoever calls: connections live there,
/// and the runtime for large calls has no way to make one.
#[derive(Clone)]
pub(super) struct Desk {
    home: Handle,
    connections: Arc<Connections>,
    /// Who may take a connection: half of them at most, so that the loads that decisions wait for find
    /// one, and writers, who wait for each other, leave some to readers.
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    /// How long a read may take. Its caller's deadline comes before that.
    limit: Duration,
}

#[async_trait]
impl PolicyStore for PostgresStore {
    async fn write(&self, request: Arc<WriteRequest>) -> Result<Written, WriteError> {
        let desk = self.desk.clone();
        let (mut answer, answered) = oneshot::channel();
        self.desk.home.spawn(async move {
            let turn = tokio::select! {
                turn = desk.writes.acquire() => turn,
                // Nobody waits any more for a write that has not begun.
                () = answer.closed() => return,
            };
            let written = match turn {
                Ok(_turn) => change::run(&desk.connections, &request).await,
                Err(closed) => Err(stopping(closed).into()),
            };
            let _ = answer.send(written);
        });
        // Without an answer only where the runtime ends: the task does not panic.
        answered
            .await
            .unwrap_or_else(|dropped| Err(WriteError::OutcomeUnknown(dropped.into())))
    }

    async fn read(&self, scope: &Scope) -> Result<Reading, StoreError> {
        let scope = scope.clone();
        let read =
            async move |desk: Desk| read::reading(&desk.connections, desk.limit, &scope).await;
        self.desk.at_home(read).await
    }

    async fn list_accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
        let page = page.clone();
        self.desk
            .at_home(async move |desk: Desk| desk.accounts(&page).await)
            .await
    }

    async fn list_changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
        let page = page.clone();
        self.desk
            .at_home(async move |desk: Desk| desk.changes(&page).await)
            .await
    }

    async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
        let account = account.clone();
        self.desk
            .at_home(async move |desk: Desk| desk.trace(&account).await)
            .await
    }
}

impl Desk {
    pub(super) fn new(
        connections: Arc<Connections>,
        limits: &PostgresLimits,
        home: Handle,
    ) -> Self {
        Self {
            home,
            connections,
            reads: Arc::new(Semaphore::new(limits.pool_size.div_ceil(4))),
            writes: Arc::new(Semaphore::new(limits.pool_size.div_ceil(4))),
            limit: limits.catalog_timeout,
        }
    }

    /// Does `work` at home when it is its turn. A caller that leaves ends it.
    async fn at_home<T: Send + 'static, F>(
        &self,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let desk = self.clone();
        let work = self.home.spawn(async move {
            let reads = Arc::clone(&desk.reads);
            let _turn = reads.acquire().await.map_err(stopping)?;
            work(desk).await
        });
        AbortOnDropHandle::new(work)
            .await
            .unwrap_or_else(|_ended| Err(ending()))
    }

    async fn accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
        let (partner, after) = (text(page.partner.as_ref()), text(page.after.as_ref()));
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let parameters: [Parameter<'_>; 3] = [
            (&partner, Type::TEXT),
            (&after, Type::TEXT),
            (&limit, Type::INT8),
        ];
        let rows = self.query(&ACCOUNTS, &parameters).await?;
        let account =
            |row: &Row| row::account(row, 0)?.map_err(|why| row::broken("a listed account", why));
        rows.iter().map(account).collect()
    }

    async fn changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
        let after = i64::try_from(page.after.0).unwrap_or(i64::MAX);
        let (partner, account) = (text(page.partner.as_ref()), text(page.account.as_ref()));
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let limit_bytes = i64::try_from(page.limit_bytes).unwrap_or(i64::MAX);
        let parameters: [Parameter<'_>; 5] = [
            (&after, Type::INT8),
            (&partner, Type::TEXT),
            (&account, Type::TEXT),
            (&limit, Type::INT8),
            (&limit_bytes, Type::INT8),
        ];
        let rows = self.query(CHANGES, &parameters).await?;
        rows.iter().map(change).collect()
    }

    async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
        within(self.limit, async {
            let lease = self.connections.lease(self.limit).await?;
            let client = lease.client()?;
            let traced = async {
                read::begin_snapshot(client, self.limit).await?;
                let traced = trace(client, account).await?;
                read::end_snapshot(client).await?;
                Ok(traced)
            };
            let traced: Result<_, StoreError> = traced.await;
            lease.end(traced)
        })
        .await
    }

    async fn query(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, StoreError> {
        within(self.limit, async {
            let lease = self.connections.lease(self.limit).await?;
            let client = lease.client()?;
            let rows =
                futures_util::try_join!(read::head(client), read::query(client, sql, parameters));
            lease.end(rows.map(|(_, rows)| rows))
        })
        .await
    }
}

fn stopping(_closed: tokio::sync::AcquireError) -> StoreError {
    ending()
}

fn ending() -> StoreError {
    Unavailable::Connection("the service is stopping".to_owned()).into()
}

fn text(id: Option<&AccountId>) -> Option<&str> {
    id.map(AccountId::as_str)
}

fn change(row: &Row) -> Result<ChangeRecord, StoreError> {
    let revision = row::revision(row::column(row, 0)?)?;
    let (before, after): (Option<Value>, Option<Value>) =
        (row::column(row, 7)?, row::column(row, 8)?);
    let subject = row::subject(row::column(row, 5)?, row::column(row, 6)?)
        .map_err(|why| row::broken(format!("the change of revision {revision}"), why))?;
    Ok(ChangeRecord {
        revision,
        committed_at: row::column(row, 1)?,
        actor: row::column(row, 2)?,
        caller: row::column(row, 3)?,
        comment: row::column(row, 4)?,
        subject,
        before: before.unwrap_or_default(),
        after: after.unwrap_or_default(),
    })
}

async fn trace(client: &Client, id: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
    let parameters: [Parameter<'_>; 1] = [(&id.as_str(), Type::TEXT)];
    let (at, accounts, own, partner) = futures_util::try_join!(
        read::head(client),
        read::query(client, &TRACED, &parameters),
        read::query(client, OWN_ORIGINS, &parameters),
        read::query(client, PARTNER_ORIGINS, &parameters),
    )?;
    let Some(row) = accounts.first() else {
        return Ok(None);
    };
    let account =
        row::account(row, 0)?.map_err(|why| row::broken(format!("account `{id}`"), why))?;
    let has_partner: bool = row::column(row, 5)?;
    Ok(Some(AccountTrace {
        revision: at.head.revision,
        account,
        own: origins(&own)?,
        partner: has_partner.then(|| origins(&partner)).transpose()?,
    }))
}

fn origins(rows: &[Row]) -> Result<BTreeMap<FeatureKey, SettingOrigin>, StoreError> {
    let origin = |row: &Row| -> Result<_, StoreError> {
        let (feature, setting): (&str, &str) = (row::column(row, 0)?, row::column(row, 1)?);
        let read = row::setting(feature, setting);
        let (feature, setting) = read.map_err(|why| row::broken("a setting", why))?;
        let origin = SettingOrigin {
            setting,
            revision: row::revision(row::column(row, 2)?)?,
            committed_at: row::column(row, 3)?,
            actor: row::column(row, 4)?,
            comment: row::column(row, 5)?,
        };
        Ok((feature, origin))
    };
    rows.iter().map(origin).collect()
}
