//! The files that an operator writes.

use std::sync::LazyLock;

use portcullis::config::text::escaped;
use portcullis::datafile::{self, Format, MAX_PROBLEMS};
use portcullis::domain::FeatureMatrix;
use portcullis::store::memory::MemoryStore;
use portcullis::store::{ImportError, Problem, Store as _};

use super::told::{assert_line, assert_told};

static MATRIX: LazyLock<FeatureMatrix> =
    LazyLock::new(|| FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap());

/// A matrix is refused with its line and field, or written and read again to the same.
pub fn matrix(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match FeatureMatrix::parse(text) {
        Ok(matrix) => {
            let written = matrix.to_yaml();
            let again = FeatureMatrix::parse(&written)
                .unwrap_or_else(|error| panic!("{error}, in what was written of it:\n{written}"));
            assert_eq!(again.to_yaml(), written);
        }
        Err(error) => {
            assert_told(&escaped(&error.to_string()));
            assert!(!error.field.is_empty(), "{error}");
            assert_line(error.line, text);
        }
    }
}

/// A data file is refused, each problem with its line and field; or it is imported, and what is
/// exported then is the same in either format and changes nothing when it is imported again.
pub fn data_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let problems = match datafile::parse(text, &MATRIX) {
        Ok((import, warnings)) => {
            for warning in warnings {
                assert_told(&escaped(&warning.to_string()));
                assert_line(warning.line, text);
            }
            match imported(&import) {
                Ok(()) => return,
                Err(problem) => vec![problem],
            }
        }
        Err(error) => error.problems().to_vec(),
    };
    assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
    for problem in problems {
        assert_told(&escaped(&problem.to_string()));
        assert_line(problem.line, text);
    }
}

fn imported(import: &portcullis::store::Import) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let store = MemoryStore::default();
        let before = match store.import(import, &|_| {}).await {
            Ok(outcome) => outcome.revision,
            Err(ImportError::Invalid(problem)) => return Err(problem),
            Err(error) => panic!("a store in memory fails: {error}"),
        };
        let state = store.export().await.unwrap();
        for format in [Format::Yaml, Format::Json] {
            let written = datafile::render(&state, format);
            let (again, _) = datafile::parse(&written, &MATRIX)
                .unwrap_or_else(|error| panic!("{error}, in what was exported:\n{written}"));
            let outcome = store.import(&again, &|_| {}).await.unwrap();
            assert_eq!(outcome.revision, before, "a change by:\n{written}");
            let other = MemoryStore::default();
            other.import(&again, &|_| {}).await.unwrap();
            assert_eq!(other.export().await.unwrap(), state, "{written}");
        }
        Ok(())
    })
}
