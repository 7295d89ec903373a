use std::fs;

use crate::harness::{Scratch, Tool};

/// An environment script as OE-core's `toolchain-scripts.bbclass` writes it, as far as it speaks of the target.
fn environment(target_arch: &str, prefix: &str, tune: &str, kernel_arch: &str) -> String {
    format!(
        r#"# Check for LD_LIBRARY_PATH being set, which can break SDK and generally is a bad practice
if [ ! -z "${{LD_LIBRARY_PATH:-}}" ]; then
    echo "Your environment is misconfigured, you probably need to 'unset LD_LIBRARY_PATH'"
    return 1
fi
export SDKTARGETSYSROOT="$PWD/sysroots/target"
export PKG_CONFIG_SYSROOT_DIR=$SDKTARGETSYSROOT
export OECORE_NATIVE_SYSROOT="$PWD/sysroots/x86_64-pokysdk-linux"
export OECORE_TARGET_SYSROOT="$SDKTARGETSYSROOT"
export OECORE_BASELIB="lib"
export OECORE_TARGET_ARCH="{target_arch}"
export OECORE_TARGET_OS="linux"
export OECORE_TARGET_ENDIAN="little-endian"
unset command_not_found_handle
export CC="{prefix}gcc {tune} --sysroot=$SDKTARGETSYSROOT"
export STRIP={prefix}strip
export TARGET_PREFIX={prefix}
export CONFIGURE_FLAGS="--target={prefix} --host={prefix}"
export CFLAGS=" -O2 -pipe -g -feliminate-unused-debug-types "
export ARCH={kernel_arch}
export CROSS_COMPILE={prefix}
export OECORE_TUNE_CCARGS="{tune}"
"#
    )
}

/// A sysroot, and a script for it.
fn sdk(scratch: &Scratch, target_arch: &str, prefix: &str, tune: &str, kernel_arch: &str) {
    fs::write(scratch.join("environment-setup"), environment(target_arch, prefix, tune, kernel_arch)).unwrap();
    let sysroot = scratch.join("sysroots/target");
    for file in [
        "usr/bin/app",
        "usr/lib/libc.so.6",
        "usr/lib/libc.a",
        "usr/lib/crt1.o",
        "usr/lib/pkgconfig/zlib.pc",
        "usr/lib/cmake/zlib/config.cmake",
        "usr/lib/.debug/libc.so.6",
        "usr/include/stdio.h",
        "usr/share/pkgconfig/x.pc",
        "usr/share/aclocal/x.m4",
        "usr/src/debug/app/main.c",
        "etc/ld.so.conf",
    ] {
        let path = sysroot.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
}

/// `build "$SDKTARGETSYSROOT" oci:out` and these arguments, in a shell that has read the script.
fn build(scratch: &Scratch, args: &str) -> Tool {
    let line = format!(r#". ./environment-setup && exec "$@" "$SDKTARGETSYSROOT" oci:out --owner 0:0 {args}"#);
    Tool::new("build").behind(["sh", "-c", &line, "sh"]).within(scratch.path())
}

fn platform(scratch: &Scratch, args: &str) -> String {
    let _ = build(scratch, args).bake();
    let report = Tool::new("inspect").args(["oci:out", "--json"]).within(scratch.path()).run().json();
    report["platform"].as_str().unwrap().to_owned()
}

#[test]
fn the_platform_is_that_of_the_sdk() {
    let scratch = Scratch::new();
    let cortexa15 = "-mthumb -mfpu=neon-vfpv4 -mfloat-abi=hard -mcpu=cortex-a15";
    for (target_arch, prefix, tune, kernel_arch, auto, exact) in [
        ("arm", "arm-poky-linux-gnueabi-", cortexa15, "arm", "linux/arm/v7", "linux/arm/v7"),
        ("arm", "arm-poky-linux-gnueabi-", "-marm -march=armv5te", "arm", "linux/arm/v5", "linux/arm/v5"),
        ("aarch64", "aarch64-poky-linux-", "-march=armv8.2-a+crypto", "arm64", "linux/arm64/v8", "linux/arm64/v8.2"),
        ("x86_64", "x86_64-poky-linux-", "-m64 -march=x86-64-v3", "x86", "linux/amd64", "linux/amd64/v3"),
        ("i686", "i686-poky-linux-", "-m32 -march=core2", "x86", "linux/386", "linux/386"),
        ("riscv64", "riscv64-poky-linux-", "-mcmodel=medany", "riscv", "linux/riscv64", "linux/riscv64"),
    ] {
        sdk(&scratch, target_arch, prefix, tune, kernel_arch);
        assert_eq!(platform(&scratch, ""), auto, "{tune}");
        assert_eq!(platform(&scratch, "--variant exact"), exact, "{tune}");
        // A triplet, and the prefix of the tools, name it too.
        assert_eq!(platform(&scratch, r#"--arch "$TARGET_PREFIX""#), auto, "{prefix}");
        assert_eq!(platform(&scratch, r#"--arch "${CROSS_COMPILE%-}""#), auto, "{prefix}");
        // What is said otherwise comes first.
        assert_eq!(platform(&scratch, "--arch mips64"), "linux/mips64");
        let _ = build(&scratch, "--target-arch powerpc64le").bake();
        assert_eq!(platform(&scratch, "--target-arch s390x"), "linux/s390x");
        // The kernel's name may be that of two.
        let named = build(&scratch, r#"--arch "$ARCH""#).run();
        match kernel_arch {
            "x86" => {
                let error = named.error();
                assert!(error.contains("`x86` is ambiguous") && error.contains("`386`"), "{error}");
                assert!(error.contains("`amd64`"), "{error}");
            }
            "riscv" => assert!(named.error().contains("`riscv64`")),
            _ => drop(named.digest()),
        }
    }
    sdk(&scratch, "arm", "arm-poky-linux-gnueabi-", "-mcpu=made-up", "arm");
    let error = build(&scratch, "").run().error();
    assert!(error.contains("OECORE_TARGET_ARCH (environment)") && error.contains("OCI_IMAGE_SUBARCH"), "{error}");
}

/// The base's platform is the image's, whatever the shell is for.
#[test]
fn a_base_image_has_the_say() {
    let scratch = Scratch::new();
    sdk(&scratch, "aarch64", "aarch64-poky-linux-", "-march=armv8-a", "arm64");
    let _ = Tool::build(scratch.small_rootfs()).args(["oci:base"]).within(scratch.path()).bake();
    assert_eq!(platform(&scratch, "--base oci:base --base-mode merge"), "linux/amd64");
}

#[test]
fn what_only_builds_need_is_left_out() {
    let scratch = Scratch::new();
    sdk(&scratch, "aarch64", "aarch64-poky-linux-", "-march=armv8-a", "arm64");
    let files = |args: &str| -> Vec<String> {
        let _ = build(&scratch, args).bake();
        let report = Tool::new("inspect").args(["oci:out", "--files", "--json"]).within(scratch.path()).run().json();
        let files = report["files"].as_array().unwrap().iter().filter(|file| file["type"] == "file");
        files.map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(files("").len(), 12);
    assert_eq!(files("--exclude-preset development"), ["/etc/ld.so.conf", "/usr/bin/app", "/usr/lib/libc.so.6"]);
    // Of the user's patterns, one that matches nothing is told; of the preset's, none.
    let outcome = build(&scratch, "--exclude-preset development --exclude etc --exclude nope").run();
    let warnings: Vec<&str> = outcome.stderr().lines().collect();
    assert!(warnings.len() == 1 && warnings[0].contains("`nope`"), "{warnings:?}");
    let error = build(&scratch, "--exclude-preset devel").run().error();
    assert!(error.contains("--exclude-preset") && error.contains("`development`"), "{error}");
}
