//! What tells two matrices apart that decide differently.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::domain::{Audience, FeatureMatrix};

/// SHA-256 of the rules of `matrix`, in hexadecimal: of each feature's key, what it requires and its
/// four rules, by key. Descriptions do not count, nor the order or the notation of the file.
#[must_use]
pub fn matrix_digest(matrix: &FeatureMatrix) -> String {
    let mut hash = Sha256::new();
    for (_, row) in matrix.features() {
        let mut requires: Vec<&str> = row.requires.iter().map(|key| key.as_str()).collect();
        requires.sort_unstable();
        requires.dedup();
        // Neither keys nor rules hold what separates them here.
        hash.update(row.key.as_str());
        hash.update(" requires ");
        hash.update(requires.join(","));
        for audience in Audience::ALL {
            hash.update(" ");
            hash.update(row.rules.of(audience).as_str());
        }
        hash.update("\n");
    }
    hash.finalize()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(matrix: &str) -> String {
        matrix_digest(&FeatureMatrix::parse(matrix).unwrap())
    }

    #[test]
    fn descriptions_and_order_do_not_count_and_rules_do() {
        let built_in = FeatureMatrix::BUILT_IN;
        let described = built_in.replace("description: ", "description: Really, ");
        assert_eq!(digest(built_in), digest(&described));
        assert_eq!(digest(built_in).len(), 64);
        let changed = built_in.replacen("direct: allow", "direct: deny", 1);
        assert_ne!(digest(built_in), digest(&changed));
    }
}
