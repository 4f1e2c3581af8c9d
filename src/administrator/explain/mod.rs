//! Where a decision comes from: the rule, the settings with the changes behind them, and what the
//! feature requires.

mod summary;

use std::collections::BTreeMap;

use crate::domain::{
    Account, AccountProfile, Decision, FeatureIndex, FeatureKey, FeatureMatrix, Inconsistent,
    PartnerPolicy, Revision, Rule, SettingMap, Settings, Subject, decide,
};
use crate::store::{AccountTrace, SettingOrigin};

use super::Refusal;

/// Why an account may use a feature, or may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The account.
    pub account: Account,
    /// The state that all of it is of.
    pub revision: Revision,
    /// The feature that was asked about.
    pub asked: Explained,
    /// Each feature that it requires, directly or not, by key.
    pub required: Vec<Explained>,
}

/// What makes one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The feature.
    pub feature: FeatureKey,
    /// The matrix's rule for the account's audience.
    pub rule: Rule,
    /// The decision.
    pub decision: Decision,
    /// What is set for the account alone, whether it has an effect or not.
    pub account_setting: Option<SettingOrigin>,
    /// What is set for all accounts of its partner, whether it has an effect or not.
    pub partner_setting: Option<SettingOrigin>,
    /// All of that in one sentence.
    pub summary: String,
}

/// Explains the decision on `feature` for the account of `trace`.
pub(super) fn explain(
    matrix: &FeatureMatrix,
    trace: AccountTrace,
    feature: FeatureIndex,
) -> Result<Explanation, Refusal> {
    let AccountTrace {
        revision,
        account,
        own,
        partner,
    } = trace;
    let profile = AccountProfile {
        settings: compile(matrix, &own),
        account,
    };
    let policy = partner.as_ref().map(|settings| PartnerPolicy {
        settings: compile(matrix, settings),
        ..PartnerPolicy::default()
    });
    let subject = Subject::new(&profile, policy.as_ref())
        .map_err(|Inconsistent| Refusal::AccountInconsistent(profile.account.id.clone()))?;
    let case = Case {
        matrix,
        account: &profile.account,
        subject,
        own: &own,
        partner: partner.as_ref(),
    };
    let required = matrix.required(feature);
    let required = required.iter().filter_map(|other| case.explained(other));
    let required = required.collect();
    let asked = case.explained(feature);
    let unknown = || crate::store::WriteRefusal::FeatureUnknown("of another matrix".to_owned());
    Ok(Explanation {
        revision,
        asked: asked.ok_or_else(unknown)?,
        required,
        account: profile.account,
    })
}

type Origins = BTreeMap<FeatureKey, SettingOrigin>;

fn compile(matrix: &FeatureMatrix, origins: &Origins) -> Settings {
    let settings = origins
        .iter()
        .map(|(feature, origin)| (feature.clone(), origin.setting));
    Settings::compile(matrix, &settings.collect::<SettingMap>())
}

/// One account, and all that decisions on it depend on.
struct Case<'a> {
    matrix: &'a FeatureMatrix,
    account: &'a Account,
    subject: Subject<'a>,
    own: &'a Origins,
    partner: Option<&'a Origins>,
}

impl Case<'_> {
    /// One feature. None where the matrix does not have it.
    fn explained(&self, feature: FeatureIndex) -> Option<Explained> {
        let mut explained = self.silently(feature)?;
        let required = self.matrix.required(feature);
        let required: Vec<_> = required
            .iter()
            .filter_map(|other| self.silently(other))
            .collect();
        explained.summary = summary::of(self.account, &explained, &required);
        Some(explained)
    }

    /// The same without the sentence.
    fn silently(&self, feature: FeatureIndex) -> Option<Explained> {
        let row = self.matrix.row(feature)?;
        let partner = self.partner.and_then(|settings| settings.get(&row.key));
        Some(Explained {
            feature: row.key.clone(),
            rule: row.rules.of(self.subject.audience()),
            decision: decide(self.matrix, feature, self.subject),
            account_setting: self.own.get(&row.key).cloned(),
            partner_setting: partner.cloned(),
            summary: String::new(),
        })
    }
}
