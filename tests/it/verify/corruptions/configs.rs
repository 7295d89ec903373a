//! Configs, alone and compared with indexes and manifests.

use serde_json::{json, Value};

use super::Row;
use crate::verify::specimen::change;

pub(super) fn platforms() -> Vec<Row> {
    vec![
        (
            "platform-mismatch",
            "another architecture",
            change().index(|index| {
                index["manifests"][0]["platform"]["architecture"] = json!("arm");
            }),
        ),
        (
            "platform-mismatch",
            "another variant",
            change().index(|index| {
                index["manifests"][0]["platform"]["variant"] = json!("v9");
            }),
        ),
        ("platform-mismatch", "another system", change().config(|config| config["os"] = json!("freebsd"))),
        (
            "platform-variant",
            "not in the index",
            change().index(|index| {
                index["manifests"][0]["platform"].as_object_mut().unwrap().remove("variant");
            }),
        ),
        (
            "platform-variant",
            "not in the config",
            change().config(|config| {
                config.as_object_mut().unwrap().remove("variant");
            }),
        ),
        (
            "platform-name",
            "the kernel's name",
            change().config(|config| config["architecture"] = json!("aarch64")).index(|index| {
                index["manifests"][0]["platform"]["architecture"] = json!("aarch64");
            }),
        ),
        (
            "platform-name",
            "a system in upper case",
            change().config(|config| config["os"] = json!("Linux")).index(|index| {
                index["manifests"][0]["platform"]["os"] = json!("Linux");
            }),
        ),
    ]
}

pub(super) fn configs() -> Vec<Row> {
    let execution =
        |member: &'static str, value: Value| change().config(move |config| config["config"][member] = value.clone());
    vec![
        ("config-rootfs-type", "other than layers", change().config(|config| config["rootfs"]["type"] = json!("tree"))),
        (
            "diff-id-count",
            "one too many",
            change().config(|config| {
                let again = config["rootfs"]["diff_ids"][0].clone();
                config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(again);
            }),
        ),
        ("diff-id-count", "none", change().config(|config| config["rootfs"]["diff_ids"] = json!([]))),
        (
            "diff-id",
            "of another layer",
            change().config(|config| {
                config["rootfs"]["diff_ids"][0] = format!("sha256:{}", "0".repeat(64)).into();
            }),
        ),
        (
            "diff-id",
            "of another layer, in SHA-512",
            change().config(|config| {
                config["rootfs"]["diff_ids"][0] = format!("sha512:{}", "0".repeat(128)).into();
            }),
        ),
        (
            "history-count",
            "one too many",
            change().config(|config| {
                config["history"].as_array_mut().unwrap().push(json!({"created_by": "nobody"}));
            }),
        ),
        (
            "history-count",
            "none that made a layer",
            change().config(|config| config["history"] = json!([{"empty_layer": true}])),
        ),
        ("time-format", "a date", change().config(|config| config["created"] = json!("2018-03-09"))),
        (
            "time-format",
            "seconds in history",
            change().config(|config| config["history"][0]["created"] = json!("1520598896")),
        ),
        ("time-format", "a leap second", change().config(|config| config["created"] = json!("2016-12-31T23:59:60Z"))),
        ("config-env", "no value", execution("Env", json!(["PATH=/bin", "TERM"]))),
        ("config-env", "no name", execution("Env", json!(["=x"]))),
        ("config-env-repeated", "two values", execution("Env", json!(["A=1", "B=2", "A=3"]))),
        ("config-port", "a name", execution("ExposedPorts", json!({"http": {}}))),
        ("config-port", "no port at all", execution("ExposedPorts", json!({"65536/tcp": {}}))),
        ("config-stop-signal", "an unknown one", execution("StopSignal", json!("SIGSTOPP"))),
        ("config-user", "a blank in it", execution("User", json!("root root"))),
        ("config-user", "no group after the colon", execution("User", json!("root:"))),
        ("config-path", "a relative working directory", execution("WorkingDir", json!("srv"))),
        ("config-path", "a relative volume", execution("Volumes", json!({"/data": {}, "data": {}}))),
    ]
}
