//! Cedar with the policies, and what it is asked and told: a request, and the few entities that matter.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use portcullis::domain::{
    AccountProfile, Audience, FeatureIndex, FeatureMatrix, Rule, Setting, Settings,
};

use super::known::Known;

const SCHEMA: &str = include_str!("schema.cedarschema");
pub(super) const POLICIES: &str = include_str!("policies.cedar");

const DEFAULT_ON: Rule = Rule::PartnerDecides {
    default: Setting::On,
};

/// Cedar, ready to answer.
#[derive(Debug)]
pub(super) struct Cedar {
    authorizer: Authorizer,
    schema: Schema,
    policies: PolicySet,
}

type Attributes = HashMap<String, RestrictedExpression>;

impl Cedar {
    pub(super) fn new() -> Self {
        Self::with(POLICIES)
    }

    /// The same with policies that may say something else.
    pub(super) fn with(policies: &str) -> Self {
        let (schema, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        assert_eq!(warnings.count(), 0, "a schema with warnings");
        let policies: PolicySet = policies.parse().unwrap();
        let found = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        assert!(found.validation_passed_without_warnings(), "{found}");
        Self {
            authorizer: Authorizer::new(),
            schema,
            policies,
        }
    }

    pub(super) fn is_allowed(&self, request: &Request, entities: &Entities) -> bool {
        let answer = self
            .authorizer
            .is_authorized(request, &self.policies, entities);
        // A policy that fails is passed over, and the answer that of the others.
        assert_eq!(answer.diagnostics().errors().count(), 0, "a policy failed");
        answer.decision() == Decision::Allow
    }

    /// May this account use this feature?
    pub(super) fn request(
        &self,
        matrix: &FeatureMatrix,
        feature: FeatureIndex,
        known: &Known,
    ) -> Request {
        Request::new(
            uid("Account", known.profile.account.id.as_str()),
            uid("Action", "use"),
            feature_uid(matrix, feature),
            Context::empty(),
            Some(&self.schema),
        )
        .unwrap()
    }

    /// All that it has to know for that: the account, its partner, and the features.
    pub(super) fn entities(&self, matrix: &FeatureMatrix, known: &Known) -> Entities {
        let AccountProfile { account, settings } = &known.profile;
        let mut attributes = about(matrix, account.audience(), settings);
        let mut entities: Vec<Entity> = matrix
            .features()
            .map(|(index, _)| row(matrix, index))
            .collect();
        if let Some((partner, policy)) = account.partner().zip(known.policy.as_ref()) {
            let partner = uid("Account", partner.as_str());
            let of_its_partner = about(matrix, Audience::Partner, &policy.settings);
            attributes.insert("partner".to_owned(), one(partner.clone()));
            entities.push(entity(partner, of_its_partner));
        }
        entities.push(entity(uid("Account", account.id.as_str()), attributes));
        Entities::from_entities(entities, Some(&self.schema)).unwrap()
    }
}

/// What an account or a partner is and has chosen.
fn about(matrix: &FeatureMatrix, audience: Audience, settings: &Settings) -> Attributes {
    let set_to = |setting| {
        let features = matrix.features().map(|(index, _)| index);
        let chosen = features.filter(move |index| settings.of(*index) == Some(setting));
        many(chosen.map(|index| feature_uid(matrix, index)))
    };
    HashMap::from([
        ("audience".to_owned(), one(audience_uid(audience))),
        ("on".to_owned(), set_to(Setting::On)),
        ("off".to_owned(), set_to(Setting::Off)),
    ])
}

/// A row of the matrix.
fn row(matrix: &FeatureMatrix, feature: FeatureIndex) -> Entity {
    let rules = matrix.row(feature).unwrap().rules;
    let with = |accepts: fn(Rule) -> bool| {
        let audiences = Audience::ALL.into_iter();
        many(
            audiences
                .filter(|audience| accepts(rules.of(*audience)))
                .map(audience_uid),
        )
    };
    let mut attributes = HashMap::from([
        ("allowed".to_owned(), with(|rule| rule == Rule::Allow)),
        (
            "decided".to_owned(),
            with(|rule| matches!(rule, Rule::PartnerDecides { .. })),
        ),
        ("default_on".to_owned(), with(|rule| rule == DEFAULT_ON)),
    ]);
    let mut required = matrix.required(feature).iter();
    if let Some(required) = required.next() {
        let required = one(feature_uid(matrix, required));
        attributes.insert("required".to_owned(), required);
    }
    assert!(required.next().is_none(), "the policies look at one alone");
    entity(feature_uid(matrix, feature), attributes)
}

fn entity(uid: EntityUid, attributes: Attributes) -> Entity {
    Entity::new(uid, attributes, HashSet::new()).unwrap()
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind: EntityTypeName = kind.parse().unwrap();
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

fn feature_uid(matrix: &FeatureMatrix, feature: FeatureIndex) -> EntityUid {
    uid("Feature", matrix.row(feature).unwrap().key.as_str())
}

fn audience_uid(audience: Audience) -> EntityUid {
    uid("Audience", audience.as_str())
}

fn one(uid: EntityUid) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid)
}

fn many(uids: impl Iterator<Item = EntityUid>) -> RestrictedExpression {
    RestrictedExpression::new_set(uids.map(one))
}
