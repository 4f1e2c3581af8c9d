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

/// Settings as they are decided on: two bits for each feature of one matrix. A feature in neither
/// set is unset; none is in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    on: FeatureSet,
    off: FeatureSet,
}

impl Settings {
    /// Nothing set.
    pub const NONE: Self = Self {
        on: FeatureSet::EMPTY,
        off: FeatureSet::EMPTY,
    };

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
        let (to, from) = match setting {
            Setting::On => (&mut self.on, &mut self.off),
            Setting::Off => (&mut self.off, &mut self.on),
        };
        to.insert(feature);
        from.remove(feature);
    }

    /// What is set for `feature`, if anything is.
    #[must_use]
    pub fn of(&self, feature: FeatureIndex) -> Option<Setting> {
        if self.on.contains(feature) {
            Some(Setting::On)
        } else if self.off.contains(feature) {
            Some(Setting::Off)
        } else {
            None
        }
    }
}
