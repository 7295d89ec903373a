//! Descriptors, each member checked by itself.

use serde_json::{Map, Value};

use crate::base64;
use crate::digest::{Digest, Hasher};
use crate::media_type::MediaType;
use crate::oci::{annotations, RefName};
use crate::ops::verify::finding::{quoted, FindingPlace, Findings};
use crate::ops::verify::Rule;
use crate::time::Timestamp;

/// What a descriptor says about a blob, as far as it makes sense.
#[derive(Debug)]
pub(super) struct BlobMention {
    /// Where the descriptor is.
    pub(super) place: FindingPlace,
    pub(super) media_type: MediaType,
    pub(super) digest: Digest,
    /// `None` if it is not a size.
    pub(super) size: Option<u64>,
    pub(super) artifact_type: Option<String>,
    pub(super) if_missing: IfMissing,
    /// What an attestation is about, as an index says.
    pub(super) attested: Option<Digest>,
    /// The platform that an index gives.
    pub(super) platform: Option<Map<String, Value>>,
}

/// What a missing blob means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfMissing {
    /// The image is incomplete.
    Error,
    /// It may have to be fetched from elsewhere.
    Elsewhere,
    /// It is for a platform that was not copied, and others of the same index are there.
    OtherPlatform,
}

impl BlobMention {
    /// Reads a descriptor whose members were checked for their types. Returns `None` without media type and digest.
    pub(super) fn read(value: &Value, place: FindingPlace, findings: &mut Findings) -> Option<Self> {
        let media_type = value["mediaType"].as_str();
        for (member, text) in [("mediaType", media_type), ("artifactType", value["artifactType"].as_str())] {
            check_media_type(text, &place.member(member), findings);
        }
        let size = read_size(&value["size"], &place, findings);
        let digest = value["digest"].as_str().and_then(|text| read_digest(text, &place.member("digest"), findings));
        let urls = value["urls"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (number, url) in urls.iter().enumerate() {
            if let Some(url) = url.as_str().filter(|url| !is_url(url)) {
                findings.add(Rule::DescriptorUrl, &place.member("urls").member(number), "a URI", quoted(url));
            }
        }
        let (media_type, digest) = (MediaType::from(media_type?.to_owned()), digest?);
        if let Some(data) = value["data"].as_str() {
            check_data(data, &digest, size, &place.member("data"), findings);
        }
        let is_non_distributable = media_type.is_non_distributable();
        if is_non_distributable {
            let found = quoted(media_type.as_str());
            findings.add(Rule::NonDistributable, &place.member("mediaType"), "a layer that may be distributed", found);
        }
        let in_oci = media_type.in_oci();
        if in_oci != media_type {
            let found = quoted(media_type.as_str());
            findings.add(Rule::DockerMediaType, &place.member("mediaType"), quoted(in_oci.as_str()), found);
        }
        Some(BlobMention {
            if_missing: if is_non_distributable || urls.iter().any(Value::is_string) {
                IfMissing::Elsewhere
            } else {
                IfMissing::Error
            },
            artifact_type: value["artifactType"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
            attested: value["annotations"][annotations::ATTESTED].as_str().and_then(|text| text.parse().ok()),
            platform: value["platform"].as_object().cloned(),
            place,
            media_type,
            digest,
            size,
        })
    }
}

/// Returns the digest of a descriptor, if it has one.
pub(super) fn digest_in(descriptor: &Value) -> Option<Digest> {
    descriptor["digest"].as_str()?.parse().ok()
}

/// Returns what an index lists, with the positions.
pub(super) fn listed_in(index: &Value) -> Vec<(usize, Digest)> {
    let descriptors = index["manifests"].as_array().into_iter().flatten();
    descriptors.enumerate().filter_map(|(number, descriptor)| Some((number, digest_in(descriptor)?))).collect()
}

/// Checks a text against the grammar of digests.
pub(super) fn read_digest(text: &str, place: &FindingPlace, findings: &mut Findings) -> Option<Digest> {
    let Ok(digest) = text.parse::<Digest>() else {
        findings.add(
            Rule::DescriptorDigest,
            place,
            "`algorithm:encoded`, such as `sha256:` and 64 hex digits",
            quoted(text),
        );
        return None;
    };
    if digest.algorithm().is_none() {
        findings.add(Rule::DigestAlgorithm, place, "a sha256 or sha512 digest", quoted(text));
    }
    Some(digest)
}

fn read_size(value: &Value, place: &FindingPlace, findings: &mut Findings) -> Option<u64> {
    let size = value.as_i64().and_then(|size| u64::try_from(size).ok());
    if let (None, Value::Number(number)) = (size, value) {
        findings.add(Rule::DescriptorSize, &place.member("size"), "a whole number of bytes", number.to_string());
    }
    size
}

fn check_data(text: &str, digest: &Digest, size: Option<u64>, place: &FindingPlace, findings: &mut Findings) {
    let Some(data) = base64::decode(text) else {
        return findings.add(Rule::DescriptorData, place, "base64", quoted(text));
    };
    if size.is_some_and(|size| size != data.len() as u64) {
        let expected = format!("{} bytes", size.unwrap_or_default());
        return findings.add(Rule::DescriptorData, place, expected, format!("{} bytes", data.len()));
    }
    let Some(algorithm) = digest.algorithm() else { return };
    let mut hasher = Hasher::new(algorithm);
    hasher.update(&data);
    let found = hasher.finish();
    if found != *digest {
        findings.add(Rule::DescriptorData, place, format!("data with digest {digest}"), found.to_string());
    }
}

/// Checks a media type against its grammar, if there is one.
pub(super) fn check_media_type(text: Option<&str>, place: &FindingPlace, findings: &mut Findings) {
    if let Some(text) = text.filter(|text| text.parse::<MediaType>().is_err()) {
        findings.add(Rule::MediaTypeGrammar, place, "a media type such as `application/json`", quoted(text));
    }
}

/// Whether a text has a scheme, a colon, and nothing that a URI must percent-encode (RFC 3986, 2 and 3.1).
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let escapes_are_whole = rest
        .split('%')
        .skip(1)
        .all(|escape| escape.len() >= 2 && escape.bytes().take(2).all(|b| b.is_ascii_hexdigit()));
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
        && escapes_are_whole
}

/// Where annotations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnnotationsOf {
    /// On a descriptor of `index.json`, the only place for ref names.
    IndexEntry,
    /// Anywhere else.
    Other,
}

/// Checks annotations against the forms that the image-spec defines (annotations.md#pre-defined-annotation-keys).
pub(super) fn check_annotations(value: &Value, of: AnnotationsOf, place: &FindingPlace, findings: &mut Findings) {
    let place = place.member("annotations");
    // A value may be empty (annotations.md#rules), and then says nothing.
    let text = |key| value["annotations"][key].as_str().filter(|text| !text.is_empty());
    if let Some(created) = text(annotations::CREATED).filter(|text| !is_time(text)) {
        let place = place.member(annotations::CREATED);
        findings.add(Rule::AnnotationValue, &place, "a time such as `2018-03-09T12:34:56Z`", quoted(created));
    }
    if let Some(digest) = text(annotations::BASE_DIGEST).filter(|text| text.parse::<Digest>().is_err()) {
        findings.add(Rule::AnnotationValue, &place.member(annotations::BASE_DIGEST), "a digest", quoted(digest));
    }
    match (of, value["annotations"][annotations::REF_NAME].as_str()) {
        (_, None) => {}
        (AnnotationsOf::IndexEntry, Some(name)) if name.parse::<RefName>().is_ok() => {}
        (AnnotationsOf::IndexEntry, Some(name)) => findings.add(
            Rule::RefName,
            &place.member(annotations::REF_NAME),
            "letters and digits, joined by `/`, by one of `-` `.` `_` `:` `@` `+`, or by `--`",
            quoted(name),
        ),
        (AnnotationsOf::Other, Some(name)) => {
            findings.add(Rule::RefNamePlace, &place.member(annotations::REF_NAME), "no ref name", quoted(name));
        }
    }
}

/// Checks a time against RFC 3339, if there is one.
pub(super) fn check_time(value: &Value, place: &FindingPlace, findings: &mut Findings) {
    if let Some(text) = value.as_str().filter(|text| !is_time(text)) {
        findings.add(Rule::TimeFormat, place, "a time such as `2018-03-09T12:34:56Z`", quoted(text));
    }
}

/// RFC 3339 with `T` and `Z` in upper case and without leap seconds: Go's parser, which most consumers use, takes no
/// other.
fn is_time(text: &str) -> bool {
    let is_leap = text.get(17..19) == Some("60");
    text.contains('T') && !text.contains(['t', 'z', ' ']) && !is_leap && text.parse::<Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, accepted) in [
            ("https://example.com/a%20b?c=d#e", true),
            ("http://[::1]:5000/", true),
            ("ftp:x", true),
            ("", false),
            ("example.com/a", false),
            (":x", false),
            ("1a:x", false),
            ("http://a b", false),
            ("http://a/%2", false),
            ("http://a/%zz", false),
            ("http://ä", false),
            ("http://a/<b>", false),
        ] {
            assert_eq!(is_url(text), accepted, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, accepted) in [
            ("2018-03-09T12:34:56Z", true),
            ("2018-03-09T12:34:56.123456789Z", true),
            ("0001-01-01T00:00:00Z", true),
            ("2018-03-09T12:34:56+01:00", true),
            ("2018-03-09t12:34:56Z", false),
            ("2018-03-09T12:34:56z", false),
            ("2018-03-09 12:34:56Z", false),
            ("2018-03-09T12:34:56", false),
            ("1520598896", false),
            ("", false),
        ] {
            assert_eq!(is_time(text), accepted, "{text}");
        }
    }
}
