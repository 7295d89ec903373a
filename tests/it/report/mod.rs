/// Images with a known report.
mod made;

/// The numbers are those of `inspect` and `diff`, and exactly the waste and the notices are found.
mod numbers;

/// A broken limit is one line and status 1.
mod limits;

/// A report is written as its name says, and appears when it is whole.
mod outputs;

/// The page is the same wherever it is made, is small, and no name in an image becomes markup.
mod page;

/// In a browser it works as expected, also in dark mode, on a small screen, without a script and by keyboard.
mod browser;
