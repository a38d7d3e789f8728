//! The example that is handed out.

use super::*;

pub(super) fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/nexus.toml")).unwrap()
}

#[test]
fn the_example_shows_every_key_and_nothing_else() {
    let set: String = example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut findings = Findings::default();
    Authored::read(&set, &mut findings);
    assert!(
        findings.diagnostics.is_empty(),
        "{}",
        Report::new(None, set, findings.diagnostics)
    );
    let value: toml::Table = toml::from_str(&set).unwrap();
    for asked in &findings.asked {
        let mut here = vec![&toml::Value::Table(value.clone())]
            .into_iter()
            .cloned()
            .collect::<Vec<_>>();
        for part in asked.split('.') {
            here = here
                .iter()
                .filter_map(toml::Value::as_table)
                .flat_map(|t| match part {
                    "*" => t.values().cloned().collect::<Vec<_>>(),
                    name => t.get(name).cloned().into_iter().collect(),
                })
                .collect();
        }
        assert!(!here.is_empty(), "examples/nexus.toml does not show `{asked}`");
    }
    assert!(
        findings.asked.len() > 40,
        "the example must have every table, or its keys are not asked for"
    );
}

#[test]
fn each_way_to_write_a_server_is_in_the_example_and_can_be_granted() {
    let text = example();
    let line = text.lines().find_map(|line| line.strip_prefix("#http = ")).unwrap();
    let table: toml::Table = toml::from_str(&format!("http = {line}")).unwrap();
    let servers = table["http"].as_array().unwrap().iter();
    let servers: Vec<&str> = servers
        .map(|server| server.as_str().unwrap_or_else(|| server["url"].as_str().unwrap()))
        .collect();
    for begins in ["https://", "http://", "http+unix://"] {
        let server = servers.iter().find(|server| server.starts_with(begins)).unwrap();
        HttpGrant::parse(server).unwrap_or_else(|why| panic!("{server}: {why}"));
    }
}
