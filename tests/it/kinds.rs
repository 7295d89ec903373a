//! A program that uses the library tells mistakes apart by the kind of their errors.

use std::io;
use std::path::Path;

use ocibake::layout::Location;
use ocibake::ops::attach::{attach, AttachOptions};
use ocibake::ops::build::{build, BuildOptions, Rootfs};
use ocibake::ops::cat::{cat, CatOptions};
use ocibake::ops::config::{config, ConfigOptions};
use ocibake::ops::convert::{convert, ConvertOptions};
use ocibake::ops::gc::{gc, GcOptions};
use ocibake::ops::index::{index, ExistingIndex, IndexOptions, IndexShape, SamePlatform};
use ocibake::ops::inspect::{copy_attached, inspect, InspectOptions};
use ocibake::ops::rm::{rm, RmOptions};
use ocibake::ops::squash::{squash, SquashOptions};
use ocibake::ops::tag::{tag, TagOptions};
use ocibake::ops::unpack::{unpack, UnpackOptions};
use ocibake::settings::{BuildSpec, Settings, VarsFile};
use ocibake::{Error, ErrorKind, Result, Work};

use crate::harness::{Scratch, Tool};

/// Runs a verb on what is below the scratch directory.
struct Verbs<'a> {
    scratch: &'a Scratch,
    work: Work<'a>,
}

impl Verbs<'_> {
    fn at(&self, text: &str) -> Result<Location> {
        Location::parse(text.replace("HERE", self.scratch.path().to_str().unwrap()).as_ref())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.join(name)
    }

    fn spec(text: &str) -> Result<BuildSpec> {
        BuildSpec::resolve(&Settings::new([], [], Some(VarsFile::parse("vars", text.as_bytes())?))?)
    }

    fn build(&self, vars: &str, targets: &[&str]) -> Result<()> {
        let targets: Vec<Location> = targets.iter().map(|target| self.at(target)).collect::<Result<_>>()?;
        let mut options = BuildOptions::default();
        options.spec = Self::spec(vars)?;
        build(&Rootfs::Directory(self.path("rootfs")), &targets, &options, &self.work).map(drop)
    }

    fn cat(&self, image: &str, path: &str) -> Result<()> {
        let read = cat(&self.at(image)?, path.as_bytes(), &CatOptions::default(), &self.work, &mut io::sink());
        read.map(drop).map_err(|error| Error::carried_by(error).unwrap())
    }

    fn print_attached(&self, image: &str, wanted: &str) -> Result<()> {
        let read = copy_attached(&self.at(image)?, wanted, &InspectOptions::default(), &self.work, &mut io::sink());
        read.map_err(|error| Error::carried_by(error).unwrap())
    }

    fn index(&self, images: &[&str], target: &str, change: impl FnOnce(&mut IndexOptions)) -> Result<()> {
        let images: Vec<Location> = images.iter().map(|image| self.at(image)).collect::<Result<_>>()?;
        let mut options = IndexOptions::default();
        change(&mut options);
        index(&images, &self.at(target)?, &options, &self.work).map(drop)
    }

    fn squash(&self, image: &str, first: usize, target: &str) -> Result<()> {
        let mut options = SquashOptions::default();
        options.first = Some(first);
        squash(&self.at(image)?, &[self.at(target)?], &options, &self.work).map(drop)
    }

    fn tag(&self, image: &str, names: &[&str]) -> Result<()> {
        let mut options = TagOptions::default();
        options.names = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
        tag(&self.at(image)?, &options, &self.work).map(drop)
    }

    fn config(&self, image: &str, names: &[&str]) -> Result<()> {
        let mut options = ConfigOptions::default();
        options.tags = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
        config(&self.at(image)?, &options, &self.work).map(drop)
    }

    fn convert(&self, image: &str, target: &str) -> Result<()> {
        convert(&self.at(image)?, &[self.at(target)?], &ConvertOptions::default(), &self.work).map(drop)
    }

    fn unpack(&self, image: &str, directory: &Path) -> Result<()> {
        unpack(&self.at(image)?, directory, &UnpackOptions::default(), &self.work).map(drop)
    }

    fn attach(&self, image: &str, file: &str) -> Result<()> {
        attach(&self.at(image)?, &self.path(file), &AttachOptions::default(), &self.work).map(drop)
    }
}

/// `good:v1` and `twin:v1` for amd64, `other:v1` for arm64, `both:v1` of the two, and an SBOM attached twice to
/// `good:v1`.
fn images(scratch: &Scratch) {
    scratch.small_rootfs();
    scratch.make_directory("full/of");
    std::fs::write(scratch.join("notes.txt"), "notes\n").unwrap();
    let typed = |words: &[&str]| drop(Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run().stdout());
    for (arch, name) in [("amd64", "good"), ("arm64", "other")] {
        typed(&["build", "rootfs", &format!("oci:{name}:v1"), "--arch", arch, "--owner", "0:0"]);
    }
    typed(&["build", "rootfs", "oci:twin:v1", "--arch", "amd64", "--owner", "0:0", "--label", "a=b"]);
    typed(&["index", "oci:good:v1", "oci:other:v1", "oci:both:v1"]);
    for text in ["1", "2"] {
        std::fs::write(scratch.join("sbom.json"), text).unwrap();
        typed(&["attach", "oci:good:v1", "sbom.json", "--type", "application/spdx+json"]);
    }
}

type Case = (&'static str, Result<()>, ErrorKind);

fn mistakes_in_reading(verbs: &Verbs<'_>) -> Vec<Case> {
    use ErrorKind::{Ambiguous, Invalid, NotFound, Refused, Unsupported};
    let inspected = |image: &str| inspect(&verbs.at(image)?, &InspectOptions::default(), &verbs.work).map(drop);
    vec![
        ("inspect: a layout that is not there", inspected("oci:HERE/none"), NotFound),
        ("inspect: a name that is not there", inspected("oci:HERE/good:v2"), NotFound),
        ("inspect: a digest without its algorithm", inspected("oci:HERE/good@123456789012"), NotFound),
        ("inspect: a digest too short", inspected("oci:HERE/good@sha256:12"), Invalid),
        ("inspect: a registry", inspected("docker://debian:12"), Unsupported),
        ("inspect: a transport that is misspelt", inspected("ocl:good"), Invalid),
        ("inspect: a file for a layout", inspected("oci:HERE/notes.txt"), Invalid),
        ("inspect: nothing of this type is attached", verbs.print_attached("oci:HERE/good:v1", "text/x"), NotFound),
        ("inspect: nothing is attached", verbs.print_attached("oci:HERE/other:v1", "text/x"), NotFound),
        (
            "inspect: two of a type are attached",
            verbs.print_attached("oci:HERE/good:v1", "application/spdx+json"),
            Ambiguous,
        ),
        ("cat: one of two platforms", verbs.cat("oci:HERE/both:v1", "etc/hostname"), Ambiguous),
        ("cat: no such file", verbs.cat("oci:HERE/good:v1", "etc/none"), NotFound),
        ("cat: another spelling", verbs.cat("oci:HERE/good:v1", "etc/hostnam"), NotFound),
        ("cat: below a file", verbs.cat("oci:HERE/good:v1", "etc/hostname/x"), NotFound),
        ("cat: a directory", verbs.cat("oci:HERE/good:v1", "etc"), Invalid),
        ("unpack: below nothing", verbs.unpack("oci:HERE/good:v1", &verbs.path("none/out")), NotFound),
        ("unpack: over something", verbs.unpack("oci:HERE/good:v1", &verbs.path("full")), Refused),
    ]
}

fn mistakes_in_writing(verbs: &Verbs<'_>) -> Vec<Case> {
    use ErrorKind::{Ambiguous, Invalid, NotFound, Refused, Unsupported};
    let flat = |options: &mut IndexOptions| options.shape = IndexShape::Flat;
    let annotated_flat = |options: &mut IndexOptions| {
        options.shape = IndexShape::Flat;
        options.annotations = vec!["a=b".parse().unwrap()];
    };
    let without_amd64 = |options: &mut IndexOptions| options.remove = vec!["linux/amd64".parse().unwrap()];
    let without_riscv = |options: &mut IndexOptions| options.remove = vec!["linux/riscv64".parse().unwrap()];
    let both = |options: &mut IndexOptions| {
        options.existing = ExistingIndex::Extended(SamePlatform::Refused);
        options.remove = vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
    };
    let amd64 = "OCI_IMAGE_ARCH=amd64";
    vec![
        ("build: below nothing", verbs.build(amd64, &["oci:HERE/none/out"]), NotFound),
        ("build: no target", verbs.build(amd64, &[]), Invalid),
        ("build: one target twice", verbs.build(amd64, &["oci:HERE/out", "oci:HERE/out"]), Refused),
        ("build: inside of the rootfs", verbs.build(amd64, &["oci:HERE/rootfs/out"]), Refused),
        ("build: no architecture", verbs.build("", &["oci:HERE/out"]), Invalid),
        ("build: another file", verbs.build(amd64, &["oci-archive:HERE/notes.txt"]), Refused),
        (
            "build: a tag without a name",
            verbs.build("OCI_IMAGE_ARCH=amd64 OCI_IMAGE_TAG=v1", &["docker-archive:HERE/o.tar"]),
            Invalid,
        ),
        ("build: a base in a registry", verbs.build("OCI_BASE_IMAGE=docker://debian", &["oci:HERE/out"]), Unsupported),
        (
            "build: a base for another platform",
            verbs.build("OCI_IMAGE_ARCH=arm64 OCI_BASE_IMAGE=oci:HERE/good:v1", &["oci:HERE/out"]),
            NotFound,
        ),
        ("convert: an ending that is not known", verbs.convert("oci:HERE/good:v1", "HERE/out.tar.lz4"), Unsupported),
        ("convert: bzip2", verbs.convert("oci:HERE/good:v1", "HERE/out.tar.bz2"), Unsupported),
        (
            "convert: a digest as the target",
            verbs.convert("oci:HERE/good:v1", "oci:HERE/out@sha256:123456789012"),
            Invalid,
        ),
        ("convert: a whole layout to itself", verbs.convert("oci:HERE/good", "oci:HERE/good"), Refused),
        ("index: no such platform", verbs.index(&[], "oci:HERE/both:v1", without_riscv), NotFound),
        ("index: no index of the name", verbs.index(&[], "oci:HERE/both:v2", without_amd64), NotFound),
        ("index: nothing would be left", verbs.index(&[], "oci:HERE/both:v1", both), Refused),
        (
            "index: a platform twice",
            verbs.index(&["oci:HERE/good:v1", "oci:HERE/twin:v1"], "oci:HERE/new:v1", |_| ()),
            Refused,
        ),
        (
            "index: flat in a docker archive",
            verbs.index(&["oci:HERE/good:v1"], "docker-archive:HERE/x.tar:x", flat),
            Unsupported,
        ),
        (
            "index: flat with annotations",
            verbs.index(&["oci:HERE/good:v1"], "oci:HERE/flat", annotated_flat),
            Unsupported,
        ),
        ("squash: layers that are not there", verbs.squash("oci:HERE/good:v1", 7, "oci:HERE/out"), Invalid),
        ("tag: no name", verbs.tag("oci:HERE/good:v1", &[]), Invalid),
        ("tag: no such layout", verbs.tag("oci:HERE/none:v1", &["v2"]), NotFound),
        ("config: one of two platforms", verbs.config("oci:HERE/both:v1", &[]), Ambiguous),
        ("rm: no name", rm(&verbs.at("oci:HERE/good").unwrap(), &RmOptions::default(), &verbs.work).map(drop), Invalid),
        (
            "gc: one image",
            gc(&verbs.at("oci:HERE/good:v1").unwrap(), &GcOptions::default(), &verbs.work).map(drop),
            Invalid,
        ),
        ("attach: a directory", verbs.attach("oci:HERE/good:v1", "full"), Invalid),
        ("attach: of no known kind", verbs.attach("oci:HERE/good:v1", "notes.txt"), Unsupported),
        ("attach: no such file", verbs.attach("oci:HERE/good:v1", "none"), NotFound),
    ]
}

#[test]
fn every_mistake_has_its_kind() {
    let scratch = Scratch::new();
    images(&scratch);
    let verbs = Verbs { scratch: &scratch, work: Work::default() };
    let wrong: Vec<String> = mistakes_in_reading(&verbs)
        .into_iter()
        .chain(mistakes_in_writing(&verbs))
        .filter_map(|(mistake, done, kind)| match done {
            Err(error) if error.kind() == kind => None,
            Err(error) => Some(format!("{mistake}: {kind:?} expected, found {:?}: {error}", error.kind())),
            Ok(()) => Some(format!("{mistake}: this is no error")),
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}
