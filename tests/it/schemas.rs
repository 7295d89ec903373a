use std::path::Path;
use std::sync::OnceLock;

use crate::harness::{missing, Layout, Peer, Scratch, Tool};

/// Where Debian's golang-github-opencontainers-image-spec-dev installs the schemas.
pub(crate) const SCHEMAS: &str = "/usr/share/gocode/src/github.com/opencontainers/image-spec/schema";

/// Checks a document against a schema; `python3 -c` gets the directory, the schema's file and the document's path. The
/// schemas refer to each other by URLs whose last part is the file name, so nothing is fetched.
const VALIDATE: &str = r#"
import json, os, sys
from jsonschema import Draft4Validator, RefResolver

def load(*path):
    with open(os.path.join(*path)) as text:
        return json.load(text)

directory, name, document = sys.argv[1:]

class Offline(RefResolver):
    def resolve_remote(self, address):
        return load(directory, address.rsplit("/", 1)[-1])

schema = load(directory, name)
Draft4Validator.check_schema(schema)
validator = Draft4Validator(schema, resolver=Offline.from_schema(schema))
for error in validator.iter_errors(load(document)):
    print("/".join(map(str, error.absolute_path)), error.message)
"#;

/// What is wrong with a document according to a schema in a directory, or `None` if this machine cannot check it.
#[track_caller]
pub(crate) fn complaints(schemas: &str, schema: &str, document: &Path) -> Option<String> {
    // Asked once: to import it takes longer than to check a document.
    static HAS_MODULE: OnceLock<bool> = OnceLock::new();
    let python = Peer::python()?;
    if !Path::new(schemas).is_dir() {
        missing(&format!("the schemas in {schemas}"));
        return None;
    }
    let import = || python.command().args(["-c", "import jsonschema"]).output().unwrap().status.success();
    if !HAS_MODULE.get_or_init(import) {
        missing("the package python3-jsonschema");
        return None;
    }
    let document = document.to_str().expect("UTF-8");
    Some(python.run(["-W", "ignore", "-c", VALIDATE, schemas, schema, document]))
}

#[test]
fn every_document_follows_its_schema() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let everything_that_can_be_set = [
        "--variant=v3",
        "--os=linux",
        "--author=A <a@example.org>",
        "--entrypoint=/bin/sh -c",
        "--cmd='echo a b'",
        "--working-dir=/srv",
        "--user=1:2",
        "--stop-signal=SIGRTMIN+3",
        "--port=80",
        "--port=53/udp",
        "--volume=/data",
        "--label=a=b",
        "--env=A=b c",
        "--annotation=org.example.x=y",
        "--healthcheck=CMD-SHELL 'true || false'",
        "--healthcheck-interval=30s",
        "--healthcheck-timeout=1s",
        "--healthcheck-start-period=5s",
        "--healthcheck-retries=3",
        "--memory=64m",
        "--memory-swap=-1",
        "--cpu-shares=512",
        "--created=1969-07-20T20:17:40Z",
        "--tag=a",
        "--tag=b/c:d",
    ];
    let rootfs = scratch.small_rootfs();
    let _ = Tool::build(&rootfs).oci(&out).args(everything_that_can_be_set).bake();
    for compression in ["gzip", "zstd", "none"] {
        let _ = Tool::build(&rootfs).target("oci", &out, compression).args(["--compression", compression]).bake();
    }
    let mut documents =
        vec![("image-layout-schema.json", out.join("oci-layout")), ("image-index-schema.json", out.join("index.json"))];
    for name in ["a", "b/c:d", "gzip", "zstd", "none"] {
        let image = Layout::at(&out).image(name);
        let blob = |descriptor: &serde_json::Value| {
            out.join("blobs").join(descriptor["digest"].as_str().unwrap().replace(':', "/"))
        };
        documents.push(("image-manifest-schema.json", blob(&image.descriptor)));
        documents.push(("config-schema.json", blob(&image.manifest["config"])));
        for (number, descriptor) in
            [&image.descriptor, &image.manifest["config"], &image.manifest["layers"][0]].into_iter().enumerate()
        {
            let path = scratch.join(&format!("descriptor-{number}-{}", name.replace('/', "-")));
            std::fs::write(&path, descriptor.to_string()).unwrap();
            documents.push(("content-descriptor.json", path));
        }
    }
    for (schema, document) in documents {
        let Some(complaints) = complaints(SCHEMAS, schema, &document) else { return };
        assert_eq!(complaints, "", "{schema} about {}", document.display());
    }
}

#[test]
fn the_schemas_do_complain() {
    let scratch = Scratch::new();
    let wrong = scratch.join("wrong.json");
    for (schema, document, complaint) in [
        ("image-layout-schema.json", r#"{"imageLayoutVersion":"2.0.0"}"#, "imageLayoutVersion"),
        ("image-index-schema.json", r#"{"schemaVersion":2,"manifests":[{"digest":"x","size":1}]}"#, "manifests/0"),
        ("image-manifest-schema.json", r#"{"schemaVersion":2,"config":{}}"#, "config"),
        ("config-schema.json", r#"{"architecture":"amd64","os":"linux"}"#, "rootfs"),
        ("content-descriptor.json", r#"{"mediaType":"application/x","digest":"md5","size":1}"#, "digest"),
    ] {
        std::fs::write(&wrong, document).unwrap();
        let Some(complaints) = complaints(SCHEMAS, schema, &wrong) else { return };
        assert!(complaints.contains(complaint), "{schema} about {document}: {complaints}");
    }
}
