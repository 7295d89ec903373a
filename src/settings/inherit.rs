//! What an image takes over from the image that it is built on.

use crate::oci::ContainerConfig;
use crate::settings::sources::Settings;
use crate::settings::variables::{self, Variable};

/// A member of the configuration that a setting can fill or clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // They are named as in the configuration.
pub enum ConfigField {
    User,
    ExposedPorts,
    Env,
    Entrypoint,
    Cmd,
    Volumes,
    WorkingDir,
    Labels,
    StopSignal,
    Healthcheck,
    Memory,
    MemorySwap,
    CpuShares,
}

pub(super) const FIELDS: [(ConfigField, Variable); 13] = [
    (ConfigField::User, variables::RUNTIME_UID),
    (ConfigField::ExposedPorts, variables::PORTS),
    (ConfigField::Env, variables::ENV_VARS),
    (ConfigField::Entrypoint, variables::ENTRYPOINT),
    (ConfigField::Cmd, variables::CMD),
    (ConfigField::Volumes, variables::VOLUMES),
    (ConfigField::WorkingDir, variables::WORKINGDIR),
    (ConfigField::Labels, variables::LABELS),
    (ConfigField::StopSignal, variables::STOPSIGNAL),
    (ConfigField::Healthcheck, variables::HEALTHCHECK),
    (ConfigField::Memory, variables::MEMORY),
    (ConfigField::MemorySwap, variables::MEMORY_SWAP),
    (ConfigField::CpuShares, variables::CPU_SHARES),
];

/// The fields that were given empty on purpose.
pub(super) fn cleared(settings: &Settings) -> Vec<ConfigField> {
    FIELDS.iter().filter(|(_, variable)| settings.clears(variable)).map(|(field, _)| *field).collect()
}

/// The configuration of an image on a base, as Docker makes it: the environment is merged by name, labels by key, ports
/// and volumes are joined, an entrypoint clears the command that is inherited, and everything else is replaced where
/// it is given. Members that nobody here knows stay.
pub fn inherit(base: ContainerConfig, given: &ContainerConfig, cleared: &[ConfigField]) -> ContainerConfig {
    let mut config = base;
    for field in cleared {
        clear(&mut config, *field);
    }
    let given = given.clone();
    if given.entrypoint.is_some() {
        config.cmd = None;
    }
    set_env(&mut config.env, given.env);
    config.exposed_ports.extend(given.exposed_ports);
    config.volumes.extend(given.volumes);
    config.labels.extend(given.labels);
    config.user = given.user.or(config.user);
    config.entrypoint = given.entrypoint.or(config.entrypoint);
    config.cmd = given.cmd.or(config.cmd);
    config.working_dir = given.working_dir.or(config.working_dir);
    config.stop_signal = given.stop_signal.or(config.stop_signal);
    config.healthcheck = given.healthcheck.or(config.healthcheck);
    config.memory = given.memory.or(config.memory);
    config.memory_swap = given.memory_swap.or(config.memory_swap);
    config.cpu_shares = given.cpu_shares.or(config.cpu_shares);
    config
}

/// Sets variables, each in its first place if it has one, and nowhere else.
pub(crate) fn set_env(env: &mut Vec<String>, given: Vec<String>) {
    for pair in given {
        let name = env_name(&pair).to_owned();
        let place = env.iter().position(|known| env_name(known) == name).unwrap_or(env.len());
        env.retain(|known| env_name(known) != name);
        env.insert(place, pair);
    }
}

/// What stands before the `=`.
pub(crate) fn env_name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

/// Empties a member of a configuration.
pub(crate) fn clear(config: &mut ContainerConfig, field: ConfigField) {
    match field {
        ConfigField::User => config.user = None,
        ConfigField::ExposedPorts => config.exposed_ports.clear(),
        ConfigField::Env => config.env.clear(),
        ConfigField::Entrypoint => config.entrypoint = None,
        ConfigField::Cmd => config.cmd = None,
        ConfigField::Volumes => config.volumes.clear(),
        ConfigField::WorkingDir => config.working_dir = None,
        ConfigField::Labels => config.labels.clear(),
        ConfigField::StopSignal => config.stop_signal = None,
        ConfigField::Healthcheck => config.healthcheck = None,
        ConfigField::Memory => config.memory = None,
        ConfigField::MemorySwap => config.memory_swap = None,
        ConfigField::CpuShares => config.cpu_shares = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"User":"app","Env":["PATH=/bin","A=1"],"Entrypoint":["/init"],"Cmd":["serve"],
        "Labels":{"a":"1","b":"2"},"ExposedPorts":{"80/tcp":{}},"WorkingDir":"/srv","ArgsEscaped":true}"#;

    fn inherited(given: &str, cleared: &[ConfigField]) -> serde_json::Value {
        let parse = |text: &str| -> ContainerConfig { serde_json::from_str(text).unwrap() };
        serde_json::to_value(inherit(parse(BASE), &parse(given), cleared)).unwrap()
    }

    #[test]
    fn as_docker_does() {
        let base = inherited("{}", &[]);
        assert_eq!(base, serde_json::from_str::<serde_json::Value>(BASE).unwrap());
        for (given, cleared, member, expected) in [
            (r#"{"Env":["A=2","B=3"]}"#, &[][..], "Env", r#"["PATH=/bin","A=2","B=3"]"#),
            (r#"{"Env":["B=3"]}"#, &[ConfigField::Env], "Env", r#"["B=3"]"#),
            (r#"{"Labels":{"b":"3","c":"4"}}"#, &[], "Labels", r#"{"a":"1","b":"3","c":"4"}"#),
            (r#"{"ExposedPorts":{"81/tcp":{}}}"#, &[], "ExposedPorts", r#"{"80/tcp":{},"81/tcp":{}}"#),
            (r#"{"Entrypoint":["/app"]}"#, &[], "Cmd", "null"),
            (r#"{"Entrypoint":["/app"],"Cmd":["x"]}"#, &[], "Cmd", r#"["x"]"#),
            (r#"{"Cmd":["x"]}"#, &[], "Entrypoint", r#"["/init"]"#),
            ("{}", &[ConfigField::Entrypoint], "Entrypoint", "null"),
            ("{}", &[ConfigField::Entrypoint], "Cmd", r#"["serve"]"#),
            ("{}", &[ConfigField::User], "User", "null"),
            (r#"{"User":"0"}"#, &[], "User", r#""0""#),
            ("{}", &[ConfigField::Labels], "ArgsEscaped", "true"),
        ] {
            assert_eq!(inherited(given, cleared)[member].to_string(), expected, "{given} {cleared:?} {member}");
        }
    }
}
