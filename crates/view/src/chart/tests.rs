//! What a figure holds: well-formed, complete, and nothing beyond its page.

use roxmltree::Document;

use super::*;

fn figure(panels: usize, series: usize, steps: usize) -> Figure {
    let point = |a: usize, b: usize| {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let middle = (10 * (a + 1) * (b + 1)) as f64;
        Some(Point { middle, low: middle * 0.8, high: middle * 1.3 })
    };
    Figure {
        title: "Throughput & <loss>".into(),
        x_label: "clients at once".into(),
        x_ticks: (1..=steps).map(|step| step.to_string()).collect(),
        y_label: "throughput of each client (MB/s)".into(),
        y_scale: Scale::Log,
        series: (0..series).map(|which| format!("series {which}")).collect(),
        panels: (0..panels)
            .map(|which| Panel {
                title: format!("{which} MiB"),
                points: (0..series).map(|a| (0..steps).map(|b| point(a, b)).collect()).collect(),
            })
            .collect(),
        notes: vec!["n = 3 rounds.".into()],
        command: "castlab bench matrix --clients 1,5,10 > \"x\" \u{1b}[2J".into(),
    }
}

fn texts(document: &Document<'_>) -> Vec<String> {
    document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .map(str::to_owned)
        .collect()
}

#[test]
fn axes_units_names_n_and_the_command_are_in_it() {
    let svg = figure(2, 6, 3).svg();
    let document = Document::parse(&svg).unwrap();
    let texts = texts(&document);
    for wanted in [
        "Throughput & <loss>",
        "clients at once",
        "throughput of each client (MB/s)",
        "series 5",
        "1 MiB",
        "n = 3 rounds.",
    ] {
        assert!(texts.iter().any(|text| text == wanted), "{wanted}: {texts:?}");
    }
    assert!(texts.iter().any(|text| text.starts_with("$ castlab bench matrix --clients 1,5,10 > \"x\"")), "{texts:?}");
    assert!(!svg.contains('\u{1b}'));
}

#[test]
fn every_point_has_its_marker_and_its_bar() {
    let svg = figure(2, 3, 4).svg();
    let document = Document::parse(&svg).unwrap();
    let of_class = |class: &str| {
        document
            .descendants()
            .filter(|node| node.attribute("class").is_some_and(|all| all.split(' ').any(|one| one == class)))
            .count()
    };
    assert_eq!(of_class("mark"), 2 * 3 * 4 + 3, "and those of the legend");
    assert_eq!(of_class("bar"), 2 * 3 * 4);
    assert_eq!(of_class("line"), 2 * 3 * 3 + 3);
    for look in 0..3 {
        assert_eq!(of_class(&format!("f{look}")), 2 * 4 + 1, "each series looks the same everywhere");
    }
}

#[test]
fn what_was_not_measured_is_not_drawn_and_nothing_leaves_the_page() {
    let mut figure = figure(3, MOST_SERIES, 12);
    figure.panels[0].points[0][0] = None;
    figure.panels[0].points[1][1] = Some(Point { middle: 0.0, low: 0.0, high: 0.0 });
    figure.panels[0].points[2][2] = Some(Point { middle: f64::NAN, low: f64::NEG_INFINITY, high: f64::INFINITY });
    let svg = figure.svg();
    let document = Document::parse(&svg).unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert!(texts(&document).iter().any(|text| text.contains("lower edge are 0")));
    let number =
        |node: &roxmltree::Node<'_, '_>, name: &str| node.attribute(name).and_then(|text| text.parse::<f64>().ok());
    let height = number(&document.root_element(), "height").unwrap();
    for node in document.descendants() {
        for (names, most) in [(["x", "x1", "x2"], WIDTH), (["y", "y1", "y2"], height)] {
            for value in names.iter().filter_map(|name| number(&node, name)) {
                assert!((0.0..=most).contains(&value), "{node:?}");
            }
        }
    }
}

#[test]
fn long_lines_are_broken_between_words() {
    assert_eq!(wrap("aa bb  cc", 5), ["aa bb", "cc"]);
    assert_eq!(wrap("a-very-long-word b", 5), ["a-very-long-word", "b"]);
    assert!(wrap("", 5).is_empty());
}

#[test]
fn an_empty_figure_is_still_one() {
    assert!(Document::parse(&Figure::default().svg()).is_ok());
}
