//! How the program is linked.

use std::process::Command;

/// `PACKED_RELOCATIONS` is the first glibc that reads them (of 2022).
const PACKED_RELOCATIONS: (u32, u32) = (2, 36);

/// A hundred thousand addresses, which the loader corrects at each start, take 2.4 MB of the file and of memory in the old
/// format and 20 KB in the packed one. A program that has them does not start with an older glibc: it is linked so only for
/// the machine that builds it.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let gnu = variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if gnu && variable("HOST") == variable("TARGET") && glibc().is_some_and(|found| found >= PACKED_RELOCATIONS) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc; `None`: it does not say.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let version = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = version.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
