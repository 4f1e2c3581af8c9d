//! Plots with logarithmic axes, beside each other, as SVG.

use std::error::Error;
use std::ops::Range;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::table::grouped;

/// Width and height of them all.
const SIZE: (u32, u32) = (1_000, 420);
/// One for each line, told apart with any sight of colours.
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
];
const TEXT: (&str, u32) = ("sans-serif", 14);
const HEADING: (&str, u32) = ("sans-serif", 18);

/// One plot.
pub(super) struct Panel {
    pub(super) heading: &'static str,
    /// What grows along the horizontal axis.
    pub(super) along: &'static str,
    /// What the vertical axis counts.
    pub(super) axis: Axis,
    pub(super) lines: Vec<Line>,
}

pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy)]
pub(super) enum Axis {
    /// Nanoseconds.
    Time,
    /// Bytes.
    Size,
}

/// The text of an SVG.
pub(super) fn draw(panels: &[Panel]) -> anyhow::Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let drawn = all(&area, panels).map_err(|error| anyhow!("cannot plot: {error}"));
    drop(area);
    drawn.map(|()| svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

fn all(area: &Area<'_>, panels: &[Panel]) -> Drawn {
    // Without it, a page that is dark would show through.
    area.fill(&WHITE)?;
    let areas = area.split_evenly((1, panels.len()));
    for (panel, area) in panels.iter().zip(&areas) {
        panel.draw(area)?;
    }
    area.present()?;
    Ok(())
}

impl Panel {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let across = extent(points().map(|point| point.0));
        let up = decades(&extent(points().map(|point| point.1 * self.axis.unit())));
        let mut chart = ChartBuilder::on(area)
            .caption(self.heading, HEADING)
            .margin(16)
            .margin_right(40)
            .x_label_area_size(48)
            .y_label_area_size(76)
            .build_cartesian_2d(padded(&across).log_scale(), padded(&up).log_scale())?;
        chart
            .configure_mesh()
            .label_style(TEXT)
            .axis_desc_style(TEXT)
            .x_desc(self.along)
            .x_label_formatter(&|number| grouped(*number))
            .y_label_formatter(&|figure| self.axis.label(*figure))
            .bold_line_style(BLACK.mix(0.2))
            .light_line_style(BLACK.mix(0.06))
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            let points = || {
                let points = line.points.iter();
                points.map(|(across, up)| (*across, up * self.axis.unit()))
            };
            let mark = move |at| Circle::new(at, 4, colour.filled());
            chart
                .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
                .label(line.name)
                .legend(move |(x, y)| {
                    EmptyElement::at((x, y))
                        + PathElement::new([(0, 0), (24, 0)], colour.stroke_width(2))
                        + Circle::new((12, 0), 4, colour.filled())
                });
            chart.draw_series(points().map(mark))?;
        }
        chart
            .configure_series_labels()
            .label_font(TEXT)
            .legend_area_size(32)
            .margin(12)
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(BLACK.mix(0.3))
            .draw()?;
        Ok(())
    }
}

impl Axis {
    /// By how much a figure is multiplied to be drawn.
    fn unit(self) -> f64 {
        match self {
            Self::Time => 1.0,
            Self::Size => 1.0 / f64::from(1 << 20),
        }
    }

    /// What a power of ten is called.
    fn label(self, figure: f64) -> String {
        let (figure, unit) = match self {
            Self::Time if figure > 9e8 => (figure / 1e9, "s"),
            Self::Time if figure > 9e5 => (figure / 1e6, "ms"),
            Self::Time if figure > 9e2 => (figure / 1e3, "µs"),
            Self::Time => (figure, "ns"),
            Self::Size => (figure, "MiB"),
        };
        match figure {
            0.9.. => format!("{} {unit}", grouped(figure)),
            // What there is behind its first digit are errors of calculation.
            _ => format!("{} {unit}", (figure * 1e4).round() / 1e4),
        }
    }
}

/// From the least to the largest.
fn extent(figures: impl Iterator<Item = f64>) -> Range<f64> {
    let of = figures.fold((f64::INFINITY, 0.0), |(least, most), figure| {
        (figure.min(least), figure.max(most))
    });
    of.0..of.1
}

/// The powers of ten around it.
fn decades(extent: &Range<f64>) -> Range<f64> {
    10_f64.powf(extent.start.log10().floor())..10_f64.powf(extent.end.log10().ceil())
}

/// With some room at both ends, so that the last points and labels are not on the edge.
fn padded(extent: &Range<f64>) -> Range<f64> {
    extent.start / 1.25..extent.end * 1.25
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_go_by_powers_of_ten() {
        assert_eq!(
            decades(&extent([250.0, 1_075.0].into_iter())),
            100.0..10_000.0
        );
        for (axis, figure, want) in [
            (Axis::Time, 100.0, "100 ns"),
            (Axis::Time, 10_000.0, "10 µs"),
            (Axis::Time, 1e6, "1 ms"),
            (Axis::Size, 0.1, "0.1 MiB"),
            (Axis::Size, 1_000.0, "1,000 MiB"),
        ] {
            assert_eq!(axis.label(figure), want);
        }
    }

    #[test]
    fn a_plot_is_an_image_on_white_that_names_its_lines() {
        let line = |name| Line {
            name,
            points: vec![(1_000.0, 250.0), (10_000.0, 300.0)],
        };
        let svg = draw(&[Panel {
            heading: "Time",
            along: "accounts",
            axis: Axis::Time,
            lines: vec![line("a check"), line("a batch")],
        }]);
        let svg = svg.unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for want in ["#FFFFFF", "Time", "accounts", "a check", "a batch", "1 µs"] {
            assert!(svg.contains(want), "no {want}");
        }
    }
}
