//! Keys that have a new name.

use super::*;

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
                "{name}:1: the key `config-version` has been renamed to `config_version`; the old name is only read \
                 by this version. To fix: write line 1 as: config_version = 1"
            ),
            format!(
                "{name}:4: the key `probe` has been renamed to `public_check`; the old name is only read by this \
                 version. To fix: write line 4 as: public_check = \"on\" # by itself"
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
fn a_filter_with_the_places_of_the_version_before_is_read_with_a_notice() {
    let text = "config_version = 1\n[log]\nfilter = \"warn,nexus::services::chat=debug\"\n";
    let file = std::env::temp_dir().join("nexus.toml");
    let config = resolve::resolve(text, Some(&file), &Overrides::default(), &machine(&no_env)).unwrap();
    assert_eq!(config.log.filter, "warn,nexus_chat=debug");
    let notice = format!(
        "{}:3: the parts of the log have been renamed; the old names are only read by this version. To fix: write line 3 \
         as: filter = \"warn,nexus_chat=debug\"",
        file.display()
    );
    assert_eq!(config.notices, [notice]);
}
