//! Plots as inline SVG, coloured by the style sheet of the page that holds them.

mod axis;

use std::fmt::Write;

use axis::Placed;
pub use axis::{Axis, Scale, Unit};
use serde::{Deserialize, Serialize};

/// One plot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, in this order.
    pub series: Vec<Series>,
    /// Vertical lines at values of x.
    pub marks: Vec<Mark>,
}

/// Points that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// How the points are drawn.
    #[serde(default)]
    pub shape: Shape,
    /// In ascending order of x where they are joined.
    pub points: Vec<(f64, f64)>,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A column each, from the bottom.
    Bars,
    /// Discs.
    Dots,
    /// Joined.
    #[default]
    Line,
    /// Joined, each with a disc.
    LineDots,
    /// Upright crosses.
    Crosses,
}

/// A vertical line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Where.
    pub x: f64,
    /// Its text, above the plot; may be empty.
    pub label: String,
}

impl Plot {
    /// The plot as an `<svg>` element of fixed proportions.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let marks = self.marks.iter().map(|mark| mark.x);
        let x = Placed::new(&self.x, points().map(|point| point.0).chain(marks));
        let y = Placed::new(&self.y, points().map(|point| point.1));
        let mut canvas = Canvas { text: String::new(), x, y, top: TOP };
        canvas.legend(&self.series);
        canvas.marks(&self.marks);
        canvas.frame(&self.x.label, &self.y.label);
        for (index, series) in self.series.iter().enumerate() {
            canvas.series(index, series);
        }
        let label = escape(&self.title);
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">{}</svg>",
            canvas.text
        )
    }
}

struct Canvas<'a> {
    text: String,
    x: Placed<'a>,
    y: Placed<'a>,
    top: f64, // of the plotting area, below legend and labels of marks
}

impl Canvas<'_> {
    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.text.write_fmt(arguments).unwrap_or_default();
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT);
        let down = HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - BOTTOM - self.top);
        (across, down)
    }

    fn legend(&mut self, series: &[Series]) {
        let named = series.iter().enumerate().filter(|(_, series)| !series.name.is_empty());
        let (mut x, mut y) = (LEFT, self.top);
        for (index, series) in named {
            let width = 22.0 + text_width(&series.name) + 14.0;
            if x > LEFT && x + width > WIDTH - RIGHT {
                (x, y) = (LEFT, y + LINE);
            }
            let colour = index % COLOURS;
            let middle = y - 4.0;
            match series.shape {
                Shape::Line | Shape::LineDots => self.add(format_args!(
                    "<path class=\"l c{colour}\" d=\"M{x:.1} {middle:.1}h16\"/>"
                )),
                Shape::Bars => self.add(format_args!(
                    "<rect class=\"f c{colour}\" x=\"{:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\"/>",
                    x + 3.0,
                    middle - 5.0
                )),
                Shape::Dots => self.disc(colour, x + 8.0, middle),
                Shape::Crosses => self.cross(colour, x + 8.0, middle),
            }
            let name = escape(&series.name);
            self.add(format_args!("<text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>", x + 22.0));
            x += width;
        }
        if series.iter().any(|series| !series.name.is_empty()) {
            self.top = y + 14.0;
        }
    }

    /// Vertical lines; labels that would touch go to different rows.
    fn marks(&mut self, marks: &[Mark]) {
        let mut marks: Vec<&Mark> = marks.iter().collect();
        marks.sort_by(|a, b| a.x.total_cmp(&b.x));
        let mut ends: Vec<f64> = Vec::new();
        let mut placed = Vec::new();
        for mark in marks {
            let (across, _) = self.at(mark.x, 0.0);
            if mark.label.is_empty() {
                placed.push((mark, across, across, 0));
                continue;
            }
            let width = text_width(&mark.label) + 8.0;
            let start = (across - width / 2.0).clamp(LEFT, (WIDTH - width).max(LEFT));
            let row = ends.iter().position(|end| *end <= start).unwrap_or(ends.len());
            if row == ends.len() {
                ends.push(0.0);
            }
            ends[row] = start + width;
            placed.push((mark, across, start + width / 2.0, row));
        }
        let first = self.top + 2.0;
        if !ends.is_empty() {
            self.top += ends.len() as f64 * LINE + 6.0;
        }
        let (top, bottom) = (self.top, HEIGHT - BOTTOM);
        for (mark, across, middle, row) in placed {
            let y = first + row as f64 * LINE;
            let label = escape(&mark.label);
            self.add(format_args!(
                "<path class=\"m\" d=\"M{across:.1} {top:.1}V{bottom}\"/>\
                 <text class=\"h\" x=\"{middle:.1}\" y=\"{y:.1}\">{label}</text>"
            ));
        }
    }

    fn frame(&mut self, x_label: &str, y_label: &str) {
        let (right, bottom, top) = (WIDTH - RIGHT, HEIGHT - BOTTOM, self.top);
        for (value, text) in self.y.ticks(6) {
            let y = bottom - self.y.place(value) * (bottom - top);
            self.add(format_args!(
                "<path class=\"g\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text class=\"e\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                escape(&text)
            ));
        }
        let mut end = f64::NEG_INFINITY;
        for (value, text) in self.x.ticks(7) {
            let x = LEFT + self.x.place(value) * (right - LEFT);
            self.add(format_args!("<path class=\"g\" d=\"M{x:.1} {top:.1}V{bottom}\"/>"));
            let half = text_width(&text) / 2.0;
            if x - half >= end && x + half <= WIDTH {
                end = x + half + 8.0;
                let y = bottom + 17.0;
                let text = escape(&text);
                self.add(format_args!("<text class=\"h\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
            }
        }
        let (middle, low) = (LEFT.midpoint(right), HEIGHT - 8.0);
        let upright = top.midpoint(bottom);
        self.add(format_args!(
            "<path class=\"a\" d=\"M{LEFT} {top:.1}V{bottom}H{right}\"/>\
             <text class=\"h t\" x=\"{middle:.1}\" y=\"{low:.1}\">{}</text>\
             <text class=\"h t\" transform=\"translate(14 {upright:.1}) rotate(-90)\">{}</text>",
            escape(x_label),
            escape(y_label)
        ));
    }

    fn series(&mut self, index: usize, series: &Series) {
        let colour = index % COLOURS;
        let finite =
            series.points.iter().filter(|point| point.0.is_finite() && point.1.is_finite());
        let places: Vec<(f64, f64)> = finite.map(|point| self.at(point.0, point.1)).collect();
        if matches!(series.shape, Shape::Line | Shape::LineDots) && !places.is_empty() {
            let mut path = String::new();
            for (index, (x, y)) in places.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                write!(path, "{command}{x:.1} {y:.1}").unwrap_or_default();
            }
            self.add(format_args!("<path class=\"l c{colour}\" d=\"{path}\"/>"));
        }
        let width = ((WIDTH - LEFT - RIGHT) / places.len().max(1) as f64 * 0.7).clamp(1.0, 48.0);
        for (x, y) in places {
            match series.shape {
                Shape::Bars => {
                    let (left, height) = (x - width / 2.0, HEIGHT - BOTTOM - y);
                    self.add(format_args!(
                        "<rect class=\"f c{colour}\" x=\"{left:.1}\" y=\"{y:.1}\" \
                         width=\"{width:.1}\" height=\"{height:.1}\"/>"
                    ));
                }
                Shape::Dots | Shape::LineDots => self.disc(colour, x, y),
                Shape::Crosses => self.cross(colour, x, y),
                Shape::Line => {}
            }
        }
    }

    fn disc(&mut self, colour: usize, x: f64, y: f64) {
        self.add(format_args!(
            "<circle class=\"f c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
        ));
    }

    fn cross(&mut self, colour: usize, x: f64, y: f64) {
        let (x, y) = (x - 4.0, y - 4.0);
        self.add(format_args!("<path class=\"l c{colour}\" d=\"M{x:.1} {y:.1}l8 8m0 -8l-8 8\"/>"));
    }
}

/// Text that is safe between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Pixels that a text takes at most, about.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.7
}

/// How many series have colours of their own in the style sheet.
const COLOURS: usize = 8;
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 50.0;
const LINE: f64 = 16.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let series = |name: &str, shape, points: &[(f64, f64)]| Series {
            name: name.to_owned(),
            shape,
            points: points.to_vec(),
        };
        Plot {
            title: "loss & load".to_owned(),
            x: Axis { label: "load".to_owned(), unit: Unit::Pps, ..Axis::default() },
            y: Axis { scale: Scale::Log, unit: Unit::Ratio, ..Axis::default() },
            series: vec![
                series("<a>", Shape::LineDots, &[(1e6, 0.0), (2e6, 0.01), (3e6, f64::NAN)]),
                series("b", Shape::Crosses, &[(2.5e6, 0.5)]),
                series("c", Shape::Bars, &[(1.5e6, 0.2)]),
            ],
            marks: ["NDR 2 Mpps", "PDR 2.01 Mpps"]
                .into_iter()
                .zip([2e6, 2.01e6])
                .map(|(label, x)| Mark { x, label: label.to_owned() })
                .collect(),
        }
    }

    #[test]
    fn a_plot_is_well_formed_and_has_every_finite_point() {
        let svg = plot().svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("&lt;a&gt;") && svg.contains("loss &amp; load"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }

    #[test]
    fn labels_of_close_marks_are_in_different_rows() {
        let svg = plot().svg();
        let row = |label: &str| {
            let before = &svg[..svg.find(label).unwrap()];
            before[before.rfind("y=\"").unwrap()..].to_owned()
        };
        assert_ne!(row(">NDR 2 Mpps"), row(">PDR 2.01 Mpps"));
    }

    #[test]
    fn an_empty_plot_is_a_frame() {
        assert!(Plot::default().svg().contains("class=\"a\""));
    }
}
