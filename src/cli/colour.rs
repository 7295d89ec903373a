//! Colour for output on terminals.

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

/// Whether output on stdout is coloured: on a terminal that supports it, unless NO_COLOR is set (no-color.org).
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

    /// Returns the line with its line end.
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
