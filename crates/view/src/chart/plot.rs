//! One panel: its grid, its labels, and its series beside each other at each step.

use super::scale::{self, Range};
use super::svg::{Anchor, Svg};
use super::{Figure, Panel, Point, style};

/// Where a panel's plot stands, and what its y axis spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) range: Range,
    /// Whether the values of the y axis stand beside it: panels in a row share them.
    pub(super) is_labelled: bool,
}

/// How much of a step's width its series take, side by side, so that none hides another.
const SPREAD: f64 = 0.62;
/// Half the length of the caps of an error bar.
const CAP: f64 = 3.5;
/// An error bar shorter than this is within its marker.
const SHORTEST_BAR: f64 = 1.0;

impl Plot {
    pub(super) fn draw(&self, svg: &mut Svg, figure: &Figure, panel: &Panel) {
        svg.text(self.x, self.y - 9.0, "heading", Anchor::Start, &panel.title);
        self.grid(svg);
        let bottom = self.y + self.height;
        let steps = figure.x_ticks.len();
        for (step, tick) in figure.x_ticks.iter().enumerate() {
            svg.text(self.middle_of(step, steps), bottom + 17.0, "tick", Anchor::Middle, tick);
        }
        svg.text(self.x + self.width / 2.0, bottom + 36.0, "label", Anchor::Middle, &figure.x_label);
        let count = panel.points.len();
        let place = |series: usize, step: usize| self.middle_of(step, steps) + self.aside(series, count, steps);
        for (series, points) in panel.points.iter().enumerate() {
            let drawn: Vec<(f64, Point)> = points
                .iter()
                .enumerate()
                .filter_map(|(step, point)| point.map(|point| (place(series, step), point)))
                .collect();
            for pair in drawn.windows(2) {
                let ((from, first), (to, second)) = (pair[0], pair[1]);
                svg.line(
                    (from, self.height_of(first.middle)),
                    (to, self.height_of(second.middle)),
                    &style::line(series),
                );
            }
            for (x, point) in drawn {
                self.bar(svg, series, x, point);
                style::marker(svg, series, x, self.height_of(point.middle));
            }
        }
    }

    fn grid(&self, svg: &mut Svg) {
        let (labelled, bare) = self.range.ticks();
        let across = |svg: &mut Svg, value: f64, class: &str| {
            let y = self.height_of(value);
            svg.line((self.x, y), (self.x + self.width, y), class);
        };
        bare.iter().for_each(|value| across(svg, *value, "fine"));
        for value in labelled {
            across(svg, value, "grid");
            if self.is_labelled {
                svg.text(self.x - 8.0, self.height_of(value) + 4.0, "tick", Anchor::End, &scale::show(value));
            }
        }
        let bottom = self.y + self.height;
        svg.line((self.x, bottom), (self.x + self.width, bottom), "axis");
        svg.line((self.x, self.y), (self.x, bottom), "axis");
    }

    /// From the lowest to the highest seen.
    fn bar(&self, svg: &mut Svg, series: usize, x: f64, point: Point) {
        let (low, high) = (self.height_of(point.low), self.height_of(point.high));
        if low - high < SHORTEST_BAR {
            return;
        }
        let (left, right) = (x - CAP, x + CAP);
        let commands =
            format!("M{x:.1} {low:.1}V{high:.1}M{left:.1} {low:.1}H{right:.1}M{left:.1} {high:.1}H{right:.1}");
        svg.path(&commands, &style::bar(series));
    }

    fn height_of(&self, value: f64) -> f64 {
        self.y + self.height * (1.0 - self.range.place(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
    fn middle_of(&self, step: usize, steps: usize) -> f64 {
        self.x + self.width * (step as f64 + 0.5) / steps.max(1) as f64
    }

    /// How far from the middle of its step a series stands.
    #[expect(clippy::cast_precision_loss, reason = "a handful of series")]
    fn aside(&self, series: usize, count: usize, steps: usize) -> f64 {
        if count < 2 {
            return 0.0;
        }
        let width = (self.width / steps.max(1) as f64 * SPREAD).min(16.0 * count as f64);
        width * (series as f64 / (count - 1) as f64 - 0.5)
    }
}
