//! What a field of the execution parameters holds, and how a setting says it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::oci::{Annotations, ContainerConfig, Healthcheck};
use crate::settings::values::{self, Grammar};

/// What a setting fills in the execution parameters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fills {
    /// Nothing there: it says something else of an image.
    Nothing,
    /// A field, by its name in the document.
    Field(&'static str, FieldKind),
    /// A number of the health check, by its name there.
    Healthcheck(&'static str, HealthcheckNumber, In<Healthcheck, Option<i64>>),
    /// What another setting fills, whose older name this is.
    SameAs(&'static str),
}

/// What a field holds, how a setting says it, and where it is in the configuration.
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
    /// Names without values, a set in JSON's way: those that are added, and those that are taken away.
    Set(&'static Grammar<String>, &'static Grammar<String>, In<ContainerConfig, BTreeMap<String, Value>>),
    /// Values by their keys.
    Map(&'static Grammar<(String, String)>, In<ContainerConfig, Annotations>),
    /// Docker's health check: a test, and numbers that have settings of their own.
    Healthcheck(In<ContainerConfig, Option<Healthcheck>>),
}

/// What a number of the health check counts.
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

/// Where a value is.
pub(super) type In<T, V> = fn(&mut T) -> &mut V;
