//! The process table with real processes, under real shims.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod kills;
mod limits;
mod world;

use bytes::Bytes;
use nexus_process::{OutputMode, ProcessError, Signal, Spec, StopStep};
use nexus_testkit::wait;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use world::*;

#[tokio::test]
async fn a_run_gives_its_outputs_and_its_exit() {
    let w = world();
    let output = w
        .table
        .run("plug", sh("echo out; echo err >&2; exit 3"), refs(), LONG)
        .await
        .unwrap();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str(), output.exit.code),
        ("out\n", "err\n", Some(3))
    );
    let output = w.table.run("plug", sh("kill -TERM $$"), refs(), LONG).await.unwrap();
    assert_eq!((output.exit.code, output.exit.signal), (None, Some(15)));
    let output = w
        .table
        .run("plug", sh("head -c 1000000 /dev/zero"), refs(), LONG)
        .await
        .unwrap();
    assert_eq!((output.stdout.len(), output.exit.code), (256 * 1024, Some(0)));
    assert_eq!(
        std::fs::read_dir(w.dir.path().join("run/plug")).unwrap().count(),
        0,
        "directories are removed"
    );
}

#[tokio::test]
async fn a_run_past_its_time_is_killed_with_its_tree() {
    let w = world();
    let pids = w.dir.path().join("pid");
    let script = format!(
        "setsid sh -c 'trap \"\" TERM; echo $$ > {}; sleep 1000' & sleep 1000",
        pids.display()
    );
    let running = w.table.run("plug", sh(&script), refs(), Duration::from_millis(300));
    let error = running.await.unwrap_err();
    assert!(matches!(error, ProcessError::Timeout(_)), "{error:?}");
    assert!(of_instance(&w.instance_id).is_empty());
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_killed() {
    let w = world();
    let mut running = Box::pin(w.table.run("plug", sh("exec sleep 1000"), refs(), LONG));
    let children = || of_instance(&w.instance_id).len();
    tokio::select! {
        _ = &mut running => panic!("it cannot end"),
        () = until("shim and child run", || children() == 2) => {}
    }
    drop(running);
    until("nothing is left", || children() == 0).await;
}

#[tokio::test]
async fn what_cannot_start_is_reported() {
    let w = world();
    let ensure = |spec| w.table.ensure(key("a"), spec, refs());
    let error = ensure(Spec {
        binary: "/nowhere/tool".into(),
        ..sh("")
    })
    .await
    .unwrap_err();
    assert!(
        matches!(&error, ProcessError::Unavailable(t) if t.contains("/nowhere/tool")),
        "{error:?}"
    );
    let error = ensure(Spec {
        cwd: Some("/nowhere".into()),
        ..sh("")
    })
    .await
    .unwrap_err();
    assert!(
        matches!(&error, ProcessError::Invalid(t) if t.contains("/nowhere")),
        "{error:?}"
    );
    let error = ensure(sh("echo {secret:key}")).await.unwrap_err();
    assert!(
        matches!(&error, ProcessError::Invalid(t) if t.contains("argument 2")),
        "{error:?}"
    );
    let error = ensure(Spec {
        files: vec![("../x".into(), String::new())],
        ..sh("")
    })
    .await
    .unwrap_err();
    assert!(matches!(error, ProcessError::Invalid(_)), "{error:?}");
    let error = w.table.ensure(key("../a"), sh(""), refs()).await.unwrap_err();
    assert!(matches!(error, ProcessError::Invalid(_)), "{error:?}");
    assert!(matches!(w.table.exited(key("a")).await, Err(ProcessError::NotFound(_))));
    assert!(!w.dir.path().join("run/plug/a").exists());
}

#[tokio::test]
async fn a_child_gets_its_directory_files_environment_and_ports() {
    let w = world();
    let script = "pwd; echo $A; cat {file:conf}; echo $TMPDIR; stat -c %a . tmp conf; echo {port:http}; echo $NEXUS_INSTANCE; env | wc -l; sleep 1000";
    let spec = Spec {
        env: vec![("A".into(), "{secret:k} {generated:g}".into())],
        ports: vec!["http".into()],
        files: vec![("conf".into(), "{{\"password\": \"{generated:g}\"}\n".into())],
        ..sh(script)
    };
    let running = w.table.ensure(key("a"), spec, refs()).await.unwrap();
    let mut lines = w.lines("a");
    let mut next = async || lines.next().await;
    let dir = w.dir.path().join("run/plug/a");
    assert_eq!(PathBuf::from(next().await), dir.canonicalize().unwrap());
    assert_eq!(next().await, "secret-k generated-g");
    assert_eq!(next().await, "{\"password\": \"generated-g\"}");
    assert_eq!(next().await, dir.join("tmp").display().to_string());
    assert_eq!([next().await, next().await, next().await], ["700", "700", "600"]);
    assert_eq!(next().await, running.ports["http"].to_string());
    assert_eq!(next().await, w.instance_id);
    assert_eq!(w.table.port(&key("a"), "http"), Some(running.ports["http"]));
    let shim = stat(running.pid).unwrap().1;
    for pid in [shim, running.pid] {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!line.contains("secret-k") && !line.contains("generated-g"), "{line}");
    }
    let environment = std::fs::read_to_string(format!("/proc/{shim}/environ")).unwrap();
    assert_eq!(environment, format!("NEXUS_INSTANCE={}\0", w.instance_id));
    assert_eq!(
        std::fs::metadata(w.dir.path().join("run"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    w.table.stop(key("a")).await.unwrap();
    assert!(!dir.exists());
    assert_eq!(w.table.port(&key("a"), "http"), None);
}

#[tokio::test]
async fn an_equal_specification_adopts_and_another_replaces() {
    let w = world();
    let first = w
        .table
        .ensure(key("a"), sh("echo 1; sleep 1000"), refs())
        .await
        .unwrap();
    assert!(!first.adopted);
    let again = w
        .table
        .ensure(key("a"), sh("echo 1; sleep 1000"), refs())
        .await
        .unwrap();
    assert!(again.adopted);
    assert_eq!((again.pid, again.started_at), (first.pid, first.started_at));
    let other = w
        .table
        .ensure(key("a"), sh("echo 2; sleep 1000"), refs())
        .await
        .unwrap();
    assert!(!other.adopted && other.pid != first.pid && !lives(first.pid));
    assert_eq!(w.line("a").await, "2");
    let list = w.table.list();
    assert_eq!(
        (list.len(), list[0].pid, list[0].restarts, list[0].exit),
        (1, other.pid, 1, None)
    );
    kill(other.pid);
    let exit = w.table.exited(key("a")).await.unwrap();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    let fresh = w
        .table
        .ensure(key("a"), sh("echo 2; sleep 1000"), refs())
        .await
        .unwrap();
    assert!(!fresh.adopted);
}

#[tokio::test]
async fn a_port_that_a_child_may_have_failed_to_bind_is_let_go_for_the_next() {
    let w = world();
    let failing = Spec {
        ports: vec!["http".into()],
        ..sh("exit 1")
    };
    w.start("a", failing).await;
    w.table.exited(key("a")).await.unwrap();
    let lasting = Spec {
        ports: vec!["http".into()],
        ..sh("sleep 1000")
    };
    let port = w.table.ensure(key("a"), lasting, refs()).await.unwrap().ports["http"];
    // Without SO_REUSEADDR, which a port that is held does not bear.
    tokio::net::TcpSocket::new_v4()
        .unwrap()
        .bind(([127, 0, 0, 1], port).into())
        .unwrap();
}

#[tokio::test]
async fn two_calls_at_once_start_one_process() {
    let w = world();
    let ensure = || w.table.ensure(key("a"), sh("sleep 1000"), refs());
    let (a, b) = tokio::join!(ensure(), ensure());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.pid, b.pid);
    assert_ne!(a.adopted, b.adopted);
}

#[tokio::test]
async fn lines_come_from_the_start_and_end_with_the_process() {
    let w = world();
    w.start("a", sh("echo one; echo two >&2; printf three")).await;
    w.table.exited(key("a")).await.unwrap();
    let mut lines = w.lines("a");
    let mut all = Vec::new();
    while let Some(line) = lines.line().await {
        all.push((line.text, line.stderr));
    }
    all.sort();
    assert_eq!(
        all,
        [("one".into(), false), ("three".into(), false), ("two".into(), true)]
    );
}

#[tokio::test]
async fn a_pipe_carries_bytes_both_ways_to_one_reader() {
    let w = world();
    let cat = Spec {
        stdin: true,
        stdout: OutputMode::Pipe,
        ..sh("exec cat")
    };
    w.start("a", cat).await;
    let next = async |output: &mut mpsc::Receiver<Bytes>| wait::within("the next bytes", output.recv()).await;
    let mut output = w.table.output(&key("a"), false).unwrap();
    assert!(
        matches!(w.table.output(&key("a"), false), Err(ProcessError::Invalid(_))),
        "already has a reader"
    );
    assert!(
        matches!(w.table.output(&key("a"), true), Err(ProcessError::Invalid(_))),
        "stderr is a log"
    );
    w.table.write(key("a"), b"\xff\0hi".to_vec()).await.unwrap();
    assert_eq!(next(&mut output).await.unwrap(), &b"\xff\0hi"[..]);
    drop(output);
    let mut second = None;
    until("the next reader may come", || {
        second = w.table.output(&key("a"), false).ok();
        second.is_some()
    })
    .await;
    w.table.write(key("a"), b"more".to_vec()).await.unwrap();
    let mut second = second.unwrap();
    assert_eq!(next(&mut second).await.unwrap(), "more");
    w.table.stop(key("a")).await.unwrap();
    assert!(next(&mut second).await.is_none());
    assert!(matches!(
        w.table.write(key("a"), vec![1]).await,
        Err(ProcessError::Unavailable(_))
    ));
}

#[tokio::test]
async fn the_stop_sequence_is_done_in_order_until_the_end() {
    let w = world();
    // No command in the loop: dash loses a signal that comes while it starts one. It can trap none that it was started
    // without: a host under `nohup`, or in the background of a script, must not hand that down.
    let mut spec = sh("trap 'echo hup' HUP; trap 'echo int; exit 7' INT; echo ready; while :; do read -r _; done");
    spec.stdin = true;
    spec.stop = vec![
        StopStep::Signal(Signal::HangUp),
        StopStep::Wait(Duration::from_millis(200)),
        StopStep::Signal(Signal::Interrupt),
        StopStep::Wait(LONG),
        StopStep::Signal(Signal::Kill),
    ];
    w.start("a", spec).await;
    let mut lines = w.lines("a");
    assert_eq!(lines.next().await, "ready");
    let exit = w.table.stop(key("a")).await.unwrap();
    assert_eq!((exit.code, exit.signal), (Some(7), None));
    assert_eq!(lines.next().await, "hup");
    assert_eq!(lines.next().await, "int");
    assert!(lines.line().await.is_none());
    assert_eq!(w.table.stop(key("a")).await.unwrap(), exit, "once more is no error");
}

#[tokio::test]
async fn a_stop_request_goes_to_the_own_port_with_its_secret() {
    let w = world();
    // The stand-in for the child's server: the port is held so that the child's side may listen on it.
    let mut spec = sh("echo ready; sleep 1000");
    spec.ports = vec!["http".into()];
    let step = |url: &str| StopStep::Http {
        method: "POST".into(),
        url: url.into(),
        headers: vec![("authorization".into(), "{basic:u:generated:pw}".into())],
        timeout: LONG,
    };
    spec.stop = vec![
        step("process://other:http/no"),
        step("process://:http/dispose?x"),
        step("process://a:http/2"),
    ];
    let port = w.table.ensure(key("a"), spec, refs()).await.unwrap().ports["http"];
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let server = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).await.unwrap();
            }
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            heads.push(head);
        }
        heads
    });
    w.table.stop(key("a")).await.unwrap();
    let heads = server.await.unwrap();
    assert!(heads[0].starts_with("POST /dispose?x HTTP/1.1\r\n"), "{}", heads[0]);
    // u:generated-pw
    assert!(
        heads[0].contains("authorization: Basic dTpnZW5lcmF0ZWQtcHc="),
        "{}",
        heads[0]
    );
    assert!(heads[1].starts_with("POST /2 "), "{}", heads[1]);
}

#[tokio::test]
async fn nothing_of_the_tree_is_left_when_stop_returns() {
    let w = world();
    w.start("a", stubborn()).await;
    let grandchild: u32 = w.line("a").await.parse().unwrap();
    assert!(lives(grandchild));
    let mut spec = stubborn();
    spec.stop = vec![StopStep::Signal(Signal::Kill)];
    w.start("b", spec).await;
    w.line("b").await;
    w.table.stop_all(None).await;
    assert!(!lives(grandchild));
    assert!(of_instance(&w.instance_id).is_empty());
}

#[tokio::test]
async fn the_rest_of_the_tree_ends_with_the_child() {
    let w = world();
    let child = w.start("a", stubborn()).await;
    let grandchild: u32 = w.line("a").await.parse().unwrap();
    kill(child);
    w.table.exited(key("a")).await.unwrap();
    until("the grandchild is gone", || !lives(grandchild)).await;
}

#[tokio::test]
async fn a_killed_shim_leaves_nothing() {
    let w = world();
    let child = w.start("a", stubborn()).await;
    let grandchild: u32 = w.line("a").await.parse().unwrap();
    kill(stat(child).unwrap().1);
    let exit = w.table.exited(key("a")).await.unwrap();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    assert!(!lives(child) && !lives(grandchild));
    assert!(stat(grandchild).is_none(), "it is reaped too");
    assert!(of_instance(&w.instance_id).is_empty());
    let again = w.table.ensure(key("a"), stubborn(), refs()).await.unwrap();
    assert!(!again.adopted);
}

#[tokio::test]
async fn a_shim_that_hangs_is_killed_by_a_stop() {
    let w = world();
    let child = w.start("a", sh("sleep 1000")).await;
    let shim = rustix::process::Pid::from_raw(i32::try_from(stat(child).unwrap().1).unwrap()).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::STOP).unwrap();
    w.table.stop(key("a")).await.unwrap();
    assert!(of_instance(&w.instance_id).is_empty());
}

#[tokio::test]
async fn a_dropped_table_ends_its_children() {
    let w = world();
    w.start("a", sh("sleep 1000")).await;
    drop(w.table);
    until("nothing is left", || of_instance(&w.instance_id).is_empty()).await;
}

#[tokio::test]
async fn directories_of_an_earlier_life_are_removed() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("run/old/server/tmp")).unwrap();
    std::fs::write(dir.path().join("run/old/server/password"), "x").unwrap();
    let _table = table(dir.path(), "m");
    assert_eq!(std::fs::read_dir(dir.path().join("run")).unwrap().count(), 0);
}
