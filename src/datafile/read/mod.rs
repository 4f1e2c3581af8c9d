//! From the text of a data file to an [`Import`].
//!
//! Reading goes on after a problem, so that a person who mends a file sees many at once. A key
//! whose value is empty (`market:`, JSON's `null`) is as good as absent.

mod account;
mod fields;
mod findings;
mod location;
mod market;
mod path;
mod policy;

#[cfg(test)]
mod tests;

use crate::domain::{Document, FeatureMatrix, Node};
use crate::store::Import;

use fields::{Fields, Seen, items};
use findings::Findings;
use path::Path;

pub use findings::{DataFileError, MAX_PROBLEMS, Warning};
pub use policy::MAX_SETTINGS;

const SECTIONS: [&str; 4] = ["billing_markets", "locations", "accounts", "policies"];

/// Reads a whole data file. The import is a merge by nobody for no reason: the caller says
/// otherwise.
///
/// A setting that no matrix row gives an effect to is kept, with a warning.
///
/// # Errors
/// [`DataFileError`]: up to [`MAX_PROBLEMS`] problems, by line.
pub fn parse(text: &str, matrix: &FeatureMatrix) -> Result<(Import, Vec<Warning>), DataFileError> {
    let mut findings = Findings::default();
    let import = match Document::parse(text) {
        Ok(document) => read(&document, matrix, &mut findings),
        Err(error) => {
            findings.problem(error.line, &Path::FILE, error.message);
            Import::default()
        }
    };
    Ok((import, findings.into_warnings()?))
}

fn read(document: &Node, matrix: &FeatureMatrix, findings: &mut Findings) -> Import {
    let mut import = Import::default();
    let Some(file) = Fields::read(document, Path::FILE, &SECTIONS, findings) else {
        return import;
    };
    if file.is_empty() {
        let message = format!("has none of {}", SECTIONS.join(", "));
        findings.problem(document.line, &Path::FILE, message);
    }
    if let Some(nodes) = file.list("billing_markets", findings) {
        import.markets = market::read(nodes, findings);
    }
    if let Some(nodes) = file.list("locations", findings) {
        import.locations = location::read(nodes, findings);
    }
    if let Some(nodes) = file.list("accounts", findings) {
        import.accounts = account::read(nodes, findings);
    }
    if let Some(nodes) = file.list("policies", findings) {
        import.policies = policy::read(nodes, matrix, findings);
    }
    import
}
