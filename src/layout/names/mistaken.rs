//! Texts that look like something other than a location on disk, and what to type instead.

use std::path::Path;

use crate::error::{as_typed, Error, ErrorKind};
use crate::hint::Hint;
use crate::layout::names::digest_prefix::DigestPrefix;
use crate::layout::names::ending::Ending;
use crate::layout::names::role::{Role, FORMS};
use crate::layout::DockerName;
use crate::spelling;

/// Transports of other tools that are not supported.
const FOREIGN: [&str; 7] = ["containers-storage", "dir", "docker", "docker-daemon", "ostree", "sif", "tarball"];

/// Supported transports and common misspellings, in lower case and without `-` and `_`.
const MEANT: [(&str, &str); 12] = [
    ("oci", "oci"),
    ("oic", "oci"),
    ("ocidir", "oci"),
    ("ocilayout", "oci"),
    ("ociarchive", "oci-archive"),
    ("ocitar", "oci-archive"),
    ("dockerarchive", "docker-archive"),
    ("dockertar", "docker-archive"),
    ("dockersave", "docker-archive"),
    ("archive", "oci-archive"),
    ("tar", "oci-archive"),
    ("tgz", "oci-archive"),
];

/// Transports that are recognised when they are misspelt. The others are too near to common names of directories.
const OFTEN_TYPED: [&str; 6] =
    ["oci", "oci-archive", "docker-archive", "docker", "docker-daemon", "containers-storage"];

/// What a word before a colon and a path says, as it is no path.
fn is_transport(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    FOREIGN.contains(&lower.as_str()) || lower == "file" || meant(word).is_some()
}

/// The transport that a word is a misspelling of. `oci2` is the second of its kind, and `ci` a word of its own.
fn misspelt(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let is_word = lower.len() > 2 && lower.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'));
    let near =
        spelling::nearest(&lower, OFTEN_TYPED).filter(|near| is_word && near.as_bytes()[0] == lower.as_bytes()[0]);
    near.filter(|near| *near != lower)
}

/// The transport that a misspelt one means.
fn meant(word: &str) -> Option<&'static str> {
    let plain: String = word.chars().filter(|c| !"-_".contains(*c)).collect::<String>().to_ascii_lowercase();
    MEANT.iter().find(|(mistaken, _)| *mistaken == plain).map(|(_, meant)| *meant)
}

/// Refuses an image where a path is wanted: `oci:out` for a directory, which would get just this name; and `-`, which
/// means a stream elsewhere. `wanted` says what the path is for.
pub fn refuse_location_as_path(wanted: &str, path: &Path) -> Result<(), Error> {
    if path == Path::new("-") {
        return Err(Error::refused_with_hint(
            format!("`-`: {wanted} is wanted, found `-`, which means a stream elsewhere"),
            "no stream is taken here: a file or directory of this name is `./-`",
        )
        .of_kind(ErrorKind::Invalid));
    }
    let Some(text) = path.to_str().filter(|_| path.symlink_metadata().is_err()) else { return Ok(()) };
    let Some((word, rest)) = text.split_once(':').filter(|(word, _)| is_transport(word)) else { return Ok(()) };
    let text = as_typed(text);
    let message = format!("`{text}`: {wanted} is wanted, found what looks like an image or an address");
    let rest = rest.trim_start_matches("//");
    let hint = format!("`{word}:` stands before images: write `{}`, or `./{text}` if it has this name", as_typed(rest));
    Err(Error::refused_with_hint(message, hint).of_kind(ErrorKind::Invalid))
}

/// Refuses the name of an archive for a directory of files that does not exist.
pub(crate) fn refuse_archive_as_directory(wanted: &str, path: &Path) -> Result<(), Error> {
    if path.symlink_metadata().is_ok() || !matches!(Ending::of(path), Ending::Archive(_)) {
        return Ok(());
    }
    let path = path.display();
    let hint = Hint::default()
        .verb("convert")
        .text(format!(" writes an archive of an image; a directory of this name is `{path}/`"));
    Err(Error::refused_with_hint(format!("`{path}`: {wanted} is wanted, found the name of an archive"), hint)
        .of_kind(ErrorKind::Invalid))
}

/// The error for a supported transport that is written like a scheme. `oci://app` is hardly meant as `/app`.
pub(super) fn with_slashes(text: &str, transport: &str, rest: &str, role: Role) -> Error {
    let path = rest.trim_start_matches('/');
    let absolute = if rest.starts_with("///") {
        format!("`{transport}:/{path}`")
    } else {
        format!("`{transport}:{path}`, or `{transport}:/{path}` for a path from the root")
    };
    let message = format!("{role} `{text}`: no `//` is wanted after `{transport}:`, which a path follows");
    Error::refused_with_hint(message, format!("write {absolute}")).of_kind(ErrorKind::Invalid)
}

/// Refuses a name for an image that is a whole location or a digest.
pub(crate) fn refuse_location_as_name(name: &str) -> Result<(), Error> {
    let is_location = ["oci:", "oci-archive:", "docker-archive:"].iter().any(|transport| name.starts_with(transport));
    if let Some((_, digest)) = name.split_once('@').filter(|(_, digest)| digest.starts_with("sha")) {
        let message =
            format!("name `{name}`: a name is wanted, found the digest `{digest}`, which chooses what it leads to");
        return Err(
            Error::refused_with_hint(message, "leave it out, with the `@` before it").of_kind(ErrorKind::Invalid)
        );
    }
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = name.split_once(':').map_or("", |(_, digits)| digits);
    if DigestPrefix::is_meant_by(name.as_bytes()) && digits.bytes().all(is_digit) {
        let message = format!("name `{name}`: a name is wanted, found a digest");
        return Err(Error::refused_with_hint(message, "what is written has a digest of its own: choose another name")
            .of_kind(ErrorKind::Invalid));
    }
    if !is_location {
        return Ok(());
    }
    let message = format!("name `{name}`: a name within the target is wanted, found a whole location");
    let last = name.rsplit(':').next().unwrap_or_default();
    Err(Error::refused_with_hint(message, format!("write `{last}`")).of_kind(ErrorKind::Invalid))
}

/// Refuses a text without a supported transport if it is not a path. `on_disk` tells whether a path exists.
pub(super) fn refuse(text: &str, role: Role, on_disk: impl Fn(&Path) -> bool) -> Result<(), Error> {
    if let Some(error) = transport_alone(text, role) {
        return Err(error);
    }
    if text == "-" || text.starts_with("-:") {
        return Err(stream_without_transport(text, role));
    }
    if let Some(path) = text.strip_prefix("file:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let message = format!("{role} `{text}`: transport `file:` is unknown: {FORMS} expected");
        return Err(Error::refused_with_hint(
            message,
            format!("write `oci:{path}` for a directory, or `{path}` alone"),
        )
        .of_kind(ErrorKind::Invalid));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        if !scheme.contains(['/', ':']) {
            return Err(foreign(text, scheme, rest, role));
        }
    }
    if let Some((word, rest)) = text.split_once(':') {
        if FOREIGN.contains(&word.to_ascii_lowercase().as_str()) {
            return Err(foreign(text, word, rest, role));
        }
        if let Some(meant) = meant(word) {
            let message = format!("{role} `{text}`: transport `{word}:` is unknown: {FORMS} expected");
            let or_path = format!("; if it is a directory and a name, `oci:{text}`");
            let or_path = if word.eq_ignore_ascii_case(meant) { String::new() } else { or_path };
            return Err(Error::refused_with_hint(message, format!("write `{meant}:{rest}`{or_path}"))
                .of_kind(ErrorKind::Invalid));
        }
        if let Some(meant) = misspelt(word).filter(|_| !on_disk(Path::new(word))) {
            let message = format!("{role} `{text}`: transport `{word}:` is unknown: {FORMS} expected");
            let instead = match elsewhere(meant, rest) {
                Some(there) => format!("did you mean `{meant}:`, then {}", skopeo(&there, role)),
                None => format!("did you mean `{meant}:{rest}`"),
            };
            let or_path = format!("if it is a directory and a name, write `oci:{text}`");
            return Err(Error::refused_with_hint(message, format!("{instead}; {or_path}")).of_kind(ErrorKind::Invalid));
        }
    }
    if looks_like_a_registry(text, on_disk) {
        let message = format!("{role} `{text}` looks like an image in a registry, which is neither read nor written");
        let hint = format!("{}; if it is a path, write `oci:` before it", skopeo(&format!("docker://{text}"), role));
        return Err(Error::refused_with_hint(message, hint).of_kind(ErrorKind::Unsupported));
    }
    Ok(())
}

/// What is before `@` and the digest that is meant, in a text that ends in `@` and some of its digits without their
/// algorithm.
pub(in crate::layout) fn digits_after_at(text: &str) -> Option<(&str, DigestPrefix)> {
    let (before, digits) = text.rsplit_once('@')?;
    Some((before, format!("sha256:{digits}").parse().ok()?))
}

/// The error for a transport that a blank separates from its path: `oci out`.
fn transport_alone(text: &str, role: Role) -> Option<Error> {
    let hint = match text {
        "oci" => Hint::from("write ").location("oci"),
        "oci-archive" => Hint::from("write ").location("oci-archive"),
        "docker-archive" => Hint::from("write ").location("docker-archive"),
        "docker" => skopeo("docker://NAME:TAG", role).into(),
        "containers-storage" => skopeo("containers-storage:NAME:TAG", role).into(),
        _ => return None,
    };
    let message = format!("{role} `{text}`: a transport alone, where its path is wanted too, after a colon");
    let if_path = format!("; a directory of this name is `./{text}`");
    Some(Error::refused_with_hint(message, hint.text(if_path)).of_kind(ErrorKind::Invalid))
}

/// The error for an image that is not here, and that was written without a transport: `debian:12` may be in a registry.
pub(super) fn not_here(text: &str) -> Option<Error> {
    if !is_name_alone(text, |path| path.symlink_metadata().is_ok()) {
        return None;
    }
    let message = format!("cannot open the image `{text}`: there is no directory and no file of this name");
    let hint = format!("if it is in a registry, {}", skopeo(&format!("docker://{text}"), Role::Image));
    Some(Error::refused_with_hint(message, hint).of_kind(ErrorKind::NotFound))
}

fn foreign(text: &str, scheme: &str, rest: &str, role: Role) -> Error {
    let message = format!("{role} `{text}`: transport `{scheme}:` is unknown: {FORMS} expected");
    match elsewhere(&scheme.to_ascii_lowercase(), text.split_once(':').map_or(rest, |(_, rest)| rest)) {
        Some(there) => Error::refused_with_hint(message, skopeo(&there, role)).of_kind(ErrorKind::Unsupported),
        None => Error::refused(message).of_kind(ErrorKind::Unsupported),
    }
}

/// What skopeo calls an image that other tools hold, by its transport and what follows.
fn elsewhere(scheme: &str, rest: &str) -> Option<String> {
    match scheme {
        "docker" | "http" | "https" | "registry" => Some(format!("docker://{}", rest.trim_start_matches('/'))),
        known if FOREIGN.contains(&known) => Some(format!("{known}:{rest}")),
        _ => None,
    }
}

/// The skopeo command that copies the image from or to `there`.
fn skopeo(there: &str, role: Role) -> String {
    let here = local(there);
    match role {
        Role::Image => format!("`{}` fetches it, and `{here}` names it then", copy(there, &here)),
        Role::Target => format!("write to `{here}`, and carry it there with `{}`", copy(&here, there)),
    }
}

/// A command for a shell.
fn copy(from: &str, to: &str) -> String {
    format!("skopeo copy {} {}", shell_words::quote(from), shell_words::quote(to))
}

/// A location on disk for an image from elsewhere.
fn local(there: &str) -> String {
    let name = there.split_once(':').map_or(there, |(_, rest)| rest).trim_start_matches('/');
    let name = name.split_once('@').map_or(name, |(name, _)| name).trim_end_matches('/');
    let last = name.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or("image");
    let (last, tag) = last.split_once(':').unwrap_or((last, "latest"));
    match there.split_once(':') {
        // The name is already a path, so the layout needs another.
        Some(("dir" | "ostree" | "sif" | "tarball", _)) => format!("oci:{last}.oci:latest"),
        _ => format!("oci:{last}:{tag}"),
    }
}

/// Whether a bare text can be a name that engines complete (`debian:12`), and nothing on disk is meant by it.
fn is_name_alone(text: &str, on_disk: impl Fn(&Path) -> bool) -> bool {
    let name = text.split_once('@').map_or(text, |(name, _)| name);
    let path = name.split(':').next().unwrap_or_default();
    let first = path.split('/').next().unwrap_or_default();
    name.parse::<DockerName>().is_ok()
        && Ending::of(Path::new(path)) == Ending::Plain
        && !on_disk(Path::new(path))
        && !(path.contains('/') && on_disk(Path::new(first)))
}

/// Whether a bare text is `HOST/NAME` or `HOST:PORT/NAME`, and not a path that exists or could be created.
fn looks_like_a_registry(text: &str, on_disk: impl Fn(&Path) -> bool) -> bool {
    let name = text.split_once('@').map_or(text, |(name, _)| name);
    let Some((host, _)) = name.split_once('/') else { return false };
    let without_port = host.rsplit_once(':').map(|(host, _)| host);
    let is_archive = || Ending::of(Path::new(name.rsplit_once(':').map_or(name, |(path, _)| path))) != Ending::Plain;
    let is_domain = || (host == "localhost" || host.contains('.')) && !is_archive();
    (without_port.is_some() || is_domain())
        && !host.starts_with('.')
        && name.parse::<DockerName>().is_ok()
        && !on_disk(Path::new(host))
        && !without_port.is_some_and(|host| on_disk(Path::new(host)))
}

fn stream_without_transport(text: &str, role: Role) -> Error {
    match role {
        Role::Image => from_standard_input(text),
        Role::Target => Error::refused_with_hint(
            format!("target `{text}`: which kind of archive should go to standard output"),
            "write `oci-archive:-` or `docker-archive:-:NAME:TAG`; a directory of this name is `oci:./-`",
        )
        .of_kind(ErrorKind::Invalid),
    }
}

/// The error for standard input: an archive is read more than once.
pub(super) fn from_standard_input(text: &str) -> Error {
    Error::refused_with_hint(
        format!("image `{text}`: images are not read from standard input"),
        "write it to a file first; a file or directory of this name is `./-`",
    )
    .of_kind(ErrorKind::Unsupported)
}

/// The error for a layout directory on a stream.
pub(super) fn layout_as_stream(text: &str, role: Role) -> Error {
    Error::refused_with_hint(
        format!("{role} `{text}`: a layout is a directory, and no stream"),
        "an archive can go to standard output: `oci-archive:-` or `docker-archive:-:NAME:TAG`; a directory of this name \
         is `oci:./-`",
    ).of_kind(ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, role: Role, disk: &[&str]) -> Option<(String, String)> {
        let error = refuse(text, role, |path| disk.iter().any(|known| Path::new(known) == path)).err()?;
        Some((error.to_string(), error.hint().unwrap_or_default().to_string()))
    }

    #[test]
    fn what_is_elsewhere_is_carried_by_skopeo() {
        for (text, fetched) in [
            ("docker://localhost:5000/app:v1", "skopeo copy docker://localhost:5000/app:v1 oci:app:v1"),
            ("docker://alpine", "skopeo copy docker://alpine oci:alpine:latest"),
            ("docker:alpine:3", "skopeo copy docker://alpine:3 oci:alpine:3"),
            ("Docker://alpine", "skopeo copy docker://alpine oci:alpine:latest"),
            ("https://quay.io/team/app:v1", "skopeo copy docker://quay.io/team/app:v1 oci:app:v1"),
            ("docker-daemon:team/app:v1", "skopeo copy docker-daemon:team/app:v1 oci:app:v1"),
            ("containers-storage:app", "skopeo copy containers-storage:app oci:app:latest"),
            ("dir:x2", "skopeo copy dir:x2 oci:x2.oci:latest"),
            ("dir:/tmp/x/", "skopeo copy dir:/tmp/x/ oci:x.oci:latest"),
            ("dir:a b;c", "skopeo copy 'dir:a b;c' 'oci:a b;c.oci:latest'"),
            ("localhost:5000/app:v1", "skopeo copy docker://localhost:5000/app:v1 oci:app:v1"),
            ("127.0.0.1:5057/team/app:v1", "skopeo copy docker://127.0.0.1:5057/team/app:v1 oci:app:v1"),
            ("localhost/app", "skopeo copy docker://localhost/app oci:app:latest"),
            ("registry.example/a/b", "skopeo copy docker://registry.example/a/b oci:b:latest"),
            ("[::1]:5000/app", "skopeo copy 'docker://[::1]:5000/app' oci:app:latest"),
        ] {
            let (_, hint) = refused(text, Role::Image, &[]).unwrap_or_else(|| panic!("{text} is taken"));
            assert!(hint.contains(&format!("`{fetched}`")), "{text}: {hint}");
        }
        let digest = format!("quay.io/app@sha256:{}", "0".repeat(64));
        let (_, hint) = refused(&digest, Role::Image, &[]).unwrap();
        assert!(hint.contains(&format!("`skopeo copy docker://{digest} oci:app:latest`")), "{hint}");
        let (error, hint) = refused("localhost:5000/app:v1", Role::Target, &[]).unwrap();
        assert!(error.starts_with("target `localhost:5000/app:v1` looks like"), "{error}");
        assert!(
            hint.contains("`oci:app:v1`") && hint.contains("`skopeo copy oci:app:v1 docker://localhost:5000/app:v1`")
        );
    }

    #[test]
    fn transports_that_are_nearly_right() {
        for (text, meant) in [
            ("OCI:x2", "oci:x2"),
            ("Oci-Archive:x.tar:v1", "oci-archive:x.tar:v1"),
            ("docker_archive:x.tar:app", "docker-archive:x.tar:app"),
            ("oci-dir:x", "oci:x"),
            ("dockerarchive:x", "docker-archive:x"),
            ("tar:x.tar:v1", "oci-archive:x.tar:v1"),
            ("archive:x.tar", "oci-archive:x.tar"),
            ("file:x.tar", "oci:x.tar"),
            ("file:///tmp/x", "oci:/tmp/x"),
        ] {
            let (error, hint) = refused(text, Role::Image, &[]).unwrap();
            assert!(error.contains("transport `") && hint.starts_with(&format!("write `{meant}`")), "{error} {hint}");
        }
        let (error, hint) = refused("ftp://host/x", Role::Image, &[]).unwrap();
        assert!(error.contains("`ftp:`") && hint.is_empty(), "{error} {hint}");
    }

    #[test]
    fn paths_are_paths() {
        for (text, disk) in [
            ("out", &[][..]),
            ("out:v1", &[]),
            ("./localhost/app", &[]),
            ("../a.b/app", &[]),
            ("a/b:v1", &[]),
            ("localhost/app", &["localhost"]),
            ("out.d/app:v1", &["out.d"]),
            ("out:5000/app:v1", &["out"]),
            ("/docker.io/app", &[]),
            ("Out.d/App", &[]),
            ("out.d/app.tar", &[]),
            ("out.d/app.tar:v1", &[]),
            ("tarfiles:v1", &[]),
        ] {
            assert_eq!(refused(text, Role::Target, disk), None, "{text}");
        }
        for (text, disk) in
            [("out:v1", &["out"][..]), ("./out:v1", &[]), ("Out", &[]), ("a/b:v1", &["a"]), ("a.tar:v1", &[])]
        {
            assert!(!is_name_alone(text, |path| disk.iter().any(|known| Path::new(known) == path)), "{text}");
        }
        for (text, fetched) in [
            ("debian:12", "skopeo copy docker://debian:12 oci:debian:12"),
            ("debian", "skopeo copy docker://debian oci:debian:latest"),
            ("library/debian", "skopeo copy docker://library/debian oci:debian:latest"),
        ] {
            let hint = not_here(text).unwrap().hint().unwrap().to_string();
            assert!(hint.contains(&format!("`{fetched}`")), "{hint}");
        }
    }
}
