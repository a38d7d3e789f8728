//! `limits.rs` and `docs/limits.md` name the same bounds with the same values.

use std::collections::BTreeMap;

/// Of a duration in milliseconds, of anything else as it is.
type Values = BTreeMap<String, u128>;

fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The constants of the file, each on one line: `pub const NAME: TYPE = VALUE;`.
fn in_code(source: &str) -> Values {
    let mut values = Values::new();
    for line in source.lines().filter_map(|l| l.strip_prefix("pub const ")) {
        let (name, rest) = line.split_once(": ").unwrap();
        let (_, value) = rest.split_once(" = ").unwrap();
        let value = value
            .strip_suffix(';')
            .unwrap_or_else(|| panic!("{name} takes more than one line"));
        let value = evaluate(value, &values);
        assert!(values.insert(name.to_owned(), value).is_none(), "{name} is there twice");
    }
    values
}

/// As far as it is used there: `secs(2 * 60)`, `64 << 10`, `6 * OTHER + 1_000`; no parentheses within.
fn evaluate(text: &str, known: &Values) -> u128 {
    if let Some(inner) = text.strip_prefix("secs(").and_then(|t| t.strip_suffix(')')) {
        return 1000 * evaluate(inner, known);
    }
    if let Some(inner) = text.strip_prefix("ms(").and_then(|t| t.strip_suffix(')')) {
        return evaluate(inner, known);
    }
    if let Some((left, right)) = text.split_once(" << ") {
        return evaluate(left, known) << evaluate(right, known);
    }
    if let Some((left, right)) = text.split_once(" + ") {
        return evaluate(left, known) + evaluate(right, known);
    }
    if let Some((left, right)) = text.rsplit_once(" / ") {
        return evaluate(left, known) / evaluate(right, known);
    }
    if let Some((left, right)) = text.split_once(" * ") {
        return evaluate(left, known) * evaluate(right, known);
    }
    let name = text.trim();
    known
        .get(name)
        .copied()
        .unwrap_or_else(|| name.replace('_', "").parse().unwrap_or_else(|_| panic!("`{text}`")))
}

/// The first two columns of every table whose first one is a constant: `` | `NAME` | 64 KiB | … ``.
fn in_words(document: &str) -> Values {
    let mut values = Values::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, value, bounds, reached, ..] = cells.as_slice() else {
            continue;
        };
        let Some(name) = name.strip_prefix('`').and_then(|n| n.strip_suffix('`')) else {
            continue;
        };
        assert!(
            !bounds.is_empty() && !reached.is_empty(),
            "{name}: say what it bounds and what happens"
        );
        assert!(
            values.insert(name.to_owned(), amount(value)).is_none(),
            "{name} is there twice"
        );
    }
    values
}

/// `1,000`, `64 KiB`, `1.5 s`, `15 min`.
fn amount(text: &str) -> u128 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let unit: u128 = match unit {
        "" | "ms" | "bytes" | "%" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "days" => 24 * 3_600_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => panic!("`{text}`: the unit `{other}` is not known here"),
    };
    let number: u128 = number.replace(',', "").parse().unwrap_or_else(|_| panic!("`{text}`"));
    number * unit
}

#[test]
fn the_document_lists_every_bound_with_its_value() {
    let (code, words) = (in_code(&read("src/limits.rs")), in_words(&read("../docs/limits.md")));
    assert!(code.len() > 50, "the file was not read");
    let mut wrong = Vec::new();
    for (name, value) in &code {
        match words.get(name) {
            None => wrong.push(format!(
                "{name} is in host/src/limits.rs and has no row in docs/limits.md"
            )),
            Some(said) if said != value => wrong.push(format!("{name} is {value}, docs/limits.md says {said}")),
            Some(_) => {}
        }
    }
    wrong.extend(
        words
            .keys()
            .filter(|name| !code.contains_key(*name))
            .map(|name| format!("{name} is in docs/limits.md and not in host/src/limits.rs")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_are_read_as_the_compiler_reads_them() {
    let code = in_code(
        "pub const A: Duration = secs(15 * 60);\npub const B: usize = 64 << 10;\npub const C: u32 = B / 2 + 6 * 10;\n\
         pub const D: Duration = ms(1_500);\npub const E: usize = 4 * 1024 * 1024;\npub const F: usize = B;",
    );
    let values: Vec<u128> = code.into_values().collect();
    assert_eq!(values, [900_000, 65_536, 32_828, 1_500, 4 << 20, 65_536]);
    let words =
        in_words("| `A` | 15 min | x | y |\n| `B` | 64 KiB | x | y |\n| no | 1 | x | y |\n| `C` | 2,000 | x | y |");
    assert_eq!(words.into_values().collect::<Vec<_>>(), [900_000, 65_536, 2_000]);
}
