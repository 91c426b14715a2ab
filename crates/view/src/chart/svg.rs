//! An SVG document, element by element: what is text is escaped, what is a number is one.

use std::fmt::Write;

use super::style;

/// A document that is being written.
pub(super) struct Svg {
    width: f64,
    head: String,
    body: String,
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

impl Svg {
    pub(super) fn new(width: f64, title: &str, description: &str) -> Self {
        let head = format!("<title>{}</title>\n<desc>{}</desc>\n", escape(title), escape(description));
        Svg { width, head, body: String::new() }
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, anchor: Anchor, text: &str) {
        let (anchor, text) = (anchor.name(), escape(text));
        self.element(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\" xml:space=\"preserve\">{text}</text>"
        ));
    }

    /// Text that is read upwards, its middle at this place.
    pub(super) fn upright(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escape(text);
        self.element(format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" class=\"{class}\" text-anchor=\"middle\">{text}</text>"
        ));
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.element(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    /// A path, in the commands of SVG.
    pub(super) fn path(&mut self, commands: &str, class: &str) {
        self.element(format_args!("<path d=\"{commands}\" class=\"{class}\"/>"));
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// The whole document, so high.
    pub(super) fn end(self, height: f64) -> String {
        let Svg { width, head, body } = self;
        let style = style::sheet();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n{head}<style>\n{style}\
             </style>\n<rect class=\"page\" width=\"{width:.0}\" height=\"{height:.0}\"/>\n{body}</svg>\n"
        )
    }
}

/// Text that means nothing to XML; control characters, which XML does not have, are shown as a box.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character if character.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&character) => {
                escaped.push('\u{fffd}')
            }
            character => escaped.push(character),
        }
    }
    escaped
}
