//! The guard in the real opencode: what is allowed is what the request shows, and what opencode does not ask about is asked or
//! refused.

use nexus_tests::browser::Browser;
use nexus_tests::llm::Llm;
use nexus_tests::nexus::Nexus;
use nexus_tests::opencode::{Opencode, config_for};
use nexus_tests::world::{Conversation, ready, start};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

/// A server of the Model Context Protocol with one tool, which writes down what it is called with.
const SERVER: &str = r#"
import fs from 'node:fs';
let buffer = '';
const answer = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\n');
process.stdin.on('data', (data) => {
  buffer += data;
  for (let at; (at = buffer.indexOf('\n')) >= 0; buffer = buffer.slice(at + 1)) {
    const { id, method, params } = JSON.parse(buffer.slice(0, at));
    if (method === 'initialize') answer(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'mail', version: '1' } });
    else if (method === 'tools/list') answer(id, { tools: [{ name: 'send', description: 'Sends', inputSchema: { type: 'object', properties: { to: { type: 'string' }, text: { type: 'string' } } } }] });
    else if (method === 'tools/call') { fs.appendFileSync(process.env.SENT, JSON.stringify(params.arguments)); answer(id, { content: [{ type: 'text', text: 'sent' }] }); }
    else if (id !== undefined) answer(id, {});
  }
});
"#;

struct Asking {
    _llm: Llm,
    opencode: Opencode,
    nexus: Nexus,
    browser: Browser,
}

impl Asking {
    /// `change`: what the user's own configuration of opencode has more.
    async fn up(change: impl FnOnce(&mut Value, &Path), prepare: impl FnOnce(&Path)) -> Self {
        let llm = Llm::start().await;
        let (start, opencode) = start(&llm, "");
        let mut config = config_for(&llm.url());
        change(&mut config, start.folder());
        fs::write(start.folder().join("opencode.json"), config.to_string()).unwrap();
        prepare(&opencode.project);
        let nexus = start.up();
        let browser = Browser::set_up(&nexus).await;
        ready(&browser).await;
        Self {
            _llm: llm,
            opencode,
            nexus,
            browser,
        }
    }

    /// The request that this call makes.
    async fn asked(&self, tool: &str, input: &Value) -> (Conversation, Value) {
        let mut chat = Conversation::create(&self.browser, &self.nexus).await;
        chat.prompt(&format!("[[tool name={tool} args={input}]]")).await;
        chat.until("it is asked", |c| !c.requests.is_empty()).await;
        let ask = chat.requests.values().next().unwrap().clone();
        (chat, ask)
    }

    async fn allow(&self, mut chat: Conversation, ask: &Value) {
        let answer = json!({"request": ask["id"], "answer": {"type": "once"}});
        assert_eq!(chat.request("reply", answer).await["type"], "done");
        chat.until_idle().await;
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.opencode.project.join(file)
    }
}

fn has(ask: &Value, name: &str, text: &str) -> bool {
    let details = ask["details"].as_array().into_iter().flatten();
    details.into_iter().any(|d| d["name"] == name && d["text"] == text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn where_and_how_a_command_runs_is_read_before_it_is_allowed() {
    let world = Asking::up(
        |_, _| {},
        |project| {
            fs::create_dir_all(project.join("vendor/evil")).unwrap();
            fs::create_dir_all(project.join("scratch")).unwrap();
            let script = project.join("vendor/evil/run.sh");
            fs::write(&script, "#!/bin/sh\necho \"$PWD\" > \"${PWD%/vendor/evil}/ran\"\n").unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        },
    )
    .await;
    let input =
        json!({"command": "./run.sh", "workdir": "vendor/evil", "timeout": 60_000, "description": "Run the tests"});
    let (chat, ask) = world.asked("bash", &input).await;
    assert_eq!(ask["detail"], "./run.sh");
    for (name, text) in [
        ("Working folder", "vendor/evil"),
        ("timeout", "60000"),
        ("description", "Run the tests"),
    ] {
        assert!(has(&ask, name, text), "{name}: {ask}");
    }
    world.allow(chat, &ask).await;
    assert!(world.path("ran").exists(), "it ran in the folder that was shown");

    // What a shell takes for a part of a word is seen.
    let (mut chat, ask) = world
        .asked(
            "bash",
            &json!({"command": "cd scratch\r\ntouch wiped", "description": "x"}),
        )
        .await;
    assert_eq!(ask["detail"], "cd scratch⟨U+000D⟩\ntouch wiped");
    chat.request("cancel", json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn each_file_of_a_patch_is_shown_with_what_happens_to_it() {
    // For a model of this name opencode has `apply_patch` in place of its other tools that edit.
    let gpt = |config: &mut Value, _: &Path| {
        let model = config["provider"]["stand-in"]["models"]["stand-in-1"].clone();
        config["provider"]["stand-in"]["models"]["gpt-5.1"] = model;
        config["model"] = json!("stand-in/gpt-5.1");
    };
    let world = Asking::up(gpt, |project| {
        fs::write(project.join("notes.md"), "one\n").unwrap();
        fs::write(project.join("old.txt"), "old\n").unwrap();
        fs::write(project.join("there.txt"), "precious\n").unwrap();
    })
    .await;
    let patch = "*** Begin Patch\n*** Update File: notes.md\n*** Move to: .opencode/plugin/notes.js\n@@\n-one\n+two\n\
                 *** Delete File: old.txt\n*** Add File: there.txt\n+new\n*** End Patch";
    let (chat, ask) = world.asked("apply_patch", &json!({"patchText": patch})).await;
    for (name, text) in [
        ("Moves", "notes.md"),
        ("to", ".opencode/plugin/notes.js"),
        ("Deletes", "old.txt"),
        ("Adds", "there.txt"),
        ("Replaces", "there.txt, which already exists"),
    ] {
        assert!(has(&ask, name, text), "{name}: {ask}");
    }
    let changes = ask["changes"].as_array().unwrap().iter();
    let change: String = changes.map(|change| change["diff"].as_str().unwrap()).collect();
    for part in [
        "--- notes.md\n+++ .opencode/plugin/notes.js\n@@",
        "--- old.txt\n+++ /dev/null\n@@",
        "--- /dev/null\n+++ there.txt\n@@",
        "-one\n+two",
        "-old",
        "+new",
    ] {
        assert!(change.contains(part), "{part}: {change}");
    }
    let message = ask["message"].as_str().unwrap();
    assert!(
        message.contains(".opencode/plugin/notes.js") && message.contains("without a permission request"),
        "{message}"
    );
    world.allow(chat, &ask).await;
    assert!(world.path(".opencode/plugin/notes.js").exists() && !world.path("old.txt").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn what_a_tool_of_a_server_is_called_with_is_read_before_it_is_allowed() {
    let mut sent = None;
    let world = Asking::up(
        |config, root| {
            fs::write(root.join("server.mjs"), SERVER).unwrap();
            let node = nexus_tests::part("NEXUS_TEST_NODE");
            config["mcp"] = json!({"mail": {"type": "local", "command": [node, root.join("server.mjs")],
                "environment": {"SENT": root.join("sent")}, "enabled": true}});
            sent = Some(root.join("sent"));
        },
        |_| {},
    )
    .await;
    let input = json!({"to": "other@elsewhere.example", "text": "all my secrets"});
    let (chat, ask) = world.asked("mail_send", &input).await;
    assert_eq!(
        serde_json::from_str::<Value>(ask["detail"].as_str().unwrap()).unwrap(),
        input,
        "{ask}"
    );
    world.allow(chat, &ask).await;
    let sent = fs::read_to_string(sent.unwrap()).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&sent).unwrap(),
        input,
        "what was read is what was sent"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn where_a_link_of_the_workspace_leads_is_read_before_it_is_allowed() {
    let mut outside = None;
    let world = Asking::up(
        |_, root| {
            fs::create_dir_all(root.join("outside")).unwrap();
            outside = Some(root.join("outside").canonicalize().unwrap());
        },
        |project| {
            symlink(project.parent().unwrap().join("outside"), project.join("docs")).unwrap();
            fs::create_dir_all(project.join(".opencode/plugins")).unwrap();
            symlink(".opencode/plugins", project.join("assets")).unwrap();
        },
    )
    .await;
    let target = outside.unwrap().join(".bashrc");
    let out = "leads out of the workspace, to";
    // opencode is told where the path leads, and so asks as about any file outside; then about the edit itself.
    let (mut chat, ask) = world
        .asked("write", &json!({"filePath": "docs/.bashrc", "content": "x\n"}))
        .await;
    assert!(
        ask.to_string().contains(target.parent().unwrap().to_str().unwrap()),
        "{ask}"
    );
    let answer = json!({"request": ask["id"], "answer": {"type": "once"}});
    assert_eq!(chat.request("reply", answer).await["type"], "done");
    chat.until("the edit is asked", |c| {
        c.requests.values().any(|next| next["id"] != ask["id"])
    })
    .await;
    let ask = chat
        .requests
        .values()
        .find(|next| next["id"] != ask["id"])
        .unwrap()
        .clone();
    let file = target.to_str().unwrap().trim_start_matches('/');
    assert!(ask.to_string().contains(file), "{ask}");
    world.allow(chat, &ask).await;
    assert!(target.exists(), "it was written where the request showed");

    let (mut chat, ask) = world
        .asked("write", &json!({"filePath": "assets/logo.js", "content": "1\n"}))
        .await;
    assert!(has(&ask, "leads to", ".opencode/plugins/logo.js"), "{ask}");
    assert!(
        ask["details"].to_string().contains("without a permission request"),
        "{ask}"
    );
    chat.request("cancel", json!({})).await;

    let (mut chat, ask) = world
        .asked("bash", &json!({"command": "cat docs/.bashrc", "description": "x"}))
        .await;
    assert!(has(&ask, out, target.to_str().unwrap()), "{ask}");
    chat.request("cancel", json!({})).await;
}

/// opencode asks by the commands that its parser finds and by the names of files: what these miss does not run unasked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn what_opencode_would_not_ask_about_is_refused_or_asked() {
    let world = Asking::up(
        |_, root| {
            fs::create_dir_all(root.join("outside")).unwrap();
            fs::write(root.join("outside/key"), "a-private-key").unwrap();
        },
        |project| symlink(project.parent().unwrap().join("outside"), project.join("docs")).unwrap(),
    )
    .await;
    for line in [
        "> made",
        "cd . > made",
        "declare 'a[$(touch made)]=1'",
        "[[ -v 'a[$(touch made)]' ]]",
    ] {
        let mut chat = Conversation::create(&world.browser, &world.nexus).await;
        let input = json!({"command": line, "description": "x"});
        chat.prompt(&format!("[[tool name=bash args={input}]]")).await;
        chat.until_idle().await;
        assert!(!world.path("made").exists(), "{line} ran unasked");
        let tools: Vec<String> = chat.tools.values().map(Value::to_string).collect();
        assert!(
            tools.iter().any(|tool| tool.contains("names no command")),
            "{line}: {tools:?}"
        );
    }
    for (tool, input) in [
        ("read", json!({"filePath": "docs/key"})),
        ("grep", json!({"pattern": "private", "path": "docs"})),
        ("glob", json!({"pattern": "*", "path": "docs"})),
    ] {
        let (mut chat, ask) = world.asked(tool, &input).await;
        assert!(ask.to_string().contains("/outside"), "{tool}: {ask}");
        let answer = json!({"request": ask["id"], "answer": {"type": "reject"}});
        assert_eq!(chat.request("reply", answer).await["type"], "done");
        chat.until_idle().await;
        let tools: Vec<String> = chat.tools.values().map(Value::to_string).collect();
        assert!(!tools.concat().contains("a-private-key"), "{tools:?}");
    }
}

/// A chat can be made with rules of its own, which outlive opencode and win over what Nexus tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_chat_with_rules_of_its_own_is_not_prompted() {
    let mut world = Asking::up(|_, _| {}, |_| {}).await;
    let pid = world
        .nexus
        .find_process("opencode serve")
        .or_else(|| world.nexus.find_process("serve --hostname"));
    let process = format!("/proc/{}", pid.unwrap());
    let read = |name: &str| String::from_utf8(fs::read(format!("{process}/{name}")).unwrap()).unwrap();
    let environment = read("environ");
    let password = environment
        .split('\0')
        .find_map(|line| line.strip_prefix("OPENCODE_SERVER_PASSWORD="))
        .unwrap();
    let arguments = read("cmdline");
    let port = arguments
        .split('\0')
        .skip_while(|argument| *argument != "--port")
        .nth(1)
        .unwrap();
    let made: Value = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/session"))
        .basic_auth("opencode", Some(password))
        .json(&json!({"title": "elsewhere", "permission": [{"permission": "bash", "pattern": "*", "action": "allow"}]}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let session = made["id"].as_str().unwrap();
    let mut chat = Conversation::look(&world.browser, session, None).await;
    let prompt = json!({"type": "prompt", "session": session, "client_id": "c1", "now": false, "consent": null,
        "text": "[[tool name=bash args={\"command\":\"touch ran\",\"description\":\"x\"}]]"});
    chat.socket.send(&prompt).await;
    let refused = chat
        .frames_until(|frame| frame["type"] == "refused" || frame["type"] == "admitted")
        .await;
    assert!(
        refused["cause"].as_str().unwrap_or_default().contains("its own rule"),
        "{refused}"
    );
    assert!(!world.path("ran").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn the_guard_is_found_in_a_data_directory_of_any_name() {
    let llm = Llm::start().await;
    let (start, _opencode) = start(&llm, "");
    let nexus = start.data("a b#c%20d").up();
    let browser = Browser::set_up(&nexus).await;
    // opencode is used only once it says that it has loaded the guard.
    ready(&browser).await;
}

#[test]
#[ignore = "needs Node: ./tests/run"]
fn commands_that_opencode_asks_about_are_distinguished_from_the_others() {
    let guard = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/chat-opencode/src/guard.mjs");
    let unasked = [
        "> file",
        ">file",
        "2> f",
        "&> f",
        "1>&2 > f",
        "cd . > file",
        "cd x && cd y",
        "cd sub\n> f",
        "declare 'a[$(touch x)]=1'",
        "declare -x A=ls > f",
        "export X='ls' > f",
        "unset 'a[$(x)]'",
        "[[ -v 'a[$(touch x)]' ]]",
        "[[ x == @(ls) ]] > f",
        "[ x = y ] > f",
        "(( a > b ))",
        "# ls\n> file",
        "x=ls > f",
        "x='a b' y=2",
        "a=(ls); > f",
        "for x in ls; do > f; done",
        "case x in ls) > f;; esac",
        "if > f; then > g; fi",
        "{ > f; }",
        "function f { > x; }",
        "> f <<EOF\nls\nEOF",
        "",
        "  ",
    ];
    let asked = [
        "ls",
        "npm test",
        "FOO=1 make",
        "cd x && npm i",
        "if true; then echo a; fi",
        "for f in *; do rm $f; done",
        "x=$(ls)",
        "cat <<EOF\nhello\nEOF",
        "./run.sh",
        "\"./my run.sh\" a",
        "$CMD a",
        "echo hi > f",
        "! grep x y",
        "(cd a; ls)",
        "ls # comment",
        "time make -j2",
        "[ -f x ] && echo y",
        "[[ -f x ]] && echo y",
        "git commit -m \"a b\" && git push",
        "while read l; do echo $l; done < f",
        "a=1; echo $a",
        "test -f x",
        "python3 - <<'E'\nprint(1)\nE",
        "export A=1; make",
        "cat a | grep b",
        "echo $((1+2))",
        "make 2>&1 | tail",
    ];
    let script = format!(
        "import {{ Guard }} from {:?}; const [no, yes] = JSON.parse(process.argv[1]);
         const wrong = [...no.filter(Guard.isAskedAbout), ...yes.filter((line) => !Guard.isAskedAbout(line))];
         console.log(JSON.stringify(wrong));",
        guard.canonicalize().unwrap()
    );
    let output = std::process::Command::new(nexus_tests::part("NEXUS_TEST_NODE"))
        .args([
            "--input-type=module",
            "-e",
            &script,
            &json!([unasked, asked]).to_string(),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "[]", "{}", String::from_utf8_lossy(&output.stderr));
}
