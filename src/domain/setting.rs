//! A partner's choices: `on`, `off`, or nothing said.

use std::collections::BTreeMap;

use super::{FeatureIndex, FeatureKey, FeatureMatrix, FeatureSet};

/// A partner's choice for a feature that it may decide. Unset is the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// The feature is there.
    On,
    /// The feature is not there.
    Off,
}

impl Setting {
    /// The setting's name in data files: `on` or `off`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// Settings as they are stored: by key, also for features that today's matrix does not have.
pub type SettingMap = BTreeMap<FeatureKey, Setting>;

/// Settings as they are decided on: two bits for each feature of one matrix.
///
/// They stand apart, and nowhere where nothing is set: so it is with nearly every account, of which
/// a million are held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Settings(Option<Box<Choices>>);

/// A feature in neither set is unset; none is in both. Something is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Choices {
    on: FeatureSet,
    off: FeatureSet,
}

impl Settings {
    /// Nothing set.
    pub const NONE: Self = Self(None);

    /// The settings of `stored` for the features that `matrix` has. Others are stored, exported,
    /// and never have an effect.
    #[must_use]
    pub fn compile(matrix: &FeatureMatrix, stored: &SettingMap) -> Self {
        let mut settings = Self::NONE;
        for (key, setting) in stored {
            if let Some(feature) = matrix.find(key.as_str()) {
                settings.set(feature, *setting);
            }
        }
        settings
    }

    /// Sets one feature.
    pub fn set(&mut self, feature: FeatureIndex, setting: Setting) {
        let Choices { on, off } = &mut **self.0.get_or_insert_default();
        let (to, from) = match setting {
            Setting::On => (on, off),
            Setting::Off => (off, on),
        };
        to.insert(feature);
        from.remove(feature);
    }

    /// What is set for `feature`, if anything is.
    #[must_use]
    pub fn of(&self, feature: FeatureIndex) -> Option<Setting> {
        let Choices { on, off } = self.0.as_deref()?;
        if on.contains(feature) {
            Some(Setting::On)
        } else if off.contains(feature) {
            Some(Setting::Off)
        } else {
            None
        }
    }
}
