//! Tables: fitted to the width at a terminal, plain columns for other programs.

use std::io::{self, IsTerminal as _};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// The narrowest that a table is fitted to: below it every column would be a ladder of letters.
const NARROWEST: u16 = 40;

/// A rule under the header, and no other.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// A table with these columns.
pub(super) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    if let Some(width) = io::stdout().is_terminal().then(width).flatten() {
        table
            .load_style(RULED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width.max(NARROWEST));
    } else {
        table.load_style(TableStyle::new());
    }
    table.set_header(columns.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Aligns the columns at these places to the right.
pub(super) fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The table as text, with the end of its last line.
pub(super) fn render(table: &Table) -> String {
    format!("{}\n", table.trim_fmt())
}

fn width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}
