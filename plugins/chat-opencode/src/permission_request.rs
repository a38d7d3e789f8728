//! A permission request of opencode as one of the contract: what is approved is what was read.
//!
//! Problem: opencode's request names a command or a path, and not all that decides what will happen: the folder a command
//! runs in, the file that a patch moves another one to, the arguments of an MCP server's tool.
//!
//! Mechanism: the request is shown together with the call that it is about. What of the call's input, and of the request's
//! own additions, is not in the text, nor in the change, stands as a detail, by its name. Each path goes to the host, which
//! knows where it leads; and the names that run what is written there. Where the input of the call is not known, or neither
//! a diff nor the input says what an edit does, a detail says so, and the page does not let it be allowed.
//!
//! Limits: which files a command names is guessed from its words.

use crate::file_changes::{self, File, relative_path};
use crate::permission_rules::{self, warning};
use crate::wire::{self, text_of};
use nexus_plugin_api::chat::types::{AgentRequest, Detail, Path, Permission, RequestKind};
use serde_json::{Map, Value};

/// `Call` is the tool call that a request is about, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Call {
    pub part: Option<String>,
    pub input: Option<Value>,
}

/// `KNOWN_TOOLS` are the tools of opencode itself; any other tool belongs to an MCP server.
const KNOWN_TOOLS: [&str; 15] = [
    "bash",
    "edit",
    "external_directory",
    "read",
    "list",
    "glob",
    "grep",
    "webfetch",
    "websearch",
    "task",
    "skill",
    "todowrite",
    "lsp",
    "codesearch",
    "doom_loop",
];
/// `SHOWN_IN_CHANGE` are the inputs of an edit that its diff shows.
const SHOWN_IN_CHANGE: [&str; 5] = ["filePath", "oldString", "newString", "content", "patchText"];
/// `SHOWN_METADATA` are the keys of opencode's metadata that are shown as files, folders and a diff.
const SHOWN_METADATA: [&str; 7] = [
    "diff",
    "files",
    "filepath",
    "directories",
    "patterns",
    "parentDir",
    "filediff",
];
/// `PATH_KEYS` are the keys by which tools name a path.
const PATH_KEYS: [&str; 11] = [
    "filePath",
    "filepath",
    "file_path",
    "path",
    "file",
    "directory",
    "dir",
    "cwd",
    "workdir",
    "source",
    "destination",
];
/// `MAX_WORDS` is how many words of a command are checked as paths.
const MAX_WORDS: usize = 64;
const UNKNOWN_INPUT: &str = "⟨the input is not shown here⟩";
const UNKNOWN_CHANGE: &str = "⟨the change is not shown here⟩";

#[derive(Default)]
struct RequestDetails {
    details: Vec<Detail>,
    paths: Vec<Path>,
}

impl RequestDetails {
    fn detail(&mut self, name: &str, text: impl Into<String>) {
        self.details.push(Detail {
            name: name.to_owned(),
            text: text.into(),
        });
    }

    /// `new`: whatever is there would be replaced.
    fn path(&mut self, path: &str, new: bool) {
        let path = Path {
            path: path.to_owned(),
            new,
            guessed: false,
        };
        if !path.path.is_empty() && !self.paths.contains(&path) {
            self.paths.push(path);
        }
    }
}

/// `root`: the session that shows it. `folder`: where opencode works.
pub fn permission(p: &wire::Permission, root: String, call: Call, folder: &str, now: u64) -> AgentRequest {
    let files = file_changes::files(&p.metadata);
    let own = KNOWN_TOOLS.contains(&p.permission.as_str());
    let path = text_of(&p.metadata, "filepath").or_else(|| p.patterns.first().cloned());
    // All of them, however many: of what the host does not show it says that it is missing.
    let changes = file_changes::of_metadata(&p.metadata, &path.unwrap_or_default(), folder);
    let detail = detail(p, &call, &files, own);
    let mut shown = RequestDetails::default();
    add_files(&mut shown, p, &files, folder);
    // One that is not in a diff could be hidden by the others.
    let seen = !changes.is_empty() && changes.iter().all(|change| change.diff.is_some());
    add_remaining_input(&mut shown, p, &call, &detail, seen, folder);
    let edits = p.permission == "edit" || !changes.is_empty();
    if edits && !seen && !says_what_it_does(&call) {
        shown.detail("Unknown", UNKNOWN_CHANGE);
    }
    let named: Vec<String> = shown
        .paths
        .iter()
        .map(|entry| entry.path.clone())
        .chain(p.patterns.iter().cloned())
        .collect();
    if p.permission == "bash" {
        guess_paths(&mut shown.paths, &detail, call.input.as_ref(), folder);
    }
    AgentRequest {
        id: p.id.clone(),
        session: root,
        requested_by: p.session.clone(),
        kind: RequestKind::Permission(Permission {
            subject: p.permission.clone(),
            detail,
            always: p.always.clone(),
            changes,
            details: shown.details,
            paths: shown.paths,
            obeyed: permission_rules::CONFIGURATION_FILES.map(str::to_owned).into(),
        }),
        message: warning(&named).filter(|_| p.permission == "edit"),
        part: call.part,
        created_at: now,
        ext: Vec::new(),
    }
}

/// `detail` is what the request is about: for a tool that opencode does not know, its whole input.
fn detail(p: &wire::Permission, call: &Call, files: &[File], own: bool) -> String {
    let patterns = || p.patterns.join("\n");
    if let Some(command) = text_of(&p.metadata, "command") {
        return command;
    }
    match &call.input {
        Some(input) if !own => serde_json::to_string_pretty(input).unwrap_or_else(|_| input.to_string()),
        // One line for each; which is moved, and which is deleted, is said below.
        _ if !files.is_empty() => patterns(),
        _ => text_of(&p.metadata, "filepath").unwrap_or_else(patterns),
    }
}

/// `add_files` adds files and folders, and what happens to them.
fn add_files(shown: &mut RequestDetails, p: &wire::Permission, files: &[File], folder: &str) {
    for file in files {
        let name = |path: &str| relative_path(path, folder).to_owned();
        let what = match file.kind.as_str() {
            "add" => "Adds",
            "update" => "Changes",
            "delete" => "Deletes",
            "move" => "Moves",
            other => other,
        };
        shown.detail(what, name(&file.path));
        shown.path(&file.path, file.kind == "add");
        if let Some(target) = &file.target {
            shown.detail("to", name(target));
            shown.path(target, true);
        }
    }
    if files.is_empty()
        && let Some(path) = text_of(&p.metadata, "filepath")
    {
        shown.path(&resolved_path(folder, &path), false);
    }
    for directory in p
        .metadata
        .get("directories")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(directory) = directory.as_str() {
            shown.detail("Accesses", directory);
            shown.path(directory, false);
        }
    }
}

/// `add_remaining_input` adds what is not shown yet of the call's input and of opencode's metadata. `seen`: the diffs show
/// all that changes.
fn add_remaining_input(
    shown: &mut RequestDetails,
    p: &wire::Permission,
    call: &Call,
    detail: &str,
    seen: bool,
    folder: &str,
) {
    let empty = Map::new();
    let input = match &call.input {
        Some(Value::Object(input)) => input,
        Some(Value::Null) | None => &empty,
        Some(other) => {
            if !detail.contains(&other.to_string()) {
                shown.detail("Input", other.to_string());
            }
            &empty
        }
    };
    let own = KNOWN_TOOLS.contains(&p.permission.as_str());
    let lists_patterns = detail == p.patterns.join("\n");
    let is_in_detail = |value: &Value| {
        let is = |text: &str| text == detail || (lists_patterns && p.patterns.iter().any(|p| p == text));
        value.as_str().is_some_and(is)
    };
    for (key, value) in input {
        if let Some(path) = value.as_str().filter(|_| PATH_KEYS.contains(&key.as_str())) {
            shown.path(&resolved_path(folder, path), false);
        }
        // It is the detail.
        if !own {
            continue;
        }
        let in_change =
            seen && SHOWN_IN_CHANGE.contains(&key.as_str()) && !value.as_str().is_some_and(is_normalized_in_diff);
        // The name of a folder can be that of the command in it.
        let in_detail = key != "workdir" && is_in_detail(value);
        if !in_change && !in_detail {
            shown.detail(if key == "workdir" { "Working folder" } else { key }, value_text(value));
        }
    }
    for (key, value) in p.metadata.as_object().unwrap_or(&empty) {
        let said = SHOWN_METADATA.contains(&key.as_str()) || input.get(key) == Some(value);
        if !said && !is_in_detail(value) && !value.is_null() {
            shown.detail(key, value_text(value));
        }
    }
    // A request that is about no call says all by itself, or nothing.
    let says = p.metadata.as_object().is_some_and(|m| !m.is_empty());
    if call.input.is_none() && (p.tool.is_some() || !says) {
        shown.detail("Unknown", UNKNOWN_INPUT);
    }
}

/// `says_what_it_does` tells whether the call's input, which is shown as a whole where no diff shows it, has more than
/// names of files.
fn says_what_it_does(call: &Call) -> bool {
    match &call.input {
        Some(Value::Object(input)) => input.keys().any(|key| !PATH_KEYS.contains(&key.as_str())),
        Some(input) => !input.is_null(),
        None => false,
    }
}

/// `is_normalized_in_diff` tells whether a diff cannot show `text` as it is: opencode normalizes lines before it
/// compares them.
fn is_normalized_in_diff(text: &str) -> bool {
    text.contains(['\r', '\u{feff}'])
}

fn value_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `guess_paths` adds the words of a command that may be paths, relative to the folder in which it runs.
fn guess_paths(paths: &mut Vec<Path>, command: &str, input: Option<&Value>, folder: &str) {
    let workdir = input.and_then(|i| text_of(i, "workdir"));
    let base = workdir.map_or_else(|| folder.to_owned(), |dir| resolved_path(folder, &dir));
    let words = command.split(|c: char| c.is_whitespace() || "'\"`;|&<>()$={}".contains(c));
    for word in words.filter(|w| !w.is_empty() && !w.starts_with('-')).take(MAX_WORDS) {
        paths.push(Path {
            path: format!("{base}/{word}"),
            new: false,
            guessed: true,
        });
    }
}

/// `resolved_path` is a path as opencode resolves it: `..` removes a name, even if that name is a link.
fn resolved_path(folder: &str, path: &str) -> String {
    let whole = match path.strip_prefix("~/") {
        _ if path.starts_with('/') => path.to_owned(),
        Some(_) => return path.to_owned(),
        None => format!("{folder}/{path}"),
    };
    let mut names: Vec<&str> = Vec::new();
    for name in whole.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::stream_event::Envelope;
    use nexus_plugin_api::chat::types::{ChangeKind, FileChange};
    use serde_json::json;

    fn asked(permission: &str, patterns: Value, metadata: Value, input: Option<Value>) -> AgentRequest {
        let p = json!({"id": "per_1", "sessionID": "ses_1", "permission": permission, "patterns": patterns, "metadata": metadata,
            "tool": {"messageID": "msg_1", "callID": "call_1"}});
        let call = Call { part: None, input };
        super::permission(&serde_json::from_value(p).unwrap(), "ses_1".into(), call, "/w", 1)
    }

    fn permission(request: &AgentRequest) -> &Permission {
        match &request.kind {
            RequestKind::Permission(permission) => permission,
            other => panic!("{other:?}"),
        }
    }

    fn details(request: &AgentRequest) -> Vec<(String, String)> {
        let details = permission(request).details.iter();
        details
            .map(|detail| (detail.name.clone(), detail.text.clone()))
            .collect()
    }

    fn path(path: &str, new: bool, guessed: bool) -> Path {
        Path {
            path: path.to_owned(),
            new,
            guessed,
        }
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn where_and_how_a_command_runs_is_a_part_of_it() {
        let input =
            json!({"command": "./run.sh", "workdir": "vendor/../vendor/evil", "timeout": 5, "description": "Tests"});
        let request = asked("bash", json!(["./run.sh"]), json!({"command": "./run.sh"}), Some(input));
        assert_eq!(permission(&request).detail, "./run.sh");
        let details = details(&request);
        for wanted in [
            pair("Working folder", "vendor/../vendor/evil"),
            pair("timeout", "5"),
            pair("description", "Tests"),
        ] {
            assert!(details.contains(&wanted), "{wanted:?} of {details:?}");
        }
        assert_eq!(details.len(), 3);
        assert_eq!(
            permission(&request).paths,
            [
                path("/w/vendor/evil", false, false),
                path("/w/vendor/evil/./run.sh", false, true)
            ]
        );
        assert!(permission(&request).obeyed.iter().any(|name| name == ".git"));
        let input = json!({"command": "make", "workdir": "make"});
        let request = asked("bash", json!(["make"]), json!({"command": "make"}), Some(input));
        assert_eq!(self::details(&request), [pair("Working folder", "make")]);
        // What is a pattern is not seen by that where the detail is something else.
        let input = json!({"filePath": "a", "content": "a"});
        let request = asked("edit", json!(["a"]), json!({"filepath": "/w/a"}), Some(input));
        assert!(self::details(&request).contains(&pair("content", "a")));
    }

    #[test]
    fn what_a_tool_of_a_server_is_called_with_is_what_is_asked() {
        let input = json!({"to": "a@b", "text": "secrets", "path": "docs/x"});
        let request = asked("mail_send_mail", json!(["*"]), json!({}), Some(input.clone()));
        assert_eq!(
            serde_json::from_str::<Value>(&permission(&request).detail).unwrap(),
            input
        );
        assert_eq!(details(&request), []);
        assert_eq!(permission(&request).paths, [path("/w/docs/x", false, false)]);
        for (permission, metadata) in [("mail_send_mail", json!({})), ("bash", json!({"command": "ls"}))] {
            let blind = asked(permission, json!(["*"]), metadata, None);
            assert_eq!(details(&blind), [pair("Unknown", UNKNOWN_INPUT)], "{permission}");
        }
        // Nothing is known to be nothing.
        assert_eq!(details(&asked("x_y", json!(["*"]), json!({}), Some(json!({})))), []);
        let more = asked(
            "new_thing",
            json!(["*"]),
            json!({"target": "prod", "n": [1]}),
            Some(json!({"a": 1})),
        );
        let mut more = details(&more);
        more.sort();
        assert_eq!(more, [pair("n", "[1]"), pair("target", "prod")]);
        let fetch = json!({"url": "http://a/", "format": "html"});
        let fetch = asked("webfetch", json!(["http://a/"]), fetch.clone(), Some(fetch));
        assert_eq!(
            (permission(&fetch).detail.as_str(), details(&fetch)),
            ("http://a/", vec![pair("format", "html")])
        );
    }

    /// The metadata is that of opencode 1.18.33.
    #[test]
    fn each_file_of_a_patch_is_shown_with_what_happens_to_it() {
        let file = |kind: &str, path: &str, target: Option<&str>| {
            let patch = format!("===\n--- /w/{path}\t\n+++ /w/{path}\t\n@@ -1 +1 @@\n-a\n+b {kind}\n");
            let mut file = json!({"type": kind, "filePath": format!("/w/{path}"), "relativePath": target.unwrap_or(path), "patch": patch});
            if let Some(target) = target {
                file["movePath"] = json!(format!("/w/{target}"));
            }
            file
        };
        let files = json!([
            file("move", "notes.md", Some(".opencode/plugin/notes.js")),
            file("add", "new.txt", None),
            file("delete", "old.txt", None),
            file("update", "kept.txt", None),
        ]);
        let metadata = json!({"filepath": "notes.md, new.txt", "diff": "the same\n", "files": files});
        let request = asked(
            "edit",
            json!(["notes.md", "new.txt", "old.txt", "kept.txt"]),
            metadata,
            Some(json!({"patchText": "*** Begin Patch"})),
        );
        assert_eq!(permission(&request).detail, "notes.md\nnew.txt\nold.txt\nkept.txt");
        assert_eq!(
            details(&request),
            [
                pair("Moves", "notes.md"),
                pair("to", ".opencode/plugin/notes.js"),
                pair("Adds", "new.txt"),
                pair("Deletes", "old.txt"),
                pair("Changes", "kept.txt"),
            ]
        );
        let change = |path: &str, kind, header: &str, what: &str| FileChange {
            path: path.to_owned(),
            kind,
            diff: Some(format!("{header}\n@@ -1 +1 @@\n-a\n+b {what}\n")),
            added_lines: 1,
            deleted_lines: 1,
        };
        let moved = ".opencode/plugin/notes.js";
        assert_eq!(
            permission(&request).changes,
            [
                change(
                    moved,
                    ChangeKind::Modified,
                    &format!("--- notes.md\n+++ {moved}"),
                    "move"
                ),
                change("new.txt", ChangeKind::Added, "--- /dev/null\n+++ new.txt", "add"),
                change("old.txt", ChangeKind::Deleted, "--- old.txt\n+++ /dev/null", "delete"),
                change("kept.txt", ChangeKind::Modified, "--- kept.txt\n+++ kept.txt", "update"),
            ]
        );
        assert!(request.message.unwrap().contains(".opencode/plugin/notes.js"));
        let hook = json!([file("move", "a", Some(".git/hooks/pre-commit"))]);
        let hook = asked(
            "edit",
            json!(["a"]),
            json!({"filepath": "a", "files": hook}),
            Some(json!({})),
        );
        assert!(hook.message.unwrap().contains("pre-commit"));
    }

    #[test]
    fn what_a_change_has_normalised_is_shown_as_it_is() {
        const DIFF: &str = "@@ -0,0 +1 @@\n+x\n";
        let write = |content: &str| {
            let input = json!({"filePath": "a.sh", "content": content});
            asked(
                "edit",
                json!(["a.sh"]),
                json!({"filepath": "/w/a.sh", "diff": DIFF}),
                Some(input),
            )
        };
        assert_eq!(details(&write("x\n")), []);
        assert_eq!(details(&write("x\r\n")), [pair("content", "x\r\n")]);
        let request = write("x");
        assert_eq!(permission(&request).paths, [path("/w/a.sh", false, false)]);
        let [change] = permission(&request).changes.as_slice() else {
            panic!("{request:?}");
        };
        assert_eq!((change.path.as_str(), change.diff.as_deref()), ("a.sh", Some(DIFF)));
    }

    /// `patch` is a request to change files, of each of which a patch is known or not.
    fn patch(files: &[(&str, Option<&str>)], input: Option<Value>) -> AgentRequest {
        let file = |(path, hunks): &(&str, Option<&str>)| {
            let mut file = json!({"type": "update", "filePath": path});
            if let Some(hunks) = hunks {
                file["patch"] = json!(format!("Index: {path}\n===\n--- {path}\n+++ {path}\n{hunks}"));
            }
            file
        };
        let files: Vec<Value> = files.iter().map(file).collect();
        asked("edit", json!(["a"]), json!({"filepath": "a", "files": files}), input)
    }

    const HUNK: &str = "@@ -1 +1 @@\n-a\n+b\n";

    #[test]
    fn an_edit_of_a_file_with_a_strange_name_is_shown() {
        for name in ["/w/a@@b.sh", "/w/@@ -1 +1 @@/b.sh", "/w@@/b.sh"] {
            let request = patch(&[(name, Some(HUNK))], Some(json!({"patchText": "*** Begin Patch"})));
            let [change] = permission(&request).changes.as_slice() else {
                panic!("{request:?}");
            };
            assert!(change.diff.as_ref().unwrap().ends_with(HUNK), "{change:?}");
            assert_eq!(details(&request), [pair("Changes", relative_path(name, "/w"))]);
        }
    }

    #[test]
    fn what_no_diff_shows_is_shown_as_it_was_written_or_cannot_be_allowed() {
        let text = json!({"patchText": "*** Begin Patch"});
        let (known, unknown) = (("/w/a", Some(HUNK)), ("/w/b", None));
        let blind = pair("Unknown", UNKNOWN_CHANGE);
        for files in [vec![known, unknown], vec![unknown], vec![("/w/b", Some(""))]] {
            let shown = details(&patch(&files, Some(text.clone())));
            assert!(shown.contains(&pair("patchText", "*** Begin Patch")), "{shown:?}");
            assert!(!shown.contains(&blind), "{shown:?}");
            for input in [
                None,
                Some(Value::Null),
                Some(json!({})),
                Some(json!({"filePath": "/w/b"})),
            ] {
                let shown = details(&patch(&files, input));
                assert!(shown.contains(&blind), "{shown:?}");
            }
        }
        assert!(!details(&patch(&[known], Some(json!({})))).contains(&blind));

        // One file: no diff at all, or one without a line of it.
        let headers = "Index: /w/a\n===\n--- /w/a\n+++ /w/a\n";
        for metadata in [
            json!({"filepath": "/w/a"}),
            json!({"filepath": "/w/a", "diff": headers}),
        ] {
            let input = json!({"filePath": "/w/a", "content": "x\n"});
            let shown = details(&asked("edit", json!(["a"]), metadata.clone(), Some(input)));
            assert!(
                shown.contains(&pair("content", "x\n")) && !shown.contains(&blind),
                "{shown:?}"
            );
            let shown = details(&asked(
                "edit",
                json!(["a"]),
                metadata,
                Some(json!({"filePath": "/w/a"})),
            ));
            assert!(shown.contains(&blind), "{shown:?}");
        }
        assert!(UNKNOWN_CHANGE.ends_with("not shown here⟩"));
    }

    #[test]
    fn a_request_that_comes_before_its_call_is_known_waits_for_it() {
        let folders = crate::folders::Folders::new(&[], "/w");
        let mut normalizer = crate::normalize::Normalizer::new(1, folders);
        let event = |kind: &str, properties: Value| -> Envelope {
            let line = json!({"directory": "/w", "payload": {"type": kind, "properties": properties}});
            Envelope::read(&line.to_string()).unwrap()
        };
        let part = |status: &str, input: Value| {
            json!({"id": "prt_1", "sessionID": "s", "messageID": "m", "type": "tool", "tool": "x_y", "callID": "c",
                "state": {"status": status, "input": input}})
        };
        let asked = event(
            "permission.asked",
            json!({"id": "per_1", "sessionID": "s", "permission": "x_y", "patterns": ["*"], "metadata": {},
                "tool": {"messageID": "m", "callID": "c"}}),
        );
        assert!(normalizer.unknown_call(&asked).is_some());
        let pending = event("message.part.updated", json!({"part": part("pending", json!({}))}));
        normalizer.apply(pending.event, "/w", 1);
        assert!(
            normalizer.unknown_call(&asked).is_some(),
            "its input is still being written"
        );
        let message = json!({"info": {"id": "m", "sessionID": "s", "role": "assistant"}, "parts": [part("running", json!({"a": 1}))]});
        normalizer.learn_calls(&wire::parse_message(&message).unwrap());
        assert!(normalizer.unknown_call(&asked).is_none());
        let out = normalizer.apply(asked.event, "/w", 1).events;
        let [nexus_plugin_api::chat::types::Event::Request(request)] = out.as_slice() else {
            panic!("{out:?}");
        };
        assert_eq!(
            (permission(request).detail.as_str(), request.part.as_deref()),
            ("{\n  \"a\": 1\n}", Some("prt_1"))
        );
    }
}
