//! The rules that images must keep, and what each verb does with an image that breaks one.

mod verdict;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use verdict::{Depth, Verdict};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A promise is broken, or common readers refuse the image or do not agree on what it holds.
    Error,
    /// Permitted, and good to know.
    Note,
}

impl Severity {
    /// `error` or `note`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Note => "note",
        }
    }
}

macro_rules! rules {
    ($($variant:ident $name:literal $severity:ident
        [$inspect:ident $index:ident $convert:ident $recompress:ident $files:ident] $source:literal $meaning:literal;)*
    ) => {
        /// What an image is checked against.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, " (", $source, ").")]
                $variant,
            )*
        }

        impl Rule {
            /// All rules, in the order in which an image is read.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant),*];

            /// Its name, which stays the same from version to version.
            pub fn name(self) -> &'static str {
                match self {
                    $(Rule::$variant => $name,)*
                }
            }

            /// The severity of its findings.
            pub fn severity(self) -> Severity {
                match self {
                    $(Rule::$variant => Severity::$severity,)*
                }
            }

            /// What a verb that looks so deep into an image does about a finding.
            pub fn verdict(self, depth: Depth) -> Verdict {
                let verdicts = match self {
                    $(Rule::$variant => [
                        Verdict::$inspect, Verdict::$index, Verdict::$convert, Verdict::$recompress, Verdict::$files,
                    ],)*
                };
                let [inspect, index, convert, recompress, files] = verdicts;
                match depth {
                    Depth::Documents => inspect,
                    Depth::Index => index,
                    Depth::Blobs => convert,
                    Depth::Compression => recompress,
                    Depth::Files => files,
                }
            }

            /// What is true if nothing is found, in one clause.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Rule::$variant => $meaning,)*
                }
            }

            /// The document that it comes from, with the section.
            pub fn source(self) -> &'static str {
                match self {
                    $(Rule::$variant => $source,)*
                }
            }
        }
    };
}

rules! {
    LayoutMarker "layout-marker" Error [RefusesIfNeeded Takes Takes Takes Takes]
        "image-spec, image-layout.md#oci-layout-file"
        "the file `oci-layout` is there and says version 1.0.0";
    LayoutIndex "layout-index" Error [Refuses Refuses Refuses Refuses Refuses]
        "image-spec, image-layout.md#indexjson-file"
        "the file `index.json` is there";
    ArchiveRepeatedFile "archive-repeated-file" Error [Refuses Refuses Refuses Refuses Refuses]
        "POSIX.1-2017, pax, ustar Interchange Format"
        "an archive has one file of each name: readers differ in which of several they take";
    ExtraFile "extra-file" Note [Takes Takes Takes Takes Takes]
        "image-spec, image-layout.md#content"
        "a layout holds nothing but its marker, its index and blobs";
    BlobUnreferenced "blob-unreferenced" Note [Takes Takes Takes Takes Takes]
        "image-spec, image-layout.md#blobs"
        "something refers to each blob";

    DocumentSize "document-size" Error [Refuses Refuses Refuses Refuses Refuses]
        "distribution-spec, spec.md#pushing-manifests"
        "a document has 4 MiB at most, `index.json` 64 MiB";
    DocumentJson "document-json" Error [Refuses Refuses Refuses Refuses Refuses]
        "image-spec, considerations.md#json"
        "a document is well-formed JSON";
    DocumentRepeatedMember "document-repeated-member" Error [Refuses Refuses Refuses Refuses Refuses]
        "RFC 7493, 2.3"
        "no two members of an object have the same name";
    DocumentMemberCase "document-member-case" Error [Takes Takes Takes Takes Takes]
        "image-spec, considerations.md#json"
        "no member differs from a known one only in upper and lower case, which Go's readers do not tell apart";
    DocumentStructure "document-structure" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded]
        "image-spec, schema/"
        "required members are there, and members have the type that they should have, and whole numbers 64 bits";
    DocumentNull "document-null" Note [Takes Takes Warns Warns Takes]
        "image-spec, schema/"
        "what is empty is an empty list, object or string where such a value belongs, not null";
    SchemaVersion "schema-version" Error [Takes Takes Takes Takes Takes]
        "image-spec, manifest.md#image-manifest-property-descriptions"
        "`schemaVersion` is 2";
    DocumentMediaType "document-media-type" Error [Refuses Refuses Refuses Refuses Refuses]
        "image-spec, manifest.md#image-manifest-property-descriptions"
        "the media type in a document is the one that its descriptor gives";
    DocumentMediaTypeMissing "document-media-type-missing" Note [Takes Takes Takes Takes Takes]
        "image-spec, manifest.md#image-manifest-property-descriptions"
        "a manifest or index names its own media type";
    DocumentAmbiguous "document-ambiguous" Error [Refuses Refuses Refuses Refuses Refuses]
        "CVE-2021-41190"
        "no document can be taken for a manifest and for an index";
    AnnotationValue "annotation-value" Error [Takes Takes Takes Takes Takes]
        "image-spec, annotations.md#pre-defined-annotation-keys"
        "annotations with a defined form keep it: times and digests";

    MediaTypeGrammar "media-type-grammar" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded]
        "RFC 6838, 4.2"
        "media types are well-formed";
    DescriptorDigest "descriptor-digest" Error [Refuses Refuses Refuses Refuses Refuses]
        "image-spec, descriptor.md#digests"
        "digests are well-formed";
    DigestAlgorithm "digest-algorithm" Note [Takes Takes Takes Takes Takes]
        "image-spec, descriptor.md#registered-algorithms"
        "digests are sha256 or sha512, which can be computed here";
    DescriptorSize "descriptor-size" Error [Refuses Refuses Refuses Refuses Refuses]
        "image-spec, descriptor.md#properties"
        "sizes are whole numbers from 0 on";
    DescriptorData "descriptor-data" Error [Takes Takes Takes Takes Takes]
        "image-spec, descriptor.md#properties"
        "the data in a descriptor is base64 and has its size and digest";
    DescriptorUrl "descriptor-url" Error [Takes Takes Takes Takes Takes]
        "RFC 3986"
        "the addresses in a descriptor are well-formed";
    DescriptorKind "descriptor-kind" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded]
        "image-spec, manifest.md#image-manifest-property-descriptions"
        "no descriptor is where its media type does not belong, such as a config among layers";
    UnknownMediaType "unknown-media-type" Note [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded]
        "image-spec, media-types.md"
        "media types are known; the content of others is not looked at";
    NonDistributable "non-distributable" Note [Takes Takes Takes Takes Takes]
        "image-spec, layer.md#non-distributable-layers"
        "no layer is kept from being distributed, which is deprecated";
    DockerMediaType "docker-media-type" Note [Takes Takes Takes Takes Takes]
        "image-spec, media-types.md#compatibility-matrix"
        "media types are OCI's: some readers of layouts, Podman and umoci among them, take no others";
    RefName "ref-name" Error [Takes Takes Takes Takes Takes]
        "image-spec, annotations.md#pre-defined-annotation-keys"
        "ref names are well-formed";
    RefNameRepeated "ref-name-repeated" Error [Takes Takes Takes Takes Takes]
        "image-spec, image-layout.md#indexjson-file"
        "a ref name belongs to one descriptor";
    RefNamePlace "ref-name-place" Note [Takes Takes Takes Takes Takes]
        "image-spec, image-layout.md#indexjson-file"
        "ref names are on descriptors of `index.json`, and nowhere else";
    ArtifactType "artifact-type" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded]
        "image-spec, manifest.md#image-manifest-property-descriptions"
        "a manifest with an empty config has an artifact type, and descriptors give the same";
    ReferrersTag "referrers-tag" Error [Takes Takes Takes Takes Takes]
        "distribution-spec, spec.md#referrers-tag-schema"
        "what an index by the name of a digest lists is about nothing else";
    AttestationSubject "attestation-subject" Error [Takes RefusesIfNeeded Takes Takes Takes]
        "BuildKit, docs/attestations/attestation-storage.md"
        "what an attestation is about is in the same index";
    NoLayers "no-layers" Note [Takes Takes Takes Takes RefusesIfNeeded]
        "image-spec, manifest.md#image-manifest-property-descriptions"
        "an image has a layer";
    LayerCount "layer-count" Error [Takes Takes Takes Takes Warns]
        "Docker, layer/layer_store.go"
        "an image has 125 layers at most: Docker takes no more";

    BlobMissing "blob-missing" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded]
        "image-spec, image-layout.md#blobs"
        "a blob is there for each descriptor";
    BlobElsewhere "blob-elsewhere" Note [Takes Takes Takes Takes Refuses]
        "image-spec, layer.md#non-distributable-layers"
        "no blob is left to be fetched from elsewhere";
    PlatformMissing "platform-missing" Note [Takes Warns Warns Warns Takes]
        "image-spec, image-layout.md#blobs"
        "an index and the images that it lists are there together, not for some platforms alone";
    BlobUnreadable "blob-unreadable" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded Refuses]
        "image-spec, image-layout.md#blobs"
        "blobs can be read";
    BlobSize "blob-size" Error [RefusesIfNeeded RefusesIfNeeded Refuses Refuses Refuses]
        "image-spec, descriptor.md#properties"
        "a blob has the size that its descriptors give";
    BlobDigest "blob-digest" Error [RefusesIfNeeded RefusesIfNeeded Refuses Refuses Refuses]
        "image-spec, descriptor.md#verification"
        "a blob has the digest that it is named by";
    BlobContent "blob-content" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded WarnsOrRefuses]
        "image-spec, media-types.md"
        "a blob is what its media type says";

    ConfigRootfsType "config-rootfs-type" Error [Takes Takes Takes Takes Takes]
        "image-spec, config.md#properties"
        "`rootfs.type` is `layers`";
    DiffIdCount "diff-id-count" Error [RefusesIfNeeded RefusesIfNeeded RefusesIfNeeded Refuses Refuses]
        "image-spec, config.md#properties"
        "there are as many diff_ids as layers";
    DiffId "diff-id" Error [Takes Takes Takes Refuses Refuses]
        "image-spec, config.md#layer-diffid"
        "each diff_id is the digest of the layer's tar";
    HistoryCount "history-count" Error [Takes Warns Warns Warns RefusesIfNeeded]
        "image-spec, config.md#properties"
        "history has as many entries with a layer as there are layers, if it has any";
    PlatformMismatch "platform-mismatch" Error [Takes Refuses Takes Takes Takes]
        "image-spec, image-index.md#image-index-property-descriptions"
        "the platform in an index is the one in the config";
    PlatformVariant "platform-variant" Note [Takes Takes Takes Takes Takes]
        "image-spec, image-index.md#platform-variants"
        "the variant is in the index and in the config, or in neither";
    PlatformName "platform-name" Note [Takes Takes Takes Takes Takes]
        "image-spec, config.md#properties"
        "operating system and architecture have Go's names";
    TimeFormat "time-format" Error [Takes Takes Takes Takes Takes]
        "RFC 3339, 5.6"
        "times are RFC 3339, with `T` and `Z` in upper case and without leap seconds as Go's readers want it";
    ConfigEnv "config-env" Error [Takes Takes Takes Takes Takes]
        "image-spec, config.md#properties"
        "environment variables are `NAME=value`";
    ConfigEnvRepeated "config-env-repeated" Error [Takes Takes Takes Takes Takes]
        "image-spec, config.md#properties"
        "no environment variable comes twice";
    ConfigPort "config-port" Error [Takes Takes Takes Takes Takes]
        "image-spec, config.md#properties"
        "ports are `PORT[/tcp|udp|sctp]`";
    ConfigStopSignal "config-stop-signal" Error [Takes Takes Takes Takes Takes]
        "image-spec, config.md#properties"
        "the stop signal has a name that signal(7) knows, or a number";
    ConfigUser "config-user" Error [Takes Takes Takes Takes Takes]
        "image-spec, config.md#properties"
        "the user is `USER[:GROUP]` in names or ids";
    ConfigPath "config-path" Error [Takes Takes Takes Takes Takes]
        "image-spec, conversion.md"
        "the working directory and volumes are absolute paths";

    LayerCompression "layer-compression" Error [Takes Takes Takes Refuses Refuses]
        "image-spec, layer.md#gzip-media-types"
        "a layer can be decompressed, checksums included";
    LayerTrailingBytes "layer-trailing-bytes" Error [Takes Takes Takes Takes Warns]
        "RFC 1952, 2.2"
        "nothing follows the compressed stream";
    GzipMembers "gzip-members" Note [Takes Takes Takes Takes Takes]
        "RFC 1952, 2.2"
        "gzip has one member: some readers stop after the first";
    XzCheck "xz-check" Note [Takes Takes Takes Takes Takes]
        "The .xz File Format, 2.1.1.2"
        "xz has an integrity check: some readers, skopeo 1.9 among them, refuse it without one";
    TarFraming "tar-framing" Error [Takes Takes Takes Takes Refuses]
        "POSIX.1-2017, pax, ustar Interchange Format"
        "checksums, sizes and extended headers leave no doubt where each entry stands";
    TarEntry "tar-entry" Error [Takes Takes Takes Takes Refuses]
        "image-spec, layer.md#file-types"
        "each member of the tar is an entry that a layer can hold";
    TarPath "tar-path" Error [Takes Takes Takes Takes Refuses]
        "image-spec, layer.md#change-types"
        "no name leads out of the image by `..`";
    TarNameForm "tar-name-form" Note [Takes Takes Takes Takes Takes]
        "image-spec, layer.md#change-types"
        "names are relative and in their shortest form, without a slash before them or `.` in them";
    TarNameLength "tar-name-length" Error [Takes Takes Takes Takes Refuses]
        "Linux, NAME_MAX"
        "no name in a path is longer than 255 bytes, no target of a symbolic link longer than 4095: nothing could unpack it";
    TarXattrSize "tar-xattr-size" Error [Takes Takes Takes Takes Warns]
        "Linux, xattr(7)"
        "no attribute has a name longer than 255 bytes or a value larger than 64 KiB: nothing could set it";
    TarXattrValue "tar-xattr-value" Error [Takes Takes Takes Takes Warns]
        "Linux, capability.h and posix_acl_xattr.h"
        "capabilities and ACLs have values that Linux takes: nothing could set others";
    TarXattrEmpty "tar-xattr-empty" Note [Takes Takes Takes Takes Takes]
        "Go, archive/tar"
        "no attribute is empty: engines take an empty PAX record for none, while GNU tar, libarchive and Python keep it";
    TarRepeatedPath "tar-repeated-path" Error [Takes Takes Takes Takes Warns]
        "image-spec, layer.md#representing-changes"
        "no path comes twice in a layer";
    TarHardlink "tar-hardlink" Error [Takes Takes Takes Takes WarnsOrRefuses]
        "image-spec, layer.md#hardlinks"
        "the target of a hard link is before it in the same layer, and is not a directory";
    TarBelowFile "tar-below-file" Error [Takes Takes Takes Takes Warns]
        "image-spec, layer.md#applying-changesets"
        "nothing is below an entry of the same layer that is not a directory";
    TarBelowLink "tar-below-link" Error [Takes Takes Takes Takes Warns]
        "image-spec, layer.md#applying-changesets"
        "nothing is below a symbolic link of a lower layer: readers follow it, or make a directory in its place";
    TarBelowLower "tar-below-lower-file" Error [Takes Takes Takes Takes Warns]
        "image-spec, layer.md#applying-changesets"
        "nothing is below a file of a lower layer: readers refuse it, or make a directory in its place";
    TarAmbiguous "tar-ambiguous" Error [Takes Takes Takes Takes Warns]
        "POSIX.1-2017, pax, pax Extended Header"
        "headers do not contradict each other: readers choose differently";
    TarType "tar-type" Error [Takes Takes Takes Takes Warns]
        "Docker, pkg/archive/archive.go"
        "members have types that engines take: files, directories, links, devices and pipes";
    TarDialect "tar-dialect" Note [Takes Takes Takes Takes Takes]
        "POSIX.1-2017, pax, pax Interchange Format"
        "the tar is ustar with PAX headers, without forms of older tars";
    TarKeyword "tar-keyword" Note [Takes Takes Takes Takes Warns]
        "POSIX.1-2017, pax, pax Extended Header Keywords"
        "PAX records belong to one entry, and their keywords are known";
    TarSparse "tar-sparse" Note [Takes Takes Takes Takes Takes]
        "image-spec, layer.md#file-types"
        "files are stored whole";
    TarPadding "tar-padding" Error [Takes Takes Takes Takes Warns]
        "POSIX.1-2017, pax, ustar Interchange Format"
        "content is filled up with zeros";
    TarEnd "tar-end" Note [Takes Takes Takes Takes Takes]
        "POSIX.1-2017, pax, ustar Interchange Format"
        "two blocks of zeros end the tar";
    TarTrailingBytes "tar-trailing-bytes" Error [Takes Takes Takes Takes Warns]
        "POSIX.1-2017, pax, ustar Interchange Format"
        "nothing but zeros follows the end of the tar";
    Whiteout "whiteout" Error [Takes Takes Takes Takes WarnsOrRefuses]
        "image-spec, layer.md#whiteouts"
        "a whiteout is an empty file that hides a name";
    WhiteoutAndEntry "whiteout-and-entry" Error [Takes Takes Takes Takes Warns]
        "image-spec, layer.md#whiteouts"
        "no layer has a path and its whiteout: readers choose differently";
    WhiteoutOrder "whiteout-order" Error [Takes Takes Takes Takes Warns]
        "image-spec, layer.md#opaque-whiteout"
        "an opaque whiteout comes before what is in its directory, where not all directories are listed: Podman removes the others";
    WhiteoutAufs "whiteout-aufs" Note [Takes Takes Takes Takes Warns]
        "image-spec, layer.md#whiteouts"
        "a layer holds no bookkeeping of AUFS";
}

/// A rule, and everything that is said about it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RuleReport {
    /// The rule, by its name.
    pub rule: Rule,
    /// The severity of its findings.
    pub severity: Severity,
    /// What is true if nothing is found, in one clause.
    pub meaning: &'static str,
    /// The document that it comes from, with the section.
    pub source: &'static str,
    /// What the other verbs do about a finding, by how deep they look.
    pub verdicts: BTreeMap<&'static str, Verdict>,
}

impl Rule {
    /// Returns everything that is said about it.
    pub fn report(self) -> RuleReport {
        RuleReport {
            rule: self,
            severity: self.severity(),
            meaning: self.meaning(),
            source: self.source(),
            verdicts: Depth::ALL.iter().map(|depth| (depth.name(), self.verdict(*depth))).collect(),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_in_kebab_case() {
        let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for name in names {
            assert!(
                name.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase())),
                "{name}"
            );
        }
    }

    #[test]
    fn meanings_are_one_clause() {
        for rule in Rule::ALL {
            let meaning = rule.meaning();
            assert!(!meaning.ends_with('.') && !meaning.contains("  "), "{meaning}");
        }
    }
}
