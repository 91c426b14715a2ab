//! Results as a figure: values with their spread, for several series, over a few numbered steps, as one SVG.
//!
//! The figure stands alone: it says what its axes measure, in which unit, how often each value was measured, and the
//! command that did it. Series differ by marker, by dash and by colour (of a palette made for all eyes), and it is
//! readable on light and dark pages. Its text is set in the reader's own fonts, so none is needed to make it.

mod plot;
mod scale;
mod style;
mod svg;

use plot::Plot;
use scale::Range;
use svg::{Anchor, Svg};

pub use scale::Scale;

/// How many series a figure tells apart.
pub const MOST_SERIES: usize = style::LOOKS;

/// A figure of one or more panels that share their axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// What the steps along the x axis are.
    pub x_label: String,
    /// The steps.
    pub x_ticks: Vec<String>,
    /// What the y axis measures, with its unit.
    pub y_label: String,
    /// How the y axis is divided.
    pub y_scale: Scale,
    /// The names of the series, at most [`MOST_SERIES`].
    pub series: Vec<String>,
    /// The panels, each with its own heading.
    pub panels: Vec<Panel>,
    /// What else one must know: how often it was measured, and what points and bars are.
    pub notes: Vec<String>,
    /// The command that made it.
    pub command: String,
}

/// One panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Its heading.
    pub title: String,
    /// Of each series, a point for each step; none where nothing was measured.
    pub points: Vec<Vec<Option<Point>>>,
}

/// A value and its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The value.
    pub middle: f64,
    /// The lowest seen.
    pub low: f64,
    /// The highest seen.
    pub high: f64,
}

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 20.0;
/// Room for the labels of the y axis.
const LEFT: f64 = 58.0;
const PANEL_GAP: f64 = 18.0;
const PLOT_HEIGHT: f64 = 270.0;
/// The heading above a plot, and the labels of its steps below.
const ABOVE_PLOT: f64 = 26.0;
const BELOW_PLOT: f64 = 52.0;
const LINE: f64 = 18.0;
/// How many characters of notes and command fit the width.
const NOTE_CHARACTERS: usize = 128;
const COMMAND_CHARACTERS: usize = 108;

impl Figure {
    /// The figure as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let columns = if self.panels.len() > 1 { 2 } else { 1 };
        let rows = self.panels.len().div_ceil(columns);
        let range = Range::of(self.y_scale, self.panels.iter().flat_map(Panel::all));
        let mut svg = Svg::new(WIDTH, &self.title, &self.description());
        svg.text(MARGIN, 32.0, "title", Anchor::Start, &self.title);
        let mut y = self.legend(&mut svg, 58.0);
        #[expect(clippy::cast_precision_loss, reason = "a handful of panels")]
        let width = (WIDTH - 2.0 * MARGIN - LEFT - PANEL_GAP * (columns - 1) as f64) / columns as f64;
        for row in 0..rows {
            let panels = self.panels.iter().skip(row * columns).take(columns);
            let mut x = MARGIN + LEFT;
            for (column, panel) in panels.enumerate() {
                let plot = Plot { x, y: y + ABOVE_PLOT, width, height: PLOT_HEIGHT, range, is_labelled: column == 0 };
                plot.draw(&mut svg, self, panel);
                x += width + PANEL_GAP;
            }
            svg.upright(MARGIN + 6.0, y + ABOVE_PLOT + PLOT_HEIGHT / 2.0, "label", &self.y_label);
            y += ABOVE_PLOT + PLOT_HEIGHT + BELOW_PLOT;
        }
        y += LINE / 2.0;
        for line in self.all_notes(range).iter().flat_map(|note| wrap(note, NOTE_CHARACTERS)) {
            svg.text(MARGIN, y, "note", Anchor::Start, &line);
            y += LINE;
        }
        for (n, line) in wrap(&self.command, COMMAND_CHARACTERS).iter().enumerate() {
            svg.text(MARGIN, y, "command", Anchor::Start, &format!("{} {line}", if n == 0 { "$" } else { " " }));
            y += LINE;
        }
        svg.end(y + 2.0)
    }

    /// The same for who cannot see it: everything but the drawing.
    fn description(&self) -> String {
        let series = self.series.join(", ");
        format!(
            "{}, against {}: {series}. {} Made by: {}",
            self.y_label,
            self.x_label,
            self.notes.join(" "),
            self.command
        )
    }

    /// The names of the series, as many beside each other as fit; tells where they end.
    fn legend(&self, svg: &mut Svg, y: f64) -> f64 {
        let (mut x, mut y) = (MARGIN, y);
        for (which, name) in self.series.iter().take(MOST_SERIES).enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a name is short")]
            let width = 58.0 + 7.4 * name.chars().count() as f64;
            if x + width > WIDTH - MARGIN && x > MARGIN {
                (x, y) = (MARGIN, y + LINE + 4.0);
            }
            svg.line((x, y - 4.0), (x + 30.0, y - 4.0), &style::line(which));
            style::marker(svg, which, x + 15.0, y - 4.0);
            svg.text(x + 38.0, y, "name", Anchor::Start, name);
            x += width;
        }
        y + 8.0
    }

    fn all_notes(&self, range: Range) -> Vec<String> {
        let mut notes = self.notes.clone();
        if range.is_log() && self.panels.iter().flat_map(Panel::all).any(|point| point.middle <= 0.0) {
            notes.push("Points on the lower edge are 0, which a logarithmic axis does not have.".to_owned());
        }
        notes
    }
}

impl Panel {
    fn all(&self) -> impl Iterator<Item = Point> {
        self.points.iter().flatten().filter_map(|point| *point)
    }
}

/// Lines of at most so many characters, broken between words; a longer word has a line of its own.
fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests;
