//! The fields of the execution parameters (image-spec, config.md#properties, `config`): which there are, how settings
//! fill them, and how new values are merged with existing ones.
//!
//! The table of [settings](crate::settings::variables) states which field each setting fills. Everything else follows
//! from the kind of the field: how it is parsed, merged, cleared and shown, and which type `verify` expects. A new
//! field needs a member of [`ContainerConfig`] and a row of that table.

use crate::error::Result;
use crate::oci::{ContainerConfig, Healthcheck};
use crate::settings::field_kind::{FieldKind, Fills, HealthcheckNumber, In};
use crate::settings::sources::Settings;
use crate::settings::values::{self, member, Grammar};
use crate::settings::variables::{Variable, VARIABLES};

/// A field of the execution parameters.
#[derive(Clone, Copy, Debug)]
pub struct ConfigField {
    /// The setting that fills it.
    pub variable: &'static Variable,
    /// Its name in the config.
    pub member: &'static str,
    pub(crate) kind: FieldKind,
}

impl PartialEq for ConfigField {
    fn eq(&self, other: &Self) -> bool {
        self.member == other.member
    }
}

impl Eq for ConfigField {}

impl ConfigField {
    /// All fields, in the order of their settings.
    pub fn all() -> impl Iterator<Item = ConfigField> {
        VARIABLES.iter().filter_map(|variable| match variable.fills {
            Fills::Field(member, kind) => Some(ConfigField { variable, member, kind }),
            _ => None,
        })
    }

    /// The name in messages: the flag without dashes.
    pub fn name(&self) -> &'static str {
        self.variable.flag.unwrap_or_default().trim_start_matches("--")
    }

    /// The grammar of an element to remove, if the field has elements.
    pub(super) fn element(&self) -> Option<&'static Grammar<String>> {
        match self.kind {
            FieldKind::Environment(_) => Some(&values::ENV_NAME),
            FieldKind::Set(_, gone, _) => Some(gone),
            FieldKind::Map(..) => Some(&values::KEY),
            _ => None,
        }
    }

    /// Removes an element if present.
    pub(crate) fn remove(&self, config: &mut ContainerConfig, element: &str) {
        match self.kind {
            FieldKind::Environment(of) => of(config).retain(|pair| env_name(pair) != element),
            FieldKind::Set(grammar, _, of) => of(config).retain(|known, _| !is_same(grammar, known, element)),
            FieldKind::Map(_, of) => drop(of(config).remove(element)),
            _ => {}
        }
    }

    /// Clears the field.
    pub(crate) fn clear(&self, config: &mut ContainerConfig) {
        match self.kind {
            FieldKind::Text(_, of) => *of(config) = None,
            FieldKind::Number(_, of) => *of(config) = None,
            FieldKind::Words(of) => *of(config) = None,
            FieldKind::Environment(of) => of(config).clear(),
            FieldKind::Set(_, _, of) => of(config).clear(),
            FieldKind::Map(_, of) => of(config).clear(),
            FieldKind::Healthcheck(of) => *of(config) = None,
        }
    }

    /// The value, one line for each element, or all names of a set on one line; no lines if it is empty.
    pub fn lines(&self, config: &ContainerConfig) -> Vec<String> {
        let config = &mut config.clone();
        match self.kind {
            FieldKind::Text(_, of) => of(config).take().into_iter().collect(),
            FieldKind::Number(_, of) => of(config).iter().map(i64::to_string).collect(),
            FieldKind::Words(of) => of(config).iter().map(shell_words::join).collect(),
            FieldKind::Environment(of) => std::mem::take(of(config)),
            FieldKind::Set(_, _, of) => vec![of(config).keys().cloned().collect::<Vec<_>>().join(" ")],
            FieldKind::Map(_, of) => of(config).iter().map(|(key, value)| format!("{key}={value}")).collect(),
            FieldKind::Healthcheck(of) => of(config).as_mut().map(healthcheck_lines).unwrap_or_default(),
        }
    }
}

/// A setting for a number of the health check, its name in the config, its unit and where it is stored.
type HealthcheckRow = (&'static Variable, &'static str, HealthcheckNumber, In<Healthcheck, Option<i64>>);

fn healthcheck_rows() -> impl Iterator<Item = HealthcheckRow> {
    VARIABLES.iter().filter_map(|variable| match variable.fills {
        Fills::Healthcheck(member, number, of) => Some((variable, member, number, of)),
        _ => None,
    })
}

/// The names of the numbers of the health check in the config.
pub(crate) fn healthcheck_numbers() -> impl Iterator<Item = &'static str> {
    healthcheck_rows().map(|(_, member, ..)| member)
}

/// Reads the execution parameters from the settings.
pub(super) fn read(settings: &Settings) -> Result<ContainerConfig> {
    let mut config = ContainerConfig::default();
    for ConfigField { variable, kind, .. } in ConfigField::all() {
        match kind {
            FieldKind::Text(grammar, of) => *of(&mut config) = settings.one(variable, grammar)?,
            FieldKind::Number(grammar, of) => *of(&mut config) = settings.one(variable, grammar)?,
            FieldKind::Words(of) => *of(&mut config) = settings.command(variable)?,
            FieldKind::Environment(of) => {
                let pairs = settings.list(variable, &values::ENV)?;
                set_env(of(&mut config), pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect());
            }
            FieldKind::Set(grammar, _, of) => {
                *of(&mut config) = settings.list(variable, grammar)?.into_iter().map(|name| (name, member())).collect();
            }
            FieldKind::Map(grammar, of) => *of(&mut config) = settings.list(variable, grammar)?.into_iter().collect(),
            FieldKind::Healthcheck(of) => *of(&mut config) = healthcheck(settings, variable)?,
        }
    }
    Ok(config)
}

/// The fields that were explicitly set to nothing.
pub(super) fn cleared(settings: &Settings) -> Vec<ConfigField> {
    ConfigField::all().filter(|field| settings.clears(field.variable)).collect()
}

/// The rules for merging new values with those of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MergePolicy {
    /// Docker's rules for building on a base image: an entrypoint clears the inherited command, and a health check
    /// replaces the inherited one as a whole.
    Inherit,
    /// The rules of an edit: anything not named stays.
    Edit,
}

/// Merges new values into the config: environment and labels by name, ports and volumes as sets; other values are
/// replaced. Members without a setting stay.
pub(crate) fn merge(config: &mut ContainerConfig, given: &ContainerConfig, policy: MergePolicy) {
    let given = &mut given.clone();
    if policy == MergePolicy::Inherit && given.entrypoint.is_some() {
        config.cmd = None;
    }
    for field in ConfigField::all() {
        match field.kind {
            FieldKind::Text(_, of) => set(of(config), of(given)),
            FieldKind::Number(_, of) => set(of(config), of(given)),
            FieldKind::Words(of) => set(of(config), of(given)),
            FieldKind::Environment(of) => set_env(of(config), std::mem::take(of(given))),
            FieldKind::Set(grammar, _, of) => {
                for name in of(given).keys() {
                    if !of(config).keys().any(|known| is_same(grammar, known, name)) {
                        of(config).insert(name.clone(), member());
                    }
                }
            }
            FieldKind::Map(_, of) => of(config).append(of(given)),
            FieldKind::Healthcheck(of) => match (of(config), of(given), policy) {
                (Some(check), Some(given), MergePolicy::Edit) => merge_healthcheck(check, given),
                (check, given, _) => set(check, given),
            },
        }
    }
}

fn merge_healthcheck(check: &mut Healthcheck, given: &mut Healthcheck) {
    if !given.test.is_empty() {
        check.test = std::mem::take(&mut given.test);
    }
    for (.., of) in healthcheck_rows() {
        set(of(check), of(given));
    }
}

fn set<T>(member: &mut Option<T>, given: &mut Option<T>) {
    if given.is_some() {
        *member = given.take();
    }
}

/// Sets variables. An existing one keeps its position, and duplicates are removed.
fn set_env(env: &mut Vec<String>, given: Vec<String>) {
    for pair in given {
        let name = env_name(&pair).to_owned();
        let place = env.iter().position(|known| env_name(known) == name).unwrap_or(env.len());
        env.retain(|known| env_name(known) != name);
        env.insert(place, pair);
    }
}

/// The part before the `=`.
fn env_name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

/// Whether two names in a set mean the same, as `80` and `80/tcp` do.
fn is_same(grammar: &Grammar<String>, known: &str, name: &str) -> bool {
    known == name || (grammar.read)(known).is_some_and(|known| known == name)
}

/// Reads Docker's health check. Returns `None` if none of its settings is given.
fn healthcheck(settings: &Settings, test: &Variable) -> Result<Option<Healthcheck>> {
    let mut check = Healthcheck { test: health_test(settings, test)?, ..Healthcheck::default() };
    for (variable, _, number, of) in healthcheck_rows() {
        *of(&mut check) = settings.one(variable, number.grammar())?;
    }
    Ok((check != Healthcheck::default()).then_some(check))
}

/// `NONE` becomes `["NONE"]`, `CMD-SHELL 'a | b'` becomes `["CMD-SHELL", "a | b"]`, and a command, with or without
/// `CMD` before it, becomes `["CMD", …]`.
fn health_test(settings: &Settings, variable: &Variable) -> Result<Vec<String>> {
    let Some(setting) = settings.find(variable) else { return Ok(Vec::new()) };
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

/// The test, and the numbers with their names in the config.
fn healthcheck_lines(check: &mut Healthcheck) -> Vec<String> {
    let mut lines: Vec<String> = (!check.test.is_empty()).then(|| shell_words::join(&check.test)).into_iter().collect();
    for (_, member, number, of) in healthcheck_rows() {
        match (number, *of(check)) {
            (_, None) => {}
            (HealthcheckNumber::Count, Some(count)) => lines.push(format!("{member}={count}")),
            (HealthcheckNumber::Time, Some(time)) => lines.push(format!("{member}={}s", time as f64 / 1e9)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn parse(text: &str) -> ContainerConfig {
        serde_json::from_str(text).unwrap()
    }

    fn merged(config: &str, given: &str, policy: MergePolicy) -> Value {
        let mut config = parse(config);
        merge(&mut config, &parse(given), policy);
        serde_json::to_value(config).unwrap()
    }

    const FULL: &str = r#"{"User":"app","ExposedPorts":{"80":{}},"Env":["PATH=/bin","A=1"],"Entrypoint":["/init"],
        "Cmd":["serve"],"Volumes":{"/a":{}},"WorkingDir":"/srv","Labels":{"a":"1","b":"2"},"StopSignal":"SIGHUP",
        "Memory":1,"MemorySwap":1,"CpuShares":2,"Healthcheck":{"Test":["NONE"],"Interval":1,"Timeout":1,"StartPeriod":1,
        "StartInterval":1,"Retries":1}}"#;

    /// The names of a struct's fields as its debug format lists them, without the one for unknown members.
    fn fields_of(value: &impl std::fmt::Debug) -> Vec<String> {
        let text = format!("{value:#?}");
        let fields = text.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(':').map(|(name, _)| name));
        fields.filter(|name| !name.starts_with([' ', '}', ']', 'o'])).map(str::to_owned).collect()
    }

    #[test]
    fn every_member_of_the_documents_has_a_row() {
        let config = parse(FULL);
        let members = serde_json::to_value(&config).unwrap();
        assert_eq!(members.as_object().unwrap().len(), fields_of(&config).len(), "the test's example is not full");
        let check = members["Healthcheck"].as_object().unwrap();
        assert_eq!(check.len(), fields_of(&Healthcheck::default()).len(), "the test's example is not full");
        for member in members.as_object().unwrap().keys() {
            assert_eq!(ConfigField::all().filter(|field| field.member == member).count(), 1, "{member}");
        }
        for number in check.keys().filter(|number| *number != "Test") {
            assert_eq!(healthcheck_numbers().filter(|member| member == number).count(), 1, "{number}");
        }
    }

    #[test]
    fn each_row_means_the_member_that_it_names() {
        let members = serde_json::to_value(parse(FULL)).unwrap();
        for field in ConfigField::all() {
            let alone = serde_json::json!({ field.member: members[field.member] });
            for policy in [MergePolicy::Inherit, MergePolicy::Edit] {
                assert_eq!(merged("{}", &alone.to_string(), policy), alone);
            }
            assert!(!field.lines(&parse(FULL)).concat().is_empty(), "{}", field.member);
            assert_eq!(field.lines(&ContainerConfig::default()).concat(), "", "{}", field.member);
            let mut config = parse(FULL);
            field.clear(&mut config);
            let mut rest = members.clone();
            rest.as_object_mut().unwrap().remove(field.member);
            assert_eq!(serde_json::to_value(config).unwrap(), rest);
        }
        for (_, member, _, of) in healthcheck_rows() {
            let mut check = Healthcheck::default();
            *of(&mut check) = Some(7);
            assert_eq!(serde_json::to_value(check).unwrap(), serde_json::json!({ member: 7 }));
        }
    }

    #[test]
    fn what_is_given_joins_what_is_there() {
        const BOTH: [MergePolicy; 2] = [MergePolicy::Inherit, MergePolicy::Edit];
        const INHERIT: [MergePolicy; 1] = [MergePolicy::Inherit];
        const EDIT: [MergePolicy; 1] = [MergePolicy::Edit];
        for (given, policies, member, expected) in [
            (r#"{"Env":["A=2","B=3"]}"#, &BOTH[..], "Env", r#"["PATH=/bin","A=2","B=3"]"#),
            (r#"{"Labels":{"b":"3","c":"4"}}"#, &BOTH, "Labels", r#"{"a":"1","b":"3","c":"4"}"#),
            (r#"{"ExposedPorts":{"81/tcp":{}}}"#, &BOTH, "ExposedPorts", r#"{"80":{},"81/tcp":{}}"#),
            (r#"{"ExposedPorts":{"80/tcp":{}}}"#, &BOTH, "ExposedPorts", r#"{"80":{}}"#),
            (r#"{"Volumes":{"/a":{},"/b":{}}}"#, &BOTH, "Volumes", r#"{"/a":{},"/b":{}}"#),
            (r#"{"User":"0"}"#, &BOTH, "User", r#""0""#),
            (r#"{"Cmd":["x"]}"#, &BOTH, "Entrypoint", r#"["/init"]"#),
            (r#"{"Cmd":["x"]}"#, &BOTH, "Cmd", r#"["x"]"#),
            (r#"{"Entrypoint":["/app"],"Cmd":["x"]}"#, &BOTH, "Cmd", r#"["x"]"#),
            (r#"{"Entrypoint":["/app"]}"#, &INHERIT, "Cmd", "null"),
            (r#"{"Entrypoint":["/app"]}"#, &EDIT, "Cmd", r#"["serve"]"#),
            (r#"{"Healthcheck":{"Test":["CMD","a"]}}"#, &INHERIT, "Healthcheck", r#"{"Test":["CMD","a"]}"#),
            (
                r#"{"Healthcheck":{"Test":["CMD","a"],"Retries":3}}"#,
                &EDIT,
                "Healthcheck",
                r#"{"Interval":1,"Retries":3,"StartInterval":1,"StartPeriod":1,"Test":["CMD","a"],"Timeout":1}"#,
            ),
        ] {
            for policy in policies {
                let text = merged(FULL, given, *policy)[member].to_string();
                assert_eq!(text, expected, "{given} {policy:?} {member}");
            }
        }
        let unknown = r#"{"ArgsEscaped":true,"Domainname":""}"#;
        for policy in BOTH {
            assert_eq!(merged(unknown, "{}", policy).to_string(), unknown);
        }
    }

    #[test]
    fn elements_go_by_their_names() {
        for (member, element, left) in [
            ("Env", "A", r#"["PATH=/bin"]"#),
            ("Labels", "b", r#"{"a":"1"}"#),
            ("ExposedPorts", "80/tcp", "null"),
            ("Volumes", "/b", r#"{"/a":{}}"#),
        ] {
            let field = ConfigField::all().find(|field| field.member == member).unwrap();
            let mut config = parse(FULL);
            field.remove(&mut config, element);
            assert_eq!(serde_json::to_value(config).unwrap()[member].to_string(), left, "{member} {element}");
        }
    }
}
