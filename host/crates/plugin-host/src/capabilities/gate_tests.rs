#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use std::time::Duration;

fn plugin(grants: Grants) -> Plugin {
    Plugin {
        name: "demo".into(),
        kind: nexus_model::plugin::Kind::Chat,
        source: Source::Builtin,
        digest: None,
        says: Default::default(),
        config: serde_json::Map::new(),
        grants,
        limits: Limits {
            memory: 1 << 20,
            cpu: Duration::from_secs(1),
            cpu_share: 100,
            store_writes: 1 << 20,
            call: Duration::from_secs(1),
            streams: 4,
            processes: 1,
            log_lines: 10,
        },
    }
}

/// A plugin that asks for all that the tests want.
const MANIFEST: &str = r#"
name = "demo"
kind = "chat"
version = "1.0.0"
api = "0.1"
description = "d"
licence = "MIT"
[config.token]
type = "string"
secret = true
description = "d"
[capabilities.process.tool]
reason = "r"
inherit-env = true
env = ["TOOL_*"]
[[capabilities.http]]
url = "https://other.example:8443"
reason = "r"
[[capabilities.http]]
url = "https://*.example.org"
reason = "r"
[capabilities.store]
quota = 4096
reason = "r"
"#;

fn requests() -> Requests {
    Requests::of(&Manifest::parse(MANIFEST).unwrap(), &serde_json::Map::new())
}

fn gate(grants: Grants) -> Gate {
    Gate::new(&plugin(grants), requests(), Path::new("/nonexistent"))
}

fn web(host: &str, port: Option<u16>) -> Grants {
    let grant = HttpGrant {
        scheme: "https".into(),
        host: host.into(),
        port,
        private: false,
    };
    Grants {
        http: vec![grant],
        ..Grants::default()
    }
}

fn program(grant: ProcessGrant) -> Grants {
    Grants {
        processes: [("tool".to_owned(), grant)].into(),
        ..Grants::default()
    }
}

const PLAIN: ProcessGrant = ProcessGrant {
    path: None,
    inherit_env: false,
    cwd: None,
};

/// What a refusal prints must be TOML that can be pasted.
fn pasted(denial: &Denial) -> toml::Table {
    let (_, text) = denial.0.split_once(":\n").unwrap();
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn the_store_needs_a_quota() {
    let denial = gate(Grants::default()).store().unwrap_err();
    assert_eq!(
        pasted(&denial)["plugin"]["demo"]["grants"]["store_quota"].as_integer(),
        Some(4096)
    );
    assert_eq!(
        gate(Grants {
            store_quota: 7,
            ..Grants::default()
        })
        .store(),
        Ok(7)
    );
}

#[test]
fn a_secret_needs_the_operator() {
    let denial = gate(Grants::default()).secret("token").unwrap_err();
    assert!(pasted(&denial)["plugin"]["demo"]["secrets"]["token"]["env"].is_str());
    let grants = Grants {
        secrets: [("token".to_owned(), Secret::new("s3cret"))].into(),
        ..Grants::default()
    };
    assert_eq!(gate(grants.clone()).secret("token").unwrap().reveal(), "s3cret");
    let other = gate(grants).secret("other").unwrap_err();
    assert!(!other.0.contains("s3cret"));
}

#[test]
fn a_name_cannot_break_out_of_the_toml() {
    let name = "x = 1 }\n[plugin.evil]\n#";
    let mut requests = requests();
    requests.secrets.insert(name.to_owned());
    let denial = Gate::new(&plugin(Grants::default()), requests, Path::new("/"))
        .secret(name)
        .unwrap_err();
    let (_, text) = denial.0.rsplit_once("To allow it:\n").unwrap();
    assert!(
        toml::from_str::<toml::Table>(text).unwrap()["plugin"]
            .as_table()
            .unwrap()
            .get("evil")
            .is_none()
    );
}

#[test]
fn http_goes_where_it_is_granted_only() {
    let g = gate(web("api.example.org", None));
    assert!(g.http("https", "api.example.org", None).is_ok());
    assert!(g.http("https", "api.example.org", Some(443)).is_ok());
    for (scheme, host, port) in [
        ("http", "api.example.org", None),
        ("https", "example.org", None),
        ("https", "api.example.org.evil.example", None),
        ("https", "api.example.org", Some(8443)),
        ("https", "127.0.0.1", None),
    ] {
        assert!(g.http(scheme, host, port).is_err(), "{scheme} {host} {port:?}");
    }
    let denial = g.http("https", "other.example", Some(8443)).unwrap_err();
    let list = pasted(&denial)["plugin"]["demo"]["grants"]["http"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(
        list.iter().map(|u| u.as_str().unwrap()).collect::<Vec<_>>(),
        ["https://api.example.org", "https://other.example:8443"]
    );
}

#[test]
fn a_star_covers_what_is_below_it() {
    let g = gate(web("*.example.org", None));
    assert!(g.http("https", "a.b.example.org", None).is_ok());
    assert!(g.http("https", "example.org", None).is_err());
    assert!(g.http("https", ".example.org", None).is_err());
    assert!(g.http("https", "badexample.org", None).is_err());
}

#[test]
fn a_program_needs_its_grant() {
    let denial = gate(Grants::default()).run("tool", false, &[]).unwrap_err();
    assert!(pasted(&denial)["plugin"]["demo"]["grants"]["process"]["tool"]["path"].is_str());
    assert_eq!(
        gate(program(PLAIN)).run("tool", false, &[("TOOL_HOME".into(), "/".into())]),
        Ok(())
    );
    let denial = gate(program(PLAIN)).run("tool", true, &[]).unwrap_err();
    assert_eq!(
        pasted(&denial)["plugin"]["demo"]["grants"]["process"]["tool"]["inherit_env"].as_bool(),
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

#[tokio::test]
async fn what_is_written_over_time_has_an_end_that_can_be_raised() {
    let g = gate(Grants::default());
    let minute = std::time::Duration::from_secs(60);
    let rate = |g: &Gate| Allowance::new(g.limits().store_writes as f64, minute);
    // The store of a hostile plugin: the same key again and again.
    let flood = |g: &Gate, bytes: usize| {
        let writes = rate(g);
        let mut written = 0_u64;
        loop {
            match g.write(&writes, bytes) {
                Ok(()) => written += bytes as u64,
                Err(denial) => return (written, denial),
            }
        }
    };
    let (written, denial) = flood(&g, 200_000);
    assert!(written <= g.limits().store_writes, "{written}");
    assert!(denial.0.contains("writes more than 1 MiB a minute"), "{}", denial.0);
    let raised = configured(Some(&denial));
    assert_eq!(raised.limits().store_writes, 2 << 20);
    assert!(flood(&raised, 200_000).0 > written);
    // Nothing is not free either: each write is a page of the database.
    let writes = rate(&g);
    let empty = (0..1_000_000).take_while(|_| g.write(&writes, 0).is_ok()).count();
    assert!(empty <= 128, "{empty}");
    // One that is larger than the limit itself: what is printed allows it.
    let (none, denial) = flood(&g, 3 << 20);
    assert_eq!(none, 0);
    assert!(flood(&configured(Some(&denial)), 3 << 20).0 > 0, "{}", denial.0);
}

#[tokio::test(start_paused = true)]
async fn starts_of_processes_have_a_rate() {
    let g = gate(Grants::default());
    let started = Allowance::new(f64::from(limits::PROCESS_STARTS), limits::PROCESS_STARTS_WINDOW);
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
fn a_variable_that_may_not_be_set_is_refused_in_words() {
    let run = |name: &str| gate(program(PLAIN)).run("tool", false, &[(name.into(), "{file:x}".into())]);
    assert_eq!(run("TOOL_X"), Ok(()));
    for (name, why) in [
        ("LD_PRELOAD", "would run code"),
        ("A\nLD_PRELOAD", "does not name it"),
        ("PATH", "would lead the program elsewhere"),
        ("OTHER", "its manifest does not name it"),
    ] {
        let denial = run(name).unwrap_err().0;
        assert!(denial.contains(why) && !denial.contains('\n'), "{denial}");
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
    let work = Some(home.as_path());
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(g.directory("tool", None, work).unwrap().as_deref(), work);
    let sub = home.join("sub");
    assert_eq!(g.directory("tool", Some(&at(&sub)), work).unwrap(), Some(sub));
    for wanted in [
        "/etc".to_owned(),
        at(&home.join("../project-2")),
        "sub".to_owned(),
        at(&home.with_file_name("project-2")),
        at(&home.join("absent")),
    ] {
        assert!(g.directory("tool", Some(&wanted), work).is_err(), "{wanted}");
    }
    assert!(g.directory("tool", Some("/tmp"), None).is_err());
    assert_eq!(g.directory("tool", None, None).unwrap(), None);
}

#[test]
#[cfg(unix)]
fn a_link_in_the_workspace_leads_nowhere_else() {
    let g = gate(program(PLAIN));
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    std::os::unix::fs::symlink("/etc", &out).unwrap();
    let denial = g.directory("tool", out.to_str(), Some(home.path())).unwrap_err();
    assert!(denial.0.contains("link to /etc"), "{}", denial.0);
}

#[test]
fn limits_say_how_to_raise_them() {
    let g = gate(Grants::default());
    assert_eq!(g.another_process(0), Ok(()));
    let denial = g.another_process(1).unwrap_err();
    assert_eq!(
        pasted(&denial)["plugin"]["demo"]["limits"]["processes"].as_integer(),
        Some(2)
    );
    assert_eq!(
        pasted(&g.too_many_streams())["plugin"]["demo"]["limits"]["streams"].as_integer(),
        Some(8)
    );
}

#[cfg(unix)]
#[test]
fn a_binary_is_looked_for_in_order_and_by_name_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let make = |path: &Path, mode: u32| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let on_path = dir.path().join("path/tool");
    let tool = dir.path().join("tools/tool/node_modules/.bin/tool");
    let path = std::env::join_paths([Path::new("."), &dir.path().join("path")]).unwrap();
    let g = Gate::new(&plugin(program(PLAIN)), requests(), dir.path());

    let installed = dir.path().join("installed/tool");
    make(&installed, 0o755);
    let last = [dir.path().join("installed")];
    assert_eq!(g.find_on("tool", Some(&path), &last).unwrap().unwrap(), installed);
    let missing = g.find_on("tool", Some(&path), &[]).unwrap().unwrap_err();
    assert!(missing.contains("[plugin.demo.grants.process.tool]"), "{missing}");
    make(&on_path, 0o644);
    assert!(g.find_on("tool", Some(&path), &[]).unwrap().is_err(), "not executable");
    make(&on_path, 0o755);
    assert_eq!(g.find_on("tool", Some(&path), &last).unwrap().unwrap(), on_path);
    make(&tool, 0o755);
    assert_eq!(g.find_on("tool", Some(&path), &[]).unwrap().unwrap(), tool);
    assert!(g.find_on("other", Some(&path), &[]).is_err(), "not granted");

    let given = dir.path().join("mine");
    let g = Gate::new(
        &plugin(program(ProcessGrant {
            path: Some(given.clone()),
            ..PLAIN
        })),
        requests(),
        dir.path(),
    );
    assert!(
        g.find_on("tool", Some(&path), &[])
            .unwrap()
            .unwrap_err()
            .contains("not a file that can be executed")
    );
    make(&given, 0o755);
    assert_eq!(g.find_on("tool", Some(&path), &[]).unwrap().unwrap(), given);

    let sneaky = Grants {
        processes: [("../path/tool".to_owned(), PLAIN)].into(),
        ..Grants::default()
    };
    let g = Gate::new(&plugin(sneaky), requests(), dir.path());
    assert!(
        g.find_on("../path/tool", Some(&path), &[])
            .unwrap()
            .unwrap_err()
            .contains("plain file name")
    );
}

struct Demo;

impl nexus_config::PluginSource for Demo {
    fn manifest(&self, name: &str, _: &Source) -> Result<nexus_config::Found, String> {
        let kind = name.split('-').next().unwrap_or_default();
        let text = match name {
            "demo" => MANIFEST.to_owned(),
            _ => format!(
                "name = \"{name}\"\nkind = \"{kind}\"\nversion = \"1.0.0\"\napi = \"0.1\"\ndescription = \"d\"\nlicence = \"MIT\""
            ),
        };
        let manifest = Manifest::parse(&text).map_err(|e| e.to_string())?;
        Ok(nexus_config::Found { manifest, digest: None })
    }
    fn builtins(&self) -> Vec<String> {
        ["auth-local", "chat-opencode", "chat-echo"].map(str::to_owned).to_vec()
    }
}

/// The gate that a configuration makes, with what a refusal printed pasted into it.
fn configured(pasted: Option<&Denial>) -> Gate {
    let toml = pasted.map_or("", |denial| denial.0.split_once(":\n").unwrap().1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus.toml");
    std::fs::write(
        &file,
        format!("config-version = 1\n[plugin.demo]\nsource = \"demo.wasm\"\n{toml}\n"),
    )
    .unwrap();
    let machine = nexus_config::Machine {
        cwd: dir.path().to_owned(),
        data_home: Some(dir.path().to_owned()),
        env: &|_| Some("s3cret".to_owned()),
        plugins: &Demo,
    };
    let config = nexus_config::load(Some(&file), &nexus_config::Overrides::default(), &machine)
        .unwrap_or_else(|report| panic!("{report}"));
    Gate::new(&config.plugins["demo"], requests(), dir.path())
}

#[test]
fn what_a_refusal_prints_is_taken_by_the_configuration_and_allows_it() {
    type Ask = fn(&Gate) -> Result<(), Denial>;
    let asks: [(&str, Ask); 6] = [
        ("store", |g| g.store().map(drop)),
        ("secret", |g| g.secret("token").map(drop)),
        ("process", |g| g.run("tool", false, &[])),
        ("http", |g| g.http("https", "other.example", Some(8443)).map(drop)),
        ("http below a star", |g| {
            g.http("https", "a.b.example.org", None).map(drop)
        }),
        ("processes", |g| g.another_process(8)),
    ];
    for (what, ask) in asks {
        let denial = ask(&configured(None)).unwrap_err();
        assert_eq!(ask(&configured(Some(&denial))), Ok(()), "{what}: {}", denial.0);
    }
    let with_tool = |g: &Gate| g.run("tool", false, &[]).unwrap_err();
    let granted = configured(Some(&with_tool(&configured(None))));
    let denial = granted.run("tool", true, &[]).unwrap_err();
    assert_eq!(configured(Some(&denial)).run("tool", true, &[]), Ok(()));

    let denial = configured(None).too_many_streams();
    assert_eq!(configured(Some(&denial)).limits().streams, 128);

    let own = tempfile::tempdir().unwrap();
    let denial = gate(program(PLAIN))
        .directory("tool", own.path().to_str(), Some(Path::new("/srv")))
        .unwrap_err();
    configured(Some(&denial));

    let grant = HttpGrant {
        host: "other.example".into(),
        port: Some(8443),
        ..web("x", None).http[0].clone()
    };
    let g = gate(Grants {
        http: vec![grant.clone()],
        ..Grants::default()
    });
    let denial = g.private("it is near", &grant);
    let covered = configured(Some(&denial));
    assert!(covered.http("https", "other.example", Some(8443)).unwrap().private);

    let small = Grants {
        store_quota: 7,
        ..Grants::default()
    };
    let denial = gate(small).store_full("full");
    assert_eq!(configured(Some(&denial)).store(), Ok(4096));
}

#[test]
fn what_the_manifest_does_not_ask_for_is_offered_to_nobody() {
    let g = Gate::new(&plugin(Grants::default()), Requests::default(), Path::new("/"));
    for denial in [
        g.store().unwrap_err(),
        g.secret("token").unwrap_err(),
        g.run("tool", false, &[]).unwrap_err(),
        g.http("https", "other.example", None).unwrap_err(),
    ] {
        assert!(
            denial.0.contains("nothing can allow it") && !denial.0.contains('['),
            "{}",
            denial.0
        );
    }
    let full = gate(Grants {
        store_quota: 4096,
        ..Grants::default()
    });
    assert!(full.store_full("full").0.contains("asks for no more"));
}
