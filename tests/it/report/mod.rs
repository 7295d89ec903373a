/// Images of which the tests know what a report must say.
mod made;

/// The numbers are those of `inspect` and `diff`, and what is wasted or deserves a look is found and nothing else.
mod numbers;

/// A limit that is broken is one line and status 1.
mod limits;

/// The page is the same wherever it is made, is as small as it should be, and no name in an image is markup of it.
mod page;

/// In a browser it is what a person expects, also in the dark, on a small screen, without a script and by keyboard.
mod browser;
