//! Which layer holds what.
//!
//! A plan is text that a person can read, edit and keep: one line per layer, lowest first, `NAME: SELECTOR…`, with `#`
//! comments. The first line that matches takes a path; what no line takes goes into a last layer of its own.

mod assign;
mod layering;
mod pack;
mod selector;
mod update;

use std::fmt;

use crate::error::{Error, Result};
use crate::layer::percent;

pub use assign::{Assignment, Place};
pub use layering::Layering;
pub(crate) use pack::weigh;
pub use pack::{pack, Weight};
pub use selector::Selector;
pub(crate) use update::home;
pub use update::{update, PlanUpdate, Rate};

/// The most layers that an image with a plan has: overlay filesystems do not support many more.
pub(crate) const MAX_LAYERS: usize = 120;

/// The layers of an image, the lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    layers: Vec<PlannedLayer>,
}

/// A layer and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedLayer {
    /// Its name.
    pub name: String,
    /// What it takes of what the layers before it leave.
    pub selectors: Vec<Selector>,
}

impl Plan {
    /// Checks that names differ, and that there are not too many.
    pub fn new(layers: Vec<PlannedLayer>) -> Result<Self, String> {
        for (index, layer) in layers.iter().enumerate() {
            if layers[..index].iter().any(|other| other.name == layer.name) {
                return Err(format!("the layer `{}` is defined twice", layer.name));
            }
        }
        if layers.len() > MAX_LAYERS {
            return Err(format!("at most {MAX_LAYERS} layers expected, found {}", layers.len()));
        }
        Ok(Plan { layers })
    }

    /// Parses the text of a plan, which messages call `name`.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| Error::invalid(name, "text in UTF-8 expected"))?;
        let mut layers: Vec<PlannedLayer> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let at = |reason: String| Error::invalid(format!("{name}:{}", index + 1), reason);
            let Some(layer) = PlannedLayer::parse_line(line).map_err(at)? else { continue };
            if layers.iter().any(|other| other.name == layer.name) {
                return Err(at(format!("the layer `{}` is defined twice", layer.name)));
            }
            layers.push(layer);
        }
        if layers.is_empty() {
            return Err(Error::invalid(name, "a line `NAME: SELECTOR…` expected, found none"));
        }
        Plan::new(layers).map_err(|reason| Error::invalid(name, reason))
    }

    /// Returns its lines.
    pub fn layers(&self) -> &[PlannedLayer] {
        &self.layers
    }

    /// Returns the name of the layer with this number; the number after the last is the layer of what no line takes.
    pub fn layer_name(&self, number: usize) -> String {
        match self.layers.get(number) {
            Some(layer) => layer.name.clone(),
            None => self.unused_name("rest"),
        }
    }

    fn unused_name(&self, wanted: &str) -> String {
        unused(wanted, |name| self.layers.iter().any(|layer| layer.name == name))
    }
}

/// Returns a name, with a number if it is already used.
fn unused(wanted: &str, is_used: impl Fn(&str) -> bool) -> String {
    let mut names = (1..).map(|number| if number == 1 { wanted.to_owned() } else { format!("{wanted}-{number}") });
    names.find(|name| !is_used(name)).expect("one of many names is free")
}

impl PlannedLayer {
    /// Makes a layer of recipes.
    pub(crate) fn of_recipes<'a>(name: &str, recipes: impl IntoIterator<Item = &'a str>) -> Self {
        PlannedLayer { name: name.to_owned(), selectors: recipes.into_iter().map(Selector::recipe).collect() }
    }

    /// Parses a line; returns `None` if it is empty or a comment.
    fn parse_line(line: &str) -> Result<Option<Self>, String> {
        let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        let Some(first) = words.next() else { return Ok(None) };
        match first.strip_suffix(':') {
            Some(name) if !name.contains(':') => PlannedLayer::parse(name, words).map(Some),
            _ => Err(format!("`NAME: SELECTOR…` expected, found `{}`", line.trim())),
        }
    }

    /// Parses a name and selectors.
    fn parse<'a>(name: &str, selectors: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let decoded = String::from_utf8(percent::decode(name.as_bytes())?);
        let decoded = decoded.map_err(|_| format!("the name `{name}` is not UTF-8"))?;
        if decoded.is_empty() {
            return Err("a name expected, found none".to_owned());
        }
        let selectors = selectors.into_iter().map(Selector::parse).collect::<Result<Vec<_>, _>>()?;
        if selectors.is_empty() {
            return Err(format!("the layer `{name}` has no selector"));
        }
        Ok(PlannedLayer { name: decoded, selectors })
    }
}

impl fmt::Display for PlannedLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", percent::encode(self.name.as_bytes(), b":#=,"))?;
        self.selectors.iter().try_for_each(|selector| write!(f, " {selector}"))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layers.iter().try_for_each(|layer| writeln!(f, "{layer}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_and_written() {
        let text = "# what rarely changes\n\n  base:  recipe:glibc\trecipe:busybox # the C library\n\
                    my%20app: /opt/my%20app package:app*\r\nrest: *\n#end";
        let plan = Plan::parse("plan", text.as_bytes()).unwrap();
        let names: Vec<&str> = plan.layers().iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["base", "my app", "rest"]);
        let written = "base: recipe:glibc recipe:busybox\nmy%20app: /opt/my%20app package:app*\nrest: *\n";
        assert_eq!(plan.to_string(), written);
        assert_eq!(Plan::parse("plan", written.as_bytes()).unwrap(), plan);
        assert_eq!([plan.layer_name(0), plan.layer_name(3)], ["base", "rest-2"]);
    }

    #[test]
    fn what_is_no_plan() {
        let many: Vec<String> = (0..=MAX_LAYERS).map(|number| format!("l{number}: /{number}")).collect();
        let many = many.join("\n");
        for (text, expected) in [
            ("", "plan: a line `NAME: SELECTOR…` expected, found none"),
            ("# nothing\n", "plan: a line `NAME: SELECTOR…` expected, found none"),
            ("\nrecipe:glibc\n", "plan:2: `NAME: SELECTOR…` expected, found `recipe:glibc`"),
            ("base:recipe:glibc", "plan:1: `NAME: SELECTOR…` expected, found `base:recipe:glibc`"),
            ("base recipe:glibc", "plan:1: `NAME: SELECTOR…` expected, found `base recipe:glibc`"),
            (": recipe:glibc", "plan:1: a name expected, found none"),
            ("base:\n", "plan:1: the layer `base` has no selector"),
            ("base: # recipe:a\n", "plan:1: the layer `base` has no selector"),
            ("a: /a\na: /b", "plan:2: the layer `a` is defined twice"),
            ("a: /a\n%61: /b", "plan:2: the layer `a` is defined twice"),
            ("a: recipe:[", "plan:1: `[` is not a pattern: a name or path with `*`, `?`, `**`, `[set]` expected"),
            ("%ff: /a", "plan:1: the name `%ff` is not UTF-8"),
            (&many, "plan: at most 120 layers expected, found 121"),
        ] {
            assert_eq!(Plan::parse("plan", text.as_bytes()).unwrap_err().to_string(), expected);
        }
        assert_eq!(Plan::parse("plan", b"a: /\xff").unwrap_err().to_string(), "plan: text in UTF-8 expected");
    }
}
