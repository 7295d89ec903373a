//! The settings of `build`, in one table.

use super::field_kind::{FieldKind, Fills, HealthcheckNumber};
use super::values;
use crate::spelling::nearest;

/// A setting: the name for Yocto, scripts and variables files, and the equivalent flag.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name in the environment and in a variables file.
    pub name: &'static str,
    /// The flag, with its dashes.
    pub flag: Option<&'static str>,
    /// How a value is parsed.
    pub kind: VariableKind,
    /// A one-line description.
    pub meaning: &'static str,
    /// What it fills in the execution parameters.
    pub(super) fills: Fills,
}

/// How the value of a variable is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableKind {
    /// Taken literally.
    Text,
    /// As the words of one command line, both in the variable and in the flag.
    Command,
    /// As a list: shell words in the variable; the flag is repeated and takes one literal word at a time.
    List,
}

macro_rules! variables {
    ($($constant:ident = $kind:ident $name:literal $flag:expr, $meaning:literal $(=> $fills:expr)?;)*) => {
        $(
            #[doc = concat!("The variable `", $name, "`.")]
            pub const $constant: Variable = Variable {
                name: $name,
                flag: $flag,
                kind: VariableKind::$kind,
                meaning: $meaning,
                fills: first_of!($($fills,)? Fills::Nothing),
            };
        )*

        /// All variables, in the order of the documentation.
        pub const VARIABLES: &[Variable] = &[$($constant),*];
    };
}

macro_rules! first_of {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}

variables! {
    ARCH = Text "OCI_IMAGE_ARCH" Some("--arch"),
        "GOARCH, or the TARGET_ARCH, `uname -m` or Debian name of one";
    SUBARCH = Text "OCI_IMAGE_SUBARCH" Some("--variant"),
        "`auto` (default), `none`, `exact`, or a variant";
    OS = Text "OCI_IMAGE_OS" Some("--os"),
        "GOOS; default `linux`";
    TARGET_ARCH = Text "TARGET_ARCH" Some("--target-arch"),
        "Yocto's architecture, used where OCI_IMAGE_ARCH is unset";
    TUNE_FEATURES = Text "TUNE_FEATURES" Some("--tune-features"),
        "Yocto's words for the CPU: the variant comes from them";
    MACHINEOVERRIDES = Text "MACHINEOVERRIDES" Some("--machine-overrides"),
        "Yocto's overrides, joined by `:`; asked before TUNE_FEATURES";
    SDK_TARGET_ARCH = Text "OECORE_TARGET_ARCH" None,
        "an SDK's architecture, used where neither of the two is set";
    SDK_TUNE_CCARGS = Text "OECORE_TUNE_CCARGS" None,
        "an SDK's options for the CPU: `-march=`, `-mcpu=`";
    AUTHOR = Text "OCI_IMAGE_AUTHOR" Some("--author"),
        "who made it: a name, or with the flag `Name <email>`";
    AUTHOR_EMAIL = Text "OCI_IMAGE_AUTHOR_EMAIL" None,
        "the author's address";
    TAG = List "OCI_IMAGE_TAG" Some("--tag"),
        "ref names, used where a target names none; default `latest`";
    NAME = Text "OCI_IMAGE_NAME" Some("--repository"),
        "archives: the repository of tags without one, as in `team/app`";
    ENTRYPOINT = Command "OCI_IMAGE_ENTRYPOINT" Some("--entrypoint"),
        "the command's beginning, shell words or a list in JSON"
        => Fills::Field("Entrypoint", FieldKind::Words(|config| &mut config.entrypoint));
    CMD = Command "OCI_IMAGE_CMD" Some("--cmd"),
        "the command's arguments, or the command, as --entrypoint takes it"
        => Fills::Field("Cmd", FieldKind::Words(|config| &mut config.cmd));
    ENTRYPOINT_ARGS = Command "OCI_IMAGE_ENTRYPOINT_ARGS" None,
        "the older name of OCI_IMAGE_CMD"
        => Fills::SameAs("OCI_IMAGE_CMD");
    WORKINGDIR = Text "OCI_IMAGE_WORKINGDIR" Some("--working-dir"),
        "where the command starts, an absolute path"
        => Fills::Field("WorkingDir", FieldKind::Text(&values::ABSOLUTE_PATH, |config| &mut config.working_dir));
    RUNTIME_UID = Text "OCI_IMAGE_RUNTIME_UID" Some("--user"),
        "who runs it: `user`, `uid`, `user:group`, `uid:gid` …"
        => Fills::Field("User", FieldKind::Text(&values::USER, |config| &mut config.user));
    STOPSIGNAL = Text "OCI_IMAGE_STOPSIGNAL" Some("--stop-signal"),
        "the signal that ends it: `SIGTERM`, `SIGRTMIN+3`, `9`"
        => Fills::Field("StopSignal", FieldKind::Text(&values::SIGNAL, |config| &mut config.stop_signal));
    PORTS = List "OCI_IMAGE_PORTS" Some("--port"),
        "ports it listens on: `PORT[/tcp|udp|sctp]`"
        => Fills::Field("ExposedPorts", FieldKind::Set(&values::PORT, &values::PORT, |config| &mut config.exposed_ports));
    VOLUMES = List "OCI_IMAGE_VOLUMES" Some("--volume"),
        "directories that outlive it, absolute paths"
        => Fills::Field("Volumes", FieldKind::Set(&values::NEW_VOLUME, &values::ANY_VOLUME, |config| &mut config.volumes));
    LABELS = List "OCI_IMAGE_LABELS" Some("--label"),
        "labels `key=value`; `.x=` means `org.opencontainers.image.x=`"
        => Fills::Field("Labels", FieldKind::Map(&values::ANNOTATION, |config| &mut config.labels));
    ENV_VARS = List "OCI_IMAGE_ENV_VARS" Some("--env"),
        "environment `key=value`"
        => Fills::Field("Env", FieldKind::Environment(|config| &mut config.env));
    ANNOTATIONS = List "OCI_IMAGE_ANNOTATIONS" Some("--annotation"),
        "annotations `key=value` of the manifest; `.x=` as in labels";
    HEALTHCHECK = Command "OCI_IMAGE_HEALTHCHECK" Some("--healthcheck"),
        "Docker's health check: a command, `CMD-SHELL 'script'` or `NONE`"
        => Fills::Field("Healthcheck", FieldKind::Healthcheck(|config| &mut config.healthcheck));
    HEALTHCHECK_INTERVAL = Text "OCI_IMAGE_HEALTHCHECK_INTERVAL" Some("--healthcheck-interval"),
        "time between two health checks: `30s`, `1m30s`, `500ms`"
        => Fills::Healthcheck("Interval", HealthcheckNumber::Time, |check| &mut check.interval);
    HEALTHCHECK_TIMEOUT = Text "OCI_IMAGE_HEALTHCHECK_TIMEOUT" Some("--healthcheck-timeout"),
        "time until a health check has failed"
        => Fills::Healthcheck("Timeout", HealthcheckNumber::Time, |check| &mut check.timeout);
    HEALTHCHECK_START_PERIOD = Text "OCI_IMAGE_HEALTHCHECK_START_PERIOD" Some("--healthcheck-start-period"),
        "time in which failed health checks do not count"
        => Fills::Healthcheck("StartPeriod", HealthcheckNumber::Time, |check| &mut check.start_period);
    HEALTHCHECK_START_INTERVAL = Text "OCI_IMAGE_HEALTHCHECK_START_INTERVAL" Some("--healthcheck-start-interval"),
        "time between two health checks within the start period"
        => Fills::Healthcheck("StartInterval", HealthcheckNumber::Time, |check| &mut check.start_interval);
    HEALTHCHECK_RETRIES = Text "OCI_IMAGE_HEALTHCHECK_RETRIES" Some("--healthcheck-retries"),
        "how many failed health checks make it unhealthy"
        => Fills::Healthcheck("Retries", HealthcheckNumber::Count, |check| &mut check.retries);
    MEMORY = Text "OCI_IMAGE_MEMORY" Some("--memory"),
        "Docker's memory limit: bytes, or with `k`, `m`, `g`"
        => Fills::Field("Memory", FieldKind::Number(&values::SIZE, |config| &mut config.memory));
    MEMORY_SWAP = Text "OCI_IMAGE_MEMORY_SWAP" Some("--memory-swap"),
        "Docker's limit of memory and swap; `-1` for none"
        => Fills::Field("MemorySwap", FieldKind::Number(&values::SIZE_OR_UNLIMITED, |config| &mut config.memory_swap));
    CPU_SHARES = Text "OCI_IMAGE_CPU_SHARES" Some("--cpu-shares"),
        "Docker's relative CPU weight, 2 to 262144"
        => Fills::Field("CpuShares", FieldKind::Number(&values::CPU_SHARES, |config| &mut config.cpu_shares));
    CREATED = Text "OCI_IMAGE_CREATED" Some("--created"),
        "when it was made: seconds since 1970, RFC 3339, or `YYYYMMDDhhmmss`";
    COMPRESSION = Text "OCI_IMAGE_COMPRESSION" Some("--compression"),
        "`gzip[:LEVEL]` (default), `zstd[:LEVEL]` or `none`";
    EXCLUDE = List "OCI_IMAGE_EXCLUDE" Some("--exclude"),
        "globs of paths in the image to leave out; `**/*.pyc` in any directory";
    QA = List "OCI_IMAGE_QA" Some("--check"),
        "what is checked, and how it weighs: `NAME:error`, `:warn`, `:skip`";
    LAYERS = List "OCI_IMAGE_LAYERS" Some("--layers"),
        "how it is cut: `packages[:MAX]`, `@FILE`, `NAME=SELECTOR[,…]`";
    CACHE = Text "OCI_IMAGE_CACHE" Some("--cache"),
        "a directory that keeps compressed blocks for the next run";
    BASE_IMAGE = Text "OCI_BASE_IMAGE" Some("--base"),
        "an image to build on: only the difference becomes a layer";
    BASE_IMAGE_MODE = Text "OCI_BASE_IMAGE_MODE" Some("--base-mode"),
        "what only the base has: `exact` (default) removes it, `merge` keeps it";
    SOURCE_DATE_EPOCH = Text "SOURCE_DATE_EPOCH" None,
        "seconds since 1970: no file time is newer; default for `created`";
}

impl Variable {
    /// Whether the setting concerns the execution parameters.
    pub(super) fn fills_config(&self) -> bool {
        !matches!(self.fills, Fills::Nothing)
    }

    /// The older name of this variable, if any.
    pub(super) fn older(&self) -> Option<&'static Variable> {
        VARIABLES.iter().find(|other| matches!(other.fills, Fills::SameAs(name) if name == self.name))
    }

    /// Returns the variable with this name.
    pub fn named(name: &str) -> Option<&'static Variable> {
        VARIABLES.iter().find(|variable| variable.name == name)
    }

    /// Returns the variable closest to a misspelt name, if any is close. Names derived from flags count too:
    /// `OCI_IMAGE_USER` finds `OCI_IMAGE_RUNTIME_UID`.
    pub fn nearest(name: &str) -> Option<&'static Variable> {
        let by_flag: Vec<(&Variable, String)> =
            VARIABLES.iter().filter_map(|variable| Some((variable, variable.name_by_flag()?))).collect();
        let spellings = VARIABLES.iter().map(|variable| variable.name);
        let spellings = spellings.chain(by_flag.iter().map(|(_, name)| name.as_str()));
        let found = nearest(name, spellings)?;
        Variable::named(found).or_else(|| by_flag.iter().find(|(_, name)| name == found).map(|(variable, _)| *variable))
    }

    /// The name derived from the flag: `OCI_IMAGE_USER` for `--user`.
    fn name_by_flag(&self) -> Option<String> {
        let flag = self.flag?.strip_prefix("--")?;
        Some(format!("OCI_IMAGE_{}", flag.replace('-', "_").to_ascii_uppercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (index, variable) in VARIABLES.iter().enumerate() {
            let rest = &VARIABLES[index + 1..];
            assert!(rest.iter().all(|other| other.name != variable.name), "{}", variable.name);
            assert!(
                variable.flag.is_none() || rest.iter().all(|other| other.flag != variable.flag),
                "{}",
                variable.name
            );
            assert!(variable.flag.map_or(true, |flag| flag.starts_with("--")), "{}", variable.name);
            // The meaning is the first line of the flag's help.
            assert!(variable.meaning.chars().count() <= 72, "{}", variable.name);
            assert!(!variable.meaning.ends_with('.'), "{}", variable.name);
            assert_eq!(Variable::named(variable.name).map(|named| named.name), Some(variable.name));
        }
    }

    #[test]
    fn the_nearest_name() {
        for (name, nearest) in [
            ("OCI_IMAGE_LABLES", Some("OCI_IMAGE_LABELS")),
            ("OICI_IMAGE_PORTS", Some("OCI_IMAGE_PORTS")),
            ("OCI_IMAGE_ENV", Some("OCI_IMAGE_ENV_VARS")),
            ("OCI_IMAGE_USER", Some("OCI_IMAGE_RUNTIME_UID")),
            ("OCI_IMAGE_VARIANT", Some("OCI_IMAGE_SUBARCH")),
            ("OCI_IMAGE_TAGS", Some("OCI_IMAGE_TAG")),
            ("OCI_IMAGE_AUTHOR_MAIL", Some("OCI_IMAGE_AUTHOR_EMAIL")),
            ("OCI_IMAGE_WORKDIR", Some("OCI_IMAGE_WORKINGDIR")),
            ("OCI_CLI_CONFIG_FILE", None),
            ("OCI_X", None),
            ("", None),
        ] {
            assert_eq!(Variable::nearest(name).map(|variable| variable.name), nearest, "{name}");
        }
    }
}
