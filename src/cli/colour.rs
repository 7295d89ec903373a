//! Colour, where somebody looks at it.

use std::env;
use std::io::{stdout, IsTerminal};

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
}

/// Whether what is printed on stdout has colour: on a terminal that shows it, unless NO_COLOR says no (no-color.org).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Coloured,
}

impl Paint {
    pub(super) fn of_stdout() -> Self {
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let shows_colour = env::var("TERM").is_ok_and(|terminal| !matches!(terminal.as_str(), "" | "dumb"));
        if stdout().is_terminal() && shows_colour && !is_set("NO_COLOR") {
            Paint::Coloured
        } else {
            Paint::Plain
        }
    }

    /// A line with its end.
    pub(super) fn line(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Blue => 34,
        };
        match self {
            Paint::Plain => format!("{text}\n"),
            Paint::Coloured => format!("\x1b[{code}m{text}\x1b[0m\n"),
        }
    }
}
