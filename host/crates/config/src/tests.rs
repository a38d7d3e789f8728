//! The configuration as a whole: the example, what broken files say, and that no text makes the reader panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crate::authored::Authored;
use crate::diagnostic::Place;
use crate::grants::HttpGrant;
use crate::resolve::resolve;
use crate::resolved::{Config, Source};
use crate::toml_reader::Findings;
use crate::*;
use nexus_plugin_api::manifest::Manifest;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod any_text;
mod broken;
mod example;
mod renamed_keys;

struct Fake;
fn manifest(name: &str, rest: &str) -> Manifest {
    let kind = name.split('-').next().unwrap();
    let head = format!(
        "name = \"{name}\"\nkind = \"{kind}\"\nversion = \"0.1.0\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \
         \"MIT\"\n"
    );
    Manifest::parse(&(head + rest)).unwrap()
}

const BORE: &str = r#"
[config.server]
type = "string"
default = "bore.pub"
description = "the server"
[config.mode]
type = "string"
one_of = ["fast", "slow"]
description = "how"
[config.api]
type = "string"
description = "where its API is"
[config.secret]
type = "string"
secret = true
description = "what the server wants"
[capabilities.process.bore]
reason = "it is the tunnel"
inherit_env = true
[[capabilities.http]]
url = "https://api.example.org"
reason = "to ask"
[[capabilities.http]]
url = "{config:api}"
reason = "to ask there"
[[capabilities.http]]
url = "http://192.168.1.5:8080"
reason = "an appliance"
[capabilities.store]
quota = 4096
reason = "to keep"
[limits]
memory = 1000000
"#;

impl PluginSource for Fake {
    fn manifest(&self, name: &str, source: &Source) -> Result<LoadedManifest, String> {
        let manifest = match source {
            Source::File(path) if !path.to_string_lossy().contains("there") => return Err("no such file".to_owned()),
            Source::File(_) => manifest("tunnel-file", BORE),
            Source::Builtin if name == "tunnel-bore" => manifest(name, BORE),
            Source::Builtin => manifest(
                name,
                "[capabilities.process.opencode]\nreason = \"it is the agent\"\ninherit_env = true\n",
            ),
        };
        Ok(LoadedManifest { manifest, digest: None })
    }
    fn builtins(&self) -> Vec<String> {
        ["auth-local", "chat-echo", "chat-opencode", "tunnel-bore"]
            .map(str::to_owned)
            .to_vec()
    }
}

fn machine(env: &dyn Fn(&str) -> Option<String>) -> HostEnvironment<'_> {
    HostEnvironment {
        cwd: std::env::temp_dir(),
        data_home: Some("/data-home".into()),
        env,
        plugins: &Fake,
    }
}

fn no_env(_: &str) -> Option<String> {
    None
}

fn read_with(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Report> {
    let text = format!("config_version = 1\n{text}");
    resolve(
        &text,
        Some(&std::env::temp_dir().join("nexus.toml")),
        &Overrides::default(),
        &machine(env),
    )
}

fn read(text: &str) -> Result<Config, Report> {
    read_with(text, &no_env)
}

fn good(text: &str) -> Config {
    let config = read(text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(reports_of_parts(&config), "");
    config
}

/// The reports of parts that this machine does not give; the rest of such a configuration is used.
fn reports_of_parts(config: &Config) -> String {
    let reports = config.broken.values().filter_map(|broken| broken.report.clone());
    let reports = reports.chain(config.chat.unusable.clone());
    reports.chain(config.troubles.iter().map(ToString::to_string)).collect()
}

fn report(text: &str) -> String {
    match read(text) {
        Ok(config) => reports_of_parts(&config),
        Err(report) => report.to_string(),
    }
}

#[test]
fn project_folders_are_real_paths_and_each_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    let (first, other) = (real.join("first"), real.join("other"));
    for folder in [&first, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    std::os::unix::fs::symlink(&other, real.join("link")).unwrap();
    let folders = |written: &[PathBuf]| {
        let text = format!("[chat.main]\nworkspace = {first:?}\nworkspaces = {written:?}");
        read(&text).unwrap().chat.workspaces
    };
    let both = folders(&[
        real.join("link"),
        other.clone(),
        first.clone(),
        real.join("other/../other"),
    ]);
    assert_eq!(both.all().collect::<Vec<_>>(), [first.as_path(), other.as_path()]);
    assert_eq!(folders(&[]).others, Vec::<PathBuf>::new());

    let many = vec![other.clone(); nexus_model::limits::WORKSPACES];
    let refused = report(&format!("[chat.main]\nworkspaces = {many:?}"));
    assert!(
        refused.contains("too many project folders") && refused.contains("at most 255"),
        "{refused}"
    );
}

#[test]
fn without_a_file_everything_has_a_default() {
    let c = load(None, &Overrides::default(), &machine(&no_env)).unwrap();
    assert_eq!(c.web.listen.to_string(), "127.0.0.1:7860");
    assert_eq!(
        (c.auth.plugin.as_str(), c.auth.lockout_failures, c.auth.lockout),
        ("auth-local", 5, Duration::from_secs(1800))
    );
    assert_eq!(
        (c.chat.name.as_str(), c.chat.plugin.as_str(), c.chat.fallback.as_deref()),
        ("main", "chat-opencode", Some("chat-echo"))
    );
    assert_eq!(c.chat.workspaces.first, std::env::temp_dir());
    assert_eq!(c.data_dir, PathBuf::from("/data-home/nexus"));
    assert!(c.tunnels.is_empty() && c.file.is_none());
    let log = c.log.file.unwrap();
    assert_eq!(log.path, PathBuf::from("/data-home/nexus/logs/nexus.log"));
    assert_eq!((log.max_size, log.max_files), (10 << 20, 5));
    assert_eq!(
        c.plugins.keys().collect::<Vec<_>>(),
        ["auth-local", "chat-echo", "chat-opencode", "tunnel-bore"],
        "and the built-in ones that could replace it"
    );
    let opencode = &c.plugins["chat-opencode"].grants.processes["opencode"];
    assert!(opencode.inherit_env && opencode.cwd == Some(c.chat.workspaces.first.clone()));
}

#[test]
fn the_command_line_wins_over_the_file() {
    let over = Overrides {
        data_dir: Some("data".into()),
        listen: Some("127.0.0.1:1".parse().unwrap()),
    };
    let c = load(None, &over, &machine(&no_env)).unwrap();
    assert_eq!(
        (c.web.listen.port(), c.data_dir),
        (1, std::env::temp_dir().join("data"))
    );
    let open = Overrides {
        listen: Some("0.0.0.0:1".parse().unwrap()),
        ..Overrides::default()
    };
    let report = load(None, &open, &machine(&no_env)).unwrap_err().to_string();
    assert!(
        report.contains("--listen on the command line") && report.contains("open to the network"),
        "{report}"
    );
}

#[test]
fn the_log_lies_where_the_file_says() {
    let file = |text: &str| good(&format!("[log]\n{text}")).log.file;
    let there = file("file = \"logs/own.log\"\nmax_size = \"1 MiB\"\nmax_files = 3").unwrap();
    assert_eq!(there.path, std::env::temp_dir().join("logs/own.log"));
    assert_eq!((there.max_size, there.max_files), (1 << 20, 3));
    assert_eq!(file("file = \"\""), None);
}

#[test]
fn a_builtin_plugin_has_what_it_asks_for_until_the_operator_names_less() {
    let grants = |table: &str| {
        let text = format!("[tunnel.home]\nplugin = \"tunnel-bore\"\n{table}");
        good(&text).plugins["tunnel-bore"].clone()
    };
    let all = grants("");
    assert_eq!(all.config["server"], "bore.pub");
    assert_eq!(
        all.grants.http.len(),
        2,
        "the key `api` has no value, so it asks for nothing there"
    );
    assert!(all.grants.processes["bore"].inherit_env && all.grants.processes["bore"].cwd.is_none());
    assert_eq!((all.grants.store.quota, all.limits.memory), (4096, 1_000_000));
    let less = grants(
        "[plugin.tunnel-bore.grants]\nhttp = []\nstore_quota = 100\n[plugin.tunnel-bore.grants.process.bore]\ninherit_env = false\npath = \"x/../bin/bore\"",
    );
    assert!(less.grants.http.is_empty() && !less.grants.processes["bore"].inherit_env);
    assert_eq!(
        less.grants.processes["bore"].path,
        Some(std::env::temp_dir().join("bin/bore"))
    );
    assert_eq!(less.grants.store.quota, 100);
    let more =
        grants("[plugin.tunnel-bore.grants]\nstore_quota = \"1 GiB\"\n[plugin.tunnel-bore.limits]\nmemory = \"2 MiB\"");
    assert_eq!(
        (more.grants.store.quota, more.limits.memory),
        (4096, 2 << 20),
        "never more than the manifest asks for"
    );
}

#[test]
fn a_plugin_from_a_file_has_only_what_is_granted() {
    let none = good("[plugin.mine]\nsource = \"there.wasm\"").plugins["mine"].clone();
    assert_eq!(none.source, Source::File(std::env::temp_dir().join("there.wasm")));
    assert!(none.grants.http.is_empty() && none.grants.processes.is_empty() && none.grants.store.quota == 0);
    let some = good(
        "[plugin.mine]\nsource = \"there.wasm\"\nconfig.api = \"https://own.example.net/v1\"\n[plugin.mine.grants]\nstore_quota = \"1 KiB\"\n\
         http = [\"https://*.example.net\", { url = \"http://192.168.1.5:8080\", private = true }]\n[plugin.mine.grants.process.bore]",
    )
    .plugins["mine"]
        .clone();
    assert!(!some.grants.processes["bore"].inherit_env, "asked for, not granted");
    assert_eq!(some.grants.store.quota, 1024);
    let appliance = HttpGrant::parse("http://192.168.1.5:8080").unwrap().with_private(true);
    assert_eq!(
        some.grants.http,
        [HttpGrant::parse("https://own.example.net").unwrap(), appliance]
    );
}

#[test]
fn secrets_come_from_the_environment_or_a_private_file() {
    let text = "[plugin.tunnel-bore.secrets]\nsecret = { env = \"BORE\" }";
    let c = read_with(text, &|name| (name == "BORE").then(|| "s3cret".to_owned())).unwrap();
    assert_eq!(c.plugins["tunnel-bore"].grants.secrets["secret"].reveal(), "s3cret");
    assert!(!format!("{c:?}").contains("s3cret"));
    assert!(!c.plugins["tunnel-bore"].config.contains_key("secret"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, "from-a-file\n").unwrap();
    let text = format!("[plugin.tunnel-bore.secrets]\nsecret = {{ file = {file:?} }}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let report = report(&text);
        assert!(
            report.contains("can be read by every user of this machine (mode ")
                && report.contains(&format!("chmod 600 {}", file.display())),
            "{report}"
        );
        assert!(!report.contains("from-a-file"), "{report}");
        mode(0o600);
    }
    assert_eq!(
        good(&text).plugins["tunnel-bore"].grants.secrets["secret"].reveal(),
        "from-a-file"
    );
    fs::write(&file, "\n").unwrap();
    assert!(report(&text).contains("is empty"));
    fs::remove_file(&file).unwrap();
    let report = report(&text);
    assert!(
        report.contains(&format!("the secret file {} does not exist", file.display()))
            && report.contains("fix: create it with the secret as its content, then run `chmod 600 "),
        "{report}"
    );
}

/// (what is written after the version line, what the report must say). Line 1 is the version.
const BROKEN: &[(&str, &[&str])] = &[
    (
        "[web]\nlistn = \"127.0.0.1:1\"",
        &[
            "nexus.toml:3:1",
            "`listn` is not a key in [web]",
            "nearest: listen",
            "^^^^^",
        ],
    ),
    (
        "[wep]\n",
        &[":2:2", "`wep` is not a known table or key", "nearest: web"],
    ),
    (
        "[web]\nlisten = 7860",
        &[":3:10", "found: 7860", "write \"127.0.0.1:7860\""],
    ),
    ("[web]\nlisten = \"localhost:80\"", &["write \"127.0.0.1:80\""]),
    (
        "[web]\nlisten = \"0.0.0.0:80\"",
        &[":3:10", "open to the network", "insecure_listen = true"],
    ),
    (
        "[web]\ninsecure_listen = \"true\"",
        &["expected: true or false", "remove the quotation marks"],
    ),
    (
        "[web]\npublic_url = \"https://x.org/chat\"",
        &["`/chat` follows the host"],
    ),
    (
        "[web]\nhosts = \"x.org\"",
        &["write it in brackets: hosts = [\"x.org\"]", "a list of host names"],
    ),
    (
        "[web]\nhosts = [\"x.org\", \"http://y\"]",
        &[":3:19", "an item of `web.hosts` has an invalid value"],
    ),
    (
        "[log]\nmax_size = \"1 KiB\"",
        &[":3:12", "found: 1024 bytes", "from \"64 KiB\" to \"4 GiB\""],
    ),
    ("[log]\nmax_files = 1", &["a whole number from 2 to 1000"]),
    ("[log]\nfile = \"~/nexus.log\"", &["`~` is not expanded"]),
    ("[log]\nfile = false", &["a path, or \"\" for none"]),
    (
        "[metrics]\nlisten = \"0.0.0.0:9464\"",
        &[":3:10", "neither TLS nor a login", "insecure_listen = true"],
    ),
    (
        "[metrics]\nlisten = \"127.0.0.1:7860\"",
        &["two listeners cannot share a port", "which the web page uses"],
    ),
    (
        "[notify]\nevents = [\"tunnel-up\"]",
        &["an item of `notify.events`", "\"tunnel_url\""],
    ),
    (
        "[notify]\ncommand = \"/bin/cat\"",
        &["write it in brackets: command = [\"/bin/cat\"]"],
    ),
    ("[notify]\ncommand = []", &["names no program"]),
    ("[notify]\ncommand = [\"notify-send\"]", &["not a full path"]),
    ("[notify]\ncommand = [\"/nowhere/x\"]", &["/x\" does not exist"]),
    (
        "[notify]\nwebhook = { env = \"UNSET_HOOK\" }",
        &["UNSET_HOOK", "is not set"],
    ),
    ("[auth]\nlockout = 30", &["add the unit: \"30s\" for seconds"]),
    ("[auth]\nlockout = \"30 min\"", &["units are ms, s, m, h and d"]),
    ("[auth]\nlockout_failures = 0", &["a whole number from 1 to 1000"]),
    (
        "[auth]\nplugin = \"auth-locl\"",
        &[":3:10", "there is no plugin `auth-locl`", "nearest: auth-local"],
    ),
    (
        "[auth]\nplugin = \"tunnel-bore\"",
        &["its manifest says kind = \"tunnel\"", "a plugin of kind \"auth\""],
    ),
    (
        "[auth]\nsession_idle = \"100d\"",
        &["session_idle = \"100d\", session_absolute = \"90d\""],
    ),
    (
        "[chat.main]\n[chat.other]\n",
        &[
            ":3:7",
            "more than one chat is not possible yet",
            "[chat.other] after [chat.main]",
        ],
    ),
    (
        "[chat.main]\nworkspace = \"/none/such\"",
        &["the workspace /none/such does not exist", "mkdir -p /none/such"],
    ),
    ("[chat.main]\nworkspace = \"~/code\"", &["`~` is not expanded here"]),
    (
        "[chat.main]\nworkspaces = [\"/\", \"/none/such\"]",
        &[
            ":3:20",
            "the workspace /none/such does not exist",
            "mkdir -p /none/such",
        ],
    ),
    (
        "[chat.main]\nworkspaces = [\"/etc/hostname\"]",
        &[
            "the workspace /etc/hostname is not a folder",
            "found: a file is there",
            "expected: a folder that exists",
            "fix: correct the path in this line",
        ],
    ),
    (
        "[chat.main]\nworkspaces = [\"~/code\", 5]",
        &["`~` is not expanded here", "write the path in quotation marks"],
    ),
    (
        "[chat.main]\nworkspaces = \"/srv\"",
        &["write it in brackets: workspaces = [\"/srv\"]"],
    ),
    ("[tunnel.home]\nautostart = true", &["[tunnel.home] has no plugin"]),
    (
        "[tunnel.home]\nplugin = \"tunnel-bore\"\nlisten = \"0.0.0.0:1\"",
        &["must be on a loopback address"],
    ),
    (
        "[tunnel.home]\nplugin = \"tunnel-bore\"\nlisten = \"127.0.0.1:7860\"",
        &["which the web page uses"],
    ),
    (
        "[tunnel.\"../x\"]\nplugin = \"tunnel-bore\"",
        &["not a valid name for a tunnel"],
    ),
    ("[plugin.mine]\n", &["there is no built-in plugin `mine`", "source = "]),
    ("[plugin.mine]\nsource = \"gone.wasm\"", &[":3:10", "no such file"]),
    (
        "[plugin.tunnel-bore.config]\nsrver = \"x\"",
        &["has no key `srver`", "nearest: server"],
    ),
    (
        "[plugin.tunnel-bore.config]\nserver = 7",
        &[":3:10", "expected: a string (the server)"],
    ),
    (
        "[plugin.tunnel-bore.config]\nmode = \"fst\"",
        &["one of fast, slow", "nearest: fast"],
    ),
    (
        "[plugin.tunnel-bore.config]\nsecret = \"hush\"",
        &["is a secret", "[plugin.tunnel-bore.secrets]"],
    ),
    (
        "[plugin.tunnel-bore.secrets]\nsecret = \"hush\"",
        &["does not say where the secret is", "found: a string"],
    ),
    (
        "[plugin.tunnel-bore.secrets]\nsecret = { env = \"NOPE\" }",
        &["the environment variable NOPE is not set", "restart Nexus"],
    ),
    (
        "[plugin.tunnel-bore.secrets]\ntoken = { env = \"X\" }",
        &["has no secret `token`", "one of secret"],
    ),
    (
        "[plugin.tunnel-bore.grants]\nhttp = [\"https://evil.example\"]",
        &[
            "does not request `https://evil.example`",
            "delete it; `nexus plugin info tunnel-bore` shows",
        ],
    ),
    (
        "[plugin.auth-local.grants]\nhttp = [\"https://evil.example\"]",
        &["expected: no entry here, because auth-local requests no permission of this kind"],
    ),
    (
        "[plugin.tunnel-bore.grants]\nhttp = [\"https://*\"]",
        &["an item of", "only allowed at the front"],
    ),
    (
        "[plugin.tunnel-bore.grants.process.boer]\n",
        &["does not request `boer`", "nearest: bore"],
    ),
    (
        "[plugin.tunnel-bore.limits]\nmemory = \"64 MB\"",
        &["units are B, KiB, MiB and GiB"],
    ),
    ("[log]\nfilter = \"nexus=loud\"", &["`log.filter` has an invalid value"]),
    (
        "[wbe]\nlisten = 1",
        &["nearest: web", "rename it to [web], or delete it"],
    ),
    (
        "[plugin.tunnel-bor.config]\nport = 1",
        &[
            "nearest: tunnel-bore",
            "rename it to [plugin.tunnel-bore]; for a plugin from a file, add source",
        ],
    ),
    (
        "[tunnel.Home_1]\nplugin = \"tunnel-bore\"",
        &["rename it, for example to [tunnel.home-1]"],
    ),
    ("[auth]\nlockout_failures = \"5\"", &["remove the quotation marks"]),
    ("[chat.main]\nworkspace = 5", &["write the path in quotation marks"]),
    ("[web]\nhosts = [[1]]", &["found: a list of one item"]),
    ("[web\nlisten = 1", &[":2:", "not valid TOML"]),
    ("a = 1\na = 2", &["not valid TOML", ":3:1"]),
];

#[test]
fn a_broken_file_says_where_and_how_to_fix_it() {
    let mut missing = Vec::new();
    for (text, expected) in BROKEN {
        let report = report(text);
        for part in expected.iter().filter(|part| !report.contains(**part)) {
            missing.push(format!("not reported: {part}\n--- of\n{text}\n--- reported\n{report}"));
        }
        assert!(!report.contains("hush"), "a secret is shown: {report}");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n\n"));
}

#[test]
fn every_problem_is_reported_in_the_order_of_the_file() {
    let report = read("[web]\nlistn = 1\n[auth]\nlockout = 3\nplugin = \"no\"\n[plugin.x9]\n[nope]").unwrap_err();
    let lines: Vec<_> = report
        .diagnostics
        .iter()
        .map(|d| match &d.place {
            Place::At(span) => report.locate(span.start).line,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lines, [3, 5, 6, 7, 8]);
    assert!(report.to_string().ends_with("5 problems in the configuration"));
}

#[test]
fn the_version_is_asked_for() {
    for (text, part) in [
        ("", "has no version"),
        ("config_version = 2", "newer version of Nexus"),
        ("config_version = 0", "does not exist"),
        ("config_version = \"1\"", "invalid value"),
    ] {
        let report = resolve(text, None, &Overrides::default(), &machine(&no_env)).unwrap_err();
        assert_eq!(report.diagnostics.len(), 1, "{report}");
        assert!(report.to_string().contains(part), "{report}");
    }
}

#[test]
fn a_file_that_is_missing_or_not_text_is_reported_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.toml");
    let load = || {
        load(Some(&path), &Overrides::default(), &machine(&no_env))
            .unwrap_err()
            .to_string()
    };
    assert!(load().contains("cannot read the file") && load().contains("n.toml"));
    fs::write(&path, b"config_version = 1\n\xff").unwrap();
    assert!(load().contains("not UTF-8 from byte 19 on"), "{}", load());
}
