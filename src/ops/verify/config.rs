//! The configuration of an image (image-spec, config.md).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::ops::verify::finding::{quoted, FindingPlace, Findings};
use crate::ops::verify::mention::{check_time, read_digest};
use crate::ops::verify::Rule;
use crate::platform::{is_known_os, Machine, VariantPolicy};
use crate::settings::values::{Grammar, ABSOLUTE_PATH, ENV, PORT, SIGNAL, USER, VOLUME};

/// What manifests and indexes are compared with.
#[derive(Clone, Debug)]
pub(super) struct ConfigFacts {
    pub(super) place: FindingPlace,
    /// `os`, `architecture`, `variant` and the rest of [`PLATFORM_MEMBERS`], as far as they are there.
    pub(super) platform: Map<String, Value>,
    /// `None` for one that is malformed.
    pub(super) diff_ids: Vec<Option<Digest>>,
    /// How many entries of history made a layer, or `None` without entries. Go's writers and readers take an empty list
    /// for none, and so does this.
    pub(super) history_layers: Option<usize>,
}

/// The members of a platform that an index and a config share.
pub(super) const PLATFORM_MEMBERS: [&str; 5] = ["os", "architecture", "variant", "os.version", "os.features"];

/// Checks values whose types have been checked.
pub(super) fn check(config: &Value, place: &FindingPlace, findings: &mut Findings) -> ConfigFacts {
    check_time(&config["created"], &place.member("created"), findings);
    check_platform_names(config, place, findings);
    check_execution(config, &place.member("config"), findings);

    let rootfs = place.member("rootfs");
    if let Some(kind) = config["rootfs"]["type"].as_str().filter(|kind| *kind != "layers") {
        findings.add(Rule::ConfigRootfsType, &rootfs.member("type"), "`layers`", quoted(kind));
    }
    let diff_ids = elements(&config["rootfs"]["diff_ids"])
        .map(|(number, digest)| {
            let place = rootfs.member("diff_ids").member(number);
            digest.as_str().and_then(|text| read_digest(text, &place, findings))
        })
        .collect();

    let history = place.member("history");
    let mut steps = 0;
    let mut layers = 0;
    for (number, step) in elements(&config["history"]) {
        check_time(&step["created"], &history.member(number).member("created"), findings);
        steps += 1;
        layers += usize::from(step["empty_layer"] != true);
    }
    ConfigFacts {
        place: place.clone(),
        platform: PLATFORM_MEMBERS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), config.get(name).filter(|value| !value.is_null())?.clone())))
            .collect(),
        diff_ids,
        history_layers: (steps > 0).then_some(layers),
    }
}

/// `unknown` is the platform of BuildKit's attestations.
fn check_platform_names(config: &Value, place: &FindingPlace, findings: &mut Findings) {
    let name = |member| config[member].as_str().filter(|name| *name != "unknown");
    if let Some(os) = name("os").filter(|os| !is_known_os(os)) {
        findings.add(Rule::PlatformName, &place.member("os"), "a GOOS such as `linux`", quoted(os));
    }
    let is_goarch = |architecture: &&str| {
        let machine = Machine { architecture, ..Machine::default() };
        machine.platform(&VariantPolicy::None).is_ok_and(|platform| platform.architecture == *architecture)
    };
    if let Some(architecture) = name("architecture").filter(|architecture| !is_goarch(architecture)) {
        let place = place.member("architecture");
        findings.add(Rule::PlatformName, &place, "a GOARCH such as `arm64`", quoted(architecture));
    }
}

/// Checks how the image is run. The form of users and paths is only defined for Unix; an empty string counts as none.
fn check_execution(config: &Value, place: &FindingPlace, findings: &mut Findings) {
    let execution = &config["config"];
    let mut names = BTreeSet::new();
    for (number, variable) in elements(&execution["Env"]) {
        let Some(text) = variable.as_str().or(variable.is_null().then_some("")) else { continue };
        let place = place.member("Env").member(number);
        match (ENV.read)(text) {
            None => findings.add(Rule::ConfigEnv, &place, "`NAME=value`", quoted(text)),
            Some((name, _)) if names.contains(&name) => {
                findings.add(Rule::ConfigEnvRepeated, &place, "each name once", format!("{} again", quoted(&name)));
            }
            Some((name, _)) => {
                names.insert(name);
            }
        }
    }
    let keys = |set: &Value| set.as_object().map(|set| set.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    for port in keys(&execution["ExposedPorts"]) {
        hold_to(&PORT, &port, Rule::ConfigPort, &place.member("ExposedPorts").member(&port), findings);
    }
    let text = |member| execution[member].as_str().filter(|text| !text.is_empty());
    if let Some(signal) = text("StopSignal") {
        hold_to(&SIGNAL, signal, Rule::ConfigStopSignal, &place.member("StopSignal"), findings);
    }
    if config["os"] == "windows" {
        return;
    }
    if let Some(user) = text("User") {
        hold_to(&USER, user, Rule::ConfigUser, &place.member("User"), findings);
    }
    if let Some(directory) = text("WorkingDir") {
        hold_to(&ABSOLUTE_PATH, directory, Rule::ConfigPath, &place.member("WorkingDir"), findings);
    }
    for volume in keys(&execution["Volumes"]) {
        hold_to(&VOLUME, &volume, Rule::ConfigPath, &place.member("Volumes").member(&volume), findings);
    }
}

fn hold_to<T>(grammar: &Grammar<T>, text: &str, rule: Rule, place: &FindingPlace, findings: &mut Findings) {
    if (grammar.read)(text).is_none() {
        findings.add(rule, place, grammar.accepted, quoted(text));
    }
}

fn elements(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().enumerate()
}
