//! A disk that takes its time.

use super::WORDS;
use super::stage::Stage;
use super::statistics::Statistics;
use crate::binaries::Binary;
use nexus_tests::tunnels::stop;
use std::fs;
use std::process::Command;

pub(super) const WHAT: &str = "a disk that needs 50 ms for each sync";

pub(super) async fn run(binary: &Binary) -> Statistics {
    let start = binary.start();
    let (source, library) = (start.folder().join("slow_disk.c"), start.folder().join("slow_disk.so"));
    fs::write(&source, include_str!("slow_disk.c")).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .arg(&source);
    assert!(compiler.status().unwrap().success(), "cc cannot compile slow_disk.c");
    let start = start.env("LD_PRELOAD", library.to_str().unwrap());
    let mut stage = Stage::of(binary, start, "").await;
    let reader = stage.chat().await;
    let statistics = stage.measure(vec![reader], WORDS).await;
    stop(stage.nexus);
    statistics
}
