//! The feature matrix: which rule holds for which feature and audience.

use super::{Audience, FeatureIndex, FeatureKey, FeatureSet, MAX_FEATURES, Setting};

/// The rule in one cell of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Allowed, whatever a partner sets.
    Allow,
    /// Denied, whatever a partner sets.
    Deny,
    /// The partner decides; where it has not, this is the answer.
    PartnerDecides {
        /// What holds while nothing is set.
        default: Setting,
    },
}

impl Rule {
    /// The name in matrix files: `allow`, `deny`, `on` or `off`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::PartnerDecides { default } => default.as_str(),
        }
    }
}

/// The rules of one feature, a rule for each audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureRules {
    /// For direct accounts; never left to a partner.
    pub direct: Rule,
    /// For partners; never left to a partner.
    pub partner: Rule,
    /// For managed accounts that their partner supports.
    pub managed_partner_supported: Rule,
    /// For managed accounts that the platform supports.
    pub managed_platform_supported: Rule,
}

impl FeatureRules {
    /// The rule for one audience.
    #[must_use]
    pub fn of(&self, audience: Audience) -> Rule {
        match audience {
            Audience::Direct => self.direct,
            Audience::Partner => self.partner,
            Audience::ManagedPartnerSupported => self.managed_partner_supported,
            Audience::ManagedPlatformSupported => self.managed_platform_supported,
        }
    }

    /// Whether a partner may decide the feature for some of its accounts.
    #[must_use]
    pub fn is_configurable(&self) -> bool {
        Audience::ALL
            .into_iter()
            .any(|audience| matches!(self.of(audience), Rule::PartnerDecides { .. }))
    }
}

/// One feature of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureRow {
    /// Its key.
    pub key: FeatureKey,
    /// What it is, for people.
    pub description: String,
    /// The features that it requires, as they were written.
    pub requires: Vec<FeatureKey>,
    /// Its rules.
    pub rules: FeatureRules,
    pub(super) required: FeatureSet,
}

/// The features that other rules refer to: every matrix has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WellKnown {
    /// `services.order`: without it no location is visible.
    pub ordering: FeatureIndex,
    /// `pricing.view`: without it no price is.
    pub pricing: FeatureIndex,
    /// `maintenance_notifications.receive`.
    pub maintenance: FeatureIndex,
    /// `security_notifications.receive`.
    pub security: FeatureIndex,
}

/// A matrix that cannot be used, and where it is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixError {
    /// The line, from 1.
    pub line: u64,
    /// The feature that it is about, where it is about one.
    pub feature: Option<String>,
    /// The field that it is about.
    pub field: String,
    /// What is wrong, and what is accepted.
    pub message: String,
}

impl std::fmt::Display for MatrixError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(feature) = &self.feature {
            write!(f, "feature `{feature}`: ")?;
        }
        write!(f, "`{}`: {}", self.field, self.message)
    }
}

impl std::error::Error for MatrixError {}

/// Features × audiences, valid as a whole. Rows are sorted by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureMatrix {
    rows: Vec<FeatureRow>,
    /// Where each key stands, by its length and then in order: every check looks one up, and hardly
    /// any two are as long.
    places: Vec<Vec<(FeatureKey, FeatureIndex)>>,
    well_known: WellKnown,
}

impl FeatureMatrix {
    /// The matrix in YAML that the platform's published rules make.
    pub const BUILT_IN: &str = include_str!("matrix.yaml");

    /// Takes rows that are sorted by key, unique, and not more than [`MAX_FEATURES`]; closes
    /// `requires`. Tells which rows lie on a cycle, or which well-known feature is missing.
    pub(super) fn new(mut rows: Vec<FeatureRow>) -> Result<Self, Flaw> {
        let places = places(&rows);
        let find = |key: &str| find(&places, key);
        let known = |key: &'static str| find(key).ok_or(Flaw::Missing(key));
        let well_known = WellKnown {
            ordering: known("services.order")?,
            pricing: known("pricing.view")?,
            maintenance: known("maintenance_notifications.receive")?,
            security: known("security_notifications.receive")?,
        };
        let mut closures: Vec<FeatureSet> = rows
            .iter()
            .map(|row| {
                let mut direct = FeatureSet::EMPTY;
                row.requires
                    .iter()
                    .filter_map(|key| find(key.as_str()))
                    .for_each(|index| direct.insert(index));
                direct
            })
            .collect();
        close(&mut closures);
        for (row, closure) in rows.iter_mut().zip(closures) {
            row.required = closure;
        }
        let on_a_cycle = (0..=u8::MAX)
            .zip(&rows)
            .find(|(index, row)| row.required.contains(FeatureIndex(*index)));
        if let Some((_, row)) = on_a_cycle {
            return Err(Flaw::Cycle(row.key.clone()));
        }
        Ok(Self {
            rows,
            places,
            well_known,
        })
    }

    /// Where `key` stands, if the matrix has it.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<FeatureIndex> {
        find(&self.places, key)
    }

    /// The row of a feature of this matrix.
    #[must_use]
    pub fn row(&self, feature: FeatureIndex) -> Option<&FeatureRow> {
        self.rows.get(usize::from(feature.0))
    }

    /// Every feature with its index, by key.
    pub fn features(&self) -> impl Iterator<Item = (FeatureIndex, &FeatureRow)> {
        (0..=u8::MAX).map(FeatureIndex).zip(&self.rows)
    }

    /// The features that other rules refer to.
    #[must_use]
    pub fn well_known(&self) -> WellKnown {
        self.well_known
    }

    /// Every feature that `feature` requires, directly or not.
    #[must_use]
    pub fn required(&self, feature: FeatureIndex) -> FeatureSet {
        self.row(feature)
            .map_or(FeatureSet::EMPTY, |row| row.required)
    }
}

/// What can be wrong with rows that are each right.
pub(super) enum Flaw {
    Missing(&'static str),
    Cycle(FeatureKey),
}

fn places(rows: &[FeatureRow]) -> Vec<Vec<(FeatureKey, FeatureIndex)>> {
    let longest = rows.iter().map(|row| row.key.as_str().len()).max();
    let mut places = vec![Vec::new(); longest.map_or(0, |longest| longest + 1)];
    for (index, row) in (0..=u8::MAX).map(FeatureIndex).zip(rows) {
        if let Some(alike) = places.get_mut(row.key.as_str().len()) {
            alike.push((row.key.clone(), index));
        }
    }
    places
}

fn find(places: &[Vec<(FeatureKey, FeatureIndex)>], key: &str) -> Option<FeatureIndex> {
    let alike = places.get(key.len())?;
    let place = alike.binary_search_by(|(known, _)| known.as_str().cmp(key));
    place.ok().and_then(|place| Some(alike.get(place)?.1))
}

/// Warshall's algorithm: after step k, a closure holds all that is reached through the first k rows.
fn close(closures: &mut [FeatureSet]) {
    for through in (0..=u8::MAX).take(closures.len().min(MAX_FEATURES)) {
        let Some(reached) = closures.get(usize::from(through)).copied() else {
            return;
        };
        for closure in closures
            .iter_mut()
            .filter(|closure| closure.contains(FeatureIndex(through)))
        {
            closure.insert_all(&reached);
        }
    }
}
