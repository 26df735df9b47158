//! Charts as SVG text, readable on light and on dark backgrounds.

use std::fmt::Write as _;

/// One bar: its label, its parts from left to right, the smallest and largest of the whole.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) parts: Vec<f64>,
    pub(super) range: (f64, f64),
    /// What stands at its end.
    pub(super) value: String,
    /// Whether it is one of ours, and drawn in colour.
    pub(super) ours: bool,
}

/// Bars that are compared with each other, and drawn to one scale.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// One line of percentiles.
#[derive(Clone, Debug)]
pub(super) struct Dots {
    pub(super) label: String,
    /// From small to large.
    pub(super) values: Vec<f64>,
    pub(super) ours: bool,
}

/// Lines of percentiles that are drawn below one title.
#[derive(Clone, Debug)]
pub(super) struct DotGroup {
    pub(super) title: String,
    pub(super) lines: Vec<Dots>,
}

const WIDTH: f64 = 760.0;
const LABEL: f64 = 140.0;
/// Where the longest bar ends; what remains is for its value.
const END: f64 = 620.0;
const LINE: f64 = 22.0;
const TOP: f64 = 64.0;

/// Colours that have enough contrast on both backgrounds; the text follows the reader's.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}\
.t{font-size:16px;font-weight:600}.g{font-weight:600}.s{font-size:12px;fill:#59636e}\
.o{fill:#2f81f7}.r{fill:#8b949e}.b{opacity:.6}\
line{stroke:#8b949e;stroke-width:1}.w{stroke:#59636e}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.w{stroke:#c9d1d9}}";

/// Groups of bars, each group to a scale of its own that starts at zero.
pub(super) fn bars(title: &str, subtitle: &str, groups: &[Group]) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for group in groups {
        let _ = writeln!(body, "{}", text(0.0, y, "g", &group.title));
        y += LINE;
        let longest = (group.bars.iter())
            .map(|bar| bar.range.1.max(bar.parts.iter().sum()))
            .fold(0.0, f64::max);
        let scale = |value: f64| {
            if longest > 0.0 {
                value / longest * (END - LABEL)
            } else {
                0.0
            }
        };
        for bar in &group.bars {
            body.push_str(&one_bar(bar, y, scale));
            y += LINE;
        }
        y += LINE / 2.0;
    }
    page(title, subtitle, y, &body)
}

fn one_bar(bar: &Bar, y: f64, scale: impl Fn(f64) -> f64) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", text(12.0, y, "", &bar.label));
    let mut x = LABEL;
    for (index, part) in bar.parts.iter().enumerate() {
        let class = match (bar.ours, index) {
            (true, 0) => "o",
            (true, _) => "o b",
            (false, 0) => "r",
            (false, _) => "r b",
        };
        let width = scale(*part);
        let _ = writeln!(
            out,
            r#"<rect class="{class}" x="{x:.1}" y="{:.1}" width="{width:.1}" height="14"/>"#,
            y - 11.0
        );
        x += width;
    }
    let (least, most) = (LABEL + scale(bar.range.0), LABEL + scale(bar.range.1));
    let middle = y - 4.0;
    let _ = writeln!(
        out,
        r#"<line class="w" x1="{least:.1}" y1="{middle:.1}" x2="{most:.1}" y2="{middle:.1}"/>"#
    );
    let _ = writeln!(out, "{}", text(x.max(most) + 6.0, y, "s", &bar.value));
    out
}

/// Lines of dots on a logarithmic scale that all groups share.
pub(super) fn dots(title: &str, subtitle: &str, groups: &[DotGroup]) -> String {
    let values = || {
        groups
            .iter()
            .flat_map(|g| &g.lines)
            .flat_map(|line| &line.values)
    };
    let smallest = values().copied().reduce(f64::min);
    // No latency is told apart from one below a tenth of a microsecond.
    let least = smallest.unwrap_or(1.0).max(0.1);
    let most = values().copied().fold(least * 10.0, f64::max);
    let (first, last) = (least.log10().floor(), most.log10().ceil());
    let place = |value: f64| {
        let share = (value.max(0.1).log10() - first) / (last - first);
        LABEL + share * (WIDTH - LABEL - 40.0)
    };
    let (mut body, mut y) = (String::new(), TOP + LINE);
    for group in groups {
        let _ = writeln!(body, "{}", text(0.0, y, "g", &group.title));
        y += LINE;
        for line in &group.lines {
            body.push_str(&one_line(line, y, place));
            y += LINE;
        }
        y += LINE / 2.0;
    }
    let mut grid = String::new();
    for power in first as i32..=last as i32 {
        let x = place(10_f64.powi(power));
        let _ = writeln!(
            grid,
            r#"<line x1="{x:.1}" y1="{:.1}" x2="{x:.1}" y2="{y:.1}" opacity=".35"/>"#,
            TOP + 6.0
        );
        let _ = writeln!(grid, "{}", text(x - 12.0, TOP, "s", &duration(power)));
    }
    page(title, subtitle, y, &(grid + &body))
}

fn one_line(line: &Dots, y: f64, place: impl Fn(f64) -> f64) -> String {
    let mut out = String::new();
    let class = if line.ours { "o" } else { "r" };
    let _ = writeln!(out, "{}", text(12.0, y, "", &line.label));
    let middle = y - 4.0;
    if let (Some(first), Some(last)) = (line.values.first(), line.values.last()) {
        let (from, to) = (place(*first), place(*last));
        let _ = writeln!(
            out,
            r#"<line class="w" x1="{from:.1}" y1="{middle:.1}" x2="{to:.1}" y2="{middle:.1}"/>"#
        );
    }
    for value in &line.values {
        let x = place(*value);
        let _ = writeln!(
            out,
            r#"<circle class="{class}" cx="{x:.1}" cy="{middle:.1}" r="5"/>"#
        );
    }
    out
}

/// A power of ten microseconds as people say it.
fn duration(power: i32) -> String {
    match power {
        ..0 => format!("{} ns", 10_f64.powi(power + 3)),
        0..3 => format!("{} µs", 10_f64.powi(power)),
        3..6 => format!("{} ms", 10_f64.powi(power - 3)),
        _ => format!("{} s", 10_f64.powi(power - 6)),
    }
}

fn text(x: f64, y: f64, class: &str, content: &str) -> String {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    if class.is_empty() {
        format!(r#"<text x="{x:.1}" y="{y:.1}">{content}</text>"#)
    } else {
        format!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{content}</text>"#)
    }
}

fn page(title: &str, subtitle: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n\
         <style>{STYLE}</style>\n{}\n{}\n{body}</svg>\n",
        title.replace('"', "&quot;"),
        text(0.0, 18.0, "t", title),
        text(0.0, 38.0, "s", subtitle),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, parts: &[f64], ours: bool) -> Bar {
        let sum: f64 = parts.iter().sum();
        Bar {
            label: label.to_owned(),
            parts: parts.to_vec(),
            range: (sum * 0.9, sum * 1.25),
            value: format!("{sum}"),
            ours,
        }
    }

    /// The widths of all rectangles.
    fn widths(svg: &str) -> Vec<f64> {
        let of = |line: &str| {
            line.split_once("width=\"")?
                .1
                .split_once('"')?
                .0
                .parse()
                .ok()
        };
        let bars = svg.lines().filter(|line| line.starts_with("<rect"));
        bars.filter_map(of).collect()
    }

    #[test]
    fn bars_are_to_scale_within_their_group() {
        let groups = [
            Group {
                title: "a < b".to_owned(),
                bars: vec![bar("x", &[80.0], true), bar("y", &[10.0, 10.0], false)],
            },
            Group {
                title: "other".to_owned(),
                bars: vec![bar("x", &[1.0], true)],
            },
        ];
        let svg = bars("Title & more", "sub", &groups);
        // The longest whisker, at 1.25 times its bar, takes the whole width of 480.
        assert_eq!(widths(&svg), [384.0, 48.0, 48.0, 384.0]);
        assert!(svg.contains("a &lt; b") && svg.contains("Title &amp; more"));
        assert!(svg.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn nothing_measured_is_still_a_picture() {
        for svg in [bars("t", "s", &[]), dots("t", "s", &[])] {
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let zero = Group {
            title: String::new(),
            bars: vec![bar("x", &[0.0], true)],
        };
        assert_eq!(widths(&bars("t", "s", &[zero])), [0.0]);
    }

    #[test]
    fn dots_are_placed_by_their_magnitude() {
        let line = Dots {
            label: "x".to_owned(),
            values: vec![1.0, 10.0, 100.0],
            ours: true,
        };
        let group = DotGroup {
            title: "g".to_owned(),
            lines: vec![line],
        };
        let svg = dots("t", "s", &[group]);
        let of = |line: &str| line.split_once("cx=\"")?.1.split_once('"')?.0.parse().ok();
        let dots: Vec<f64> = svg.lines().filter_map(of).collect();
        assert_eq!(dots, [140.0, 430.0, 720.0]);
    }

    #[test]
    fn powers_of_ten_have_units() {
        let shown = [-1, 0, 2, 3, 5, 6].map(duration);
        assert_eq!(shown, ["100 ns", "1 µs", "100 µs", "1 ms", "100 ms", "1 s"]);
    }
}
