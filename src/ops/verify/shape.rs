//! Which members documents have, and of which types: the JSON schemas of the image-spec, as tables.
//!
//! A document is walked along its table once. Later checks take only values of the right type, and need not report the
//! others.

use serde_json::{Map, Value};

use crate::ops::verify::finding::{quoted, FindingPlace, Findings};
use crate::ops::verify::Rule;
use crate::settings::field_kind::FieldKind;
use crate::settings::fields::healthcheck_numbers;
use crate::settings::ConfigField;

/// What a value looks like.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// Of any size, for which there is a rule of its own.
    Number,
    /// What Go reads into 64 bits.
    Integer,
    Flag,
    List(&'static Shape),
    /// An object whose names are free, and whose values are alike.
    Map(&'static Shape),
    Object(&'static [ObjectMember]),
    /// An object whose members the table of fields knows.
    Fields(fn() -> Vec<ObjectMember>),
}

/// A member of an object.
pub(super) struct ObjectMember {
    name: &'static str,
    shape: Shape,
    presence: Presence,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    /// It may also be null, as Go writes what is empty.
    Optional,
}

const fn required(name: &'static str, shape: Shape) -> ObjectMember {
    ObjectMember { name, shape, presence: Presence::Required }
}

const fn optional(name: &'static str, shape: Shape) -> ObjectMember {
    ObjectMember { name, shape, presence: Presence::Optional }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
const TEXT_MAP: Shape = Shape::Map(&Shape::Text);
/// A set in JSON's way: names without values.
const SET: Shape = Shape::Map(&Shape::Object(&[]));

/// `oci-layout` (image-spec, image-layout.md#oci-layout-file).
pub(super) const MARKER: Shape = Shape::Object(&[required("imageLayoutVersion", Shape::Text)]);

/// image-spec, image-index.md.
pub(super) const INDEX: Shape = Shape::Object(&[
    // A missing one has a rule of its own.
    optional("schemaVersion", Shape::Number),
    optional("mediaType", Shape::Text),
    optional("artifactType", Shape::Text),
    required("manifests", Shape::List(&DESCRIPTOR)),
    optional("subject", DESCRIPTOR),
    optional("annotations", TEXT_MAP),
]);

/// image-spec, manifest.md.
pub(super) const MANIFEST: Shape = Shape::Object(&[
    // A missing one has a rule of its own.
    optional("schemaVersion", Shape::Number),
    optional("mediaType", Shape::Text),
    optional("artifactType", Shape::Text),
    required("config", DESCRIPTOR),
    required("layers", Shape::List(&DESCRIPTOR)),
    optional("subject", DESCRIPTOR),
    optional("annotations", TEXT_MAP),
]);

/// image-spec, descriptor.md.
const DESCRIPTOR: Shape = Shape::Object(&[
    required("mediaType", Shape::Text),
    required("digest", Shape::Text),
    required("size", Shape::Number),
    optional("urls", TEXTS),
    optional("annotations", TEXT_MAP),
    optional("data", Shape::Text),
    optional("artifactType", Shape::Text),
    optional(
        "platform",
        Shape::Object(&[
            required("architecture", Shape::Text),
            required("os", Shape::Text),
            optional("os.version", Shape::Text),
            optional("os.features", TEXTS),
            optional("variant", Shape::Text),
        ]),
    ),
]);

/// image-spec, config.md.
pub(super) const CONFIG: Shape = Shape::Object(&[
    optional("created", Shape::Text),
    optional("author", Shape::Text),
    required("architecture", Shape::Text),
    required("os", Shape::Text),
    optional("os.version", Shape::Text),
    optional("os.features", TEXTS),
    optional("variant", Shape::Text),
    optional("config", Shape::Fields(execution)),
    // Of Docker, image/image.go.
    optional("id", Shape::Text),
    optional("parent", Shape::Text),
    optional("comment", Shape::Text),
    optional("container", Shape::Text),
    optional("docker_version", Shape::Text),
    optional("container_config", Shape::Fields(execution)),
    optional("Size", Shape::Integer),
    required(
        "rootfs",
        Shape::Object(&[required("type", Shape::Text), required("diff_ids", Shape::List(&Shape::Text))]),
    ),
    optional(
        "history",
        Shape::List(&Shape::Object(&[
            optional("created", Shape::Text),
            optional("author", Shape::Text),
            optional("created_by", Shape::Text),
            optional("comment", Shape::Text),
            optional("empty_layer", Shape::Flag),
        ])),
    ),
]);

/// Execution parameters that no image needs, and that Docker's code and skopeo read all the same (Docker,
/// api/types/container/config.go).
const OTHERS_OF_DOCKER: [(&str, Shape); 15] = [
    ("ArgsEscaped", Shape::Flag),
    ("AttachStderr", Shape::Flag),
    ("AttachStdin", Shape::Flag),
    ("AttachStdout", Shape::Flag),
    ("Domainname", Shape::Text),
    ("Hostname", Shape::Text),
    ("Image", Shape::Text),
    ("MacAddress", Shape::Text),
    ("NetworkDisabled", Shape::Flag),
    ("OnBuild", TEXTS),
    ("OpenStdin", Shape::Flag),
    ("Shell", TEXTS),
    ("StdinOnce", Shape::Flag),
    ("StopTimeout", Shape::Integer),
    ("Tty", Shape::Flag),
];

/// The execution parameters: the fields that this version knows, and others of Docker.
fn execution() -> Vec<ObjectMember> {
    let fields = ConfigField::all().map(|field| optional(field.member, Shape::of(field.kind)));
    let others = OTHERS_OF_DOCKER.map(|(name, shape)| optional(name, shape));
    fields.chain(others).collect()
}

fn healthcheck() -> Vec<ObjectMember> {
    let numbers = healthcheck_numbers().map(|name| optional(name, Shape::Integer));
    numbers.chain([optional("Test", TEXTS)]).collect()
}

impl Shape {
    fn of(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Text(..) => Shape::Text,
            FieldKind::Number(..) => Shape::Integer,
            FieldKind::Words(_) | FieldKind::Environment(_) => TEXTS,
            FieldKind::Set(..) => SET,
            FieldKind::Map(..) => TEXT_MAP,
            FieldKind::Healthcheck(_) => Shape::Fields(healthcheck),
        }
    }

    /// Adds a finding for everything in `value` that does not look like this.
    pub(super) fn check(self, value: &Value, place: &FindingPlace, findings: &mut Findings) {
        match (self, value) {
            (Shape::Text, Value::String(_)) | (Shape::Number, Value::Number(_)) | (Shape::Flag, Value::Bool(_)) => {}
            (Shape::Integer, Value::Number(number)) if number.is_i64() => {}
            (Shape::Integer, Value::Number(number)) => {
                findings.add(Rule::DocumentStructure, place, self.name(), number.to_string());
            }
            (Shape::List(shape), Value::Array(elements)) => {
                for (number, element) in elements.iter().enumerate().filter(|(_, element)| !shape.is_trivial(element)) {
                    shape.check_element(element, &place.member(number), findings);
                }
            }
            (Shape::Map(shape), Value::Object(object)) => {
                for (name, value) in object.iter().filter(|(_, value)| !shape.is_trivial(value)) {
                    shape.check_element(value, &place.member(name), findings);
                }
            }
            (Shape::Object(members), Value::Object(object)) => check_members(members, object, place, findings),
            (Shape::Fields(members), Value::Object(object)) => check_members(&members(), object, place, findings),
            (wanted, value) => findings.add(Rule::DocumentStructure, place, wanted.name(), type_of(value)),
        }
    }

    /// Checks a value in a list or a map, where Go reads null as an empty text or object.
    fn check_element(self, value: &Value, place: &FindingPlace, findings: &mut Findings) {
        let may_be_empty = match self {
            Shape::Text => true,
            Shape::Object(members) => members.iter().all(|member| member.presence == Presence::Optional),
            _ => false,
        };
        if may_be_empty && value.is_null() {
            return findings.add(Rule::DocumentNull, place, self.name(), "null");
        }
        self.check(value, place, findings);
    }

    /// Whether any value will do, so that its place is not needed.
    fn is_trivial(self, value: &Value) -> bool {
        matches!((self, value), (Shape::Text, Value::String(_)) | (Shape::Object([]), Value::Object(_)))
    }

    fn name(self) -> &'static str {
        match self {
            Shape::Text => "a string",
            Shape::Number => "a number",
            Shape::Integer => "a whole number of 64 bits",
            Shape::Flag => "true or false",
            Shape::List(_) => "an array",
            Shape::Map(_) | Shape::Object(_) | Shape::Fields(_) => "an object",
        }
    }
}

fn check_members(members: &[ObjectMember], object: &Map<String, Value>, place: &FindingPlace, findings: &mut Findings) {
    for member in members {
        match object.get(member.name) {
            Some(Value::Null) if member.presence == Presence::Optional => {}
            // Go's writers and readers take null for an empty list.
            Some(Value::Null) if matches!(member.shape, Shape::List(_)) => {
                findings.add(Rule::DocumentNull, &place.member(member.name), member.shape.name(), "null");
            }
            Some(value) => member.shape.check(value, &place.member(member.name), findings),
            None if member.presence == Presence::Required => {
                findings.add(Rule::DocumentStructure, &place.member(member.name), member.shape.name(), "nothing");
            }
            None => {}
        }
    }
    for name in object.keys() {
        let known = members.iter().find(|member| member.name.eq_ignore_ascii_case(name) && member.name != name);
        if let Some(known) = known {
            let expected = format!("`{}` and no other spelling", known.name);
            findings.add(Rule::DocumentMemberCase, &place.member(name), expected, quoted(name));
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(shape: Shape, value: &Value) -> Vec<String> {
        let mut findings = Findings::default();
        shape.check(value, &FindingPlace::file("x"), &mut findings);
        findings.finish().iter().map(|f| format!("{} {} {} {}", f.rule.name(), f.place, f.expected, f.found)).collect()
    }

    #[test]
    fn wrong_types_and_missing_members_are_told_with_their_place() {
        let config = json!({
            "os": 1, "rootfs": {"type": "layers", "diff_ids": ["x", 2]}, "history": [{"empty_layer": "yes"}],
            "config": {"Env": null, "Volumes": {"/a": {}, "/b": null}, "Labels": {"a": "b", "c": {}}, "Cmd": "sh"},
        });
        assert_eq!(
            findings(CONFIG, &config),
            [
                "document-structure x#/architecture a string nothing",
                "document-structure x#/os a string a number",
                "document-structure x#/config/Cmd an array a string",
                "document-null x#/config/Volumes/~1b an object null",
                "document-structure x#/config/Labels/c a string an object",
                "document-structure x#/rootfs/diff_ids/1 a string a number",
                "document-structure x#/history/0/empty_layer true or false a string",
            ]
        );
        assert_eq!(findings(MARKER, &json!([])), ["document-structure x an object an array"]);
    }

    #[test]
    fn other_spellings_of_known_members_are_told_and_unknown_members_are_not() {
        let marker = json!({"imageLayoutVersion": "1.0.0", "ImageLayoutVersion": "9", "else": 1});
        let expected = "document-member-case x#/ImageLayoutVersion `imageLayoutVersion` and no other spelling \
                        `ImageLayoutVersion`";
        assert_eq!(findings(MARKER, &marker), [expected]);
    }
}
