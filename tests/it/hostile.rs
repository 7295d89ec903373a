use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::harness::{names_below, sha256, Outcome, Peer, Scratch, Tool};

/// A run that exceeds this runs away, and is ended: 1 GiB of address space, 60 seconds of CPU, files of 1 GiB.
const LIMITS: &str = "ulimit -v 1048576 && ulimit -t 60 && ulimit -f 2097152 && exec \"$0\" \"$@\"";

/// What a run may take, whatever the input claims, as the system counts it.
const MOST_MEMORY: u64 = 160 << 20;
const MOST_CPU: f64 = 15.0;

/// A run within [`LIMITS`], [`MOST_MEMORY`] and [`MOST_CPU`].
#[track_caller]
fn bounded(scratch: &Scratch, what: &str, tool: Tool) -> Outcome {
    let figures = scratch.join("figures");
    let time = Peer::find("time");
    let counted = time.iter().flat_map(|time| {
        [time.path().as_os_str(), "-q".as_ref(), "-f".as_ref(), "%M %U %S".as_ref(), "-o".as_ref(), figures.as_os_str()]
    });
    let words: Vec<&OsStr> = counted.chain(["sh", "-c", LIMITS].map(OsStr::new)).collect();
    let outcome = tool.behind(words).within(scratch.path()).run();
    if time.is_some() {
        let text = fs::read_to_string(&figures).unwrap();
        fs::remove_file(&figures).unwrap();
        let figures: Vec<f64> = text.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
        let [kibibytes, user, system] = figures[..] else { panic!("{text}") };
        assert!(kibibytes * 1024.0 <= MOST_MEMORY as f64, "{what}: {kibibytes} KiB: {}", outcome.shown());
        assert!(user + system <= MOST_CPU, "{what}: {} s of CPU: {}", user + system, outcome.shown());
    }
    outcome
}

/// A run that must be refused in one line, within bounds, and leave no files.
#[track_caller]
fn refused(scratch: &Scratch, what: &str, tool: Tool) {
    let before = names_below(scratch.path());
    let error = bounded(scratch, what, tool).error();
    assert!(error.len() < 20_000, "{what}: a message of {} bytes", error.len());
    assert_eq!(names_below(scratch.path()), before, "{what}: {error}");
}

/// The verbs that read a whole image.
fn readers() -> [Tool; 3] {
    [
        Tool::build("rootfs").args(["oci:out", "--base", "oci:hostile", "--threads", "2"]),
        Tool::new("squash").args(["oci:hostile", "oci:out", "--threads", "2"]),
        Tool::new("unpack").args(["oci:hostile", "out"]),
    ]
}

/// A layout made by hand, right or wrong.
struct Made(PathBuf);

impl Made {
    fn at(path: PathBuf) -> Self {
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Made(path)
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        fs::write(self.0.join("blobs/sha256").join(sha256(bytes)), bytes).unwrap();
        let media_type = format!("application/vnd.oci.image.{media_type}");
        json!({"mediaType": media_type, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
    }

    fn index(&self, manifests: &[Value]) {
        fs::write(self.0.join("index.json"), index(manifests)).unwrap();
    }

    /// An image of these layers, each with its tar.
    fn layers(&self, layers: &[(&Vec<u8>, &Vec<u8>)]) {
        let diff_ids: Vec<String> = layers.iter().map(|(_, tar)| format!("sha256:{}", sha256(tar))).collect();
        let layers: Vec<Value> = layers.iter().map(|(blob, _)| self.blob("layer.v1.tar", blob)).collect();
        let config =
            json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.blob("config.v1+json", config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.index(&[self.blob("manifest.v1+json", manifest.to_string().as_bytes())]);
    }

    /// An image of one layer, whose documents may be replaced by others.
    fn image(&self, layer: &[u8], diff_id: &[u8], documents: Documents<'_>) {
        let layer = self.blob("layer.v1.tar", layer);
        let config = json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(diff_id))]}});
        let config = self.blob("config.v1+json", documents.config.unwrap_or(config.to_string().as_bytes()));
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let manifest = self.blob("manifest.v1+json", documents.manifest.unwrap_or(manifest.to_string().as_bytes()));
        self.index(&[manifest]);
        if let Some(index) = documents.index {
            fs::write(self.0.join("index.json"), index).unwrap();
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Documents<'a> {
    index: Option<&'a [u8]>,
    manifest: Option<&'a [u8]>,
    config: Option<&'a [u8]>,
}

fn index(manifests: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes()
}

/// A tar with anything in it.
#[derive(Clone)]
struct Tar(Vec<u8>);

impl Tar {
    /// With a directory and a file, as entries that could be damaged.
    fn new() -> Self {
        Tar(Vec::new()).member(b'5', "d", "", b"").member(b'0', "d/f", "", b"text")
    }

    fn member(self, typeflag: u8, name: &str, link: &str, content: &[u8]) -> Self {
        self.claiming(typeflag, name, link, content, content.len() as u64)
    }

    /// A member that claims this many bytes.
    fn claiming(mut self, typeflag: u8, name: &str, link: &str, content: &[u8], size: u64) -> Self {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().linkflag = [typeflag];
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Records before an empty file.
    fn pax(self, records: &[(&str, &str)]) -> Self {
        self.records(records).member(b'0', "x", "", b"")
    }

    fn records(self, records: &[(&str, &str)]) -> Self {
        let body: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.member(b'x', "pax", "", body.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// `LENGTH KEY=VALUE`, the length with its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length = (rest..rest + 20).find(|length| length - length.to_string().len() == rest).unwrap();
    format!("{length} {key}={value}\n")
}

/// Archives that no reader may accept, as a layer or as a rootfs.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let tar = Tar::new;
    let file = |name: &str| tar().member(b'0', name, "", b"x").end();
    let link = |target: &str| tar().member(b'1', "l", target, b"").end();
    let sparse = |size: &str| {
        let records = [("GNU.sparse.name", "s"), ("GNU.sparse.realsize", size), ("GNU.sparse.map", "0,0")];
        tar().pax(&records).end()
    };
    let whole = tar().member(b'0', "g", "", &[b'x'; 2000]).end();
    let cut = |length: usize| whole[..length].to_vec();
    let mut damaged = whole.clone();
    damaged[512] ^= 1;
    vec![
        ("a name that leads out", file("../x")),
        ("a name that leads out later", file("d/../../x")),
        ("a name that comes back", file("d/../x")),
        ("a name that leads out of the root", file("/../x")),
        ("a whiteout of nothing", file("d/.wh.")),
        ("a whiteout of the directory itself", file("d/.wh..")),
        ("a whiteout of the directory above", file("d/.wh...")),
        ("a file below a whiteout", file(".wh.d/x")),
        ("a root that is a file", file(".")),
        ("a member without a name", file("")),
        ("a link to nothing", link("nothing")),
        ("a link to itself", link("l")),
        ("a link to a directory", link("d")),
        ("a link to the root", link("/")),
        ("a link that leads out", link("../x")),
        ("a symbolic link to nowhere", tar().member(b'2', "l", "", b"").end()),
        ("a member of no type", tar().member(b'Z', "what", "", b"").end()),
        ("a NUL in a name", tar().pax(&[("path", "a\0b")]).end()),
        ("a NUL in a target", tar().records(&[("linkpath", "a\0b")]).member(b'2', "l", "x", b"").end()),
        ("a name of half a million directories", tar().pax(&[("path", &"a/".repeat(500_000))]).end()),
        (
            "a target of a million bytes",
            tar().records(&[("linkpath", &"a/".repeat(500_000))]).member(b'2', "l", "x", b"").end(),
        ),
        ("an extended header of 8 GiB", tar().claiming(b'x', "pax", "", b"", 0o77_777_777_777).end()),
        ("a long name of 8 GiB", tar().claiming(b'L', "././@LongLink", "", b"", 0o77_777_777_777).end()),
        ("a file of 8 GiB that is not there", tar().claiming(b'0', "x", "", b"", 0o77_777_777_777).end()),
        ("a file of 8 EiB that is not there", tar().pax(&[("size", "9223372036854775807")]).end()),
        ("a size that is none", tar().pax(&[("size", "99999999999999999999")]).end()),
        ("an owner that is none", tar().pax(&[("uid", "4294967296")]).end()),
        ("a time that is none", tar().pax(&[("mtime", "1e400")]).end()),
        ("a sparse file of 8 EiB", sparse("9223372036854775807")),
        ("a sparse file of 16 EiB", sparse("18446744073709551615")),
        ("a sparse file that no number counts", sparse("99999999999999999999")),
        ("a record that is longer than its header", tar().member(b'x', "pax", "", b"99 path=x\n").end()),
        ("a record of no length", tar().member(b'x', "pax", "", b"0 path=x\n").end()),
        ("a record of nothing", tar().member(b'x', "pax", "", &[0; 512]).end()),
        ("an extended header of nothing", tar().records(&[("path", "x")]).end()),
        ("a header that is damaged", damaged),
        ("half a header", cut(700)),
        ("half a member", cut(2100)),
        ("no end of a member", cut(2600)),
        ("text", b"no tar at all\n".repeat(100)),
        ("half of gzip", gzip(&whole)[..100].to_vec()),
        ("gzip of half an archive", gzip(&whole[..2100])),
        ("a window of 2 GiB", b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec()),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn archives_that_lie() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (what, archive) in archives() {
        fs::write(scratch.join("hostile.tar"), &archive).unwrap();
        refused(&scratch, what, Tool::build("hostile.tar").arg("oci:out"));
        // A decoder that fails does so before there is a digest of the tar.
        Made::at(scratch.join("hostile")).image(&archive, &archive, Documents::default());
        for reader in readers() {
            refused(&scratch, what, reader);
        }
    }
}

/// The bytes in place of a document.
fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let digest = format!("sha256:{}", sha256(b""));
    let descriptor = |digest: &str, size: &str| format!(r#"{{"mediaType":"x","digest":"{digest}","size":{size}}}"#);
    // All three kinds of documents at once, with a descriptor in every place.
    let with = |descriptor: &str| {
        let rootfs = r#""architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[1]}"#;
        let lists = format!(r#""config":{descriptor},"layers":[{descriptor}],"manifests":[{descriptor}]"#);
        format!(r#"{{"schemaVersion":2,{lists},{rootfs}}}"#).into_bytes()
    };
    vec![
        ("nothing", Vec::new()),
        ("a brace", b"{".to_vec()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("no members", b"{}".to_vec()),
        ("NULs", vec![0; 4096]),
        ("no UTF-8", b"{\"schemaVersion\":2,\"a\xff\":1}".to_vec()),
        ("half a surrogate", br#"{"schemaVersion":2,"a":"\ud800"}"#.to_vec()),
        ("lists in lists", b"[".repeat(1 << 20)),
        ("objects in objects", br#"{"a":"#.repeat(1 << 19)),
        ("an annotation of lists", [&br#"{"schemaVersion":2,"x":"#[..], &b"[".repeat(100_000)].concat()),
        ("a version that no number counts", br#"{"schemaVersion":1e400,"manifests":[],"layers":[]}"#.to_vec()),
        ("a version below zero", br#"{"schemaVersion":-1,"manifests":[],"layers":[]}"#.to_vec()),
        ("a member twice", br#"{"schemaVersion":2,"schemaVersion":2,"os":"linux","os":"linux"}"#.to_vec()),
        ("too much", [&b"{\"schemaVersion\":2,\"x\":\""[..], &b"x".repeat(4 << 20), b"\"}"].concat()),
        ("a size below zero", with(&descriptor(&digest, "-1"))),
        ("a size in halves", with(&descriptor(&digest, "1.5"))),
        ("a size that no number counts", with(&descriptor(&digest, "18446744073709551616"))),
        ("a digest that leads out", with(&descriptor("sha256:../../../../etc/passwd", "1"))),
        ("an algorithm that leads out", with(&descriptor("../..:passwd", "1"))),
        ("a digest that is too short", with(&descriptor("sha256:00", "1"))),
    ]
}

#[test]
fn documents_that_lie() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let layer = Tar::new().end();
    for (what, text) in texts() {
        let text = Some(text.as_slice());
        for documents in [
            Documents { index: text, ..Documents::default() },
            Documents { manifest: text, ..Documents::default() },
            Documents { config: text, ..Documents::default() },
        ] {
            Made::at(scratch.join("hostile")).image(&layer, &layer, documents);
            for reader in readers() {
                refused(&scratch, what, reader);
            }
            refused(&scratch, what, Tool::new("inspect").arg("oci:hostile"));
        }
    }
}

/// Changes to a layer's blob.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn layers_that_are_not_what_was_promised() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let layer = Tar::new().end();
    let damage = |change: &dyn Fn(&Path)| {
        let made = Made::at(scratch.join("hostile"));
        made.image(&layer, &layer, Documents::default());
        change(&made.0.join("blobs/sha256").join(sha256(&layer)));
    };
    let other = Tar::new().member(b'0', "g", "", b"").end();
    let changes: [Damage<'_>; 6] = [
        ("missing", &|blob| fs::remove_file(blob).unwrap()),
        ("empty", &|blob| fs::write(blob, "").unwrap()),
        ("shorter", &|blob| fs::write(blob, &layer[..layer.len() - 1]).unwrap()),
        ("longer", &|blob| fs::write(blob, [&layer[..], b"\0"].concat()).unwrap()),
        ("another", &|blob| fs::write(blob, &other).unwrap()),
        ("endless", &|blob| {
            fs::remove_file(blob).unwrap();
            std::os::unix::fs::symlink("/dev/zero", blob).unwrap();
        }),
    ];
    for (what, change) in changes {
        damage(change);
        for reader in readers() {
            refused(&scratch, what, reader);
        }
    }
    Made::at(scratch.join("hostile")).image(&layer, b"another tar", Documents::default());
    for reader in readers() {
        refused(&scratch, "another diff_id", reader);
    }
}

/// They have no writer, so opening one blocks.
#[test]
fn fifos_in_a_layout() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let layer = Tar::new().end();
    let blob = format!("blobs/sha256/{}", sha256(&layer));
    for name in ["index.json", &blob] {
        let made = Made::at(scratch.join("hostile"));
        made.image(&layer, &layer, Documents::default());
        let path = made.0.join(name);
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
        for reader in readers() {
            refused(&scratch, name, reader);
        }
    }
}

/// So many indexes, each of which lists the next this often, and the last an image.
fn nested(scratch: &Scratch, indexes: usize, entries: usize) {
    let made = Made::at(scratch.join("hostile"));
    let layer = Tar::new().end();
    made.image(&layer, &layer, Documents::default());
    let top: Value = serde_json::from_slice(&fs::read(made.0.join("index.json")).unwrap()).unwrap();
    let mut entry = top["manifests"][0].clone();
    for _ in 0..indexes {
        entry = made.blob("index.v1+json", &index(&vec![entry; entries]));
    }
    made.index(&[entry]);
}

/// What walks through all documents of a layout.
const WALKERS: [&str; 6] = [
    "inspect oci:hostile",
    "verify oci:hostile",
    "gc oci:hostile",
    "attach oci:hostile note --type text/plain",
    "ls oci:hostile",
    "rm oci:hostile --untagged",
];

/// Six indexes of a hundred entries each have far more paths to the one image than they have bytes; each index is
/// walked once.
#[test]
fn indexes_that_list_each_other_over_and_over() {
    let scratch = Scratch::new();
    fs::write(scratch.join("note"), "x").unwrap();
    for words in WALKERS {
        nested(&scratch, 6, 100);
        let words: Vec<&str> = words.split(' ').collect();
        bounded(&scratch, "indexes", Tool::new(words[0]).args(&words[1..])).stdout();
    }
}

/// However often a document is listed, it is read as often as one that is listed once.
#[test]
fn no_document_is_read_more_often_where_there_are_more_ways_to_it() {
    let scratch = Scratch::new();
    let Some(strace) = Peer::find("strace") else { return };
    fs::write(scratch.join("note"), "x").unwrap();
    let log = scratch.join("opened");
    let strace = [
        strace.path().as_os_str(),
        "-fqq".as_ref(),
        "-e".as_ref(),
        "trace=open,openat".as_ref(),
        "-o".as_ref(),
        log.as_os_str(),
    ];
    for words in WALKERS {
        let words: Vec<&str> = words.split(' ').collect();
        // How often the blob is opened that is opened most often.
        let most = [(1, 1), (1, 100), (6, 1), (6, 100)].map(|(indexes, entries)| {
            nested(&scratch, indexes, entries);
            let tool = Tool::new(words[0]).args(&words[1..]).behind(strace);
            tool.within(scratch.path()).run().stdout();
            let mut opened = BTreeMap::new();
            for line in fs::read_to_string(&log).unwrap().lines() {
                if let Some((_, digest)) = line.split_once("blobs/sha256/").filter(|(_, digest)| digest.len() > 64) {
                    *opened.entry(digest[..64].to_owned()).or_insert(0) += 1;
                }
            }
            assert!(opened.len() > indexes, "{words:?}: {opened:?}");
            opened.into_values().max().unwrap()
        });
        assert!(most.iter().all(|count| *count == most[0]) && most[0] < 8, "{words:?}: {most:?}");
    }
}

#[test]
fn a_path_in_a_docker_archive_that_takes_long_to_follow() {
    let scratch = Scratch::new();
    let manifest = json!([{"Config": "a/".repeat(1 << 20), "RepoTags": ["x:y"], "Layers": []}]);
    let tar = Tar::new().member(b'0', "manifest.json", "", manifest.to_string().as_bytes()).end();
    fs::write(scratch.join("hostile.tar"), tar).unwrap();
    let tool = Tool::new("inspect").arg("docker-archive:hostile.tar");
    let error = bounded(&scratch, "a long path", tool).error();
    assert!(error.ends_with("it is longer than any name in an archive\nhint: "), "{error}");
}

/// Highly compressed content does not decompress beyond the limit.
#[test]
fn a_bomb_in_a_layer() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let zeros = Tar::new().member(b'0', "zeros", "", &vec![0; 100 << 20]).end();
    let layer = zstd::encode_all(zeros.as_slice(), 3).unwrap();
    assert!(layer.len() < 20_000, "{} bytes", layer.len());
    Made::at(scratch.join("hostile")).image(&layer, &zeros, Documents::default());
    for tool in readers() {
        let error = bounded(&scratch, "a bomb", tool).error();
        assert!(
            error.contains("over 1000 times\nhint: if it comes from someone whom you trust, raise --max-ratio"),
            "{error}"
        );
    }
    let verify =
        |args: &[&str]| bounded(&scratch, "a bomb", Tool::new("verify").arg("oci:hostile").args(args)).printed();
    let found = verify(&[]);
    assert!(found.contains("over 1000 times"), "{found}");
    let found = verify(&["--max-ratio", "100000"]);
    assert!(!found.contains("over 1000 times"), "{found}");
    let found = verify(&["--max-ratio", "100000", "--max-layer-size", "50M"]);
    assert!(found.contains("more than 52428800 bytes"), "{found}");
}

/// A sparse file of a rootfs makes such a layer too, which `build` says.
#[test]
fn a_layer_of_ours_that_readers_refuse() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("rootfs")).unwrap();
    File::create(scratch.join("rootfs/sparse")).unwrap().set_len(100 << 20).unwrap();
    let build = |compression| {
        let tool = Tool::build("rootfs").arg(format!("oci:{compression}:v1"));
        tool.args(["--owner", "0:0", "--compression", compression]).within(scratch.path()).run()
    };
    assert!(!build("none").stderr().contains("refuse"));
    let zstd = build("zstd");
    let warning = zstd.stderr();
    assert!(warning.contains("over 1000 times: readers refuse it until their limit is raised"), "{warning}");
    let error = Tool::new("unpack").args(["oci:zstd:v1", "out"]).within(scratch.path()).run().error();
    assert!(error.contains("over 1000 times"), "{error}");
}

/// Names and attributes that are small in a layer and large in memory.
#[test]
fn floods_of_names_and_attributes() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let global = |count: usize, size: usize| {
        let value = "v".repeat(size);
        let records: String = (0..count).map(|n| record(&format!("SCHILY.xattr.user.{n}"), &value)).collect();
        Tar::new().member(b'g', "pax", "", records.as_bytes())
    };
    let numbered = |tar: Tar, count: usize| (0..count).fold(tar, |tar, n| tar.member(b'0', &n.to_string(), "", b""));
    // All of these share the attributes of the first.
    let shared = numbered(global(16, 60_000), 700).end();
    Made::at(scratch.join("shared")).image(&shared, &shared, Documents::default());
    let diff = bounded(&scratch, "shared attributes", Tool::new("diff").args(["oci:shared", "oci:shared"]));
    assert_eq!(diff.code(), 0, "{}", diff.stderr());

    let deep = "d/".repeat(32_000);
    let long = |n: usize| format!("{n}/{}", "n/".repeat(2_000));
    let names = (0..4).fold(Tar::new(), |tar, n| tar.pax(&[("path", &long(n))]));
    for (what, tar, expected) in [
        ("many attributes", numbered(global(10_000, 0), 1), "the names of its attributes go up to 65536 bytes"),
        ("attributes of many", numbered(global(1_000, 0), 200), "take more than 12582912 bytes\nhint: "),
        ("a deep path", Tar::new().pax(&[("path", &deep)]), "take more than 12582912 bytes\nhint: "),
        ("deep paths", names, "take more than 12582912 bytes\nhint: "),
    ] {
        let tar = tar.end();
        Made::at(scratch.join("hostile")).image(&tar, &tar, Documents::default());
        for tool in readers() {
            let error = bounded(&scratch, what, tool.args(["--max-metadata", "12M"])).error();
            assert!(error.contains(expected), "{what}: {error}");
        }
    }
}

/// Little that stands for much work, each accepted: no work may grow faster than what is read.
#[test]
fn floods_of_streams_links_whiteouts_and_lists() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let numbered = |tar: Tar, typeflag: u8, names: &dyn Fn(usize) -> String, link: &str| {
        (0..2_000).fold(tar, |tar, n| tar.member(typeflag, &names(n), link, b"")).end()
    };
    let file = |n: usize| format!("d/{n}");
    let files = numbered(Tar::new(), b'0', &file, "");
    let links = numbered(Tar::new(), b'1', &file, "d/f");
    let whiteouts = numbered(Tar::new(), b'0', &|n| format!("d/.wh.{n}"), "");
    let opaque = numbered(Tar::new(), b'0', &|n| format!("d/{n}/.wh..wh..opq"), "");
    let deep = (0..300).fold(Tar::new(), |tar, n| tar.member(b'0', &format!("{}{n}", "d/".repeat(40)), "", b"")).end();
    let tar = Tar::new().end();
    let members = [gzip(&tar), gzip(b"").repeat(100_000)].concat();
    let skippable = b"\x50\x2a\x4d\x18\0\0\0\0".repeat(200_000);
    let frames = [zstd::encode_all(tar.as_slice(), 3).unwrap(), skippable].concat();
    for (what, layers) in [
        ("links", vec![(&links, &links)]),
        ("whiteouts", vec![(&files, &files), (&whiteouts, &whiteouts)]),
        ("opaque directories", vec![(&files, &files), (&opaque, &opaque)]),
        ("directories", vec![(&deep, &deep)]),
        ("gzip members", vec![(&members, &tar)]),
        ("zstd frames", vec![(&frames, &tar)]),
    ] {
        let made = Made::at(scratch.join("hostile"));
        made.layers(&layers);
        for tool in readers() {
            let outcome = bounded(&scratch, what, tool);
            assert_eq!(outcome.code(), 0, "{what}: {}", outcome.stderr());
            let _ = fs::remove_dir_all(scratch.join("out"));
        }
        assert!(bounded(&scratch, what, Tool::new("verify").arg("oci:hostile")).code() < 2, "{what}");
    }
}

/// A short list of a docker archive can name the same long config, and one image, over and over.
#[test]
fn lists_that_say_the_same_over_and_over() {
    let scratch = Scratch::new();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
        "config": {"Labels": {"long": "x".repeat(1 << 20)}}});
    let archive = |list: &Value| {
        let (config, list) = (config.to_string(), list.to_string());
        Tar(Vec::new())
            .member(b'0', "manifest.json", "", list.as_bytes())
            .member(b'0', "c", "", config.as_bytes())
            .end()
    };
    let item = |tags: &[String]| json!({"Config": "c", "RepoTags": tags, "Layers": []});
    let tags: Vec<String> = (0..4_000).map(|n| format!("a:{n}")).collect();
    for (what, list) in [("items", vec![item(&[]); 8_000].into()), ("names", json!([item(&tags)]))] {
        fs::write(scratch.join("hostile.tar"), archive(&list)).unwrap();
        for words in ["ls", "verify", "inspect"] {
            let outcome = bounded(&scratch, what, Tool::new(words).arg("docker-archive:hostile.tar"));
            assert!(outcome.code() <= 2, "{what}");
        }
    }
    let again = Tool::new("convert").args(["docker-archive:hostile.tar", "docker-archive:again.tar"]);
    let _ = bounded(&scratch, "names", again).digest();
}

/// They would take more room than there is.
#[test]
fn threads_beyond_all_work() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let build = Tool::build("rootfs").args(["oci:out", "--threads", "100000"]);
    let limits = ["sh", "-c", "ulimit -v 8388608 && exec \"$0\" \"$@\""];
    let _ = build.behind(limits).within(scratch.path()).run().digest();
}

#[test]
fn zeros_without_end() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    refused(&scratch, "/dev/zero", Tool::build("/dev/zero").arg("oci:out"));
    let mut tar = Tar::new().end();
    tar.resize(tar.len() + (65 << 20), 0);
    Made::at(scratch.join("hostile")).image(&tar, &tar, Documents::default());
    for tool in readers() {
        refused(&scratch, "zeros after the end", tool);
    }
}

#[test]
fn variables_files_that_lie() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (what, text) in [
        ("NULs", vec![0; 4096]),
        ("no UTF-8", b"OCI_IMAGE_CMD=\xff\xfe".to_vec()),
        ("an open quote", [&b"OCI_IMAGE_CMD='"[..], &b"x\n".repeat(1 << 20)].concat()),
        ("a million words", b"x ".repeat(1 << 20)),
        ("a long name", [&b"OCI_"[..], &b"X".repeat(1 << 16), b"=1"].concat()),
    ] {
        fs::write(scratch.join("vars"), text).unwrap();
        refused(&scratch, what, Tool::build("rootfs").args(["oci:out", "--vars", "vars"]));
    }
}
