//! Which processes are refused.

#![allow(clippy::unwrap_used)]

use crate::capabilities::test_gate::{PLAIN, configured, gate, pasted, program};
use nexus_config::grants::ProcessGrant;
use nexus_config::resolved::{Grants, Workspaces};
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use std::path::{Path, PathBuf};

#[test]
fn a_program_needs_its_grant() {
    let denial = gate(Grants::default()).run("tool", false, &[]).unwrap_err();
    assert!(pasted(&denial.0)["plugin"]["demo"]["grants"]["process"]["tool"].is_table());
    assert!(
        denial
            .0
            .contains("\n# path = \"/absolute/path/of/tool\", which was not found here"),
        "{}",
        denial.0
    );
    assert_eq!(
        gate(program(PLAIN)).run("tool", false, &[("TOOL_HOME".into(), "/".into())]),
        Ok(())
    );
    let denial = gate(program(PLAIN)).run("tool", true, &[]).unwrap_err();
    assert_eq!(
        pasted(&denial.0)["plugin"]["demo"]["grants"]["process"]["tool"]["inherit_env"].as_bool(),
        Some(true)
    );
    assert_eq!(
        gate(program(ProcessGrant {
            inherit_env: true,
            ..PLAIN
        }))
        .run("tool", true, &[]),
        Ok(())
    );
}

#[tokio::test(start_paused = true)]
async fn starts_of_processes_have_a_rate() {
    let g = gate(Grants::default());
    let started = TokenBucket::new(f64::from(limits::PROCESS_STARTS), limits::PROCESS_STARTS_WINDOW);
    let start = || g.another_start(&started).map(|()| started.used(1.0));
    for _ in 0..limits::PROCESS_STARTS {
        start().unwrap();
    }
    assert!(
        start()
            .unwrap_err()
            .0
            .contains("started more than 120 processes within 60 s")
    );
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    start().unwrap();
}

#[test]
fn a_variable_that_may_not_be_set_is_refused_with_a_message() {
    let run = |name: &str| gate(program(PLAIN)).run("tool", false, &[(name.into(), "{file:x}".into())]);
    assert_eq!(run("TOOL_X"), Ok(()));
    for (name, cause) in [
        ("LD_PRELOAD", "can make the program run other code"),
        ("A\nLD_PRELOAD", "does not list it"),
        ("PATH", "can redirect the program"),
        ("OTHER", "its manifest does not list it"),
    ] {
        let denial = run(name).unwrap_err().0;
        assert!(denial.contains(cause) && !denial.contains('\n'), "{denial}");
    }
    let long = run(&"x".repeat(1 << 20)).unwrap_err().0;
    assert!(long.len() < 400, "{}", long.len());
}

#[test]
fn a_process_stays_in_the_workspace() {
    let g = gate(program(PLAIN));
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap().join("project");
    std::fs::create_dir_all(home.join("sub")).unwrap();
    std::fs::create_dir_all(home.with_file_name("project-2")).unwrap();
    let other = home.with_file_name("other");
    std::fs::create_dir_all(other.join("sub")).unwrap();
    let all = Workspaces {
        first: home.clone(),
        others: vec![other.clone()],
    };
    let work = Some(&all);
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(g.directory("tool", None, work).unwrap(), Some(home.clone()));
    for within in [home.join("sub"), other.clone(), other.join("sub")] {
        assert_eq!(g.directory("tool", Some(&at(&within)), work).unwrap(), Some(within));
    }
    for wanted in [
        "/etc".to_owned(),
        at(&home.join("../project-2")),
        at(&other.join("../project-2")),
        "sub".to_owned(),
        at(&home.with_file_name("project-2")),
        at(&home.join("absent")),
    ] {
        assert!(g.directory("tool", Some(&wanted), work).is_err(), "{wanted}");
    }
    assert!(g.directory("tool", Some("/tmp"), None).is_err());
    // One that was a folder when the configuration was read, and leads elsewhere now: nothing runs anywhere.
    std::fs::rename(&other, other.with_file_name("before")).unwrap();
    let refused = |what: &str| {
        let denial = g.directory("tool", None, work).unwrap_err();
        assert!(denial.0.contains(what) && denial.0.contains("To fix: "), "{}", denial.0);
    };
    refused("cannot be opened");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&home, &other).unwrap();
        refused("is a link by now");
    }
    assert_eq!(g.directory("tool", None, None).unwrap(), None);
}

#[test]
#[cfg(unix)]
fn a_link_in_the_workspace_leads_nowhere_else() {
    let g = gate(program(PLAIN));
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    std::os::unix::fs::symlink("/etc", &out).unwrap();
    let denial = g
        .directory("tool", out.to_str(), Some(&home.path().to_owned().into()))
        .unwrap_err();
    assert!(denial.0.contains("link to /etc"), "{}", denial.0);
}

#[test]
fn a_directory_that_is_refused_can_be_made_the_workspace() {
    let own = tempfile::tempdir().unwrap();
    let denial = gate(program(PLAIN))
        .directory("tool", own.path().to_str(), Some(&PathBuf::from("/srv").into()))
        .unwrap_err();
    configured(Some(&denial.0));
}
