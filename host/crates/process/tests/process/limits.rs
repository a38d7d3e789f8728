//! What a plugin can make the table hold, and how long it can make others wait.

use super::world::*;
use nexus_process::limits;
use nexus_process::{ProcessError, References, Signal, StopStep};
use nexus_testkit::wait;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn names_whose_process_has_ended_are_forgotten_the_oldest_first() {
    let w = world();
    let running = w.start("stays", sh("sleep 1000")).await;
    let many = limits::PROCESS_ENDED + 12;
    for n in 0..many {
        w.start(&format!("p{n}"), sh("echo line")).await;
        w.table.exited(key(&format!("p{n}"))).await.unwrap();
    }
    // The next start forgets; the last that ended may be the one beyond the number.
    let listed = w.table.list();
    assert!(listed.len() <= limits::PROCESS_ENDED + 2, "{}", listed.len());
    assert!(
        listed.iter().any(|info| info.pid == running),
        "one that runs is never forgotten"
    );
    let newest = key(&format!("p{}", many - 1));
    assert_eq!(w.table.exited(newest.clone()).await.unwrap().code, Some(0));
    assert_eq!(w.line(&newest.name).await, "line");
    assert!(matches!(
        w.table.exited(key("p0")).await,
        Err(ProcessError::NotFound(_))
    ));
}

#[tokio::test]
async fn too_much_is_refused_before_anything_is_made_or_stopped_for_it() {
    let w = world();
    let pid = w.start("a", sh("sleep 1000")).await;
    let mut spec = sh("sleep 1000");
    spec.ports = (0..1_000).map(|n| format!("p{n}")).collect();
    let refused = w.table.ensure(key("a"), spec.clone(), refs()).await.unwrap_err();
    assert!(
        matches!(&refused, ProcessError::Invalid(cause) if cause.contains("16 ports")),
        "{refused}"
    );
    assert!(lives(pid), "the process of that name goes on");
    let refused = w.table.run("plug", spec, refs(), LONG).await.unwrap_err();
    assert!(matches!(refused, ProcessError::Invalid(_)));
    let refused = w.table.ensure(key(&"n".repeat(1 << 20)), sh("true"), refs()).await;
    assert!(refused.unwrap_err().to_string().len() < 300, "nor is the name repeated");
}

/// A secret of the largest size that the operator may give.
struct Long;

impl References for Long {
    fn secret(&self, _: &str) -> Result<String, String> {
        Ok("s".repeat(64 << 10))
    }
    fn generated(&self, _: &str) -> Result<String, String> {
        Ok("g".to_owned())
    }
}

#[tokio::test]
async fn what_references_stand_for_is_counted_too() {
    let w = world();
    let mut file = sh("true");
    file.files = vec![("a".into(), "{secret:s}".repeat(10_000))];
    let mut env = sh("true");
    env.env = vec![
        ("A".into(), "{secret:s}".into()),
        ("B".into(), "{secret:s}{secret:s}".into()),
    ];
    for spec in [file, env] {
        let refused = w.table.ensure(key("a"), spec, Arc::new(Long)).await.unwrap_err();
        assert!(
            matches!(&refused, ProcessError::Invalid(cause) if cause.contains("has more than")),
            "{refused}"
        );
    }
    let mut fits = sh("true");
    fits.files = vec![("a".into(), "{secret:s}".into())];
    w.table.ensure(key("a"), fits, Arc::new(Long)).await.unwrap();
}

/// Once the sequence has `begun`, its whole time passes at once; what comes then, with a real process, takes its own.
async fn ends_after_its_sequence(stop: impl Future<Output = ()> + Send + 'static, begun: impl Future<Output = ()>) {
    let stopping = tokio::spawn(stop);
    wait::within("the stop sequence begins", begun).await;
    tokio::time::pause();
    tokio::time::advance(limits::PROCESS_STOP + Duration::from_millis(1)).await;
    tokio::time::resume();
    wait::within("the process is stopped", stopping).await.unwrap();
}

#[tokio::test]
async fn waits_of_a_stop_sequence_have_an_end_together() {
    let w = world();
    let mut spec = sh("trap '' TERM; trap 'echo stopping' HUP; echo ready; while :; do read -r _; done");
    spec.stdin = true;
    spec.stop = vec![StopStep::Wait(Duration::from_millis(u64::MAX)); limits::PROCESS_STOP_STEPS];
    spec.stop[0] = StopStep::Signal(Signal::HangUp);
    w.start("a", spec).await;
    let mut lines = w.lines("a");
    assert_eq!(lines.next().await, "ready");
    let table = Arc::clone(&w.table);
    let stop = async move { table.stop(key("a")).await.map(drop).unwrap() };
    ends_after_its_sequence(stop, async { assert_eq!(lines.next().await, "stopping") }).await;
}

#[tokio::test]
async fn a_stop_request_that_is_never_answered_holds_nobody_up() {
    let w = world();
    let mut spec = sh("sleep 1000");
    spec.ports = vec!["http".into()];
    let step = StopStep::Http {
        method: "POST".into(),
        url: "process://:http/".into(),
        headers: Vec::new(),
        timeout: Duration::from_millis(u64::MAX),
    };
    spec.stop = vec![step; 3];
    let port = w.table.ensure(key("a"), spec, refs()).await.unwrap().ports["http"];
    // Takes a connection, and says nothing.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut silent = None;
    let table = Arc::clone(&w.table);
    let stop = async move { table.stop_all(Some("plug")).await };
    ends_after_its_sequence(stop, async { silent = listener.accept().await.ok() }).await;
    assert!(silent.is_some());
}

/// What a program must not find is looked for before each start and each adoption, and is no reason to end what runs.
#[tokio::test]
async fn what_must_not_be_there_is_looked_for_each_time() {
    let w = world();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugins/x.js");
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    let mut spec = sh("echo 1 >> ran; echo ok; sleep 1000");
    spec.cwd = Some(folder.path().to_owned());
    spec.unless = Some(nexus_process::UnlessPresent {
        folders: vec!["plugins".to_owned()],
        ..Default::default()
    });
    let ensure = || w.table.ensure(key("a"), spec.clone(), refs());
    let refused = |done: Result<_, ProcessError>| match done {
        Err(ProcessError::Present(cause)) => assert!(cause.contains("plugins/x.js exists"), "{cause}"),
        other => panic!("{other:?}"),
    };
    std::fs::write(&file, "").unwrap();
    refused(ensure().await.map(drop));
    assert!(!folder.path().join("ran").exists() && w.table.list().is_empty());
    let run = w.table.run("plug", spec.clone(), refs(), Duration::from_secs(10));
    refused(run.await.map(drop));
    std::fs::remove_file(&file).unwrap();
    let first = ensure().await.unwrap();
    assert_eq!(w.line("a").await, "ok");
    std::fs::write(&file, "").unwrap();
    refused(ensure().await.map(drop));
    assert!(lives(first.pid));
    std::fs::remove_file(&file).unwrap();
    let again = ensure().await.unwrap();
    assert!(again.adopted && again.pid == first.pid);
    assert_eq!(std::fs::read_to_string(folder.path().join("ran")).unwrap(), "1\n");
}
