//! The four walks of ARCHITECTURE.md lead through functions that exist.

use std::path::Path;

/// What of the numbered steps of a text is not so: each begins with a file and a function in it.
fn wrong(text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let steps = text
        .lines()
        .filter_map(|line| line.split_once(". `").filter(|(n, _)| n.parse::<u8>().is_ok()));
    let step = |(number, step): (&str, &str)| {
        let mut words = step.split('`');
        let (file, name) = (words.next()?, words.nth(1)?);
        let Some(code) = read(file) else {
            return Some(format!(
                "step {number}: there is no {file}. To fix: write where it is now"
            ));
        };
        let declared = [format!("fn {name}("), format!("fn {name}<")]
            .iter()
            .any(|fun| code.contains(fun));
        (!declared).then(|| format!("step {number}: {file} has no function {name}. To fix: write what does it now"))
    };
    steps.filter_map(step).collect()
}

#[test]
fn the_walks_lead_through_functions_that_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(crates.join("../../ARCHITECTURE.md")).unwrap();
    let walks = text.split("## Four walks").nth(1).expect("the section of the walks");
    assert!(walks.matches("\n1. `").count() == 4, "four walks");
    let found = wrong(walks, |file| std::fs::read_to_string(crates.join(file)).ok());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_step_without_its_file_or_its_function_is_found() {
    let read = |file: &str| (file == "a.rs").then(|| "pub async fn here<T>(x: T) {}".to_owned());
    let text = "1. `a.rs` `here` does it\n2. `a.rs` `away` does it\n3. `b.rs` `here` does it\nno step\n";
    let found = wrong(text, read);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("a.rs has no function away") && found[1].contains("there is no b.rs"),
        "{found:?}"
    );
}
