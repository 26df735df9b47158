//! The pictures of the documentation that show what simulations found.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Bars that stand together, in the order of [`POLICIES`].
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) bars: [Duration; 3],
}

/// Draws the p99 of each policy.
pub(crate) fn draw(groups: &[Group]) -> String {
    let longest = groups.iter().flat_map(|it| it.bars).max().unwrap();
    let height = TOP + groups.len() * GROUP + 10;
    let mut svg = String::new();
    let title = "p99 with one slow replica of three";
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>{title}</title>\n\
         <rect width=\"640\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{title}</text>"
    )
    .unwrap();
    for (index, group) in groups.iter().enumerate() {
        let top = TOP + index * GROUP;
        writeln!(
            svg,
            "<text x=\"10\" y=\"{}\">{}</text>",
            top + 14,
            group.title
        )
        .unwrap();
        for (row, (bar, (policy, fill))) in group.bars.iter().zip(POLICIES).enumerate() {
            let (top, length) = (
                top + 24 + row * ROW,
                bar.as_secs_f64() / longest.as_secs_f64(),
            );
            let width = (length * WIDTH).round().max(1.0);
            let (text, end) = (top + 14, LEFT + width + 6.0);
            let ms = bar.as_secs_f64() * 1e3;
            writeln!(
                svg,
                "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{policy}</text>\n\
                 <rect x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"18\" fill=\"{fill}\"/>\n\
                 <text x=\"{end}\" y=\"{text}\">{ms:.1} ms</text>",
                LEFT - 8.0
            )
            .unwrap();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Compares a picture with the one in the documentation, or puts it there.
pub(crate) fn compare(name: &str, svg: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/performance")
        .join(name);
    if std::env::var_os("DREAMMESH_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, svg).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let path = path.display();
    assert!(
        there == svg,
        "{path} shows something else: DREAMMESH_BLESS=1 draws it anew"
    );
}

const POLICIES: [(&str, &str); 3] = [
    ("peak EWMA", "#2f6f9f"),
    ("round robin", "#c8793a"),
    ("random", "#9a9a9a"),
];
const TOP: usize = 36;
const GROUP: usize = 100;
const ROW: usize = 22;
const LEFT: f64 = 110.0;
const WIDTH: f64 = 450.0;
