//! Keys that have a new name.

use super::*;

/// A file `there-old.wasm` is a component whose manifest has the keys of the version before.
struct Old;

impl PluginSource for Old {
    fn manifest(&self, name: &str, source: &Source) -> Result<LoadedManifest, String> {
        match source {
            Source::File(file) if file.ends_with("there-old.wasm") => {
                let head = "name = \"tunnel-file\"\nkind = \"tunnel\"\nversion = \"0.1.0\"\napi = \"0.2\"\ndescription = \
                            \"d\"\nlicence = \"MIT\"\n";
                let rest = BORE.replace("one_of", "one-of").replace("inherit_env", "inherit-env");
                let manifest = Manifest::parse(&(head.to_owned() + &rest)).unwrap();
                Ok(LoadedManifest { manifest, digest: None })
            }
            _ => Fake.manifest(name, source),
        }
    }
    fn builtins(&self) -> Vec<String> {
        Fake.builtins()
    }
}

fn read_beside_old(text: &str) -> Result<Config, Report> {
    let machine = HostEnvironment {
        plugins: &Old,
        ..machine(&no_env)
    };
    let file = std::env::temp_dir().join("nexus.toml");
    resolve(text, Some(&file), &Overrides::default(), &machine)
}

#[test]
fn keys_of_the_version_before_are_read_with_a_notice_that_shows_the_line_to_write() {
    let text = "config-version = 1\n[tunnel.home]\nplugin = \"tunnel-bore\"\nprobe = \"public\" # by itself\n";
    let file = std::env::temp_dir().join("nexus.toml");
    let read = |text: &str| resolve::resolve(text, Some(&file), &Overrides::default(), &machine(&no_env));
    let config = read(text).unwrap();
    assert_eq!(config.tunnels["home"].public_check, resolved::PublicCheckMode::On);
    let name = file.display();
    assert_eq!(
        config.notices,
        [
            format!(
                "{name}:1: the key `config-version` has been renamed to `config_version`; this version still \
                 reads the old name; a later one will not. To fix: write line 1 as: config_version = 1"
            ),
            format!(
                "{name}:4: the key `probe` has been renamed to `public_check`; this version still reads the \
                 old name; a later one will not. To fix: write line 4 as: public_check = \"on\" # by itself"
            )
        ]
    );
    // What an operator does then changes nothing.
    let now = text.replace("config-version", "config_version");
    let now = now.replace("probe = \"public\"", "public_check = \"on\"");
    let again = read(&now).unwrap();
    assert_eq!((again.notices.len(), &again.text), (0, &config.text));

    let both = format!("{text}public_check = \"off\"\n");
    let report = read(&both).unwrap_err().to_string();
    assert!(
        report.starts_with(
            "error: `probe` and `public_check` are the old and the new name of the same key, but both \
            are set\n"
        ) && report.contains("nexus.toml:4:1")
            && report.contains("fix: delete `probe` in line 4"),
        "{report}"
    );
    // The new name does not take the old value.
    assert!(read(&now.replace("\"on\"", "\"public\"")).is_err());
}

#[test]
fn events_of_the_version_before_are_read_with_a_notice_that_shows_the_line_to_write() {
    let text = "config_version = 1\n[notify]\nwebhook = \"http://[::1]:80/x\"\nevents = [\"tunnel-url\", \"login_locked\"] # two\n";
    let file = std::env::temp_dir().join("nexus.toml");
    let read = |text: &str| resolve::resolve(text, Some(&file), &Overrides::default(), &machine(&no_env)).unwrap();
    let config = read(text);
    assert_eq!(
        config.notices,
        [format!(
            "{}:4: names in `events` of [notify] have been renamed; this version still reads the old names; a later one will \
             not. To fix: write line 4 as: events = [\"tunnel_url\", \"login_locked\"] # two",
            file.display()
        )]
    );
    let again = read(&text.replace("tunnel-url", "tunnel_url"));
    assert_eq!(again.notices, Vec::<String>::new());
    let events = |config: Config| config.notify.unwrap().events;
    assert_eq!(events(again), events(config));
}

#[test]
fn what_else_is_wrong_in_an_old_file_is_shown_as_it_is_written_with_the_notices() {
    let file = std::env::temp_dir().join("nexus.toml");
    let text = "config-version = 1\n[log]\nlog = 1\nfilter = \"nexus::web=debug\"\n[tunnel]\nhome = { probe = \
                \"https://10.0.0.1\", plugin = \"tunnel-bor\" }\n[plugin.file]\nsource = \"there-old.wasm\"\n";
    let report = read_beside_old(text).unwrap_err();
    let marked: Vec<_> = report
        .diagnostics
        .iter()
        .map(|found| match &found.place {
            Place::At(span) => &text[span.clone()],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(marked, ["log", "\"https://10.0.0.1\"", "\"tunnel-bor\""]);
    let (report, name) = (report.to_string(), file.display());
    for part in [
        format!("{name}:6:18\n"),
        "6  | home = { probe = \"https://10.0.0.1\", plugin = \"tunnel-bor\" }\n".to_owned(),
        format!("{name}:6:47\n"),
        format!("warning: {name}:1: the key `config-version` has been renamed"),
        format!("warning: {name}:4: the parts of the log have been renamed"),
        "To fix: write line 4 as: filter = \"nexus_web=debug\"\n".to_owned(),
        format!("warning: {name}:6: the key `probe` has been renamed to `public_check`"),
        "write line 6 as: home = { public_check = \"https://10.0.0.1\", plugin = \"tunnel-bor\" }\n".to_owned(),
        "warning: plugin file (".to_owned(),
    ] {
        assert!(report.contains(&part), "{part}\n--- not in\n{report}");
    }
    assert!(report.ends_with("\n3 problems in the configuration"), "{report}");
}

#[test]
fn old_keys_of_a_plugins_manifest_are_reported_with_the_plugin_and_its_file() {
    let config = read_beside_old("config_version = 1\n[plugin.mine]\nsource = \"there-old.wasm\"\n").unwrap();
    let file = std::env::temp_dir().join("there-old.wasm");
    let begins = format!("plugin mine ({}): the key ", file.display());
    let told: Vec<_> = config
        .notices
        .iter()
        .map(|notice| notice.strip_prefix(&begins).unwrap())
        .collect();
    let rest = "; this version still reads the old name; a later one will not. To fix: the author of the plugin has to build it again; in its \
                plugin.toml, write line";
    assert_eq!(
        told,
        [
            format!("`licence` of its manifest has been renamed to `license`{rest} 6 as: license = \"MIT\""),
            format!("`one-of` of its manifest has been renamed to `one_of`{rest} 14 as: one_of = [\"fast\", \"slow\"]"),
            format!("`inherit-env` of its manifest has been renamed to `inherit_env`{rest} 25 as: inherit_env = true"),
        ]
    );
    // Also where the plugin cannot be used.
    let config = read_beside_old(
        "config_version = 1\n[chat.main]\nplugin = \"mine\"\n[plugin.mine]\nsource = \"there-old.wasm\"\n",
    )
    .unwrap();
    assert_eq!((config.notices.len(), config.broken.len()), (3, 1));
    assert!(
        read_beside_old("config_version = 1\n[plugin.mine]\nsource = \"there.wasm\"\n")
            .unwrap()
            .notices
            .is_empty()
    );
}

#[test]
fn a_filter_with_the_places_of_the_version_before_is_read_with_a_notice() {
    let text = "config_version = 1\n[log]\nfilter = \"warn,nexus::services::chat=debug\"\n";
    let file = std::env::temp_dir().join("nexus.toml");
    let config = resolve::resolve(text, Some(&file), &Overrides::default(), &machine(&no_env)).unwrap();
    assert_eq!(config.log.filter, "warn,nexus_chat=debug");
    let notice = format!(
        "{}:3: the parts of the log have been renamed; this version still reads the old names; a later one will not. To \
         fix: write line 3 as: filter = \"warn,nexus_chat=debug\"",
        file.display()
    );
    assert_eq!(config.notices, [notice]);

    let text = "config_version = 1\n[log]\nfilter = \"warn,nexus::web[call]=debug\"\n";
    let config = resolve::resolve(text, Some(&file), &Overrides::default(), &machine(&no_env)).unwrap();
    let notice = format!(
        "{}:3: the log has no spans and no filters for fields any more; this version still reads a filter with them, and \
         leaves them out; a later one will not. To fix: write line 3 as: filter = \"warn\"",
        file.display()
    );
    assert_eq!(config.notices, [notice]);
}
