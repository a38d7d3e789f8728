//! What a component says about itself in custom sections, written as the last step of a build: nothing that runs before can
//! drop it.
//!
//! Beside the manifest, of which the host reads everything, there are the standard sections that registries and `wasm-tools
//! metadata show` read: the component's name, `version`, `authors`, `description`, `licenses`, `source`, `homepage` and
//! `revision`. Each is a name and a text, so that they are written here: of the crate `wasm-metadata` they need the feature
//! `oci`, which brings a reader of dependency lists and more.

use anyhow::Context as _;
use nexus_plugin_api::MANIFEST_SECTION;
use nexus_plugin_api::manifest::Manifest;
use std::path::Path;
use std::process::{Command, Stdio};
use wasm_encoder::{ComponentNameSection, ComponentSection as _, CustomSection, RawSection};
use wasmparser::{Parser, Payload};

const NAME: &str = "component-name";

/// `describe` is the component with the manifest, whose `text` is kept to the letter, as its last section. What it had of these
/// sections is replaced.
///
/// # Errors
/// It is no component.
pub(super) fn describe(
    component: &[u8],
    manifest: &Manifest,
    text: &str,
    revision: Option<&str>,
) -> anyhow::Result<Vec<u8>> {
    let authors = manifest.authors.join(", ");
    let version = manifest.version.to_string();
    let standard = [
        ("version", Some(version.as_str())),
        ("authors", Some(authors.as_str()).filter(|authors| !authors.is_empty())),
        ("description", Some(manifest.description.as_str())),
        // What is none there, other tools refuse with all the rest.
        (
            "licenses",
            Some(manifest.license.as_str()).filter(|license| no_spdx(license).is_none()),
        ),
        ("source", manifest.repository.as_deref()),
        ("homepage", manifest.homepage.as_deref()),
        ("revision", revision),
    ];
    let written =
        |name: &str| [NAME, MANIFEST_SECTION].contains(&name) || standard.iter().any(|(standard, _)| *standard == name);
    let mut described = without(component, written)?;
    let mut names = ComponentNameSection::new();
    names.component(manifest.name.as_str());
    names.append_to_component(&mut described);
    let standard = standard.into_iter().filter_map(|(name, text)| Some((name, text?)));
    for (name, text) in standard.chain([(MANIFEST_SECTION, text)]) {
        let (name, data) = (name.into(), text.as_bytes().into());
        CustomSection { name, data }.append_to_component(&mut described);
    }
    Ok(described)
}

/// `no_spdx` says what is wrong with a license that is no SPDX expression.
pub(super) fn no_spdx(license: &str) -> Option<String> {
    let error = spdx::Expression::parse(license).err()?;
    Some(format!(
        "plugin.toml: license = \"{license}\" is no SPDX expression ({}), so the standard section `licenses` is left out. To fix: \
         write e.g. license = \"MIT OR Apache-2.0\", or \"LicenseRef-NAME\" for one of your own",
        error.reason
    ))
}

/// `without` is the component without its own custom sections of these names; those of what is in it stay.
fn without(component: &[u8], named: impl Fn(&str) -> bool) -> anyhow::Result<Vec<u8>> {
    let mut kept = wasm_encoder::Component::HEADER.to_vec();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.context("cargo built something that is no component")?;
        let drop = matches!(&payload, Payload::CustomSection(section) if named(section.name()));
        if depth == 0
            && !drop
            && let Some((id, range)) = payload.as_section()
        {
            let data = component.get(range).context("a section has no end")?;
            RawSection { id, data }.append_to_component(&mut kept);
        }
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(kept)
}

/// `revision` is the commit of a folder, if git knows it, and if nothing there was changed since.
pub(super) fn revision(directory: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let git = git.arg("-C").arg(directory).args(arguments);
        let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).ok())?
    };
    let changed = git(&["status", "--porcelain", "--", "."])?;
    let commit = git(&["rev-parse", "HEAD"])?.trim().to_owned();
    (changed.is_empty() && !commit.is_empty()).then_some(commit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    const MANIFEST: &str = "manifest = 1\nname = \"x-y\"\nkind = \"chat\"\nversion = \"1.2.3\"\napi = \"0.2\"\nauthors = [\"A <a@x.example>\", \
        \"B\"]\ndescription = \"What it does\"\nlicense = \"MIT OR Apache-2.0\"\nhomepage = \"https://x.example\"\nrepository = \
        \"https://git.example/x\"\n";

    /// The custom sections of the component itself, in order.
    fn sections(component: &[u8]) -> Vec<(String, String)> {
        let mut depth = 0;
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            match payload.unwrap() {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::CustomSection(section) if depth == 0 => {
                    found.push((
                        section.name().to_owned(),
                        String::from_utf8_lossy(section.data()).into_owned(),
                    ));
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn the_standard_sections_are_written_and_the_manifest_is_the_last() {
        let empty = wasm_encoder::Component::new().finish();
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let described = describe(&empty, &manifest, MANIFEST, Some("abc123")).unwrap();
        let found = sections(&described);
        let (name, texts) = found.split_first().unwrap();
        // The name is in a section with parts, of which the component's own is the first.
        assert_eq!(
            (name.0.as_str(), name.1.as_str()),
            ("component-name", "\0\u{4}\u{3}x-y")
        );
        let texts: Vec<_> = texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            texts,
            [
                ("version", "1.2.3"),
                ("authors", "A <a@x.example>, B"),
                ("description", "What it does"),
                ("licenses", "MIT OR Apache-2.0"),
                ("source", "https://git.example/x"),
                ("homepage", "https://x.example"),
                ("revision", "abc123"),
                (MANIFEST_SECTION, MANIFEST),
            ]
        );
        assert!(described.ends_with(MANIFEST.as_bytes()));
    }

    #[test]
    fn what_was_there_is_replaced_and_the_rest_stays_as_it_is() {
        let wat = format!(
            "(component (@custom \"version\" \"old\") (@custom \"{MANIFEST_SECTION}\" \"old\") (@custom \"producers\" \"\\00\") \
             (component (@custom \"version\" \"inner\")) (core module (@custom \"version\" \"inner\")))"
        );
        let before = wat::parse_str(wat).unwrap();
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let once = describe(&before, &manifest, MANIFEST, None).unwrap();
        let names: Vec<_> = sections(&once).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "producers",
                "component-name",
                "version",
                "authors",
                "description",
                "licenses",
                "source",
                "homepage",
                MANIFEST_SECTION
            ]
        );
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
            .validate_all(&once)
            .unwrap();
        let inner = once.windows(5).filter(|bytes| bytes == b"inner").count();
        assert_eq!(inner, 2);
        assert_eq!(
            describe(&once, &manifest, MANIFEST, None).unwrap(),
            once,
            "a second time changes nothing"
        );
    }

    #[test]
    fn a_license_that_registries_refuse_is_left_out_with_a_reason() {
        for license in [
            "MIT",
            "MIT OR Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
            "LicenseRef-mine",
        ] {
            assert_eq!(no_spdx(license), None);
        }
        let reason = no_spdx("Proprietary").unwrap();
        assert!(
            reason.contains("license = \"Proprietary\" is no SPDX expression (") && reason.contains("LicenseRef-NAME"),
            "{reason}"
        );
        let text = MANIFEST.replace("MIT OR Apache-2.0", "Proprietary");
        let empty = wasm_encoder::Component::new().finish();
        let described = describe(&empty, &Manifest::parse(&text).unwrap(), &text, None).unwrap();
        assert!(sections(&described).iter().all(|(name, _)| name != "licenses"));
    }

    #[test]
    fn the_commit_is_said_only_where_nothing_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(revision(folder.path()), None, "no work tree");
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            let git = git
                .arg("-C")
                .arg(folder.path())
                .args(["-c", "user.name=x", "-c", "user.email=x@x.example"]);
            assert!(git.args(arguments).stdout(Stdio::null()).status().unwrap().success());
        };
        git(&["init", "--quiet"]);
        std::fs::write(folder.path().join("a"), "1").unwrap();
        git(&["add", "a"]);
        git(&["commit", "--quiet", "-m", "one"]);
        assert_eq!(revision(folder.path()).unwrap().len(), 40);
        std::fs::write(folder.path().join("a"), "2").unwrap();
        assert_eq!(revision(folder.path()), None);
    }
}
