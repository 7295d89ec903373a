//! The page: one HTML file.

use std::fmt::Write;

use super::part::Part;
use super::text::{escape, visible};
use super::{changes, documents, findings, sizes, summary};
use crate::base64;
use crate::digest::ContentDigest;
use crate::ops::report::{Report, TestedLimit};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Makes the page. The same images give the same bytes.
pub fn html(report: &Report) -> String {
    let title = match &report.old {
        Some(old) => format!("{} compared with {}", visible(&report.name), visible(old)),
        None => visible(&report.name),
    };
    let parts = Part::all(report);
    let mut body = format!("<header><p class=\"kind\">Image report</p><h1>{}</h1>", escape(&visible(&report.name)));
    if let Some(old) = &report.old {
        write!(body, "<p class=\"old\">compared with <code>{}</code></p>", escape(&visible(old)))
            .expect("writing to a string");
    }
    body.push_str("</header>\n<main>\n");
    body.push_str(&limits(&report.limits, parts.len() > 1));
    if let Some(index) = &report.index {
        body.push_str(&summary::platforms(index, &parts));
    }
    for part in &parts {
        body.push_str(&part_html(part));
    }
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"ocibake\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</main>\n\
         <footer>Made by ocibake. Sizes are in decimal units: 1 MB is 1,000,000 bytes.</footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(&title)
    )
}

/// A hash in the form of a content security policy.
fn hash(text: &str) -> String {
    base64::encode(ContentDigest::of(text.as_bytes()).as_bytes())
}

/// All parts of the report of one image, in their order.
fn part_html(part: &Part<'_>) -> String {
    let sections = [
        summary::summary(part),
        changes::comparison(part),
        sizes::sizes(part),
        sizes::largest(part),
        findings::waste(part),
        documents::layers(part),
        findings::notices(part),
        documents::configuration(part),
        documents::attached(part),
    ];
    let html = part.contents() + &sections.concat();
    if !part.is_one_of_several {
        return html;
    }
    let (number, name) = (part.number, escape(part.name()));
    format!("<article id=\"image-{number}\" class=\"part\"><h2 id=\"image-{number}-h\">{name}</h2>\n{html}</article>\n")
}

/// The limits, and whether the image keeps them.
fn limits(limits: &[TestedLimit], has_platforms: bool) -> String {
    if limits.is_empty() {
        return String::new();
    }
    let broken = limits.iter().filter(|limit| limit.broken).count();
    let (class, heading) = match broken {
        0 => ("kept", "All limits hold".to_owned()),
        broken => ("broken", format!("{broken} of {} broken", super::text::count(limits.len(), "limit", "limits"))),
    };
    let mut html = format!("<section class=\"limits {class}\" aria-label=\"Limits\"><h2>{heading}</h2><ul>");
    for limit in limits {
        let (class, mark) = if limit.broken { ("broken", "✗ broken") } else { ("kept", "✓ holds") };
        let found = match limit.value {
            Some(_) if has_platforms => format!("{}, found {}", limit.platform, limit.shown()),
            Some(_) => format!("found {}", limit.shown()),
            None => limit.shown(),
        };
        write!(
            html,
            "<li class=\"{class}\"><b>{mark}</b> <code>{}</code> {}</li>",
            escape(&limit.limit.to_string()),
            escape(&visible(&found))
        )
        .expect("writing to a string");
    }
    html + "</ul></section>\n"
}
