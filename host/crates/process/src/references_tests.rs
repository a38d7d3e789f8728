#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::limits;
use proptest::prelude::*;

struct Given;

impl References for Given {
    fn secret(&self, name: &str) -> Result<String, String> {
        if name == "gone" {
            Err("no secret `gone`".into())
        } else {
            Ok(format!("<s {name} {{port:x}}>"))
        }
    }
    fn generated(&self, name: &str) -> Result<String, String> {
        Ok(format!("<g {name}>"))
    }
}

impl Names for Given {
    fn port(&self, name: &str) -> Option<u16> {
        (name == "http").then_some(4096)
    }
    fn dir(&self) -> Option<String> {
        Some("/d".into())
    }
    fn file(&self, name: &str) -> Option<String> {
        (name == "a.json").then(|| "/d/a.json".into())
    }
}

fn fill(text: &str, place: Place) -> Result<String, String> {
    Template::parse(text, place)?.fill(&Given, &Given, 1 << 20)
}

#[test]
fn references_are_filled_in() {
    assert_eq!(fill("--port={port:http}", Place::Argument).unwrap(), "--port=4096");
    assert_eq!(
        fill("{dir}/x:{file:a.json}", Place::Environment).unwrap(),
        "/d/x:/d/a.json"
    );
    assert_eq!(
        fill("{{\"a\": {{}, {secret:k}}", Place::File).unwrap(),
        "{\"a\": {}, <s k {port:x}>}"
    );
    assert_eq!(fill("{generated:k}", Place::Header).unwrap(), "<g k>");
    assert_eq!(
        fill_header("{basic:me:generated:k}", &Given, 1 << 10).unwrap(),
        "Basic bWU6PGcgaz4="
    );
}

#[test]
fn a_path_that_would_end_the_quotation_marks_around_it_is_refused_with_the_fix() {
    struct At(&'static str);
    impl Names for At {
        fn port(&self, _: &str) -> Option<u16> {
            None
        }
        fn dir(&self) -> Option<String> {
            Some(self.0.to_owned())
        }
        fn file(&self, name: &str) -> Option<String> {
            Some(format!("{}/{name}", self.0))
        }
    }
    let fill = |text: &str, at| {
        let template = Template::parse(text, Place::Environment).unwrap();
        template.fill(&At(at), &Given, 1 << 20)
    };
    let quoted = r#"{{"plugin":["{file:guard.js}"]}"#;
    for bad in ["/d/a\"b", "/d/a\\b", "/d/a\nb"] {
        let error = fill(quoted, bad).unwrap_err();
        assert!(
            error.contains(bad) && error.contains("To fix: choose a data folder without"),
            "{error}"
        );
        // The program itself reads any path.
        assert_eq!(fill("{dir}", bad).unwrap(), bad);
    }
    assert_eq!(fill(quoted, "/d/a 'b").unwrap(), r#"{"plugin":["/d/a 'b/guard.js"]}"#);
}

#[test]
fn a_header_that_grows_too_long_is_refused() {
    let long = "{secret:k}".repeat(limits::PROCESS_STOP_HEADER / 4);
    let refused = fill_header(&long, &Given, limits::PROCESS_STOP_HEADER).unwrap_err();
    assert!(refused.to_string().contains("more than 65536 bytes"), "{refused}");
}

#[test]
fn what_a_place_forbids_is_refused_with_the_way_out() {
    for (text, place, hint) in [
        ("{secret:k}", Place::Argument, "put it in `env` or a file"),
        ("{generated:k}", Place::Argument, "put it in `env` or a file"),
        ("{basic:u:generated:k}", Place::Environment, "literal brace"),
        ("{basic:u:generated:k}", Place::Argument, "literal brace"),
        ("{basic:u:port:k}", Place::Header, "literal brace"),
        ("{port:http}", Place::Header, "literal brace"),
        ("{\"a\": 1}", Place::File, "literal brace"),
        ("{port:}", Place::Argument, "literal brace"),
        ("{port", Place::Argument, "no closing brace"),
        ("{port:other}", Place::Argument, "the specification's ports"),
        ("{file:other}", Place::File, "the specification's files"),
        ("{secret:gone}", Place::File, "no secret"),
    ] {
        let error = fill(text, place).unwrap_err();
        assert!(error.contains(hint), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn a_text_with_doubled_braces_comes_out_as_it_was(text in any::<String>()) {
        let escaped = text.replace('{', "{{");
        for place in [Place::Argument, Place::Environment, Place::File, Place::Header] {
            prop_assert_eq!(fill(&escaped, place).unwrap(), text.clone());
        }
    }

    #[test]
    fn an_argument_never_holds_a_secret(text in "[{}a-z:]{0,6}(\\{secret:k\\}|\\{generated:k\\})?[{}a-z:]{0,6}") {
        if let Ok(filled) = fill(&text, Place::Argument) {
            prop_assert!(!filled.contains("<s ") && !filled.contains("<g "), "{}", filled);
        }
    }

    #[test]
    fn whatever_the_text_parsing_ends_with_a_value_or_a_sentence(text in any::<String>()) {
        if let Err(error) = fill(&text, Place::File) {
            prop_assert!(error.len() > 10);
        }
    }
}
