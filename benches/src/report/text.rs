//! Figures and tables, as they are read.

use crate::table::grouped;

/// Three digits: more of them would be those of this run alone.
pub(super) fn digits(figure: f64) -> String {
    match figure {
        ..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => {
            let last = 10_f64.powf(figure.log10().floor() - 2.0);
            grouped((figure / last).round() * last)
        }
    }
}

/// A number of pieces.
pub(super) fn pieces(number: usize) -> String {
    grouped(crate::measure::count(number))
}

/// A time, of nanoseconds.
pub(super) fn time(nanoseconds: f64) -> String {
    let (figure, unit) = match nanoseconds {
        ..1e3 => (nanoseconds, "ns"),
        1e3..1e6 => (nanoseconds / 1e3, "µs"),
        1e6..1e9 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    format!("{} {unit}", digits(figure))
}

/// A size, of bytes.
pub(super) fn size(bytes: f64) -> String {
    let (figure, unit) = match bytes {
        ..1024.0 => return format!("{} B", grouped(bytes)),
        1024.0..1_048_576.0 => (bytes / 1024.0, "KiB"),
        _ => (bytes / 1_048_576.0, "MiB"),
    };
    format!("{} {unit}", digits(figure))
}

/// How many times as much.
pub(super) fn times(figure: f64) -> String {
    format!("{} ×", digits(figure))
}

/// What is not there.
pub(super) fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "–".to_owned())
}

/// A table of figures in Markdown.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let mut lines = vec![
        line(&head.map(str::to_owned)),
        line(&head.map(|_| "---:".to_owned())),
    ];
    lines.extend(rows.into_iter().map(|row| line(&row)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit_that_fits() {
        for (text, want) in [
            (time(151.26), "151 ns"),
            (time(1_075.4), "1.08 µs"),
            (time(12_340_000.0), "12.3 ms"),
            (time(2e9), "2.00 s"),
            (size(177.6), "178 B"),
            (size(1_536.0), "1.50 KiB"),
            (size(178_000_000.0), "170 MiB"),
            (times(1.0), "1.00 ×"),
            (digits(1_041_732.0), "1,040,000"),
            (digits(999.7), "1,000"),
            (pieces(1_000_000), "1,000,000"),
        ] {
            assert_eq!(text, want);
        }
    }

    #[test]
    fn a_table_has_a_head_and_a_line_for_each_row() {
        let rows = [["1".to_owned(), "2".to_owned()]];
        let want = "| a | b |\n| ---: | ---: |\n| 1 | 2 |";
        assert_eq!(table(["a", "b"], rows), want);
    }
}
