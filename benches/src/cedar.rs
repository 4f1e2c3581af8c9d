//! `decide` against Cedar, which evaluates the same rules as policies of its own: `cedar/policies.cedar`
//! over `cedar/schema.cedarschema`. A figure counts only where both answer alike, so that is looked at
//! first.

mod engine;
mod known;

use std::fmt;
use std::hint::black_box;

use cedar_policy::{Entities, Request};
use portcullis::domain::{FeatureIndex, FeatureMatrix, Subject, decide};

use crate::measure::{count, interleaved};
use crate::table::{Goal, Row, Unit};
use engine::Cedar;
use known::Known;

/// Accounts that are asked about in turn while it is measured: few, so that Cedar's entities of them
/// stay near the processor.
const MEASURED: usize = 32;

/// The figure.
#[must_use]
pub fn rows() -> Vec<Row> {
    let [matrix, decided_on] = matrices();
    let cedar = Cedar::new();
    let mut answers = Answers::default();
    for matrix in [&matrix, &decided_on] {
        agree(&cedar, matrix, &mut answers).unwrap_or_else(|difference| panic!("{difference}"));
    }

    let features: Vec<FeatureIndex> = matrix.features().map(|(index, _)| index).collect();
    let known: Vec<Known> = (0..MEASURED)
        .map(|number| Known::varied(number, &features))
        .collect();
    let subjects: Vec<Subject<'_>> = known.iter().map(Known::subject).collect();
    let entities: Vec<Entities> = known
        .iter()
        .map(|known| cedar.entities(&matrix, known))
        .collect();
    // Each feature of each of them, for there is no common divisor.
    let requests: Vec<Request> = (0..features.len() * MEASURED)
        .map(|number| {
            let feature = features[number % features.len()];
            cedar.request(&matrix, feature, &known[number % MEASURED])
        })
        .collect();
    let [ours, theirs] = interleaved([
        &mut |number| {
            let feature = features[number % features.len()];
            let subject = subjects[number % MEASURED];
            black_box(decide(black_box(&matrix), feature, subject));
        },
        &mut |number| {
            let request = &requests[number % requests.len()];
            let entities = &entities[number % MEASURED];
            black_box(cedar.is_allowed(black_box(request), entities));
        },
    ]);
    let version = cedar_policy::get_sdk_version();
    vec![
        Row::new(
            "`decide` against Cedar with the same rules",
            Goal::None,
            ours / theirs,
            Unit::Ratio,
        )
        .of(format!(
            "{ours:.1} ns of {theirs:.0} ns in Cedar {version}; alike about {answers}"
        )),
    ]
}

/// The matrix that is built in, and the same where all that a partner decides is there until it does.
fn matrices() -> [FeatureMatrix; 2] {
    let built_in = FeatureMatrix::BUILT_IN;
    let decided_on = built_in.replace(": off\n", ": on\n");
    assert_ne!(built_in, decided_on);
    [built_in, &decided_on].map(|text| FeatureMatrix::parse(text).unwrap())
}

/// How many questions were answered how.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    allowed: usize,
    denied: usize,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [allowed, denied] =
            [self.allowed, self.denied].map(|answers| Unit::Count.text(count(answers)));
        write!(f, "{allowed} allowed and {denied} denied")
    }
}

/// Asks both about each feature of everyone.
///
/// # Errors
/// The first question that they answer differently, or where all answers were of one kind.
fn agree(cedar: &Cedar, matrix: &FeatureMatrix, answers: &mut Answers) -> Result<(), String> {
    let everyone = known::everyone(matrix);
    let (mut allowed, mut denied) = (0, 0);
    for known in &everyone {
        let (subject, entities) = (known.subject(), cedar.entities(matrix, known));
        for (feature, row) in matrix.features() {
            let ours = decide(matrix, feature, subject);
            let theirs = cedar.is_allowed(&cedar.request(matrix, feature, known), &entities);
            if theirs != ours.is_allowed() {
                let (key, theirs) = (row.key.as_str(), if theirs { "allow" } else { "deny" });
                return Err(format!(
                    "`{key}` of {subject:?}: {ours:?} here, {theirs} in Cedar"
                ));
            }
            if theirs {
                allowed += 1;
            } else {
                denied += 1;
            }
        }
    }
    answers.allowed += allowed;
    answers.denied += denied;
    if allowed == 0 || denied == 0 {
        return Err(format!(
            "of one kind only: {allowed} allowed, {denied} denied"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(cedar: &Cedar) -> Result<Answers, String> {
        let mut answers = Answers::default();
        for matrix in &matrices() {
            agree(cedar, matrix, &mut answers)?;
        }
        Ok(answers)
    }

    #[test]
    fn cedar_answers_as_decide_does() {
        let answers = agreed(&Cedar::new()).unwrap();
        assert!(answers.allowed > 10_000, "{answers}");
        assert!(answers.denied > 10_000, "{answers}");
    }

    /// Each look into a set, turned into its opposite, is noticed.
    #[test]
    fn a_difference_is_found() {
        let looks: Vec<_> = engine::POLICIES.match_indices(".contains(").collect();
        assert!(looks.len() > 10, "{looks:?}");
        for (at, _) in looks {
            let (before, look) = engine::POLICIES.split_at(at);
            let (look, after) = look.split_once(')').unwrap();
            let changed = format!("{before}{look}) == false{after}");
            assert!(agreed(&Cedar::with(&changed)).is_err(), "{changed}");
        }
    }
}
