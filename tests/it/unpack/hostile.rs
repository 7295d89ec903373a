use std::fs;

use serde_json::json;

use super::made::{image, layer, tar};
use crate::harness::{bytes_of, names_below, Scratch, Tool};
use crate::verify::members::{directory, file, hardlink, member, pax, Member};

/// A place to unpack to, and next to it files that must not be touched.
struct Place {
    scratch: Scratch,
}

impl Place {
    fn new() -> Self {
        let scratch = Scratch::new();
        let outside = scratch.make_directory("outside");
        fs::create_dir(outside.join("directory")).unwrap();
        fs::write(outside.join("file"), "untouched").unwrap();
        Place { scratch }
    }

    /// Unpacks layers; returns the error, if there is one. Whatever happens, only `out` may appear, and only if there
    /// is no error.
    #[track_caller]
    fn unpack(&self, layers: &[Vec<u8>]) -> Option<String> {
        for name in ["image", "out"] {
            if self.scratch.join(name).symlink_metadata().is_ok() {
                fs::remove_dir_all(self.scratch.join(name)).unwrap();
            }
        }
        image(&self.scratch.join("image"), layers, &json!({}));
        let before = (names_below(self.scratch.path()), self.outside());
        let tool = Tool::new("unpack").args(["oci:image", "out", "--rootless", "-q"]).within(self.scratch.path());
        let outcome = tool.run();
        let error = match outcome.code() {
            0 => {
                outcome.stdout();
                None
            }
            _ => Some(outcome.error()),
        };
        let mut names = names_below(self.scratch.path());
        if error.is_none() {
            names.retain(|name| !name.starts_with("out/"));
        }
        assert_eq!((names, self.outside()), before, "{error:?}");
        error
    }

    fn outside(&self) -> impl PartialEq + std::fmt::Debug {
        use std::os::unix::fs::MetadataExt;
        let outside = self.scratch.join("outside");
        let paths = [outside.clone(), outside.join("directory"), outside.join("file")];
        let times = paths.map(|path| {
            let metadata = path.symlink_metadata().unwrap();
            (metadata.mode(), metadata.uid(), metadata.nlink(), metadata.mtime_nsec(), metadata.ctime_nsec())
        });
        (bytes_of(&outside), times)
    }
}

#[test]
fn links_lead_nowhere() {
    let place = Place::new();
    let absolute = place.scratch.join("outside").display().to_string();
    for outside in [absolute.as_str(), "../outside", "x/../../outside", "./.././outside"] {
        let to = |text: &str| text.replace('@', outside);
        for layers in [
            // A file, a directory, a link and a pipe through a link of the same layer, and of a lower one.
            &[&["l->@", "l/new=1", "l/file=2", "l/directory/"][..]][..],
            &[&["l->@"], &["l/file=2", "l/n->x", "l/pipe|"]],
            &[&["l->@/directory"], &["l/a/b/c=1"]],
            // Through two of them, and through a link to a link.
            &[&["m->.", "m/l->@", "m/l/file=2"]],
            &[&["k->@", "l->k", "l/file=2"]],
            // A directory that replaces a link gets its own mode and time.
            &[&["l->@"], &["l/"]],
            &[&["l->@/file"], &["l=2"]],
            &[&["l->@/file", "l=2"]],
            &[&["l->@/new", "l=2"]],
            // A hard link to a link is that link; replacing one name leaves the other.
            &[&["l->@/file", "h=>l"], &["h=2"]],
            &[&["l->@/file", "h=>l", "h=2", "l=3"]],
            // Whiteouts through a link, of a link, and of a directory with one in it.
            &[&["l->@"], &["l/.wh.file", "l/.wh.directory"]],
            &[&["l->@"], &["l/.wh..wh..opq"]],
            &[&["l->@"], &[".wh.l"]],
            &[&["d/", "d/l->@"], &[".wh.d"]],
            &[&["d/", "d/l->@"], &["d/.wh..wh..opq"]],
            &[&["d/", "d/l->@"], &["d=1"]],
            // Links that replace non-empty directories, and the reverse.
            &[&["d/", "d/file=1"], &["d->@"], &["d/file=2"]],
        ] {
            let texts: Vec<Vec<String>> =
                layers.iter().map(|layer| layer.iter().map(|word| to(word)).collect()).collect();
            let tars: Vec<Vec<u8>> =
                texts.iter().map(|words| layer(&words.iter().map(String::as_str).collect::<Vec<_>>())).collect();
            assert_eq!(place.unpack(&tars), None, "{texts:?}");
        }
        for (words, reason) in [
            // Hard links through links do not resolve.
            (&["l->@", "h=>l/file"][..], "hard link `/h`: a file at `/l/file` expected, found nothing"),
            (&["l->@", "m->l", "h=>m/file"], "hard link `/h`: a file at `/m/file` expected, found nothing"),
            (&["l->@", "l/h=>l/file"], "hard link `/l/h`: a file at `/l/file` expected, found nothing"),
        ] {
            let words: Vec<String> = words.iter().map(|word| to(word)).collect();
            let error = place.unpack(&[layer(&words.iter().map(String::as_str).collect::<Vec<_>>())]);
            assert!(error.as_ref().is_some_and(|error| error.contains(reason)), "{words:?}: {error:?}");
        }
    }
}

#[test]
fn names_lead_nowhere() {
    let place = Place::new();
    let absolute = place.scratch.join("outside/file").display().to_string();
    // An absolute name is below the root of the image.
    assert_eq!(place.unpack(&[layer(&[&format!("{absolute}=2")])]), None);
    let below = place.scratch.join("out").join(absolute.trim_start_matches('/'));
    assert_eq!(fs::read(below).unwrap(), b"2");
    let error = place.unpack(&[layer(&[&format!("h=>{absolute}")])]);
    assert!(error.as_ref().is_some_and(|error| error.contains("found nothing")), "{error:?}");

    let up = [
        file("../outside/file", "2"),
        file("a/../../outside/file", "2"),
        file("..", "2"),
        directory("../outside/"),
        directory("../outside/directory/.."),
        member(b'2', "../outside/l").link("x"),
        member(b'6', "../outside/pipe"),
        hardlink("h", "../outside/file"),
        hardlink("../outside/h", "h"),
        file("../outside/.wh.file", ""),
        file("../outside/.wh..wh..opq", ""),
        file("../.wh.outside", ""),
    ];
    for member in up {
        refused(&place, &[member], "`..` leads out of the tree");
    }
    refused(&place, &[pax(&[("path", "../outside/file")]), file("innocent", "2")], "`..` leads out of the tree");
    refused(&place, &[pax(&[("linkpath", "../outside/file")]), hardlink("h", "a")], "`..` leads out of the tree");
    for marker in [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh..."] {
        refused(&place, &[directory("d/"), file(marker, "")], "a whiteout must hide a name");
    }
    refused(&place, &[file(".wh.d/file", "")], "nothing can lie below a whiteout");
}

#[track_caller]
fn refused(place: &Place, members: &[Member], reason: &str) {
    let good = [file("good", "1")].into_iter().chain(members.iter().cloned());
    let error = place.unpack(&[tar(&good.collect::<Vec<_>>())]);
    assert!(error.as_ref().is_some_and(|error| error.contains(reason)), "{error:?}");
}

#[test]
fn the_root_stays_a_directory() {
    let place = Place::new();
    for name in [".", "/", "./"] {
        for root in [member(b'2', name).link("outside"), member(b'6', name), member(b'3', name), hardlink(name, "good")]
        {
            refused(&place, &[root], "the root of an image can only be a directory");
        }
    }
    refused(&place, &[hardlink("h", "/")], "a hard link needs a target");
}

#[test]
fn names_of_any_bytes() {
    let place = Place::new();
    refused(&place, &[pax(&[("path", "a\0b")]), file("c", "")], "NUL");
    refused(&place, &[pax(&[("linkpath", "a\0b")]), member(b'2', "c").link("x")], "NUL");
    assert_eq!(place.unpack(&[tar(&[file("a\nb", "1"), file("-rf *", "2")])]), None);
    assert_eq!(fs::read(place.scratch.join("out/a\nb")).unwrap(), b"1");
    assert_eq!(fs::read(place.scratch.join("out/-rf *")).unwrap(), b"2");

    let long = "n".repeat(256);
    refused(&place, &[pax(&[("path", &long)]), file("c", "")], "tar-name-length");
    let deep = "d/".repeat(40_000);
    refused(&place, &[pax(&[("path", &deep)]), directory("c/")], "a name goes up to 65536 bytes, found 80000");
}

#[test]
fn a_device_is_no_directory() {
    let place = Place::new();
    let device = || member(b'3', "d");
    // Devices may be left out here; what replaces them is there in any case.
    assert_eq!(place.unpack(&[tar(&[device(), file("d/a", "1")])]), None);
    assert_eq!(place.unpack(&[tar(&[device()]), tar(&[file("d/a", "1")])]), None);
    assert_eq!(place.unpack(&[layer(&["d/", "d/a=1"]), tar(&[device()]), tar(&[directory("d/")])]), None);
    assert!(place.scratch.join("out/d").is_dir() && names_below(&place.scratch.join("out/d")).is_empty());
    assert_eq!(place.unpack(&[tar(&[device(), hardlink("e", "d")]), layer(&["d=1", ".wh.e"])]), None);
    assert_eq!(names_below(&place.scratch.join("out")), ["d"]);
}
