//! Tables of a page.

use std::fmt::Write;

use super::text::escape;

/// A cell.
pub(super) enum Cell {
    /// Text.
    Text(String),
    /// A path, a digest or a command, which may be broken anywhere.
    Code(String),
    /// A figure.
    Number(String),
    /// Text that is collapsed at first.
    More(String, String),
    /// Several texts, each on a line of its own.
    Lines(Vec<String>),
    /// A link within the page.
    Link(String, String),
    /// A bar; the longest in its column is full.
    Bar(u64),
}

/// Columns with their headings, and rows.
pub(super) struct Table {
    caption: String,
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    /// How many rows there would be if all were shown.
    total: usize,
}

impl Table {
    pub(super) fn new(caption: &str, headings: &[&'static str]) -> Self {
        Table { caption: caption.to_owned(), headings: headings.to_vec(), rows: Vec::new(), total: 0 }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
        self.total += 1;
    }

    /// The same, with as many rows as are shown out of `total`.
    pub(super) fn cut(mut self, shown: usize, total: usize) -> Self {
        self.rows.truncate(shown);
        self.total = total;
        self
    }

    /// Its HTML, or nothing if it has no rows.
    pub(super) fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let is_number = |at: usize| matches!(self.rows[0].get(at), Some(Cell::Number(_)));
        let mut html = format!("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><table><caption>{0}</caption><thead><tr>", escape(&self.caption));
        for (at, heading) in self.headings.iter().enumerate() {
            let class = if is_number(at) { " class=\"n\"" } else { "" };
            match *heading {
                "" => html.push_str("<td></td>"),
                heading => {
                    write!(html, "<th scope=\"col\"{class}>{}</th>", escape(heading)).expect("writing to a string");
                }
            }
        }
        html.push_str("</tr></thead><tbody>");
        let longest: Vec<u64> = (0..self.headings.len()).map(|at| self.longest(at)).collect();
        for row in &self.rows {
            html.push_str("<tr>");
            for (cell, longest) in row.iter().zip(&longest) {
                html.push_str(&cell.html(*longest));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        if self.total > self.rows.len() {
            let rest = super::text::number(self.total - self.rows.len());
            writeln!(html, "<p class=\"rest\">and {rest} more</p>").expect("writing to a string");
        }
        html
    }

    /// The longest bar of a column.
    fn longest(&self, at: usize) -> u64 {
        let bars = self.rows.iter().filter_map(|row| match row.get(at) {
            Some(Cell::Bar(bar)) => Some(*bar),
            _ => None,
        });
        bars.max().unwrap_or_default()
    }
}

impl Cell {
    fn html(&self, longest: u64) -> String {
        match self {
            Cell::Text(text) => format!("<td{}>{}</td>", whole(text), escape(text)),
            Cell::Code(text) => format!("<td{}><code>{}</code></td>", whole(text), escape(text)),
            Cell::More(summary, text) => {
                format!("<td><details><summary>{}</summary><p>{}</p></details></td>", escape(summary), escape(text))
            }
            Cell::Number(text) => format!("<td class=\"n\">{}</td>", escape(text)),
            Cell::Lines(lines) => {
                let lines: Vec<String> = lines.iter().map(|line| format!("<code>{}</code>", escape(line))).collect();
                format!("<td>{}</td>", lines.join("<br>"))
            }
            Cell::Link(to, text) => format!("<td><a href=\"{}\">{}</a></td>", escape(to), escape(text)),
            Cell::Bar(part) => format!("<td class=\"bar\">{}</td>", bar(*part, longest)),
        }
    }
}

/// Short words stay on one line.
fn whole(text: &str) -> &'static str {
    if text.chars().count() <= 24 {
        " class=\"w\""
    } else {
        ""
    }
}

/// A bar for a part of a whole. It repeats the figure beside it.
fn bar(part: u64, of: u64) -> String {
    let width = if of == 0 { 0.0 } else { part as f64 / of as f64 * 100.0 };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect width=\"{width:.1}\" height=\"1\"/></svg>"
    )
}

/// Names and values. Those without a value are left out. Values are HTML.
pub(super) fn definitions(pairs: &[(&str, String)]) -> String {
    let mut html = String::from("<dl>");
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        write!(html, "<dt>{}</dt><dd>{value}</dd>", escape(name)).expect("writing to a string");
    }
    html + "</dl>\n"
}
