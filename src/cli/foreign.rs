//! Verbs of other tools, and what does their job here.

use std::path::Path;

/// Returns, as a hint, a command for what `ocibake VERB ARGS...` was meant to do, or `None` if no tool has such a verb.
pub(super) fn hint(verb: &str, args: &[String]) -> Option<String> {
    let (output, rest) = without_output(args);
    let operands: Vec<&str> = rest.into_iter().filter(|arg| !arg.starts_with('-')).collect();
    within_group(verb, &operands)
        .or_else(|| elsewhere(verb, &operands, output))
        .or_else(|| here(verb, &operands, output))
}

/// Takes `-o FILE`, which is no operand wherever it stands, out of the words after a verb.
fn without_output(args: &[String]) -> (Option<&str>, Vec<&str>) {
    let (mut output, mut rest) = (None, Vec::new());
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--output=").or_else(|| arg.strip_prefix("-o")) {
            Some("") => output = args.next(),
            Some(file) => output = Some(file),
            None if arg == "--output" => output = args.next(),
            None => rest.push(arg),
        }
    }
    (output, rest)
}

/// Verbs that engines put after the kind of thing: `image inspect`, `manifest inspect`.
fn within_group(group: &str, operands: &[&str]) -> Option<String> {
    let (verb, rest) = operands.split_first().filter(|_| matches!(group, "image" | "manifest" | "buildx"))?;
    let ours = super::interface().get_subcommands().any(|ours| ours.get_name() == *verb);
    let words: Vec<&str> = ["ocibake", verb].into_iter().chain(rest.iter().copied()).collect();
    if ours {
        return Some(format!("there is no `{group}` before the command: {}", command(&words)));
    }
    let rest: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
    hint(verb, &rest).filter(|_| group != "manifest")
}

/// Returns an operand, or the placeholder if it is missing.
fn operand(operands: &[&str], number: usize, placeholder: &str) -> String {
    operands.get(number).map_or_else(|| placeholder.to_owned(), |given| (*given).to_owned())
}

/// Jobs of registry clients and engines, and jobs that take more than a verb of this tool with the operands.
fn elsewhere(verb: &str, operands: &[&str], output: Option<&str>) -> Option<String> {
    let operand = |number, placeholder: &str| operand(operands, number, placeholder);
    let image = || operand(0, "oci:DIR:REF");
    Some(match verb {
        "push" | "upload" => {
            let target = in_registry(&operand(1, "REGISTRY/NAME:TAG"));
            format!(
                "skopeo sends images to registries: {}",
                command(&["skopeo", "copy", &with_transport(&image()), &target])
            )
        }
        "pull" | "fetch" if operands.first().is_some_and(|source| is_on_disk(source)) => {
            let words = ["ocibake", "convert", &image(), &operand(1, "oci:DIR:REF")];
            format!("it is on disk already, and `convert` copies it: {}", command(&words))
        }
        "pull" | "fetch" => {
            let source = operand(0, "REGISTRY/NAME:TAG");
            let (name, tag) = name_and_tag(&source);
            let target = operand(1, &format!("oci:{name}:{tag}"));
            let words = ["skopeo", "copy", &in_registry(&source), &with_transport(&target)];
            format!("skopeo takes images from registries: {}", command(&words))
        }
        "copy" | "cp" if operands.iter().any(|operand| is_in_registry(operand)) => {
            let words = [operand(0, "SOURCE"), operand(1, "TARGET")].map(|given| {
                if is_in_registry(&given) {
                    in_registry(&given)
                } else {
                    with_transport(&given)
                }
            });
            format!("skopeo copies from and to registries: {}", command(&["skopeo", "copy", &words[0], &words[1]]))
        }
        "cp" => {
            // `IMAGE:/PATH FILE`, as engines have it, is `IMAGE /PATH FILE` here.
            let (image, path, rest) = match operands.first().and_then(|first| image_and_path(first)) {
                Some((image, path)) => (image, path, 1),
                None => (image(), operand(1, "PATH"), 2),
            };
            let file = file_for(&path, &operand(rest, "FILE"));
            let words = ["ocibake", "cat", &image, &path, "-o", &file];
            format!("`cat` takes one file out of an image, and `unpack` all: {}", command(&words))
        }
        "copy" => {
            let words = ["ocibake", "convert", &image(), &operand(1, "oci-archive:FILE:REF")];
            format!("`convert` copies images between layouts and archives: {}", command(&words))
        }
        "run" | "exec" | "start" => {
            let pull = format!("podman pull -q {}", quoted(&with_transport(&image())));
            format!("podman runs an image from its layout or archive: `podman run --rm \"$({pull})\"`")
        }
        "save" => {
            let target = format!("docker-archive:{}:NAME:TAG", output.unwrap_or("FILE"));
            let words = ["ocibake", "convert", &image(), &target];
            format!("`convert` writes archives that `docker load` and `podman load` take: {}", command(&words))
        }
        "load" => {
            let file = operand(0, "FILE");
            let words = ["ocibake", "convert", &with_archive(&file), "oci:DIR"];
            format!(
                "`convert` reads what `docker save` wrote: {}; `docker load -i FILE` loads what is in an archive",
                command(&words)
            )
        }
        "history" | "log" => {
            let steps = command(&["ocibake", "inspect", &image(), "--raw", "config"]);
            let steps = steps.trim_end_matches('`');
            format!("`inspect` shows the layers with what made them, and {steps} | jq .history` all steps")
        }
        "login" | "logout" | "search" => {
            "skopeo and podman talk to registries; ocibake never opens a network".to_owned()
        }
        _ => return None,
    })
}

/// Jobs that a verb of this tool does.
fn here(verb: &str, operands: &[&str], output: Option<&str>) -> Option<String> {
    let operand = |number, placeholder: &str| operand(operands, number, placeholder);
    let image = || operand(0, "oci:DIR:REF");
    Some(match verb {
        "images" | "list" => {
            format!("`ls` lists what a layout holds: {}", command(&["ocibake", "ls", &operand(0, "oci:DIR")]))
        }
        "rmi" | "remove" | "delete" | "untag" => {
            format!("`rm` takes a name away, and `gc` the blobs: {}", command(&["ocibake", "rm", &image()]))
        }
        "prune" => {
            format!("`gc` removes what nothing leads to: {}", command(&["ocibake", "gc", &operand(0, "oci:DIR")]))
        }
        "extract" | "export" | "mount" => {
            let directory = operand(1, "DIR");
            let unpack = command(&["ocibake", "unpack", &image(), &directory]);
            let pack = output.map(|file| command(&["tar", "--numeric-owner", "-C", &directory, "-cf", file, "."]));
            let pack = pack.map(|pack| format!(", and then {pack} packs it")).unwrap_or_default();
            format!("`unpack` puts the filesystem of an image on disk: {unpack}{pack}")
        }
        "create" | "new" | "import" | "bake" => {
            let words = ["ocibake", "build", &operand(0, "ROOTFS"), &operand(1, "oci:DIR:REF")];
            format!("`build` makes an image of a rootfs, a directory or a tar: {}", command(&words))
        }
        "commit" | "insert" | "repack" => {
            let words = ["ocibake", "build", "ROOTFS", "oci:DIR:NEW", "--base", &image()];
            format!("`build --base` adds what a rootfs has beyond an image: {}", command(&words))
        }
        "manifest" | "merge" => {
            format!(
                "`index` makes one image for several platforms: {}",
                command(&["ocibake", "index", "IMAGE...", "TARGET"])
            )
        }
        "edit" | "mutate" | "set" => {
            format!("`config` edits an image: {}", command(&["ocibake", "config", &image(), "--label", "KEY=VALUE"]))
        }
        "label" | "labels" | "annotate" | "annotation" | "env" | "cmd" | "entrypoint" | "user" | "volume" | "port"
        | "author" => {
            let flag = match verb {
                "labels" => "--label".to_owned(),
                "annotate" => "--annotation".to_owned(),
                field => format!("--{field}"),
            };
            let value = match verb {
                "label" | "labels" | "annotate" | "annotation" | "env" => "KEY=VALUE",
                _ => "VALUE",
            };
            let words = ["ocibake", "config", &image(), &flag, &operand(1, value)];
            format!("`config` edits an image: {}", command(&words))
        }
        "flatten" | "slim" => {
            let words = ["ocibake", "squash", &image(), &operand(1, "oci:DIR:NEW")];
            format!("`squash` makes one layer of all: {}", command(&words))
        }
        "layers" | "layer" => {
            let show = command(&["ocibake", "inspect", &image()]);
            format!("`inspect` shows the layers of an image: {show}; `plan` and `build --layers` choose them")
        }
        "compress" | "recompress" => {
            let words = ["ocibake", "convert", &image(), &operand(1, "oci:DIR:NEW"), "--compression", "zstd"];
            format!("`convert` compresses layers anew: {}", command(&words))
        }
        "rename" | "mv" | "move" => {
            let names = command(&["ocibake", "tag", &image(), &operand(1, "NAME")]);
            format!("`tag` gives a name and `rm` takes one away: {names}")
        }
        "tags" | "refs" => {
            format!("`ls` lists the names in a layout: {}", command(&["ocibake", "ls", &operand(0, "oci:DIR")]))
        }
        "size" | "du" | "analyze" => {
            let words = ["ocibake", "report", &image(), "-o", "report.html"];
            format!("`report` shows what takes the space: {}", command(&words))
        }
        "version" => "`ocibake --version` prints it".to_owned(),
        "show" | "info" | "stat" => format!("`inspect` shows an image: {}", command(&["ocibake", "inspect", &image()])),
        "validate" | "check" | "fsck" => {
            format!("`verify` checks an image: {}", command(&["ocibake", "verify", &image()]))
        }
        "scan" => {
            let verify = command(&["ocibake", "verify", &image()]);
            format!(
                "`verify` checks that an image is well formed: {verify}; what looks for vulnerabilities reads the layout or \
                 archive itself, or an SBOM of it"
            )
        }
        "sign" | "sbom" => {
            let words = ["ocibake", "attach", &image(), "FILE", "--type", "MEDIATYPE"];
            format!("`attach` joins a signature or an SBOM that another tool made to an image: {}", command(&words))
        }
        _ => return None,
    })
}

/// Splits `IMAGE:/PATH`.
fn image_and_path(joined: &str) -> Option<(String, String)> {
    let at = joined.rfind(":/").filter(|at| !matches!(&joined[..*at], "oci" | "oci-archive" | "docker-archive"))?;
    Some((joined[..at].to_owned(), joined[at + 1..].to_owned()))
}

/// The file that a copy into a directory makes.
fn file_for(path: &str, given: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    match given {
        "." => name.to_owned(),
        directory if directory.ends_with('/') || directory == ".." => {
            format!("{}/{name}", directory.trim_end_matches('/'))
        }
        file => file.to_owned(),
    }
}

/// A command to type, in backquotes.
pub(super) fn command(words: &[&str]) -> String {
    format!("`{}`", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

pub(super) fn quoted(word: &str) -> String {
    shell_words::quote(word).into_owned()
}

/// Whether this names an image on disk.
fn is_on_disk(image: &str) -> bool {
    ["oci:", "oci-archive:", "docker-archive:"].iter().any(|transport| image.starts_with(transport))
        || is_archive(image)
        || Path::new(image.split(':').next().unwrap_or_default()).join("oci-layout").is_file()
}

/// Adds the transport that skopeo needs.
fn with_transport(image: &str) -> String {
    if has_transport(image) {
        return image.to_owned();
    }
    format!("{}:{image}", if is_archive(image) { "oci-archive" } else { "oci" })
}

/// The same for a file that `docker save` may have written.
fn with_archive(file: &str) -> String {
    if has_transport(file) || is_archive(file) {
        return file.to_owned();
    }
    format!("docker-archive:{file}")
}

fn is_archive(image: &str) -> bool {
    let path = image.split(':').next().unwrap_or_default();
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    name.contains(".tar") || name.ends_with(".tgz")
}

/// Whether the text begins with the name of a transport.
pub(super) fn has_transport(image: &str) -> bool {
    ["oci:", "oci-archive:", "docker-archive:", "docker:", "docker-daemon:", "containers-storage:", "dir:"]
        .iter()
        .any(|transport| image.starts_with(transport))
}

/// Whether this names an image in a registry: `docker://…`, or a first part that is a host.
fn is_in_registry(name: &str) -> bool {
    name.starts_with("docker://") || (!has_transport(name) && host(name).is_some())
}

/// The host of `registry.example/app`, `localhost:5000/app`.
fn host(name: &str) -> Option<&str> {
    let (host, rest) = name.split_once('/')?;
    let is_host = host == "localhost" || host.contains(':') || (host.contains('.') && !host.starts_with('.'));
    (is_host && !rest.is_empty() && !Path::new(host).is_dir()).then_some(host)
}

fn in_registry(name: &str) -> String {
    let name = name.strip_prefix("docker://").unwrap_or(name);
    format!("docker://{name}")
}

/// `app` and `v1` of `registry.example:5000/team/app:v1`.
fn name_and_tag(source: &str) -> (&str, &str) {
    let last = source.rsplit('/').next().unwrap_or(source);
    let last = last.split('@').next().unwrap_or(last);
    last.split_once(':').unwrap_or((last, "latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_as_each_tool_wants_them() {
        for (typed, expected) in [
            ("push oci:out:v1 registry.example/app:v1", "`skopeo copy oci:out:v1 docker://registry.example/app:v1`"),
            ("push out docker://localhost:5000/app", "`skopeo copy oci:out docker://localhost:5000/app`"),
            ("push -q app.tar.zst:v1 r.example/a", "`skopeo copy oci-archive:app.tar.zst:v1 docker://r.example/a`"),
            ("push", "`skopeo copy oci:DIR:REF docker://REGISTRY/NAME:TAG`"),
            ("pull debian", "`skopeo copy docker://debian oci:debian:latest`"),
            ("pull r.example:5000/team/app:v2", "`skopeo copy docker://r.example:5000/team/app:v2 oci:app:v2`"),
            ("pull r.example/app@sha256:0123 out:v1", "`skopeo copy docker://r.example/app@sha256:0123 oci:out:v1`"),
            ("pull oci:out:v1 oci:b:v1", "`ocibake convert oci:out:v1 oci:b:v1`"),
            ("pull app.tar", "`ocibake convert app.tar oci:DIR:REF`"),
            ("copy oci:out:v1 docker://r.example/a", "`skopeo copy oci:out:v1 docker://r.example/a`"),
            ("copy localhost/app:v1 'my dir'", "`skopeo copy docker://localhost/app:v1 'oci:my dir'`"),
            ("copy oci:out:v1 app.tar", "`ocibake convert oci:out:v1 app.tar`"),
            ("run oci:out:v1", "`podman run --rm \"$(podman pull -q oci:out:v1)\"`"),
            ("save oci:out:v1", "`ocibake convert oci:out:v1 docker-archive:FILE:NAME:TAG`"),
            ("save oci:out:v1 -o x.tar", "`ocibake convert oci:out:v1 docker-archive:x.tar:NAME:TAG`"),
            ("save -o x.tar oci:out:v1", "`ocibake convert oci:out:v1 docker-archive:x.tar:NAME:TAG`"),
            ("save -ox.tar oci:out:v1", "`ocibake convert oci:out:v1 docker-archive:x.tar:NAME:TAG`"),
            ("save --output=x.tar oci:out:v1", "`ocibake convert oci:out:v1 docker-archive:x.tar:NAME:TAG`"),
            ("save oci:out:v1 --output x.tar", "`ocibake convert oci:out:v1 docker-archive:x.tar:NAME:TAG`"),
            ("export oci:out:v1", "`ocibake unpack oci:out:v1 DIR`"),
            ("export -o x.tar oci:out:v1", "`ocibake unpack oci:out:v1 DIR`, and then `tar --numeric-owner -C DIR -cf"),
            ("manifest inspect oci:out:v1", "`ocibake inspect oci:out:v1`"),
            ("manifest create a b", "`ocibake index IMAGE... TARGET`"),
            ("image ls oci:out", "`ocibake ls oci:out`"),
            ("image prune oci:out", "`ocibake gc oci:out`"),
            ("scan oci:out:v1", "`ocibake verify oci:out:v1`"),
            ("load -i app.tar", "`ocibake convert app.tar oci:DIR`"),
            ("load saved", "`ocibake convert docker-archive:saved oci:DIR`"),
            ("history oci:out:v1", "`ocibake inspect oci:out:v1 --raw config | jq .history`"),
            ("images", "`ocibake ls oci:DIR`"),
            ("cp oci:out:v1 /etc/motd motd", "`ocibake cat oci:out:v1 /etc/motd -o motd`"),
            ("cp oci:out:v1:/etc/motd .", "`ocibake cat oci:out:v1 /etc/motd -o motd`"),
            ("cp oci:/a/out:v1:/etc/motd b/", "`ocibake cat oci:/a/out:v1 /etc/motd -o b/motd`"),
            ("cp oci:/a/out /etc/motd", "`ocibake cat oci:/a/out /etc/motd -o FILE`"),
            ("rmi oci:out:v1", "`ocibake rm oci:out:v1`"),
            ("flatten oci:out:v1", "`ocibake squash oci:out:v1 oci:DIR:NEW`"),
            ("label oci:out:v1 a=b", "`ocibake config oci:out:v1 --label 'a=b'`"),
            ("annotate oci:out:v1", "`ocibake config oci:out:v1 --annotation 'KEY=VALUE'`"),
            ("layers oci:out:v1", "`ocibake inspect oci:out:v1`"),
            ("compress oci:out:v1 oci:out:v2", "`ocibake convert oci:out:v1 oci:out:v2 --compression zstd`"),
            ("mv oci:out:v1 v2", "`ocibake tag oci:out:v1 v2`"),
            ("size oci:out:v1", "`ocibake report oci:out:v1 -o report.html`"),
        ] {
            let words = shell_words::split(typed).unwrap();
            let found = hint(&words[0], &words[1..]).unwrap();
            assert!(found.contains(expected), "{typed}: {found}");
        }
        assert_eq!(hint("biuld", &[]), None);
    }
}
