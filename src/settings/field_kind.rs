//! What a field of the execution parameters holds, and how a setting says it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::oci::{Annotations, ContainerConfig, Healthcheck};
use crate::settings::values::{self, Grammar};

/// What a setting fills in the execution parameters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fills {
    /// None: the setting concerns another part of the image.
    Nothing,
    /// A field, by its name in the config.
    Field(&'static str, FieldKind),
    /// A number of the health check, by its name in the config.
    Healthcheck(&'static str, HealthcheckNumber, In<Healthcheck, Option<i64>>),
    /// What another setting fills; this is an older name for that one.
    SameAs(&'static str),
}

/// The type of a field, how its value is parsed, and where it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldKind {
    /// A text.
    Text(&'static Grammar<String>, In<ContainerConfig, Option<String>>),
    /// A whole number.
    Number(&'static Grammar<i64>, In<ContainerConfig, Option<i64>>),
    /// A command line.
    Words(In<ContainerConfig, Option<Vec<String>>>),
    /// `NAME=value` in order.
    Environment(In<ContainerConfig, Vec<String>>),
    /// A JSON object used as a set: the grammar of names to add, that of names to remove.
    Set(&'static Grammar<String>, &'static Grammar<String>, In<ContainerConfig, BTreeMap<String, Value>>),
    /// Keys and values.
    Map(&'static Grammar<(String, String)>, In<ContainerConfig, Annotations>),
    /// Docker's health check: a test, and numbers with settings of their own.
    Healthcheck(In<ContainerConfig, Option<Healthcheck>>),
}

/// The unit of a number in the health check.
#[derive(Clone, Copy, Debug)]
pub(super) enum HealthcheckNumber {
    /// Nanoseconds.
    Time,
    /// Failures.
    Count,
}

impl HealthcheckNumber {
    pub(super) fn grammar(self) -> &'static Grammar<i64> {
        match self {
            HealthcheckNumber::Time => &values::DURATION,
            HealthcheckNumber::Count => &values::RETRIES,
        }
    }
}

/// Accesses a member of a struct.
pub(super) type In<T, V> = fn(&mut T) -> &mut V;
