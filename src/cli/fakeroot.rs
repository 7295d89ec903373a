//! Whether pseudo or fakeroot, if one is meant to be in effect, really is.
//!
//! Both work through a preloaded library. A static binary is never intercepted: without any error it would write the
//! build user's owners, no devices and no capabilities.

use std::env;
use std::ffi::OsString;
use std::fs;

use anyhow::Result;
use ocibake::Error;

/// Fails if the environment says that owners are faked but this process sees the real ones.
pub(super) fn check() -> Result<()> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let user = rustix::process::geteuid();
    match not_intercepted(|name| env::var_os(name), &maps, user.is_root()) {
        None => Ok(()),
        Some(library) => Err(Error::refused_with_hint(
            format!("{library} is in the environment but does not intercept this process: owners would be wrong"),
            format!(
                "start a dynamically linked ocibake through {library} itself, or {} if the real owners are meant",
                way_out(library)
            ),
        )
        .into()),
    }
}

/// How a user says that nothing is to be intercepted.
fn way_out(library: &str) -> &'static str {
    match library {
        "pseudo" => "set PSEUDO_DISABLED=1",
        _ => "unset FAKEROOTKEY and LD_PRELOAD",
    }
}

/// Returns the name of the library that should intercept this process and does not.
fn not_intercepted(variable: impl Fn(&str) -> Option<OsString>, maps: &str, is_root: bool) -> Option<&'static str> {
    let preload = variable("LD_PRELOAD").unwrap_or_default().to_string_lossy().into_owned();
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());

    let pseudo_is_off = variable("PSEUDO_DISABLED").is_some_and(|value| value == "1");
    let pseudo_is_meant = preload.contains("libpseudo") || is_set("PSEUDO_PREFIX");
    if pseudo_is_meant && !pseudo_is_off && !(maps.contains("libpseudo") && is_root) {
        return Some("pseudo");
    }
    let fakeroot_is_meant = preload.contains("libfakeroot") || is_set("FAKEROOTKEY");
    (fakeroot_is_meant && !maps.contains("libfakeroot")).then_some("fakeroot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_must_be_in_force() {
        const PSEUDO: &str = "7f00 r-xp /usr/lib/pseudo/libpseudo.so\n";
        const FAKEROOT: &str = "7f00 r-xp /usr/lib/libfakeroot/libfakeroot-sysv.so\n";
        for (environment, maps, is_root, expected) in [
            (&[][..], "", false, None),
            (&[("LD_PRELOAD", "libpseudo.so"), ("PSEUDO_PREFIX", "/usr")][..], PSEUDO, true, None),
            (&[("LD_PRELOAD", "libpseudo.so"), ("PSEUDO_PREFIX", "/usr")], "", false, Some("pseudo")),
            (&[("LD_PRELOAD", "libpseudo.so")], "", true, Some("pseudo")),
            (&[("PSEUDO_PREFIX", "/usr")], "", false, Some("pseudo")),
            (&[("PSEUDO_PREFIX", "/usr"), ("PSEUDO_DISABLED", "1")], PSEUDO, false, None),
            (&[("PSEUDO_PREFIX", "/usr"), ("PSEUDO_DISABLED", "0")], PSEUDO, false, Some("pseudo")),
            (&[("LD_PRELOAD", "/usr/lib/libfakeroot-sysv.so")], FAKEROOT, true, None),
            (&[("LD_PRELOAD", "/usr/lib/libfakeroot-sysv.so")], "", true, Some("fakeroot")),
            (&[("FAKEROOTKEY", "7")], FAKEROOT, true, None),
            (&[("FAKEROOTKEY", "7"), ("LD_PRELOAD", "")], "", true, Some("fakeroot")),
        ] {
            let variable = |name: &str| {
                environment.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            };
            assert_eq!(not_intercepted(variable, maps, is_root), expected, "{environment:?} {maps}");
        }
    }
}
