//! Mistakes on the command line: the error names what was typed, and the hint says what to type instead.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};

use crate::harness::{bytes_of, root, unprivileged_words, Outcome, Scratch, Tool};

/// `good:v1` of one image, `both:v1` of two platforms.
fn images(scratch: &Scratch) {
    scratch.small_rootfs();
    for (arch, name) in [("amd64", "good"), ("arm64", "other")] {
        let words = ["build", "rootfs", &format!("oci:{name}:v1"), "--arch", arch, "--owner", "0:0"];
        let _ = typed(scratch, &words).stdout();
    }
    let _ = typed(scratch, &["index", "oci:good:v1", "oci:other:v1", "oci:both:v1"]).stdout();
}

fn typed(scratch: &Scratch, words: &[&str]) -> Outcome {
    Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run()
}

/// Each line is refused with this beginning of the error and this part of the hint, and nothing is written.
fn refused(scratch: &Scratch, cases: &[(&str, &str, &str)]) {
    let before = bytes_of(scratch.path());
    for &(line, error, hint) in cases {
        let words = shell_words::split(line).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = typed(scratch, &words).error();
        let (found, found_hint) = said.split_once("\nhint: ").unwrap_or((&said, ""));
        assert!(found.starts_with(error), "{line}: {said}");
        assert!(found_hint.contains(hint), "{line}: {said}");
        assert!(bytes_of(scratch.path()) == before, "{line} wrote something");
    }
}

/// `-` is a stream where one can be meant, and nowhere the name of a file or directory.
#[test]
fn a_dash_where_no_stream_is_taken_is_no_name() {
    let scratch = Scratch::new();
    images(&scratch);
    let hint = "a file or directory of this name is `./-`";
    let build = |flags: &str| format!("build rootfs oci:new --arch amd64 {flags}");
    for (line, wanted) in [
        ("attach oci:good:v1 -".to_owned(), "`-`: a file to attach is wanted"),
        (build("--vars -"), "--vars: `-`: a file is wanted"),
        (build("--device-table -"), "--device-table: `-`: a file is wanted"),
        (build("--package-map - --layers packages"), "--package-map: `-`: a file is wanted"),
        (build("--cache -"), "--cache: `-`: the directory of a cache is wanted"),
        ("man -".to_owned(), "`-`: a directory is wanted"),
        ("unpack oci:good:v1 -".to_owned(), "`-`: a new or empty directory is wanted"),
    ] {
        refused(&scratch, &[(&line, &format!("{wanted}, found `-`, which means a stream elsewhere"), "`./-`")]);
        assert!(line.starts_with("unpack") || typed(&scratch, &words_of(&line)).error().ends_with(hint), "{line}");
    }
}

fn words_of(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn what_is_missing_is_named_with_the_usage_that_was_begun() {
    let scratch = Scratch::new();
    for (line, error, hint) in [
        ("index", "IMAGE... and TARGET are missing", "ocibake index [OPTIONS] IMAGE... TARGET"),
        ("index --remove arm64", "TARGET is missing", "ocibake index [OPTIONS] --remove PLATFORM TARGET"),
        ("build", "ROOTFS and TARGETS... are missing", "ocibake build [OPTIONS] <ROOTFS> <TARGETS>..."),
        ("build --overlay-upper u", "ROOTFS is missing", "ocibake build [OPTIONS] --overlay-upper <DIR> <TARGETS>..."),
        ("attach oci:good:v1", "FILE is missing", "ocibake attach <IMAGE> <FILE>"),
    ] {
        assert_eq!(typed(&scratch, &words_of(line)).error().trim_end(), format!("{error}\nhint: {hint}"), "{line}");
    }
}

#[test]
fn an_image_that_is_not_here_may_be_in_a_registry() {
    let scratch = Scratch::new();
    images(&scratch);
    let debian = "if it is in a registry, `skopeo copy docker://debian:12 oci:debian:12` fetches it";
    let error = "cannot open the image `debian:12`: there is no directory and no file of this name";
    refused(
        &scratch,
        &[
            ("inspect debian:12", error, debian),
            ("cat debian:12 /etc/motd", error, debian),
            ("unpack debian:12 to", error, debian),
            ("convert debian:12 oci:new", error, debian),
            ("index oci:good:v1 debian:12 oci:new", error, debian),
            ("report debian:12", error, debian),
            ("build rootfs oci:new --arch amd64 --base debian:12", &format!("--base: {error}"), debian),
            ("inspect debian", "cannot open the image `debian`", "docker://debian oci:debian:latest`"),
            ("inspect docker.io/library/debian", "image `docker.io/library/debian` looks like", "oci:debian:latest`"),
            // What is said to be on disk is not looked for elsewhere.
            ("inspect oci:debian:12", "cannot open the image `oci:debian:12`: there is no directory `debian`", ""),
            ("inspect ./debian:12", "cannot open the image `oci:./debian:12`: there is no directory `./debian`", ""),
            (
                "tag oci-archive:a.tar:v1 v2",
                "cannot open the image `oci-archive:a.tar:v1`: there is no file `a.tar`",
                "",
            ),
            ("inspect a.tar", "cannot open the image `oci-archive:a.tar`: there is no file `a.tar`", ""),
            (
                "diff oci:good rootfs.tar",
                "cannot open `rootfs.tar`: there is no directory and no file of this name",
                "give an image, or a root filesystem as a directory",
            ),
            (
                "inspect oci:no/where:v1",
                "cannot open the image `oci:no/where:v1`: there is no directory `no/where`",
                "",
            ),
            ("inspect 'dir:a b;c'", "image `dir:a b;c`", "`skopeo copy 'dir:a b;c' 'oci:a b;c.oci:latest'`"),
        ],
    );
}

/// Wherever a name is given: a location, or a digest, would be taken literally.
#[test]
fn a_name_that_is_something_else() {
    let scratch = Scratch::new();
    images(&scratch);
    let digest = format!("sha256:{}", "a".repeat(64));
    let build = "build rootfs oci:new:v1 --owner 0:0 --arch amd64";
    for (name, hint) in
        [("oci:new:v2", "write `v2`"), (&*digest, "choose another name"), ("sha256:abc", "another name")]
    {
        let told = format!("name `{name}`: a name");
        for words in [
            format!("{build} --tag {name}"),
            format!("{build} --additional-tag {name}"),
            format!("convert oci:good:v1 oci:new:v1 --additional-tag {name}"),
            format!("convert oci:good docker-archive:new.tar:app:v1 --additional-tag {name}"),
            format!("index oci:good:v1 oci:new:v1 --additional-tag {name}"),
            format!("tag oci:good:v1 {name} v3"),
        ] {
            refused(&scratch, &[(&words, &told, hint)]);
        }
    }
    let _ = typed(&scratch, &["tag", "oci:good:v1", "amd64:v2", "sha256:v2"]).stdout();
}

#[test]
fn a_word_of_a_closed_list_that_is_misspelt() {
    let scratch = Scratch::new();
    images(&scratch);
    let build = "build rootfs oci:new --owner 0:0 --arch amd64";
    let cases = [
        ("help biuld", "there is no command `biuld`", "did you mean `build`"),
        ("config oci:good:v1 --clear labels", "--clear: `labels` is not accepted", "did you mean `label`"),
        ("inspect oci:good:v1 --platform arm65", "--platform: platform `arm65`", "did you mean `linux/arm64`"),
        ("inspect oci:good:v1 --platform arm32v7", "--platform: platform `arm32v7`", "did you mean `linux/arm/v7`"),
        ("convert oci:good:v1 oci:new --compression zsdt", "--compression: `zsdt`", "did you mean `zstd`"),
        ("flatten oci:good:v1", "there is no command `flatten`", "`ocibake squash oci:good:v1 oci:DIR:NEW`"),
        ("label oci:good:v1 a=b", "there is no command `label`", "`ocibake config oci:good:v1 --label 'a=b'`"),
        ("layers oci:good:v1", "there is no command `layers`", "`ocibake inspect oci:good:v1`"),
        ("build rootfs oci:new --arch AMD64", "--arch: `AMD64` is not accepted", "did you mean `amd64`"),
        (
            "build rootfs oci:new --arch arm64v8",
            "--arch: `arm64v8`",
            "write `arm64`, and set `v8` with OCI_IMAGE_SUBARCH",
        ),
        (
            "build rootfs oci:new --arch arm32v7",
            "--arch: `arm32v7`",
            "write `arm`, and set `v7` with OCI_IMAGE_SUBARCH",
        ),
        ("build rootfs oci:new --arch arm --variant 7", "--variant: `7` is not accepted", "did you mean `v7`"),
        ("build rootfs oci:new --platform arm65", "there is no flag `--platform`", "did you mean `--arch arm64`"),
    ];
    refused(&scratch, &cases);
    for (flags, error, hint) in [
        ("--check user-mising:warn", "--check: `user-mising:warn` is not accepted", "did you mean `user-missing`"),
        ("--layers pakages", "--layers: `pakages` is not accepted: `packages[:MAX]`", "did you mean `packages`"),
        ("--base-mode mrege", "--base-mode: `mrege` is not accepted", "did you mean `merge`"),
        ("--stop-signal SIGTREM", "--stop-signal: `SIGTREM` is not accepted", "did you mean `SIGTERM`"),
        ("--exclude-preset devel", "--exclude-preset: `devel` is not accepted", "did you mean `development`"),
        ("--os linus", "--os: `linus` is not accepted", "did you mean `linux`"),
        ("--cmd sh -c foo", "there is no flag `-c`", "put the whole command in quotes: --cmd 'sh -c foo'"),
        ("--created 20240101", "--created: `20240101` is not accepted", "write `2024-01-01T00:00:00Z`"),
        ("--created 2024-01-01", "--created: `2024-01-01` is not accepted", "write `2024-01-01T00:00:00Z`"),
        ("--created '2024-01-01 12:30:00'", "--created: `2024-01-01 12:30:00`", "write `2024-01-01T12:30:00Z`"),
    ] {
        refused(&scratch, &[(&format!("{build} {flags}"), error, hint)]);
    }
    refused(
        &scratch,
        &[
            (
                "config oci:good:v1 --compression zstd",
                "there is no flag `--compression`",
                "`ocibake convert` compresses",
            ),
            ("config oci:good:v1 --entrypoint /bin/sh -x", "there is no flag `-x`", "--entrypoint '/bin/sh -x'"),
            (
                "inspect oci:good@sha256:ca4e",
                "image `oci:good@sha256:ca4e`: `sha256:` or",
                "`ocibake ls` shows the digests",
            ),
            ("inspect good@sha256:ca4e", "image `good@sha256:ca4e`: `sha256:` or", "first 12 digits"),
        ],
    );
    // A file that cannot be read is no misspelt word.
    let said = typed(&scratch, &["plan", "rootfs", "--layers", "@nope"]).error();
    assert_eq!(
        said,
        "--layers: `@nope` is not accepted: cannot read the plan `nope`: No such file or directory\nhint: "
    );
    let history = "config oci:good:v1 --history-created 20240101";
    refused(&scratch, &[(history, "--history-created: `20240101`", "write `2024-01-01T00:00:00Z`")]);
    // For programs, seconds are seconds.
    let tool = Tool::new("build").args(["rootfs", "oci:new", "--arch", "amd64", "--owner", "0:0", "--json"]);
    let report = tool.env("SOURCE_DATE_EPOCH", "20240101").within(scratch.path()).run().json();
    assert_eq!(report["created"], "1970-08-23T06:15:01Z");
}

/// A blank in the place of the colon.
#[test]
fn a_transport_alone_is_no_location() {
    let scratch = Scratch::new();
    images(&scratch);
    let alone = |role: &str, word: &str| format!("{role} `{word}`: a transport alone");
    let [target, image] = ["target", "image"].map(|role| alone(role, "oci"));
    let build = "build rootfs oci out --arch amd64 --owner 0:0";
    refused(
        &scratch,
        &[
            (build, &target, "write `oci:out`; a directory of this name is `./oci`"),
            (&format!("{build} --dry-run"), &target, "write `oci:out`"),
            ("convert oci:good:v1 oci out:v2", &target, "write `oci:out:v2`"),
            ("squash oci:good:v1 oci 'a b'", &target, "write `'oci:a b'`"),
            ("convert oci:good:v1 oci oci:new", &target, "write `oci:DIR`"),
            ("convert oci:good:v1 oci", &target, "write `oci:DIR`"),
            ("convert oci:good:v1 oci --tag v2", &target, "write `oci:DIR`"),
            ("convert oci:good:v1 oci-archive x.tar", &alone("target", "oci-archive"), "write `oci-archive:x.tar`"),
            ("convert oci:good:v1 docker-archive", &alone("target", "docker-archive"), "write `docker-archive:FILE`"),
            ("convert oci good new", &image, "write `oci:good`"),
            ("inspect oci good", &image, "write `oci:good`"),
            ("ls oci", &image, "write `oci:DIR`"),
            ("gc oci good", &image, "write `oci:good`"),
            ("cat oci good:v1 /etc/motd", &image, "write `oci:good:v1`"),
            ("index oci:good:v1 oci other new", &image, "write `oci:other`"),
            ("convert oci:good:v1 docker app:v2", &alone("target", "docker"), "`skopeo copy "),
            ("inspect containers-storage", &alone("image", "containers-storage"), "`skopeo copy containers-storage:"),
        ],
    );
    // What is there is meant.
    for name in ["oci", "docker"] {
        fs::create_dir(scratch.join(name)).unwrap();
        let _ = typed(&scratch, &["convert", "oci:good:v1", name]).stdout();
        assert!(typed(&scratch, &["ls", name]).stdout().contains("v1"), "{name}");
    }
}

/// A second word after a flag is a target, and said to be one.
#[test]
fn a_word_too_many_after_a_flag_does_not_become_a_layout_in_silence() {
    let scratch = Scratch::new();
    images(&scratch);
    let base = format!("build --overlay-upper {} --base oci:good:v1", "rootfs");
    let mut number = 0;
    let mut said = |line: &str| {
        number += 1;
        let words = shell_words::split(&line.replace("NEW", &format!("oci:new{number}"))).unwrap();
        let outcome = typed(&scratch, &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(outcome.code(), 0, "{line}: {}", outcome.stderr());
        (outcome.stderr().to_owned(), outcome.printed().clone())
    };
    let build = "build rootfs NEW --owner 0:0 --arch amd64";
    let warning = |word: &str| {
        format!(
            "ocibake: warning: target `{word}` is a new layout, as it stands where targets do, and a flag takes one \
             word; if it is meant, write `oci:{word}`\n"
        )
    };
    let out = scratch.join("data").display().to_string();
    for (line, word) in [
        (format!("{build} -v {out}"), out.as_str()),
        (format!("{build} --exclude /home x"), "x"),
        (format!("{build} --label a=b c=d"), "c=d"),
        (format!("{build} --cmd /bin/sh hello"), "hello"),
        (format!("{build} --stats json"), "json"),
        (format!("{build} --dry-run --label a=b dry"), "dry"),
        ("build rootfs --label a=b e=f NEW --owner 0:0 --arch amd64".to_owned(), "e=f"),
        (format!("{base} NEW --port 80 81"), "81"),
        ("convert oci:good:v1 NEW --additional-tag v1 v2".to_owned(), "v2"),
        ("squash oci:good:v1 NEW --tag v1 v3:x".to_owned(), "v3:x"),
        ("convert oci:good:v1 one two.tar three".to_owned(), "three"),
    ] {
        let (told, _) = said(&line);
        assert!(told.contains(&warning(word)), "{line}: {told}");
        assert_eq!(told.matches("is a new layout").count(), 1, "{line}: {told}");
    }
    // Meant, there already, or of another kind; and warnings go where they all go.
    for line in [
        "convert oci:good:v1 NEW oci:purpose".to_owned(),
        "convert oci:good:v1 NEW one".to_owned(),
        "convert oci:good:v1 NEW four.tar".to_owned(),
        "convert oci:good:v1 five five.tar".to_owned(),
        "convert oci:good:v1 six".to_owned(),
        format!("{build} seven -q"),
    ] {
        assert_eq!(said(&line).0, "", "{line}");
    }
    for (line, word) in [
        ("convert oci:good:v1 NEW eight --json", "eight"),
        ("squash oci:good:v1 NEW nine --json -q", "nine"),
        ("build rootfs NEW --owner 0:0 --arch amd64 ten --json", "ten"),
        ("build rootfs NEW --owner 0:0 --arch amd64 eleven --json --dry-run", "eleven"),
    ] {
        let report: serde_json::Value = serde_json::from_str(&said(line).1).unwrap();
        let told = format!("target `{word}` is a new layout");
        let listed = report["warnings"].as_array().unwrap().iter().filter(|one| one.as_str().unwrap().contains(&told));
        assert_eq!(listed.count(), 1, "{line}: {report}");
    }
}

#[test]
fn what_is_changed_in_place_is_in_no_registry() {
    let scratch = Scratch::new();
    images(&scratch);
    let error = "cannot open the image `nothere`: there is no directory and no file of this name\nhint: ";
    fs::write(scratch.join("file.json"), "{}").unwrap();
    for line in
        ["gc nothere", "rm nothere", "tag nothere v2", "config nothere --user 1", "attach nothere file.json --type a/b"]
    {
        let said = typed(&scratch, &line.split(' ').collect::<Vec<_>>()).error();
        assert!(said.starts_with(error) && !said.contains("skopeo"), "{line}: {said}");
    }
    let side = "cannot open `nothere`: there is no directory and no file of this name";
    let sides = "give an image, or a root filesystem as a directory";
    let debian = "cannot open the image `debian:12`: there is no directory";
    refused(
        &scratch,
        &[
            ("diff rootfs nothere", side, sides),
            ("diff nothere oci:good:v1", side, sides),
            ("diff oci:good:v1 debian:12", debian, "`skopeo copy docker://debian:12 "),
            ("tag debian:12 v2", debian, ""),
        ],
    );
    let mut tar = std::process::Command::new("tar");
    assert!(tar.args(["-cf", "rootfs.tar", "rootfs"]).current_dir(scratch.path()).status().unwrap().success());
    let unpacked = "`ocibake build` makes an image of it; `ocibake diff` also takes it unpacked, as a directory";
    refused(&scratch, &[("diff oci:good:v1 rootfs.tar", "oci-archive:rootfs.tar: no image layout", unpacked)]);
}

#[test]
fn a_limit_without_its_quotes_or_misspelt() {
    let scratch = Scratch::new();
    images(&scratch);
    let quotes = "quote it, as in `'size>5%'`: a shell takes `>` away";
    refused(
        &scratch,
        &[
            ("report oci:good:v1 --fail-if size", "--fail-if: limit `size`: `METRIC>AMOUNT` expected", quotes),
            ("report oci:good:v1 --fail-if 'siz>1MB'", "--fail-if: limit `siz>1MB`", "did you mean `size`"),
            ("report oci:good:v1 --fail-if updaet", "--fail-if: limit `updaet`", "did you mean `update`"),
            ("report oci:good:v1 --fail-if 'x>1'", "--fail-if: `x>1` is not accepted: `METRIC>AMOUNT` expected", ""),
            ("config oci:good:v1 --arch linux/arm64", "--arch: `linux/arm64` is not accepted", "write `arm64`"),
            ("config oci:good:v1 --arch amd46", "--arch: `amd46` is not accepted", "did you mean `amd64`"),
        ],
    );
}

/// What only root can read in a rootfs, be it a directory or a file.
#[test]
fn a_rootfs_that_only_root_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    scratch.small_rootfs();
    if !root() {
        return;
    }
    fs::set_permissions(scratch.join("rootfs/root"), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, is_directory) in [("home", true), ("etc/shadow", false)] {
        let path = scratch.join("rootfs").join(name);
        if is_directory {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, "secret").unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(if is_directory { 0o700 } else { 0o600 })).unwrap();
        let out = Scratch::in_memory();
        fs::set_permissions(out.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let target = format!("oci:{}", out.join("out").display());
        let tool = Tool::new("build").args(["rootfs", &target, "--arch", "amd64", "--owner", "0:0"]);
        let said = tool.behind(unprivileged_words()).within(scratch.path()).run().error();
        let (error, hint) = said.split_once("\nhint: ").unwrap();
        assert_eq!(error, format!("cannot open `rootfs/{name}`: Permission denied"));
        assert!(hint.contains("run as root, or let root pack it"), "{said}");
        assert!(hint.contains("`tar --numeric-owner --xattrs -C rootfs -cf rootfs.tar .`"), "{said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// What engines have beside their verbs and flags, in their order.
#[test]
fn words_of_other_tools_get_the_command_that_does_the_job() {
    let scratch = Scratch::new();
    images(&scratch);
    let save = "`ocibake convert oci:good:v1 docker-archive:x.tar:NAME:TAG`";
    let export = "`ocibake unpack oci:good:v1 DIR`, and then `tar --numeric-owner -C DIR -cf x.tar .` packs it";
    let build = "build rootfs oci:new --owner 0:0 --arch amd64";
    refused(
        &scratch,
        &[
            ("save -o x.tar oci:good:v1", "there is no command `save`", save),
            ("save oci:good:v1 -o x.tar", "there is no command `save`", save),
            ("save --output=x.tar oci:good:v1", "there is no command `save`", save),
            ("export oci:good:v1 -o x.tar", "there is no command `export`", export),
            ("export -o x.tar oci:good:v1", "there is no command `export`", export),
            ("manifest inspect oci:good:v1", "there is no command `manifest`", "`ocibake inspect oci:good:v1`"),
            ("scan oci:good:v1", "there is no command `scan`", "`ocibake verify oci:good:v1`"),
            ("completions sh", "SHELL: `sh` is not accepted", "did you mean `bash`"),
            ("convert oci:good:v1 --to docker", "there is no flag `--to`", "`docker-archive:FILE:NAME:TAG`"),
            (&format!("{build} --push"), "there is no flag `--push`", "`skopeo copy oci:DIR:REF docker://"),
            (&format!("{build} --no-cache"), "there is no flag `--no-cache`", "nothing is cached without --cache"),
        ],
    );
    // What is said works.
    let _ = typed(&scratch, &["convert", "oci:good:v1", "docker-archive:x.tar:name:tag"]).stdout();
    let _ = typed(&scratch, &["unpack", "oci:good:v1", "DIR", "--rootless"]).stdout();
    assert!(scratch.join("DIR/etc").is_dir());
}

#[test]
fn a_place_that_is_of_another_kind() {
    let scratch = Scratch::new();
    images(&scratch);
    let mut tar = std::process::Command::new("tar");
    assert!(tar.args(["-cf", "rootfs.tar", "rootfs"]).current_dir(scratch.path()).status().unwrap().success());
    let build = "`ocibake build` makes an image of it";
    refused(
        &scratch,
        &[
            ("verify rootfs", "oci:rootfs: no image layout: `oci-layout` and `index.json` are missing", build),
            ("ls oci:rootfs", "oci:rootfs: no image layout", build),
            ("verify rootfs.tar", "oci-archive:rootfs.tar: no image layout", build),
            ("report oci:good:v1 page.html", "`page.html`: an older image is wanted here", "`-o page.html`"),
            ("report oci:good:v1 page.md", "`page.md`: an older image is wanted here", "`-o page.md`"),
            ("report oci:good:v1 -o rootfs", "cannot create `rootfs`: it is a directory", "`rootfs/report.html`"),
            ("cat oci:good:v1 /etc/hostname -o .", "cannot create `.`: it is a directory", "`./hostname`"),
            ("cat oci:good:v1 /etc/hostname -o no/x", "cannot create `no/x`: No such file", ""),
            ("unpack oci:good:v1 new.tar", "`new.tar`: a new or empty directory is wanted", "is `new.tar/`"),
            ("unpack oci:good:v1 new.tar.gz", "`new.tar.gz`: a new or empty directory is wanted", "`ocibake convert`"),
        ],
    );
    for name in ["new.tar/", "made.tar"] {
        if name == "made.tar" {
            fs::create_dir(scratch.join(name)).unwrap();
        }
        let _ = typed(&scratch, &["unpack", "oci:good:v1", name, "--rootless"]).stdout();
        assert!(scratch.join(name).join("etc").is_dir(), "{name}");
    }
}

#[test]
fn one_target_in_two_spellings() {
    let scratch = Scratch::new();
    images(&scratch);
    std::os::unix::fs::symlink("good", scratch.join("link")).unwrap();
    let more = "give one target several names with --additional-tag";
    refused(
        &scratch,
        &[
            ("convert oci:good:v1 oci:new:v1 oci:new:v2", "target `new` is given twice", more),
            ("convert oci:good:v1 oci:new oci:new", "target `new` is given twice", "several names with --tag"),
            (
                "convert oci:good:v1 oci:new:v1 oci:./new:v1",
                "target `new` is given twice, the second time as `./new`",
                more,
            ),
            (
                "squash oci:good:v1 oci:good:f oci:link:f",
                "target `good` is given twice, the second time as `link`",
                more,
            ),
            ("squash oci:good:v1 new.tar:f rootfs/../new.tar:g", "target `new.tar` is given twice", more),
            (
                "convert oci:good:v1 docker-archive:-:app:v1 oci-archive:-",
                "`docker-archive:-:app:v1` and `oci-archive:-` cannot both go to stdout",
                "write one of them to a file",
            ),
        ],
    );
    // Two places, and two names in one layout.
    let _ = typed(&scratch, &["convert", "oci:good:v1", "oci:new:v1", "oci:rootfs/new:v1", "oci:./new:v2"]).stdout();
    assert_eq!(typed(&scratch, &["ls", "oci:new"]).stdout().lines().count(), 2);
}

#[test]
fn missing_rights_name_the_target_as_it_was_typed() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    images(&scratch);
    fs::set_permissions(scratch.make_directory("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("closed/new.html", scratch.join("link.html")).unwrap();
    for (words, expected) in [
        ("convert oci:good:v1 oci:new:v1", "cannot write in the directory of `oci:new:v1`: Permission denied"),
        ("convert oci:good:v1 new.tar", "cannot write in the directory of `oci-archive:new.tar`: Permission denied"),
        ("convert oci:good:v1 oci:other:v1", "cannot write to the layout of `oci:other:v1`: Permission denied"),
        ("tag oci:good:v1 v2", "cannot write to the layout of `oci:good:v1`: Permission denied"),
        ("rm oci:good:v1", "cannot write to the layout of `oci:good:v1`: Permission denied"),
        ("unpack oci:good:v1 new", "cannot write in the directory of `new`: Permission denied"),
        ("report oci:good:v1 -o new.html", "cannot write in the directory `.`: Permission denied"),
        ("report oci:good:v1 -o closed/new.html", "cannot write in the directory `closed`: Permission denied"),
        ("report oci:good:v1 -o link.html", "cannot write in the directory `closed`: Permission denied"),
        ("cat oci:good:v1 /etc/hostname -o closed/new", "cannot write in the directory `closed`: Permission denied"),
        (
            "convert oci:good:v1 docker-archive:-:app:v1",
            "cannot stage `docker-archive:-:app:v1` in the current directory: Permission denied\nhint: the archive is sent",
        ),
        ("convert oci:good:v1 oci-archive:-", "cannot stage `oci-archive:-` in the current directory: Permission denied"),
    ] {
        let mut words = words.split(' ');
        let tool = Tool::new(words.next().unwrap()).args(words).behind(unprivileged_words()).within(scratch.path());
        let said = tool.run().error();
        assert!(said.starts_with(expected), "{expected}: {said}");
    }
}

/// Nothing that was typed drives the terminal, on either stream.
#[test]
fn what_would_drive_a_terminal_is_escaped() {
    let scratch = Scratch::new();
    images(&scratch);
    let odd = "a\u{1b}[31m\nb";
    let shown = r"a\u{1b}[31m\nb";
    fs::rename(scratch.join("other"), scratch.join("odd\u{1b}[31m")).unwrap();
    let layout = "oci:odd\u{1b}[31m";
    for words in [
        &["inspect", &format!("oci:{odd}")][..],
        &[odd],
        &["build", odd, "oci:new", "--arch", "amd64"],
        &["build", "rootfs", "oci:new", "--arch", "amd64", "--vars", odd],
        &["build", "rootfs", &format!("oci:no/{odd}"), "--arch", "amd64"],
        &["cat", "oci:good:v1", odd],
        &["cat", "oci:good:v1", "/etc/hostname", "-o", &format!("no/{odd}")],
        &["unpack", "oci:good:v1", &format!("no/{odd}")],
        &["tag", "oci:good:v1", odd],
        &["attach", "oci:good:v1", odd],
        &["report", "oci:good:v1", odd],
        &["verify", odd],
        &["cache", odd],
        &["inspect", "oci:good:v1", odd],
        &["config", "oci:good:v1", "--clear", odd],
    ] {
        let outcome = typed(&scratch, words);
        assert_eq!(outcome.code(), 2, "{}", outcome.stderr());
        assert!(outcome.stderr().contains(shown), "{words:?}: {}", outcome.stderr());
        let lines = outcome.stderr().lines().count();
        assert!(lines <= 2 && !outcome.stderr().contains('\u{1b}'), "{words:?}: {}", outcome.stderr());
    }
    for words in [
        &["inspect", layout][..],
        &["ls", layout],
        &["verify", layout],
        &["gc", layout],
        &["gc", layout, "-v"],
        &["tag", layout, "v2"],
        &["build", "rootfs", layout, "--arch", "amd64", "--owner", "0:0", "-v", "--cache", layout],
        &["report", layout],
        &["diff", layout, "oci:good:v1", "--summary"],
    ] {
        let outcome = typed(&scratch, words);
        let said = format!("{}{}", outcome.stderr(), outcome.printed());
        assert!(!said.contains('\u{1b}'), "{words:?}: {said:?}");
    }
}

/// Whether its name says it or not, a docker archive is read and not edited.
#[test]
fn a_docker_archive_without_its_transport() {
    let scratch = Scratch::new();
    images(&scratch);
    let _ = typed(&scratch, &["convert", "oci:good:v1", "docker-archive:d.tar:app:v1"]).stdout();
    fs::write(scratch.join("bill.json"), "{}").unwrap();
    for verb in ["tag d.tar v2", "rm d.tar", "gc d.tar", "config d.tar --user 1", "attach d.tar bill.json --type a/b"] {
        let hint = "make a layout of it with `ocibake convert`, from `docker-archive:d.tar` to `oci:DIR`";
        refused(&scratch, &[(verb, "image `oci-archive:d.tar`: docker archives are read, not edited", hint)]);
    }
}

#[test]
fn an_archive_that_is_cut_off_says_where() {
    let scratch = Scratch::new();
    images(&scratch);
    let _ = typed(&scratch, &["convert", "oci:good:v1", "whole.tar"]).stdout();
    // In the middle of the content of the first blob.
    let whole = fs::read(scratch.join("whole.tar")).unwrap();
    let blob = whole.windows(14).enumerate().filter(|(at, bytes)| at % 512 == 0 && bytes.starts_with(b"blobs/sha256/"));
    let (at, name) = blob.map(|(at, _)| (at, &whole[at..at + 77])).find(|(_, name)| name[13] != 0).unwrap();
    fs::write(scratch.join("cut.tar"), &whole[..at + 513]).unwrap();
    let within = format!("the archive ends in the middle of `{}`", String::from_utf8_lossy(name));
    let listed = typed(&scratch, &["ls", "cut.tar"]);
    assert!(listed.stderr().contains(&within), "{}", listed.stderr());
    let said = typed(&scratch, &["unpack", "cut.tar", "to", "--rootless"]).error();
    assert!(said.contains("is missing: ") && said.contains(&within), "{said}");
    assert_eq!(typed(&scratch, &["ls", "whole.tar"]).stderr(), "");
}

#[test]
fn an_attached_file_goes_by_its_title() {
    let scratch = Scratch::new();
    images(&scratch);
    for name in ["one.json", "two.json"] {
        fs::write(scratch.join(name), name).unwrap();
        let _ = typed(&scratch, &["attach", "oci:good:v1", name, "--type", "application/json"]).stdout();
    }
    assert_eq!(typed(&scratch, &["inspect", "oci:good:v1", "--attached", "two.json"]).stdout(), "two.json");
    let error = "image `oci:good:v1`: one file that is attached as `application/json` is wanted, found 2";
    refused(&scratch, &[("inspect oci:good:v1 --attached application/json", error, "(`one.json`), ")]);
}

/// Tags that come from the source get the repository in archives, as given ones do.
#[test]
fn a_repository_for_the_tags_of_the_source() {
    let scratch = Scratch::new();
    images(&scratch);
    let said = |line: &str| {
        let outcome = typed(&scratch, &line.split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.code(), 0, "{line}: {}", outcome.stderr());
        outcome.stderr().to_owned()
    };
    let names = |place: &str| {
        let mut tar = std::process::Command::new("tar");
        let found = tar.args(["-xOf", place, "index.json"]).current_dir(scratch.path()).output().unwrap();
        let index: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
        let name =
            |entry: &serde_json::Value| entry["annotations"]["io.containerd.image.name"].as_str().map(str::to_owned);
        index["manifests"].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    let foo = |tag: &str| Some(format!("docker.io/team/foo:{tag}"));
    said("tag oci:other:v1 app:v3 v2");
    for (line, file, expected) in [
        ("convert oci:good:v1 a.tar --repository team/foo", "a.tar", vec![foo("v1")]),
        ("convert oci:good docker-archive:b.tar --repository team/foo", "b.tar", vec![foo("v1")]),
        ("convert oci:good:v1 c.tar --repository team/foo --additional-tag v9", "c.tar", vec![foo("v1"), foo("v9")]),
        (
            "convert oci:other d.tar --repository team/foo",
            "d.tar",
            vec![foo("v1"), Some("docker.io/library/app:v3".to_owned()), foo("v2")],
        ),
        // What has a full name keeps it.
        ("convert a.tar e.tar --repository team/foo", "e.tar", vec![foo("v1")]),
    ] {
        let _ = said(line);
        assert_eq!(names(file), expected, "{line}");
    }
    let unused = "the repository `team/bar` is not used";
    for (line, why) in [
        ("convert oci:good:v1 docker-archive:f.tar:v1 --repository team/bar", "the target names the image already"),
        ("convert oci:good:v1 oci-archive:f.tar:x/y:v1 --repository team/bar", "the target names the image already"),
        ("convert oci:good:v1 oci:new:v1 --repository team/bar", "no target is an archive"),
        ("convert a.tar f.tar --repository team/bar", "no image has a mere tag"),
    ] {
        let said = said(line);
        assert!(said.contains(unused) && said.contains(why) && said.lines().count() == 1, "{line}: {said}");
    }
    let lost = said("convert oci:good:v1 docker-archive:g.tar");
    assert!(lost.contains("`v1` is no name that Docker knows: the image has none in `docker-archive:g.tar`"), "{lost}");
    assert!(lost.contains("write `docker-archive:g.tar:NAME:v1`, or give a repository for its tag"), "{lost}");
    // Two images would have one name.
    said("tag oci:good:v1 team/foo:v2");
    said("convert oci:other:v2 oci:good");
    let two = [("convert oci:good h.tar --repository team/foo", "image `oci:good`: one image of the name", "name one")];
    refused(&scratch, &two);
}

#[test]
fn a_target_that_is_another_file_is_not_replaced() {
    let scratch = Scratch::new();
    images(&scratch);
    let sh = |script: &str| {
        let mut shell = std::process::Command::new("sh");
        assert!(shell.args(["-ec", script]).current_dir(scratch.path()).status().unwrap().success(), "{script}");
    };
    // Names like those in images make none.
    sh("mkdir web && echo '{\"name\":\"shop\"}' > web/manifest.json && tar -cf web.tar -C web manifest.json");
    sh("mkdir -p hex/$(printf %064d 7) hex/blobs/a && echo '[]' > hex/index.json && tar -cf hex.tar -C hex .");
    sh("tar -cf rfs.tar -C rootfs . && gzip -k rfs.tar && echo notes > notes.txt && head -c 20000 /dev/zero > disk.tar");
    fs::create_dir(scratch.join("upper")).unwrap();
    let wanted =
        |target: &str| format!("target `{target}`: an image archive or a new file is wanted, found another file");
    let first = "remove it first, or choose another name";
    for (line, target) in [
        ("convert oci:good:v1 rfs.tar", "oci-archive:rfs.tar"),
        ("convert oci:good:v1 oci:new rfs.tar.gz", "oci-archive:rfs.tar.gz"),
        ("convert oci:good:v1 docker-archive:rfs.tar:app:v1", "docker-archive:rfs.tar:app:v1"),
        ("convert oci:good:v1 oci-archive:notes.txt", "oci-archive:notes.txt"),
        ("convert oci:good:v1 disk.tar", "oci-archive:disk.tar"),
        ("convert oci:good:v1 web.tar", "oci-archive:web.tar"),
        ("convert oci:good:v1 hex.tar", "oci-archive:hex.tar"),
        ("squash oci:good:v1 rfs.tar", "oci-archive:rfs.tar"),
        ("index oci:good:v1 oci:other:v1 docker-archive:notes.txt", "docker-archive:notes.txt"),
        ("build rootfs rfs.tar --arch amd64 --owner 0:0", "oci-archive:rfs.tar"),
        ("build --overlay-upper upper rfs.tar --base oci:good:v1", "oci-archive:rfs.tar"),
    ] {
        refused(&scratch, &[(line, &wanted(target), first)]);
    }
    // The rootfs in its usual place.
    let out = |first: &str| format!("--overlay-upper stands in place of ROOTFS: leave `{first}` out");
    for rootfs in ["rfs.tar", "rfs.tar.gz", "rootfs"] {
        for more in ["", " --dry-run"] {
            let line = format!("build {rootfs} --overlay-upper upper oci:new:v2 --base oci:good:v1{more}");
            refused(&scratch, &[(&line, &format!("`{rootfs}` is no target"), &out(rootfs))]);
        }
    }
    // What is an image, damaged or not, is replaced; so is a file that is empty.
    sh(": > empty.tar");
    for target in ["empty.tar", "empty.tar", "docker-archive:empty.tar:app:v1", "oci-archive:empty.tar"] {
        let _ = typed(&scratch, &["convert", "oci:good:v1", target]).stdout();
    }
    // A docker archive may begin with anything.
    let _ = typed(&scratch, &["convert", "oci:good:v1", "docker-archive:d.tar:app", "--docker-legacy-only"]).stdout();
    sh("mkdir d && tar -xf d.tar -C d && head -c 5000000 /dev/zero > d/0 && tar -cf late.tar -C d 0 $(ls d)");
    let _ = typed(&scratch, &["convert", "oci:good:v1", "docker-archive:late.tar:app"]).stdout();
    sh("head -c 3000 empty.tar > cut.tar && tar -cf other.tar -C good . && gzip -k other.tar");
    for target in ["cut.tar", "other.tar", "docker-archive:other.tar.gz:app:v1"] {
        let _ = typed(&scratch, &["convert", "oci:good:v1", target]).stdout();
    }
}
