//! Compressed streams, tars, and the entries in them.

use serde_json::json;

use super::{Row, LAYER};
use crate::harness::sha256;
use crate::verify::members::{
    append, cut_end, directory, extended, file, hardlink, last_content_end, lone_zero_block, member, pax, Member,
};
use crate::verify::specimen::{change, gzip, Changes};

/// A change of the tar that adds members before its end.
macro_rules! members {
    ($($member:expr),* $(,)?) => {
        change().tar(move |tar| append(tar, &[$($member),*]))
    };
}

pub(super) fn compression() -> Vec<Row> {
    vec![
        ("layer-compression", "cut short", change().blob(|blob| blob.truncate(blob.len() - 100))),
        (
            "layer-compression",
            "another checksum",
            change().blob(|blob| {
                let crc = blob.len() - 8;
                blob[crc] ^= 1;
            }),
        ),
        ("layer-trailing-bytes", "a line of text", change().blob(|blob| blob.extend(b"signed by nobody\n"))),
        ("layer-trailing-bytes", "zeros", change().blob(|blob| blob.extend([0; 512]))),
        (
            "gzip-members",
            "two",
            change().tar(|_| ()).blob(|blob| {
                let mut tar = Vec::new();
                std::io::copy(&mut flate2::read::GzDecoder::new(blob.as_slice()), &mut tar).unwrap();
                let (first, second) = tar.split_at(10_000);
                *blob = [gzip(first), gzip(second)].concat();
            }),
        ),
    ]
}

#[allow(clippy::too_many_lines)] // A table.
pub(super) fn tars() -> Vec<Row> {
    let broken = |bytes: Vec<u8>| {
        change().tar(move |tar| {
            cut_end(tar);
            tar.extend(&bytes);
            tar.extend([0; 1024]);
        })
    };
    let mut checksum = file("new", "").bytes();
    checksum[0] ^= 1;
    let mut padding = file("new", "x").bytes();
    padding[600] = 1;
    let long = "x".repeat(255);
    // One byte more than a path may have.
    let too_long = format!("{}/x", vec![long.as_str(); 256].join("/"));
    vec![
        ("tar-framing", "a wrong checksum", broken(checksum)),
        (
            "tar-framing",
            "no number for a size",
            broken({
                let mut bytes = file("new", "").bytes();
                bytes[124..135].copy_from_slice(b"99999999999");
                bytes[148..156].copy_from_slice(b"        ");
                let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
                bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                bytes
            }),
        ),
        (
            "tar-framing",
            "a PAX record of the wrong length",
            members![member(b'x', "PaxHeaders/x").content("99 path=x\n"), file("new", "")],
        ),
        ("tar-framing", "cut off in the middle of a file", change().tar(|tar| tar.truncate(tar.len() - 4000))),
        ("tar-entry", "an unknown type", members![member(b'Z', "new")]),
        ("tar-entry", "the rest of a file of another volume", members![member(b'M', "new")]),
        ("tar-entry", "a hard link without a target", members![hardlink("new", "")]),
        ("tar-entry", "a hard link that leads out", members![hardlink("new", "../etc/passwd")]),
        ("tar-entry", "a PAX record that is no number", members![pax(&[("uid", "root")]), file("new", "")]),
        ("tar-entry", "a file named as a directory", members![file("new/", "x")]),
        ("tar-entry", "a NUL in the name of the owner", members![pax(&[("uname", "a\0b")]), file("new", "x")]),
        ("tar-entry", "a NUL in a keyword", members![pax(&[("a\0b", "c")]), file("new", "x")]),
        ("tar-entry", "a NUL in a target that is not used", members![pax(&[("linkpath", "\0")]), file("new", "x")]),
        ("tar-entry", "a time that nothing needs and is no number", members![pax(&[("atime", "x")]), file("new", "x")]),
        (
            "tar-entry",
            "a sparse link",
            members![pax(&[("GNU.sparse.size", "1"), ("GNU.sparse.map", "0,1")]), member(b'2', "new").link("x")],
        ),
        ("tar-path", "out of the image", members![file("etc/../../new", "x")]),
        ("tar-name-form", "absolute", members![file("/etc/new", "x")]),
        ("tar-name-form", "a hard link to an absolute name", members![hardlink("new", "/bin/busybox")]),
        ("tar-name-form", "a dot within", members![file("etc/./new", "x")]),
        (
            "tar-name-length",
            "a name that no filesystem has",
            members![pax(&[("path", &"x".repeat(256))]), file("new", "")],
        ),
        (
            "tar-name-length",
            "a target that no filesystem has",
            members![pax(&[("linkpath", &"x/".repeat(2048))]), member(b'2', "new").link("x")],
        ),
        (
            "tar-xattr-size",
            "a value that no filesystem has",
            members![pax(&[("SCHILY.xattr.user.x", &"x".repeat(65537))]), file("new", "")],
        ),
        (
            "tar-xattr-size",
            "a name that no filesystem has",
            members![pax(&[(&format!("SCHILY.xattr.user.{}", "x".repeat(251)), "")]), file("new", "")],
        ),
        (
            "tar-xattr-value",
            "a capability that is none",
            members![pax(&[("SCHILY.xattr.security.capability", "all")]), file("new", "")],
        ),
        (
            "tar-xattr-value",
            "an ACL as text",
            members![pax(&[("SCHILY.xattr.system.posix_acl_access", "user::rw-")]), file("new", "")],
        ),
        (
            "tar-xattr-empty",
            "an attribute without a value",
            members![pax(&[("SCHILY.xattr.user.x", ""), ("SCHILY.xattr.user.y", "1")]), file("new", "")],
        ),
        ("tar-entry", "a path that is too long", members![pax(&[("path", &too_long)]), file("new", "")]),
        ("tar-repeated-path", "a file again", members![file("etc/hostname", "other\n")]),
        ("tar-repeated-path", "a directory again, spelled otherwise", members![directory("./etc/")]),
        ("tar-hardlink", "to nothing", members![hardlink("new", "bin/nothing")]),
        ("tar-hardlink", "to a directory", members![hardlink("new", "etc")]),
        ("tar-hardlink", "to what comes later", members![hardlink("new", "newer"), file("newer", "")]),
        ("tar-below-file", "below a file", members![file("etc/hostname/new", "x")]),
        ("tar-below-file", "below a symbolic link", members![file("etc/mtab/new", "x")]),
        ("tar-below-file", "above a file", members![file("new/new", "x"), file("new", "x")]),
        ("tar-ambiguous", "two sizes", members![pax(&[("size", "1")]), file("new", "x").size(2)]),
        ("tar-ambiguous", "two names", members![pax(&[("path", "a"), ("path", "b")]), file("new", "x")]),
        ("tar-ambiguous", "two PAX headers", members![pax(&[("uid", "1")]), pax(&[("uid", "2")]), file("new", "x")]),
        ("tar-ambiguous", "PAX before POSIX", members![pax(&[("uid", "1")]).without_magic(), file("new", "x")]),
        ("tar-ambiguous", "a directory with a size", members![directory("new/").size(512)]),
        ("tar-ambiguous", "an empty file named as a directory", members![file("new/", "")]),
        ("tar-ambiguous", "a prefix in a header of GNU", members![file("new", "x").gnu_prefix("etc")]),
        (
            "tar-ambiguous",
            "a link with the name of a sparse file",
            members![pax(&[("GNU.sparse.name", "newer")]), member(b'2', "new").link("x")],
        ),
        (
            "tar-ambiguous",
            "a file with the name of a sparse file",
            members![pax(&[("GNU.sparse.name", "newer")]), file("new", "x")],
        ),
        ("tar-ambiguous", "an owner for all", members![extended(b'g', &[("uid", "1")]), file("new", "x")]),
        ("tar-ambiguous", "a name for all", members![extended(b'g', &[("path", "a")]), file("new", "x")]),
        (
            "tar-ambiguous",
            "an attribute for all",
            members![extended(b'g', &[("SCHILY.xattr.user.x", "1")]), file("new", "x")],
        ),
        (
            "tar-ambiguous",
            "an attribute in libarchive's form alone",
            members![pax(&[("LIBARCHIVE.xattr.user.x", "MQ")]), file("new", "x")],
        ),
        ("tar-dialect", "GNU's name", members![member(b'L', "././@LongLink").content("new\0"), file("short", "x")]),
        ("tar-type", "a label", members![member(b'V', "label"), file("new", "x")]),
        ("tar-type", "a label at the end", members![file("new", "x"), member(b'V', "label")]),
        ("tar-type", "a directory with a list", members![member(b'D', "new/").content("Yx\0\0")]),
        ("tar-type", "a contiguous file", members![member(b'7', "new").content("x")]),
        ("tar-type", "a header of Solaris", members![extended(b'X', &[("comment", "x")]), file("new", "x")]),
        ("tar-dialect", "a header of before POSIX", members![file("new", "x").without_magic()]),
        ("tar-keyword", "one that nobody knows", members![pax(&[("OCIBAKE.unknown", "1")]), file("new", "x")]),
        ("tar-keyword", "an ACL as text", members![pax(&[("SCHILY.acl.access", "user::rw-")]), file("new", "x")]),
        ("tar-keyword", "for all that follows", members![extended(b'g', &[("comment", "x")]), file("new", "x")]),
        (
            "tar-sparse",
            "a file with holes",
            members![
                pax(&[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "new"),
                    ("GNU.sparse.realsize", "4096")
                ]),
                file("sparse", "").content({
                    let mut map = b"1\n0\n1\n".to_vec();
                    map.resize(512, 0);
                    map.push(b'x');
                    map
                }),
            ],
        ),
        ("tar-padding", "a byte after the content", broken(padding)),
        ("tar-end", "none", change().tar(cut_end)),
        ("tar-end", "half of it", change().tar(|tar| tar.truncate(tar.len() - 512))),
        ("tar-end", "nor the padding of the last file", change().tar(|tar| tar.truncate(last_content_end(tar)))),
        ("tar-end", "within a block of zeros", change().tar(|tar| tar.truncate(tar.len() - 900))),
        ("tar-framing", "one block of zeros before a member", change().tar(lone_zero_block)),
        ("tar-framing", "a member after the end", change().tar(|tar| tar.extend(file("late", "x").bytes()))),
        ("tar-framing", "another archive after the end", change().tar(|tar| tar.extend(tar.clone()))),
        ("tar-trailing-bytes", "a line of text", change().tar(|tar| tar.extend(b"behind the end\n"))),
    ]
}

/// A second layer with these members above the layer of the good image.
fn over(members: &[Member]) -> Changes {
    let mut tar = vec![0; 1024];
    append(&mut tar, members);
    let diff_id = format!("sha256:{}", sha256(&tar));
    change()
        .config(move |config| {
            config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(diff_id.clone().into());
            config["history"].as_array_mut().unwrap().push(json!({}));
        })
        .manifest_and_blobs(move |manifest, blobs| {
            let layer = blobs.add(LAYER, &gzip(&tar));
            manifest["layers"].as_array_mut().unwrap().push(layer);
        })
}

pub(super) fn layers_over_layers() -> Vec<Row> {
    vec![
        ("tar-below-link", "a file", over(&[file("etc/mtab/new", "x")])),
        ("tar-below-link", "a directory", over(&[directory("etc/"), directory("etc/mtab/new/")])),
        ("tar-below-lower-file", "a file", over(&[file("etc/hostname/new", "x")])),
        ("tar-below-lower-file", "a whiteout", over(&[file("etc/hostname/.wh.new", "")])),
        ("tar-hardlink", "to a file of a lower layer", over(&[hardlink("etc/new", "etc/hostname")])),
        ("tar-below-link", "a whiteout", over(&[file("etc/mtab/.wh.new", "")])),
    ]
}

pub(super) fn whiteouts() -> Vec<Row> {
    vec![
        ("whiteout", "of nothing", members![file("etc/.wh.", "")]),
        ("whiteout", "of the directory above", members![file("etc/.wh...", "")]),
        ("whiteout", "with something below", members![directory(".wh.new/"), file(".wh.new/x", "")]),
        ("whiteout", "with content", members![file(".wh.new", "x")]),
        ("whiteout", "a directory", members![directory(".wh.new/")]),
        ("whiteout-and-entry", "of a file that is there", members![file("etc/.wh.hostname", "")]),
        ("whiteout-and-entry", "of a directory that is not empty", members![file(".wh.new", ""), file("new/x", "")]),
        ("whiteout-order", "after an implied directory", members![file("new/x", ""), file(".wh..wh..opq", "")]),
        (
            "whiteout-order",
            "far above",
            members![directory("new/"), file("new/a/b/x", ""), file("new/.wh..wh..opq", "")],
        ),
        ("whiteout-aufs", "what AUFS leaves behind", members![directory(".wh..wh.plnk/")]),
    ]
}
