//! A disk that is full for a while.

use super::WORDS;
use super::stage::Stage;
use super::statistics::Statistics;
use crate::binaries::Binary;
use nexus_tests::tunnels::stop;
use nexus_tests::write_with_mode;
use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

pub(super) const WHAT: &str = "a disk that is full for 4 s";
/// Until the disk is full, and then until there is room again.
const PHASES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];

pub(super) async fn run(binary: &Binary) -> Statistics {
    let start = binary.start();
    // Its data folder is a small file system that nobody else sees; then it becomes Nexus.
    let program = start.folder().join("on-a-small-disk");
    let script = format!(
        "#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c \
         'mount -t tmpfs -o size=64m,mode=700 none \"$0\" && exec \"$@\"' {:?} {:?} \"$@\"\n",
        start.data_dir(),
        binary.path
    );
    std::fs::create_dir_all(start.data_dir()).unwrap();
    write_with_mode(&program, &script, 0o755);
    let data = start.data_dir();
    let mut stage = Stage::of(binary, start.cold().program(&program), "").await;
    let reader = stage.chat().await;
    let seen = format!("/proc/{}/root{}/filling", stage.nexus.pid(), data.display());
    let mut full = None;
    let work = async {
        tokio::time::sleep(PHASES[0]).await;
        let mut file = File::create(&seen).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        let since = Instant::now();
        tokio::time::sleep(PHASES[1]).await;
        drop(file);
        std::fs::remove_file(&seen).unwrap();
        full = Some((since, Instant::now()));
    };
    let mut statistics = stage.measure_while(vec![reader], WORDS, work).await;
    let (since, room) = full.unwrap();
    let again = statistics
        .arrivals
        .iter()
        .map(|(_, there)| *there)
        .filter(|there| *there > room)
        .min();
    let again = again.map_or(f64::NAN, |there| (there - room).as_secs_f64() * 1e3);
    let meanwhile = statistics
        .arrivals
        .iter()
        .filter(|(_, there)| *there > since && *there < room)
        .count();
    // What was sent before, and what was sent when all goes on.
    statistics
        .arrivals
        .retain(|(sent, _)| *sent < since || *sent > room + Duration::from_secs(2));
    statistics.besides = vec![
        ("events that came while it was full", meanwhile as f64),
        ("ms from room to the next event", again),
    ];
    stop(stage.nexus);
    statistics
}
