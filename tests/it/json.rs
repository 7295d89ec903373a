use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{clone, make_layout, named, tar_of, ByHand, Fixture, Member, Order, Scratch, Tool};
use crate::verify::members::{file, member, pax, Member as RawMember};

/// The keys of a verb's JSON, as `docs/json.md` writes them: `layers[].digest` is a member of each element of `layers`.
type Keys = BTreeSet<String>;

/// The keys in the document: for each heading (`build`, `verify --rules`) the first column of its table.
fn described() -> BTreeMap<String, Keys> {
    let text = fs::read_to_string(clone().join("docs/json.md")).unwrap();
    let mut described: BTreeMap<String, Keys> = BTreeMap::new();
    let mut verb = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            verb = heading.strip_prefix('`').and_then(|heading| heading.strip_suffix('`')).map(str::to_owned);
        } else if let (Some(verb), Some(row)) = (&verb, line.strip_prefix("| `")) {
            let key = row.split('`').next().unwrap().to_owned();
            assert!(described.entry(verb.clone()).or_default().insert(key.clone()), "{verb}: `{key}` stands twice");
        }
    }
    described
}

/// Adds the keys of a value. A key described as `key.*` has members that this document does not describe.
fn collect(value: &Value, at: &str, open: &Keys, keys: &mut Keys) {
    let is_open = open.contains(&format!("{at}.*"));
    match value {
        Value::Array(elements) if is_open && !elements.is_empty() => drop(keys.insert(format!("{at}.*"))),
        Value::Object(members) if is_open && !members.is_empty() => drop(keys.insert(format!("{at}.*"))),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, &format!("{at}[]"), open, keys)),
        Value::Object(members) => {
            for (name, value) in members {
                let key = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                collect(value, &key, open, keys);
                keys.insert(key);
            }
        }
        _ => {}
    }
}

/// An element of a tree has the keys of all elements.
fn unfolded(key: &str) -> String {
    let mut key = key.to_owned();
    while let Some(inner) = key.strip_prefix("[].manifests[]").or_else(|| key.strip_prefix("[].attached[]")) {
        key = format!("[]{inner}");
    }
    key
}

/// The output of the verbs, run after run.
struct Printed<'a> {
    scratch: &'a Scratch,
    described: BTreeMap<String, Keys>,
    keys: BTreeMap<String, Keys>,
}

impl Printed<'_> {
    fn add(&mut self, verb: &str, value: &Value) {
        let open = self.described.get(verb).cloned().unwrap_or_default();
        collect(value, "", &open, self.keys.entry(verb.to_owned()).or_default());
    }

    fn run(&mut self, words: &str) -> Value {
        let words: Vec<&str> = words.split(' ').collect();
        let outcome = Tool::new(words[0]).args(&words[1..]).arg("--json").within(self.scratch.path()).run();
        let value: Value = serde_json::from_str(&outcome.printed())
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", outcome.stderr()));
        let verb = match words[0] {
            "verify" if words.contains(&"--rules") => "verify --rules",
            "build" if words.contains(&"--dry-run") => "build --dry-run",
            "verify" if words.contains(&"--cache") => "verify --cache",
            verb => verb,
        };
        self.add(verb, &value);
        value
    }
}

/// Two rootfs with one difference of each kind.
fn two_rootfs(scratch: &Scratch) {
    let lines = ["d 0755 - 1 /", "f 0644 - 1 /changed text old @user.a=31", "f 0644 - 1 /gone text x"];
    Fixture::parse(&lines.join("\n")).make(&scratch.join("rootfs"), Order::AsListed);
    let lines = ["d 0755 - 1 /", "f 0600 - 1 /changed text new", "l 0777 - 1 /new changed"];
    Fixture::parse(&lines.join("\n")).make(&scratch.join("newer"), Order::AsListed);
}

/// A layout with an index that lists a missing manifest.
fn odd_layout(path: &Path) {
    let layout = ByHand::at(path);
    let absent = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "digest":
        format!("sha256:{}", "0".repeat(64)), "platform": {"os": "linux", "architecture": "s390x"}});
    let index = layout.index(&[layout.platform("arm64", Some("v8")), absent]);
    layout.list(&[named(&index, "latest")]);
}

/// An image of files with fractions of a second, an attribute that no filesystem takes, and names that are not text.
fn strange_image(path: &Path) {
    let records = pax(&[("mtime", "1.5"), ("SCHILY.xattr.windows.acl", "x")]);
    let no_text = member(b'0', b"caf\xe9").content("x");
    let link = member(b'2', b"link").link(b"\xff");
    let members =
        [records.clone().bytes(), no_text.bytes(), records.bytes(), file("changed", "new").bytes(), link.bytes()];
    make_layout(path, &[[members.concat(), vec![0; 1024]].concat()]);
}

/// Images with names that are not text, with waste, notices, and added, removed and changed entries; one was built with
/// a plan.
fn two_strange_images(scratch: &Scratch) {
    let name = |name: &[u8]| member(b'0', [name, b"\xe9"].concat());
    let tar = |members: Vec<RawMember>| -> Vec<u8> {
        members.into_iter().flat_map(|member| member.bytes()).chain(vec![0; 1024]).collect()
    };
    let base = vec![
        name(b"again").content("x"),
        member(b'0', b"directory\xe9/file").content("in it"),
        name(b"gone").content("y"),
        name(b"twin").content("zz").mode(0o4755),
        name(b"twins").content("zz"),
    ];
    let top = vec![name(b"again").content("xx"), name(b".wh.gone")];
    make_layout(&scratch.join("stranger"), &[tar(base), tar(top)]);
    make_layout(&scratch.join("strangest"), &[tar(vec![name(b"again").content("o"), name(b"only").content("q")])]);
}

/// Writes other bytes over all blocks in a cache.
fn damage_a_block(blobs: &Path) {
    for entry in fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none() {
            let size = fs::metadata(&path).unwrap().len();
            fs::remove_file(&path).unwrap();
            fs::write(&path, vec![0; size as usize]).unwrap();
        }
    }
}

#[test]
fn keys_are_printed_as_they_are_described() {
    let scratch = Scratch::new();
    let mut printed = Printed { scratch: &scratch, described: described(), keys: BTreeMap::new() };
    two_rootfs(&scratch);
    make_layout(&scratch.join("damaged"), &[tar_of(&[Member::File("a", "b"), Member::File("a", "b")])]);
    odd_layout(&scratch.join("odd"));
    strange_image(&scratch.join("strange"));
    fs::write(scratch.join("bill"), "{}").unwrap();

    printed.run("build rootfs oci:out:v1 oci:other:v1 --arch amd64 --label a=b --annotation c=d --cmd sh");
    printed.run("build newer oci:out:v2 --arch arm64 --layers all=* --user nobody-knows");
    printed.run("build rootfs oci:out:v1 --arch arm64 --dry-run");
    printed.run("attach oci:out:v1 bill --type text/plain --annotation .title=x");
    printed.run("inspect oci:out:v1 --files --largest 2");
    printed.run("ls oci:out");
    printed.run("verify damaged");
    printed.run("verify --rules");
    printed.run("diff oci:out:v1 oci:out:v2");
    printed.run("diff oci:out:v2 oci:out:v1");
    printed.run("diff oci:out:v2 oci:strange");
    printed.run("inspect oci:strange --files --largest 9");
    printed.run("unpack oci:strange unpacked --rootless");
    printed.run("build newer oci:learned:v1 --arch arm64 --layers generated=*");
    fs::write(scratch.join("plan"), "generated: *\n").unwrap();
    printed.run("plan rootfs --update plan --old oci:learned:v1 --simulate oci:learned:v1");
    printed.run("plan rootfs --layers some=/changed");
    printed.run("diff oci:out:v1 oci:learned:v1");
    printed.run("inspect oci:learned:v1");
    printed.run("squash oci:out:v1 oci:squashed");
    printed.run("convert oci:odd oci:converted --compression zstd");
    printed.run("index oci:out:v1 oci:out:v2 oci:index:all");
    printed.run("ls oci:index");
    printed.run("inspect oci:index:all");
    printed.run("diff oci:out:v1 oci:index:all --platform linux/amd64");
    printed.run("diff oci:index:all oci:out:v1 --platform linux/amd64");
    printed.run("config oci:other:v1 --label x=y");
    printed.run("config oci:out:v1 --label x=y");
    printed.run("tag oci:out:v1 stable");
    printed.run("rm oci:out:v2");
    fs::create_dir(scratch.join("out/.ocibake-1-0")).unwrap();
    printed.run("gc oci:out");
    printed.run("build rootfs oci:cached:v1 --arch amd64 --cache kept");
    printed.run("cache kept");
    damage_a_block(&scratch.join("kept/blobs"));
    printed.run("verify --cache kept");
    two_strange_images(&scratch);
    printed.run("report oci:stranger oci:strangest --fail-if size>1GB");
    printed.run("report oci:index:all");
    printed.run("report oci:other:v1 oci:learned:v1");
    printed.run("platform armv7l");

    let mut wrong = Vec::new();
    let nothing = Keys::new();
    let verbs: BTreeSet<&String> = printed.described.keys().chain(printed.keys.keys()).collect();
    for verb in verbs {
        let described = printed.described.get(verb).unwrap_or(&nothing);
        let found: Keys = printed.keys.get(verb).unwrap_or(&nothing).iter().map(|key| unfolded(key)).collect();
        wrong.extend(found.difference(described).map(|key| format!("{verb}: `{key}` is printed and not described")));
        wrong.extend(described.difference(&found).map(|key| format!("{verb}: `{key}` is described and not printed")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A verb with `--json` has its section.
#[test]
fn each_verb_that_reports_has_its_section() {
    let sections = described();
    for verb in crate::verbs::VERBS {
        let help = Tool::new(verb).arg("--help").run().stdout();
        assert_eq!(help.contains("--json"), sections.contains_key(*verb), "{verb}");
    }
}
