//! `matrix`: the feature matrix that `serve` would use, checked and printed.

use super::table::{render, table};
use super::{Verdict, output};
use crate::config::{MatrixCommandArgs, MatrixFormat, Origins, load};
use crate::domain::{Audience, FeatureKey, FeatureMatrix};

pub(super) fn run(args: &MatrixCommandArgs, origins: &Origins) -> anyhow::Result<Verdict> {
    let matrix = load::matrix(&args.matrix, origins)?;
    let text = match args.format {
        MatrixFormat::Yaml => matrix.to_yaml(),
        MatrixFormat::Table => human(&matrix),
    };
    output::print(&text)?;
    Ok(Verdict::Yes)
}

fn human(matrix: &FeatureMatrix) -> String {
    let mut rows = table(&[
        "feature",
        "direct",
        "partner",
        "managed, partner supports",
        "managed, platform supports",
        "requires",
    ]);
    for (_, row) in matrix.features() {
        let mut cells = vec![row.key.as_str().to_owned()];
        cells.extend(Audience::ALL.map(|audience| row.rules.of(audience).as_str().to_owned()));
        let requires: Vec<_> = row.requires.iter().map(FeatureKey::as_str).collect();
        cells.push(requires.join(", "));
        rows.add_row(cells);
    }
    format!(
        "{}\non and off: the partner decides, and this holds until it does\n",
        render(&rows)
    )
}
