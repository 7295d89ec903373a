//! Resolves variables and flags into one [`BuildSpec`].
//!
//! Every setting comes from a flag, the environment or a variables file, in this order of precedence, under one name
//! ([`variables`]). All settings are checked here, before anything is written. Errors name the flag or variable as the
//! user wrote it, the value, and what is accepted.

mod base_mode;
pub mod changes;
mod checks;
pub(crate) mod field_kind;
pub(crate) mod fields;
mod sources;
pub(crate) mod values;
pub mod variables;
mod vars_file;
mod words;

pub use base_mode::BaseMode;
pub use checks::{Check, CheckLevel, Checks};
pub use fields::ConfigField;
pub use sources::{unknown_names, FlagValue, Settings};
pub(crate) use values::ANNOTATION;
pub use variables::{Variable, VariableKind, VARIABLES};
pub use vars_file::VarsFile;

use std::path::PathBuf;

use crate::compress::Compression;
use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;
use crate::layer::plan::Layering;
use crate::layout::{refuse_location_as_path, DockerName, ImageName, Location};
use crate::oci::{Annotations, ContainerConfig};
use crate::platform::{self, Machine, Platform};
use crate::time::Timestamp;
use sources::GivenBy;

/// Everything that settings say about an image.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BuildSpec {
    /// The platform, or `None` to keep that of the base image.
    pub platform: Option<Platform>,
    /// The image to build on.
    pub base: Option<Location>,
    /// Where that is set, for errors about it: a flag, or a variable and its file.
    pub base_origin: Option<String>,
    /// What happens to files that only the base image has.
    pub base_mode: BaseMode,
    /// The author.
    pub author: Option<String>,
    /// The execution parameters.
    pub config: ContainerConfig,
    /// Fields that are not inherited from the base image's config.
    pub cleared: Vec<ConfigField>,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    /// Names for targets that give none; empty if none were given.
    pub tags: Vec<ImageName>,
    /// The repository of tags without one, in archives.
    pub repository: Option<DockerName>,
    /// The creation time, if given explicitly. It does not affect file times.
    pub created: Option<Timestamp>,
    /// The upper limit of file times; also the creation time unless `created` is given.
    pub source_date_epoch: Option<Timestamp>,
    /// The compression of the layers.
    pub compression: Compression,
    /// Globs of paths to leave out of the image.
    pub exclude: Vec<String>,
    /// The directory of the cache. It does not affect the result.
    pub cache: Option<PathBuf>,
    /// What is checked in the rootfs, and how much it weighs.
    pub checks: Checks,
    /// How the tree is cut into layers, or `None` for one layer without annotations about it.
    pub layers: Option<Layering>,
    /// Warnings about the settings.
    pub warnings: Vec<String>,
}

impl BuildSpec {
    /// Reads and checks all settings.
    pub fn resolve(settings: &Settings) -> Result<Self> {
        let base = base(settings)?;
        let base_is_set = base.is_some();
        let mut tags = settings.list(&variables::TAG, &values::NAME)?;
        let mut seen = std::collections::BTreeSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        Ok(BuildSpec {
            platform: platform(settings, base_is_set)?,
            base,
            base_origin: settings.find(&variables::BASE_IMAGE).map(|setting| setting.origin().to_owned()),
            base_mode: settings.one(&variables::BASE_IMAGE_MODE, &values::BASE_MODE)?.unwrap_or_default(),
            cleared: fields::cleared(settings),
            author: author(settings)?,
            config: fields::read(settings)?,
            annotations: settings.list(&variables::ANNOTATIONS, &values::ANNOTATION)?.into_iter().collect(),
            tags,
            repository: settings.one(&variables::NAME, &values::REPOSITORY)?,
            created: settings.one(&variables::CREATED, &values::TIME)?,
            source_date_epoch: settings.one(&variables::SOURCE_DATE_EPOCH, &values::EPOCH)?,
            compression: settings.one(&variables::COMPRESSION, &values::COMPRESSION)?.unwrap_or_default(),
            cache: cache(settings)?,
            exclude: settings.list(&variables::EXCLUDE, &values::NOT_EMPTY)?,
            checks: Checks::with(settings.list(&variables::QA, &values::CHECK)?.concat()),
            layers: layers(settings)?,
            warnings: without_effect(settings, base_is_set).chain(without_base(settings, base_is_set)).collect(),
        })
    }
}

/// Warnings about platform settings that have no effect, since the platform comes from the base image.
fn without_effect(settings: &Settings, base_is_set: bool) -> impl Iterator<Item = String> + '_ {
    let names_platform = [variables::ARCH, variables::TARGET_ARCH].iter().any(|name| settings.find(name).is_some());
    let given = [variables::SUBARCH, variables::OS].into_iter().filter(move |_| base_is_set && !names_platform);
    let given = given.filter_map(|variable| settings.find(&variable));
    given.map(|setting| format!("{} has no effect: the platform is the base image's", setting.origin))
}

/// Warnings about flags that have no effect without a base image. A build system sets its variables for images with and
/// without one.
fn without_base(settings: &Settings, base_is_set: bool) -> impl Iterator<Item = String> + '_ {
    let mode = settings.find(&variables::BASE_IMAGE_MODE).filter(|mode| !base_is_set && mode.layer == GivenBy::Flag);
    mode.into_iter().map(|setting| format!("{} has no effect: there is no base image", setting.origin))
}

impl BuildSpec {
    /// Reads and checks only those settings that affect the layers of a rootfs.
    pub fn resolve_tree(settings: &Settings) -> Result<Self> {
        Ok(BuildSpec {
            source_date_epoch: settings.one(&variables::SOURCE_DATE_EPOCH, &values::EPOCH)?,
            compression: settings.one(&variables::COMPRESSION, &values::COMPRESSION)?.unwrap_or_default(),
            exclude: settings.list(&variables::EXCLUDE, &values::NOT_EMPTY)?,
            layers: layers(settings)?,
            ..BuildSpec::default()
        })
    }
}

/// The location of the base image.
fn base(settings: &Settings) -> Result<Option<Location>> {
    let Some(setting) = settings.find(&variables::BASE_IMAGE) else { return Ok(None) };
    let text = setting.text()?;
    let location = Location::parse(text.as_ref());
    location.map(Some).map_err(|error| match error.hint() {
        Some(_) => error.about(setting.origin()),
        None => setting.error(text, &error.to_string()),
    })
}

/// The directory of the cache.
fn cache(settings: &Settings) -> Result<Option<PathBuf>> {
    let Some(setting) = settings.find(&variables::CACHE) else { return Ok(None) };
    let path = PathBuf::from(setting.text()?);
    refuse_location_as_path("the directory of a cache", &path).map_err(|error| error.about(setting.origin()))?;
    Ok(Some(path))
}

/// How the tree is cut. No part contains a blank, so one flag can hold several.
fn layers(settings: &Settings) -> Result<Option<Layering>> {
    let Some(setting) = settings.find(&variables::LAYERS) else { return Ok(None) };
    let lists = settings.list(&variables::LAYERS, &values::NOT_EMPTY)?;
    let words: Vec<&str> = lists.iter().flat_map(|list| list.split_whitespace()).collect();
    let layering = Layering::parse(&words).map_err(|reason| setting.error(&words.join(" "), &reason))?;
    Ok(Some(layering))
}

/// The platform from the settings. It is optional if there is a base image.
fn platform(settings: &Settings, has_base: bool) -> Result<Option<Platform>> {
    let text = |variable| settings.find(variable).map_or(Ok(""), |setting| setting.text());
    let of_build = [variables::TARGET_ARCH, variables::TUNE_FEATURES, variables::MACHINEOVERRIDES];
    let is_build = of_build.iter().any(|variable| settings.find(variable).is_some());
    // The environment of an SDK is asked where a build says nothing.
    let (target_arch, tune_features) = if is_build {
        (text(&variables::TARGET_ARCH)?, text(&variables::TUNE_FEATURES)?.to_owned())
    } else {
        (text(&variables::SDK_TARGET_ARCH)?, platform::tune_words(text(&variables::SDK_TUNE_CCARGS)?))
    };
    let machine = Machine {
        architecture: text(&variables::ARCH)?,
        target_arch,
        tune_features: &tune_features,
        machine_overrides: text(&variables::MACHINEOVERRIDES)?,
    };
    let of_sdk = || settings.find(&variables::SDK_TARGET_ARCH).filter(|_| !is_build && !has_base);
    let named = settings.find(&variables::ARCH).or_else(|| settings.find(&variables::TARGET_ARCH)).or_else(of_sdk);
    let Some(named) = named else {
        if has_base {
            return Ok(None);
        }
        return Err(Error::refused_with_hint(
            "the image's architecture is not set",
            Hint::from("set ")
                .setting("OCI_IMAGE_ARCH")
                .text("; for a rootfs that this machine runs, to what `uname -m` prints"),
        )
        .of_kind(ErrorKind::Invalid));
    };
    let name = named.text()?;
    if !platform::is_known_name(name) {
        return Err(unknown_architecture(named.error(name, &platform::accepted_names()), name));
    }
    let policy = settings.one(&variables::SUBARCH, &values::VARIANT)?.unwrap_or_default();
    let os = settings.one(&variables::OS, &values::OS)?.unwrap_or_else(|| "linux".to_owned());
    let platform = machine.platform(&policy).map_err(|error| error.about(named.origin))?;
    Ok(Some(Platform { os, ..platform }))
}

/// The error about an architecture that is not known, with what it may mean.
fn unknown_architecture(error: Error, name: &str) -> Error {
    match platform::meant(name) {
        Some(hint) => error.advising(hint),
        None => error,
    }
}

/// `Name <email>`, or the part that is set. The flag gives the whole text.
fn author(settings: &Settings) -> Result<Option<String>> {
    let name = settings.find(&variables::AUTHOR);
    let email = settings
        .find(&variables::AUTHOR_EMAIL)
        .filter(|email| email.layer == GivenBy::Flag || name.as_ref().map_or(true, |name| name.layer != GivenBy::Flag));
    match (name, email) {
        (Some(name), Some(email)) => {
            let name = name.read(name.text()?, &values::AUTHOR_PART)?;
            let email = email.read(email.text()?, &values::AUTHOR_PART)?;
            Ok(Some(format!("{} <{}>", name.trim(), email.trim())))
        }
        (Some(one), None) | (None, Some(one)) => Ok(Some(one.text()?.to_owned())),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve(text: &str) -> Result<BuildSpec> {
        let file = VarsFile::parse("v", format!("TARGET_ARCH=x86_64 {text}").as_bytes())?;
        BuildSpec::resolve(&Settings::new([], [], Some(file))?)
    }

    fn message(text: &str) -> String {
        resolve(text).unwrap_err().to_string()
    }

    #[test]
    fn an_architecture_is_all_that_must_be_given() {
        let spec = resolve("").unwrap();
        let expected = BuildSpec {
            platform: Some(Platform { architecture: "amd64".into(), os: "linux".into(), ..Platform::default() }),
            base: None,
            base_origin: None,
            author: None,
            config: ContainerConfig::default(),
            base_mode: BaseMode::Exact,
            cleared: Vec::new(),
            annotations: Annotations::new(),
            tags: Vec::new(),
            repository: None,
            created: None,
            source_date_epoch: None,
            compression: Compression::default(),
            cache: None,
            exclude: Vec::new(),
            checks: Checks::default(),
            layers: None,
            warnings: Vec::new(),
        };
        assert_eq!(spec, expected);

        let error = BuildSpec::resolve(&Settings::default()).unwrap_err();
        assert_eq!(error.to_string(), "the image's architecture is not set");
        assert!(error.hint().unwrap().to_string().contains("set OCI_IMAGE_ARCH"));
    }

    #[test]
    fn every_part_of_the_config() {
        for (text, expected) in [
            ("", "{}"),
            ("OCI_IMAGE_RUNTIME_UID=1000:app", r#"{"User":"1000:app"}"#),
            ("OCI_IMAGE_PORTS='80 53/udp 80/tcp'", r#"{"ExposedPorts":{"53/udp":{},"80/tcp":{}}}"#),
            ("OCI_IMAGE_ENV_VARS='B=1 A=x=y B=2 C='", r#"{"Env":["B=2","A=x=y","C="]}"#),
            ("OCI_IMAGE_ENTRYPOINT='/app \"a b\" '\\''$c'\\'''", r#"{"Entrypoint":["/app","a b","$c"]}"#),
            ("OCI_IMAGE_CMD='/bin/sh -l'", r#"{"Cmd":["/bin/sh","-l"]}"#),
            ("OCI_IMAGE_ENTRYPOINT_ARGS=-v", r#"{"Cmd":["-v"]}"#),
            ("OCI_IMAGE_VOLUMES='/b /a'", r#"{"Volumes":{"/a":{},"/b":{}}}"#),
            ("OCI_IMAGE_WORKINGDIR='/a b'", r#"{"WorkingDir":"/a b"}"#),
            (
                "OCI_IMAGE_LABELS=\".version=1 z='say \\\"hi\\\"' a=1 a=2\"",
                r#"{"Labels":{"a":"2","org.opencontainers.image.version":"1","z":"say \"hi\""}}"#,
            ),
            ("OCI_IMAGE_STOPSIGNAL=term", r#"{"StopSignal":"SIGTERM"}"#),
            ("OCI_IMAGE_MEMORY=64m OCI_IMAGE_MEMORY_SWAP=-1", r#"{"Memory":67108864,"MemorySwap":-1}"#),
            ("OCI_IMAGE_CPU_SHARES=512", r#"{"CpuShares":512}"#),
            ("OCI_IMAGE_HEALTHCHECK=NONE", r#"{"Healthcheck":{"Test":["NONE"]}}"#),
            ("OCI_IMAGE_HEALTHCHECK='curl -f x'", r#"{"Healthcheck":{"Test":["CMD","curl","-f","x"]}}"#),
            ("OCI_IMAGE_HEALTHCHECK='CMD curl x'", r#"{"Healthcheck":{"Test":["CMD","curl","x"]}}"#),
            ("OCI_IMAGE_HEALTHCHECK='CMD-SHELL \"a | b\"'", r#"{"Healthcheck":{"Test":["CMD-SHELL","a | b"]}}"#),
            (
                "OCI_IMAGE_HEALTHCHECK_INTERVAL=30s OCI_IMAGE_HEALTHCHECK_TIMEOUT=500ms
                 OCI_IMAGE_HEALTHCHECK_START_PERIOD=1m30s OCI_IMAGE_HEALTHCHECK_RETRIES=3",
                r#"{"Healthcheck":{"Interval":30000000000,"Timeout":500000000,"StartPeriod":90000000000,"Retries":3}}"#,
            ),
        ] {
            let spec = resolve(text).unwrap();
            assert_eq!(serde_json::to_string(&spec.config).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_beside_the_config() {
        let spec = resolve(
            "OCI_IMAGE_ANNOTATIONS='.title=x a.b=c=d' OCI_IMAGE_TAG='b a:1 b' OCI_IMAGE_CREATED=2018-03-09T12:34:56Z
             SOURCE_DATE_EPOCH=1302044400 OCI_IMAGE_COMPRESSION=zstd:19 OCI_IMAGE_EXCLUDE=\"dev/* 'a b'\"",
        )
        .unwrap();
        let annotations: Vec<_> = spec.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(annotations, ["a.b=c=d", "org.opencontainers.image.title=x"]);
        assert_eq!(spec.tags, ["b".parse().unwrap(), "a:1".parse().unwrap()]);
        assert_eq!(spec.created.unwrap().seconds(), 1_520_598_896);
        assert_eq!(spec.source_date_epoch.unwrap().seconds(), 1_302_044_400);
        assert_eq!(spec.compression.to_string(), "zstd:19");
        assert_eq!(spec.exclude, ["dev/*", "a b"]);
    }

    #[test]
    fn authors() {
        let author = |flag: Option<&str>, text: &str| {
            let flags = flag.map(|flag| (variables::AUTHOR, FlagValue::Text(flag.to_owned())));
            let text = format!("OCI_IMAGE_ARCH=arm64 {text}");
            let file = VarsFile::parse("v", text.as_bytes()).unwrap();
            let spec = BuildSpec::resolve(&Settings::new(flags, [], Some(file)).unwrap());
            spec.map_or_else(|error| error.to_string(), |spec| spec.author.unwrap_or_default())
        };
        let accepted = "is not accepted: text without `<` and `>` where both name and address are set";
        for (flag, text, expected) in [
            (None, "", String::new()),
            (None, "OCI_IMAGE_AUTHOR='A B'", "A B".to_owned()),
            (None, "OCI_IMAGE_AUTHOR='A B <a@b>'", "A B <a@b>".to_owned()),
            (None, "OCI_IMAGE_AUTHOR_EMAIL=a@b", "a@b".to_owned()),
            (None, "OCI_IMAGE_AUTHOR='A B' OCI_IMAGE_AUTHOR_EMAIL=a@b", "A B <a@b>".to_owned()),
            (Some("C <c@d>"), "OCI_IMAGE_AUTHOR='A B' OCI_IMAGE_AUTHOR_EMAIL=a@b", "C <c@d>".to_owned()),
            (Some("C <c@d>"), "OCI_IMAGE_AUTHOR_EMAIL=a@b", "C <c@d>".to_owned()),
            (
                None,
                "OCI_IMAGE_AUTHOR='A <c@d>' OCI_IMAGE_AUTHOR_EMAIL=a@b",
                format!("OCI_IMAGE_AUTHOR (v:1): `A <c@d>` {accepted}"),
            ),
            (
                None,
                "OCI_IMAGE_AUTHOR=A OCI_IMAGE_AUTHOR_EMAIL='B <a@b>'",
                format!("OCI_IMAGE_AUTHOR_EMAIL (v:1): `B <a@b>` {accepted}"),
            ),
        ] {
            assert_eq!(author(flag, text), expected, "{flag:?} {text}");
        }
    }

    #[test]
    fn platforms() {
        let platform = |text: &str| {
            let file = VarsFile::parse("v", text.as_bytes()).unwrap();
            let spec = BuildSpec::resolve(&Settings::new([], [], Some(file)).unwrap());
            spec.map_or_else(|error| error.to_string(), |spec| spec.platform.unwrap().to_string())
        };
        for (text, expected) in [
            ("OCI_IMAGE_ARCH=aarch64", "linux/arm64/v8"),
            ("OCI_IMAGE_ARCH=amd64 OCI_IMAGE_OS=freebsd", "freebsd/amd64"),
            ("OCI_IMAGE_ARCH=arm64 OCI_IMAGE_SUBARCH=none", "linux/arm64"),
            ("OCI_IMAGE_ARCH=arm OCI_IMAGE_SUBARCH=v6 MACHINEOVERRIDES=armv7ve", "linux/arm/v6"),
            ("TARGET_ARCH=arm TUNE_FEATURES='arm vfp cortexa15' MACHINEOVERRIDES=armv7ve:qemuarm", "linux/arm/v7"),
            ("TARGET_ARCH=x86_64 TUNE_FEATURES='m64 x86-64-v3' OCI_IMAGE_SUBARCH=exact", "linux/amd64/v3"),
            ("TARGET_ARCH=powerpc OCI_IMAGE_ARCH=ppc", "linux/ppc"),
            ("TARGET_ARCH=powerpc", "TARGET_ARCH (v:1): architecture `powerpc` has no name in OCI"),
            (
                "\nTARGET_ARCH=arm TUNE_FEATURES=cortexm33",
                "TARGET_ARCH (v:2): `cortexm33` is no architecture that Linux containers run on",
            ),
        ] {
            assert_eq!(platform(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_variable_the_value_and_what_is_accepted() {
        for (text, start) in [
            ("OCI_IMAGE_PORTS='80 http'", "OCI_IMAGE_PORTS (v:1): `http` is not accepted: PORT"),
            ("OCI_IMAGE_ENV_VARS=A", "OCI_IMAGE_ENV_VARS (v:1): `A` is not accepted: words `key=value`"),
            ("OCI_IMAGE_LABELS='=x'", "OCI_IMAGE_LABELS (v:1): `=x` is not accepted: words `key=value`"),
            ("OCI_IMAGE_ANNOTATIONS=x", "OCI_IMAGE_ANNOTATIONS (v:1): `x` is not accepted: words `key=value`"),
            (
                "OCI_IMAGE_CMD=\"a 'b\"",
                "OCI_IMAGE_CMD (v:1): `a 'b` is not accepted: shell words with each quote closed",
            ),
            (
                "OCI_IMAGE_VOLUMES=data",
                "OCI_IMAGE_VOLUMES (v:1): `data` is not accepted: absolute paths below `/`, without `..`",
            ),
            ("\nOCI_IMAGE_WORKINGDIR=app", "OCI_IMAGE_WORKINGDIR (v:2): `app` is not accepted: an absolute path"),
            ("OCI_IMAGE_RUNTIME_UID='a b'", "OCI_IMAGE_RUNTIME_UID (v:1): `a b` is not accepted: USER[:GROUP]"),
            ("OCI_IMAGE_STOPSIGNAL=KIL", "OCI_IMAGE_STOPSIGNAL (v:1): `KIL` is not accepted: a signal"),
            ("OCI_IMAGE_TAG='a /b'", "OCI_IMAGE_TAG (v:1): `/b` is not accepted: ref names"),
            ("OCI_IMAGE_CREATED=now", "OCI_IMAGE_CREATED (v:1): `now` is not accepted: seconds"),
            ("SOURCE_DATE_EPOCH=now", "SOURCE_DATE_EPOCH (v:1): `now` is not accepted: whole seconds"),
            ("OCI_IMAGE_COMPRESSION=xz", "OCI_IMAGE_COMPRESSION (v:1): `xz` is not accepted: `none`, `gzip`"),
            ("OCI_IMAGE_EXCLUDE=\"a ''\"", "OCI_IMAGE_EXCLUDE (v:1): `` is not accepted: words"),
            ("OCI_IMAGE_ARCH=armv7m", "OCI_IMAGE_ARCH (v:1): `armv7m` is not accepted: a GOARCH (386, amd64, arm,"),
            (
                "OCI_IMAGE_SUBARCH=8",
                "OCI_IMAGE_SUBARCH (v:1): `8` is not accepted: `auto`, `none`, `exact`, or a variant",
            ),
            ("OCI_IMAGE_OS=Linux", "OCI_IMAGE_OS (v:1): `Linux` is not accepted: a GOOS"),
            ("OCI_IMAGE_HEALTHCHECK='CMD-SHELL a b'", "OCI_IMAGE_HEALTHCHECK (v:1): `CMD-SHELL a b` is not accepted"),
            ("OCI_IMAGE_HEALTHCHECK='NONE x'", "OCI_IMAGE_HEALTHCHECK (v:1): `NONE x` is not accepted"),
            ("OCI_IMAGE_HEALTHCHECK=CMD", "OCI_IMAGE_HEALTHCHECK (v:1): `CMD` is not accepted"),
            ("OCI_IMAGE_HEALTHCHECK_TIMEOUT=5", "OCI_IMAGE_HEALTHCHECK_TIMEOUT (v:1): `5` is not accepted: a time"),
        ] {
            assert!(message(text).starts_with(start), "{}", message(text));
        }
    }

    #[test]
    fn emptiness_on_purpose() {
        let resolve = |flag: Option<FlagValue>, text: &str| {
            let flags = flag.map(|flag| (variables::CMD, flag));
            let file = VarsFile::parse("v", format!("OCI_IMAGE_ARCH=arm64 {text}").as_bytes()).unwrap();
            BuildSpec::resolve(&Settings::new(flags, [], Some(file)).unwrap()).unwrap()
        };
        let empty = || Some(FlagValue::Text(String::new()));
        for (flag, text, cmd, cleared) in [
            (None, "", None, false),
            (None, "OCI_IMAGE_CMD=", None, false),
            (None, "OCI_IMAGE_CMD=\"''\"", None, true),
            (empty(), "OCI_IMAGE_CMD=sh", None, true),
            (None, "OCI_IMAGE_CMD=sh", Some("sh"), false),
        ] {
            let spec = resolve(flag, text);
            assert_eq!(spec.config.cmd.map(|cmd| cmd.join(" ")).as_deref(), cmd, "{text}");
            assert_eq!(spec.cleared.iter().any(|field| field.member == "Cmd"), cleared, "{text}");
        }
    }

    #[test]
    fn a_base_brings_its_platform() {
        let file = VarsFile::parse("v", b"OCI_BASE_IMAGE=oci:base:v1").unwrap();
        let spec = BuildSpec::resolve(&Settings::new([], [], Some(file)).unwrap()).unwrap();
        assert_eq!(spec.platform, None);
        assert_eq!(spec.base.unwrap().to_string(), "oci:base:v1");
    }

    /// A variable that `resolve` does not read would be accepted but have no effect.
    #[test]
    fn every_variable_has_an_effect() {
        let before = BuildSpec::resolve(&arm_board(None)).unwrap();
        for variable in VARIABLES {
            let value = match variable.name {
                "OCI_IMAGE_ARCH" => "riscv64",
                "OCI_IMAGE_OS" => "plan9",
                "OCI_IMAGE_TAG" => "other",
                "TARGET_ARCH" => "aarch64",
                "TUNE_FEATURES" => "armv5",
                "MACHINEOVERRIDES" => "armv6",
                "OCI_IMAGE_LABELS" | "OCI_IMAGE_ANNOTATIONS" | "OCI_IMAGE_ENV_VARS" => "k=v",
                "OCI_IMAGE_VOLUMES" | "OCI_IMAGE_WORKINGDIR" => "/x",
                "OCI_IMAGE_STOPSIGNAL" => "SIGHUP",
                "OCI_BASE_IMAGE_MODE" => "merge",
                "OCI_IMAGE_LAYERS" => "all=*",
                "OCI_IMAGE_QA" => "arch:error",
                "OCI_IMAGE_SUBARCH" | "OCI_IMAGE_COMPRESSION" => "none",
                name if name.starts_with("OCI_IMAGE_HEALTHCHECK_") && !name.ends_with("RETRIES") => "7s",
                _ => "7",
            };
            let after = BuildSpec::resolve(&arm_board(Some((*variable, value)))).unwrap();
            // An SDK has no say where a build says what it is for.
            let has_effect = !variable.name.starts_with("OECORE_");
            assert_eq!(after != before, has_effect, "{}", variable.name);
        }
    }

    /// The settings of an Arm board, with one changed.
    fn arm_board(change: Option<(Variable, &str)>) -> Settings {
        let file = VarsFile::parse("v", b"TARGET_ARCH=arm TUNE_FEATURES=armv7a").unwrap();
        let flags = change.map(|(variable, value)| (variable, FlagValue::Text(value.to_owned())));
        Settings::new(flags, [], Some(file)).unwrap()
    }

    proptest! {
        #[test]
        fn lists_survive_both_quotings(values in prop::collection::vec("[ab#=\\\\'\"$`!~; \t\né]{0,12}", 1..4)) {
            let pairs: Vec<_> = values.iter().enumerate().map(|(index, value)| format!("{index}={value}")).collect();
            let text = format!("OCI_IMAGE_ENV_VARS={}", shell_words::quote(&shell_words::join(&pairs)));
            prop_assert_eq!(resolve(&text).unwrap().config.env, pairs);
        }
    }
}
