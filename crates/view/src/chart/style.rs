//! How series are told apart: by marker, by dash, and by colour, so that any one of them is enough.

use std::fmt::Write;

use super::svg::Svg;

/// How many looks there are.
pub(super) const LOOKS: usize = 8;

/// On a light page: Okabe and Ito's palette, which people who confuse red and green tell apart too, without its yellow,
/// which nobody sees on white.
const LIGHT: [&str; LOOKS] = ["#0072b2", "#d55e00", "#009e73", "#b3588c", "#b87f00", "#3a9bd9", "#222222", "#7a6a53"];
/// On a dark page: the same hues, lighter.
const DARK: [&str; LOOKS] = ["#58a6ff", "#ff8f4f", "#2dd4a4", "#ec9cc6", "#ffc04d", "#9bdcff", "#eeeeee", "#c9b697"];
const DASHES: [&str; LOOKS] = ["none", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "1 4", "6 2 1 2 1 2"];

/// The classes of a series' line.
pub(super) fn line(which: usize) -> String {
    format!("line s{} d{}", which % LOOKS, which % LOOKS)
}

/// The classes of its error bars.
pub(super) fn bar(which: usize) -> String {
    format!("bar s{}", which % LOOKS)
}

/// The marker of a series, its middle at this place.
pub(super) fn marker(svg: &mut Svg, which: usize, x: f64, y: f64) {
    let which = which % LOOKS;
    // Of SVG's path commands: relative, about the middle.
    let shape = match which {
        0 => "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
        1 => "m-4.2 -4.2h8.4v8.4h-8.4z",
        2 => "m0 -5.4l5 9h-10z",
        3 => "m0 -5.6l5 5.6l-5 5.6l-5 -5.6z",
        4 => "m0 5.4l5 -9h-10z",
        5 => "m-4.2 -4.2l8.4 8.4m0 -8.4l-8.4 8.4",
        6 => "m-5 0h10m-5 -5v10",
        _ => "m-5 -1.5l5 -4l5 4l-2 6h-6z",
    };
    svg.path(&format!("M{x:.1} {y:.1}{shape}"), &format!("mark s{which} f{which}"));
}

/// The style sheet: plain rules, which every viewer knows, and others for dark pages, which some do.
pub(super) fn sheet() -> String {
    let mut sheet = String::from(
        "text{font-family:system-ui,'DejaVu Sans',Helvetica,Arial,sans-serif;font-size:13px;fill:#1f2328}\n\
         .title{font-size:18px;font-weight:600}.heading{font-weight:600}.label,.note,.tick{fill:#4b535d}\n\
         .tick,.note{font-size:12px}.command{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:12px}\n\
         .page{fill:#ffffff}.grid{stroke:#dfe3e8}.fine{stroke:#eff1f4}.axis{stroke:#8b949e}\n\
         .line{fill:none;stroke-width:1.5;opacity:.75}.bar{fill:none;stroke-width:1.5}.mark{stroke-width:2}\n",
    );
    for (which, dash) in DASHES.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = writeln!(sheet, ".d{which}{{stroke-dasharray:{dash}}}");
    }
    sheet.push_str(&colours(&LIGHT));
    sheet.push_str("@media (prefers-color-scheme:dark){\n");
    sheet.push_str(
        "text{fill:#e6edf3}.label,.note,.tick{fill:#9ea7b3}.page{fill:#0d1117}.grid{stroke:#30363d}\n\
         .fine{stroke:#1f252c}.axis{stroke:#6e7681}\n",
    );
    sheet.push_str(&colours(&DARK));
    sheet.push_str("}\n");
    sheet
}

fn colours(palette: &[&str; LOOKS]) -> String {
    let mut rules = String::new();
    for (which, colour) in palette.iter().enumerate() {
        // A cross has nothing to fill.
        let fill = if [5, 6].contains(&which) { "none" } else { colour };
        let _ = writeln!(rules, ".s{which}{{stroke:{colour}}}.f{which}{{fill:{fill}}}");
    }
    rules
}
