//! What to build: variables and flags resolved into one [`BuildSpec`].
//!
//! Every setting comes from a flag, the environment or a variables file, whichever has it first, under one name
//! ([`variables`]). All of them are checked here, before any byte is written, and an error names the flag or variable
//! as the person wrote it, the value, and what is accepted.

mod settings;
mod values;
pub mod variables;
mod vars_file;
mod words;

pub use settings::{FlagValue, Settings};
pub use variables::{Kind, Variable, VARIABLES};
pub use vars_file::VarsFile;

use crate::compress::Compression;
use crate::error::{Error, Result};
use crate::oci::{Annotations, ContainerConfig, Healthcheck, RefName};
use crate::platform::{self, Machine, Platform};
use crate::time::Timestamp;
use settings::Layer;

/// Everything that settings say of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildSpec {
    /// What it runs on.
    pub platform: Platform,
    /// Who made it.
    pub author: Option<String>,
    /// How to run it.
    pub config: ContainerConfig,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    /// Ref names for targets that name none; empty if nobody gave one.
    pub tags: Vec<RefName>,
    /// When it was made, if somebody said so. Does not touch file times.
    pub created: Option<Timestamp>,
    /// The newest that a file's time may be; also when the image was made, unless `created` says otherwise.
    pub source_date_epoch: Option<Timestamp>,
    /// How the layer is compressed.
    pub compression: Compression,
    /// Globs of paths in the image that are left out.
    pub exclude: Vec<String>,
}

impl BuildSpec {
    /// Reads and checks all settings.
    pub fn resolve(settings: &Settings) -> Result<Self> {
        let mut tags = settings.list(&variables::TAG, &values::REF_NAME)?;
        let mut seen = std::collections::BTreeSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        Ok(BuildSpec {
            platform: platform(settings)?,
            author: author(settings)?,
            config: config(settings)?,
            annotations: settings.list(&variables::ANNOTATIONS, &values::ANNOTATION)?.into_iter().collect(),
            tags,
            created: settings.one(&variables::CREATED, &values::TIME)?,
            source_date_epoch: settings.one(&variables::SOURCE_DATE_EPOCH, &values::EPOCH)?,
            compression: settings.one(&variables::COMPRESSION, &values::COMPRESSION)?.unwrap_or_default(),
            exclude: settings.list(&variables::EXCLUDE, &values::NOT_EMPTY)?,
        })
    }
}

fn platform(settings: &Settings) -> Result<Platform> {
    let text = |variable| settings.find(variable).map_or(Ok(""), |setting| setting.text());
    let machine = Machine {
        architecture: text(&variables::ARCH)?,
        target_arch: text(&variables::TARGET_ARCH)?,
        tune_features: text(&variables::TUNE_FEATURES)?,
        machine_overrides: text(&variables::MACHINEOVERRIDES)?,
    };
    let Some(named) = settings.find(&variables::ARCH).or_else(|| settings.find(&variables::TARGET_ARCH)) else {
        return Err(Error::refused_with_hint(
            "the image's architecture is not set",
            "set OCI_IMAGE_ARCH or give --arch: for a rootfs that this machine runs, `--arch $(uname -m)`",
        ));
    };
    let name = named.text()?;
    if !platform::is_known_name(name) {
        return Err(named.error(name, &platform::accepted_names()));
    }
    let policy = settings.one(&variables::SUBARCH, &values::VARIANT)?.unwrap_or_default();
    let os = settings.one(&variables::OS, &values::OS)?.unwrap_or_else(|| "linux".to_owned());
    let platform = machine.platform(&policy).map_err(|error| match error {
        Error::Refused { message, hint } => Error::Refused { message: format!("{}: {message}", named.origin), hint },
        error => error,
    })?;
    Ok(Platform { os, ..platform })
}

/// `Name <email>`, or the half that is there. The flag says all of it by itself.
fn author(settings: &Settings) -> Result<Option<String>> {
    let name = settings.find(&variables::AUTHOR);
    let email = settings
        .find(&variables::AUTHOR_EMAIL)
        .filter(|email| email.layer == Layer::Flag || name.as_ref().map_or(true, |name| name.layer != Layer::Flag));
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

fn config(settings: &Settings) -> Result<ContainerConfig> {
    let set = |members: Vec<String>| members.into_iter().map(|name| (name, values::member())).collect();
    Ok(ContainerConfig {
        user: settings.one(&variables::RUNTIME_UID, &values::USER)?,
        exposed_ports: set(settings.list(&variables::PORTS, &values::PORT)?),
        env: env(settings)?,
        entrypoint: settings.command(&variables::ENTRYPOINT)?,
        cmd: settings.renamed_command(&variables::CMD, &variables::ENTRYPOINT_ARGS)?,
        volumes: set(settings.list(&variables::VOLUMES, &values::VOLUME)?),
        working_dir: settings.one(&variables::WORKINGDIR, &values::ABSOLUTE_PATH)?,
        labels: settings.list(&variables::LABELS, &values::ANNOTATION)?.into_iter().collect(),
        stop_signal: settings.one(&variables::STOPSIGNAL, &values::SIGNAL)?,
        memory: settings.one(&variables::MEMORY, &values::SIZE)?,
        memory_swap: settings.one(&variables::MEMORY_SWAP, &values::SIZE_OR_UNLIMITED)?,
        cpu_shares: settings.one(&variables::CPU_SHARES, &values::CPU_SHARES)?,
        healthcheck: healthcheck(settings)?,
        ..ContainerConfig::default()
    })
}

/// `NAME=value` in order. A name that comes again changes the value in its first place, as a shell's would.
fn env(settings: &Settings) -> Result<Vec<String>> {
    let mut env: Vec<(String, String)> = Vec::new();
    for (name, value) in settings.list(&variables::ENV_VARS, &values::ENV)? {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => env.push((name, value)),
        }
    }
    Ok(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Docker's health check, if any of its settings was given.
fn healthcheck(settings: &Settings) -> Result<Option<Healthcheck>> {
    let check = Healthcheck {
        test: health_test(settings)?,
        interval: settings.one(&variables::HEALTHCHECK_INTERVAL, &values::DURATION)?,
        timeout: settings.one(&variables::HEALTHCHECK_TIMEOUT, &values::DURATION)?,
        start_period: settings.one(&variables::HEALTHCHECK_START_PERIOD, &values::DURATION)?,
        retries: settings.one(&variables::HEALTHCHECK_RETRIES, &values::RETRIES)?,
        ..Healthcheck::default()
    };
    Ok((check != Healthcheck::default()).then_some(check))
}

/// `NONE` is `["NONE"]`, `CMD-SHELL 'a | b'` is `["CMD-SHELL", "a | b"]`, and a command, with `CMD` before it or not,
/// is `["CMD", …]`.
fn health_test(settings: &Settings) -> Result<Vec<String>> {
    let Some(setting) = settings.find(&variables::HEALTHCHECK) else { return Ok(Vec::new()) };
    let Some(mut words) = setting.command()? else { return Ok(Vec::new()) };
    let is_complete = match words.first().map(String::as_str) {
        Some("NONE") => words.len() == 1,
        Some("CMD-SHELL") => words.len() == 2,
        Some("CMD") => words.len() > 1,
        _ => {
            words.insert(0, "CMD".to_owned());
            true
        }
    };
    if is_complete {
        Ok(words)
    } else {
        Err(setting.error(setting.text()?, "a command, `CMD-SHELL` and one quoted word, or `NONE`"))
    }
}
