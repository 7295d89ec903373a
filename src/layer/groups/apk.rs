//! apk's database: one file of paragraphs, whose lines begin with a letter.

use super::{Database, Installed, Owned, Package};
use crate::error::Result;

/// Where it may be; the second is the place since version 3.
pub(super) const ROOTS: [&str; 2] = ["lib/apk/db", "usr/lib/apk/db"];

pub(super) fn read(database: &Database<'_>) -> Result<Vec<Installed>> {
    for root in ROOTS {
        if let Some(text) = database.read(&format!("{root}/installed"))? {
            return Ok(parse(&text));
        }
    }
    Ok(Vec::new())
}

fn parse(text: &[u8]) -> Vec<Installed> {
    let mut packages = Vec::new();
    let mut package = Package { name: String::new(), recipe: String::new(), version: String::new() };
    let mut owned = Vec::new();
    let mut directory = Vec::new();
    for line in text.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if line.is_empty() {
            let mut ended = std::mem::replace(
                &mut package,
                Package { name: String::new(), recipe: String::new(), version: String::new() },
            );
            let owned = std::mem::take(&mut owned);
            directory.clear();
            if !ended.name.is_empty() {
                if ended.recipe.is_empty() {
                    ended.recipe.clone_from(&ended.name);
                }
                packages.push(Installed { package: ended, owned });
            }
            continue;
        }
        let [key, b':', value @ ..] = line else { continue };
        let text = || String::from_utf8_lossy(value).into_owned();
        match key {
            b'P' => package.name = text(),
            b'V' => package.version = text(),
            b'o' => package.recipe = text(),
            b'F' => {
                directory = value.to_vec();
                owned.push(Owned { path: directory.clone(), is_directory: Some(true) });
            }
            b'R' => {
                let path = if directory.is_empty() { value.to_vec() } else { [&directory, &b"/"[..], value].concat() };
                owned.push(Owned { path, is_directory: Some(false) });
            }
            _ => {}
        }
    }
    packages
}
