//! The report of one image in a page: its sections, with their headings and links to them.

use std::fmt::Write;

use super::text::{escape, visible};
use crate::ops::report::{ImageReport, Report};

/// The report of one image, and how much of it is shown.
pub(super) struct Part<'a> {
    pub(super) image: &'a ImageReport,
    /// Its number in the page.
    pub(super) number: usize,
    /// Its name if there are several.
    name: String,
    /// Whether the page has several.
    pub(super) is_one_of_several: bool,
    /// How many rows of each list are shown.
    pub(super) rows: usize,
    /// The most bytes of its trees.
    pub(super) budget: usize,
}

/// Bytes of all trees of a page, for all its images together.
const TREES: usize = 1_100_000;
/// Rows of each list, for all its images together, and the fewest that a list has.
const ROWS: usize = 50;
const FEWEST_ROWS: usize = 10;

/// The sections in their order: what their ids begin with, and their titles.
const SECTIONS: [(&str, &str); 9] = [
    ("summary", "Summary"),
    ("comparison", "What changed"),
    ("sizes", "What takes the space"),
    ("largest", "Largest files and directories"),
    ("waste", "Waste"),
    ("layers", "Layers"),
    ("notices", "What deserves a look"),
    ("configuration", "Configuration"),
    ("attached", "Attached documents"),
];

impl<'a> Part<'a> {
    /// The parts of a page. An image whose platform another one has too is called by its digest as well.
    pub(super) fn all(report: &'a Report) -> Vec<Self> {
        let count = report.images.len().max(1);
        let is_alone = |image: &ImageReport| {
            let same = |other: &&ImageReport| other.inspection.platform == image.inspection.platform;
            report.images.iter().filter(same).count() == 1
        };
        let part = |(number, image): (usize, &'a ImageReport)| {
            let platform = visible(&image.inspection.platform.to_string());
            Part {
                image,
                number,
                name: if is_alone(image) {
                    platform
                } else {
                    format!("{platform}, {}", image.inspection.digest.short())
                },
                is_one_of_several: report.index.is_some(),
                rows: (ROWS / count).max(FEWEST_ROWS),
                budget: TREES / count,
            }
        };
        report.images.iter().enumerate().map(part).collect()
    }

    /// Its name if there are several.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A section with its heading.
    pub(super) fn section(&self, id: &str, content: &str) -> String {
        let title = SECTIONS.iter().find(|(other, _)| *other == id).map_or(id, |(_, title)| title);
        let level = if self.is_one_of_several { 3 } else { 2 };
        let id = format!("{id}-{}", self.number);
        let of = if self.is_one_of_several { format!("image-{}-h ", self.number) } else { String::new() };
        format!("<section id=\"{id}\" aria-labelledby=\"{of}{id}-h\"><h{level} id=\"{id}-h\">{title}</h{level}>\n{content}</section>\n")
    }

    /// A heading below a section's.
    pub(super) fn heading(&self, title: &str) -> String {
        let level = if self.is_one_of_several { 4 } else { 3 };
        format!("<h{level}>{}</h{level}>\n", escape(title))
    }

    /// Links to its sections.
    pub(super) fn contents(&self) -> String {
        let of = if self.is_one_of_several { format!(" of {}", escape(&self.name)) } else { String::new() };
        let mut html = format!("<nav class=\"contents\" aria-label=\"Contents{of}\"><ul>");
        if self.is_one_of_several {
            html.push_str("<li><a href=\"#platforms\">All platforms</a></li>");
        }
        for (id, title) in SECTIONS {
            if id != "comparison" || self.image.comparison.is_some() {
                write!(html, "<li><a href=\"#{id}-{}\">{title}</a></li>", self.number).expect("writing to a string");
            }
        }
        html + "</ul></nav>\n"
    }
}
