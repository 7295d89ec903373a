//! Recognises the file to attach: documents about software identify themselves.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::hint::{Hint, OptionName};
use crate::media_type::MediaType;

const SPDX: &str = "application/spdx+json";
const SPDX_TEXT: &str = "text/spdx";
const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
const CYCLONEDX_XML: &str = "application/vnd.cyclonedx+xml";
const IN_TOTO: &str = "application/vnd.in-toto+json";
const IN_TOTO_BUNDLE: &str = "application/vnd.in-toto.bundle";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const OPENVEX: &str = "application/vnd.openvex+json";
const SIGSTORE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Media types by the end of a file name, or by the whole name, for files whose content does not tell more.
const ENDINGS: [(&str, &str); 16] = [
    (".spdx.json", SPDX),
    (".spdx3.json", SPDX),
    (".spdx.jsonld", SPDX),
    (".spdx", SPDX_TEXT),
    (".cdx.json", CYCLONEDX),
    (".cyclonedx.json", CYCLONEDX),
    ("bom.json", CYCLONEDX),
    (".cdx.xml", CYCLONEDX_XML),
    (".cyclonedx.xml", CYCLONEDX_XML),
    ("bom.xml", CYCLONEDX_XML),
    (".intoto.json", IN_TOTO),
    (".intoto.jsonl", IN_TOTO_BUNDLE),
    (".openvex.json", OPENVEX),
    (".vex.json", OPENVEX),
    (".sigstore.json", SIGSTORE),
    (".sigstore", SIGSTORE),
];

/// The members by which JSON documents identify themselves. All others are skipped.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Marks {
    #[serde(rename = "spdxVersion")]
    spdx_version: Value,
    #[serde(rename = "bomFormat")]
    bom_format: Value,
    #[serde(rename = "@context")]
    context: Value,
    #[serde(rename = "_type")]
    statement: Value,
    #[serde(rename = "payloadType")]
    payload_type: Value,
    #[serde(rename = "mediaType")]
    media_type: Value,
}

/// Returns the media type of a file, from its content or else from its name. If neither tells, that is an error.
pub(super) fn recognise(path: &Path) -> Result<MediaType> {
    let found = by_content(path)?.or_else(|| by_name(path));
    let found = found.ok_or_else(|| {
        Error::refused_with_hint(
            format!(
                "`{}`: an SBOM, attestation or signature of a known kind is wanted, found something else",
                path.display()
            ),
            Hint::from("say what it is with ")
                .option(OptionName::MediaType)
                .text(" and a media type such as `application/octet-stream`"),
        )
        .of_kind(ErrorKind::Unsupported)
    })?;
    found.parse()
}

fn by_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let is_meant = |end: &str| if end.starts_with('.') { name.ends_with(end) } else { name == end };
    ENDINGS.iter().find(|(end, _)| is_meant(end)).map(|(_, kind)| (*kind).to_owned())
}

/// Returns the media type that the content tells, or `None` if it tells nothing.
fn by_content(path: &Path) -> Result<Option<String>> {
    let file = File::open(path).at("open", path)?;
    // `attach` refuses directories when it reads the file.
    if !file.metadata().at("open", path)?.is_file() {
        return Ok(None);
    }
    let mut reader = BufReader::new(file);
    if reader.fill_buf().at("read", path)?.starts_with("\u{feff}".as_bytes()) {
        reader.consume("\u{feff}".len());
    }
    let start = reader.fill_buf().at("read", path)?;
    let start = String::from_utf8_lossy(&start[..start.len().min(4096)]).into_owned();
    let text = start.trim_start();
    if text.starts_with('<') {
        return Ok(text.contains("http://cyclonedx.org/schema/bom").then(|| CYCLONEDX_XML.to_owned()));
    }
    if text.lines().any(|line| line.starts_with("SPDXVersion:")) {
        return Ok(Some(SPDX_TEXT.to_owned()));
    }
    if !text.starts_with('{') {
        return Ok(None);
    }
    let mut documents = serde_json::Deserializer::from_reader(reader.by_ref()).into_iter::<Marks>();
    let Some(Ok(first)) = documents.next() else { return Ok(None) };
    let kind = first.kind();
    let is_row = kind.as_deref() == Some(ENVELOPE) && documents.next().is_some();
    Ok(if is_row { Some(IN_TOTO_BUNDLE.to_owned()) } else { kind })
}

impl Marks {
    fn kind(&self) -> Option<String> {
        let starts = |value: &Value, beginning: &str| value.as_str().is_some_and(|text| text.starts_with(beginning));
        // One or several contexts (JSON-LD 1.1, 3.1).
        let contexts = self.context.as_array().map_or(std::slice::from_ref(&self.context), Vec::as_slice);
        let has_context = |beginning: &str| contexts.iter().any(|context| starts(context, beginning));
        let known = if starts(&self.spdx_version, "SPDX-") || has_context("https://spdx.org/rdf/3") {
            SPDX
        } else if self.bom_format == "CycloneDX" {
            CYCLONEDX
        } else if has_context("https://openvex.dev/ns") {
            OPENVEX
        } else if starts(&self.statement, "https://in-toto.io/Statement/") {
            IN_TOTO
        } else if !self.payload_type.is_null() {
            ENVELOPE
        } else {
            // A bundle has its version in its type, first as a parameter (`…bundle+json;version=0.2`), later as a part.
            let rest = self.media_type.as_str()?.strip_prefix("application/vnd.dev.sigstore.bundle")?;
            let version =
                rest.strip_prefix("+json;version=").or_else(|| rest.strip_prefix(".v")?.strip_suffix("+json"))?;
            return Some(format!("application/vnd.dev.sigstore.bundle.v{version}+json"));
        };
        Some(known.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_name_themselves() {
        for (text, kind) in [
            (r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.2"}"#, Some(SPDX)),
            (r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}"#, Some(SPDX)),
            (r#"{"@graph":[],"@context":["https://example.org/x","https://spdx.org/rdf/3.0.0/c"]}"#, Some(SPDX)),
            (r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#, Some(CYCLONEDX)),
            (r#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}"#, Some(OPENVEX)),
            (r#"{"_type":"https://in-toto.io/Statement/v1","subject":[]}"#, Some(IN_TOTO)),
            (r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}"#, Some(ENVELOPE)),
            (r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#, Some(SIGSTORE)),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1"}"#,
                Some("application/vnd.dev.sigstore.bundle.v0.1+json"),
            ),
            (r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#, None),
            (r#"{"spdxVersion":2}"#, None),
            (r#"{"bomFormat":"Other","_type":"link","@context":{"a":1}}"#, None),
            ("{}", None),
        ] {
            let marks: Marks = serde_json::from_str(text).unwrap();
            assert_eq!(marks.kind().as_deref(), kind, "{text}");
            assert!(kind.map_or(true, |kind| kind.parse::<MediaType>().is_ok()), "{text}");
        }
    }

    #[test]
    fn names_help_where_the_content_says_nothing() {
        for (name, kind) in [
            ("a/B.SPDX.json", Some(SPDX)),
            ("image.cdx.xml", Some(CYCLONEDX_XML)),
            ("bom.json", Some(CYCLONEDX)),
            ("sbom.json", None),
            ("x.intoto.jsonl", Some(IN_TOTO_BUNDLE)),
            ("x.sigstore", Some(SIGSTORE)),
            ("notes.txt", None),
            ("", None),
        ] {
            assert_eq!(by_name(Path::new(name)).as_deref(), kind, "{name}");
        }
        assert!(ENDINGS.iter().all(|(_, kind)| kind.parse::<MediaType>().is_ok()));
    }
}
