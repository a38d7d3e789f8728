//! A world of its own for the real opencode: no network but the stand-in, nothing of this machine's user.

use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The variable that names the real program.
pub const VARIABLE: &str = "NEXUS_TEST_OPENCODE";

/// The pinned version, as in `tests/package.json`.
pub const VERSION: &str = "1.18.33";

#[derive(Debug)]
pub struct Opencode {
    /// The real program.
    pub binary: PathBuf,
    /// A git repository.
    pub project: PathBuf,
    /// What the environment must say.
    pub env: Vec<(String, String)>,
}

impl Opencode {
    /// Lays out a home and a project below `root`, with the model at `llm_url`. What the agent may do without asking is
    /// not said: the default is tested.
    ///
    /// # Panics
    /// The real program is not named by [`VARIABLE`].
    pub fn prepare(root: &Path, llm_url: &str) -> Self {
        Self::with_binary(crate::part(VARIABLE), root, llm_url)
    }

    pub fn with_binary(binary: PathBuf, root: &Path, llm_url: &str) -> Self {
        let home = root.join("home");
        let project = root.join("project");
        let config_dir = home.join(".config/opencode");
        for dir in [&project, &root.join("tmp"), &config_dir.join("node_modules")] {
            fs::create_dir_all(dir).unwrap();
        }
        let git = std::process::Command::new("git")
            .args(["init", "-q"])
            .current_dir(&project)
            .status();
        assert!(git.is_ok_and(|s| s.success()), "git init failed: the tests need git");
        // A lock file that names the plugin already, beside a node_modules folder, keeps opencode from running
        // `npm install @opencode-ai/plugin` in the background.
        let lock = json!({"packages": {"": {"dependencies": {"@opencode-ai/plugin": VERSION}}}});
        fs::write(config_dir.join("package-lock.json"), lock.to_string()).unwrap();
        let config = root.join("opencode.json");
        fs::write(&config, config_for(llm_url).to_string()).unwrap();
        let path = |p: PathBuf| p.to_str().expect("a temporary folder has a plain name").to_owned();
        let mut env: Vec<(String, String)> = [
            ("HOME", home.clone()),
            ("XDG_CONFIG_HOME", home.join(".config")),
            ("XDG_DATA_HOME", home.join(".local/share")),
            ("XDG_STATE_HOME", home.join(".local/state")),
            ("XDG_CACHE_HOME", home.join(".cache")),
            ("TMPDIR", root.join("tmp")),
            ("OPENCODE_CONFIG", config),
        ]
        .map(|(name, value)| (name.to_owned(), path(value)))
        .to_vec();
        // For the network's sake: whether the agent asks must not hang on what a test sets.
        for name in ["MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD"] {
            env.push((format!("OPENCODE_DISABLE_{name}"), "1".to_owned()));
        }
        Self { binary, project, env }
    }

    /// A folder with the program under its own name, to put on a PATH.
    pub fn bin_dir(&self) -> &Path {
        self.binary.parent().expect("a program lies in a folder")
    }
}

/// opencode's configuration with the stand-in as the only provider.
pub fn config_for(llm_url: &str) -> serde_json::Value {
    let model = |name: &str| json!({"name": name, "tool_call": true, "limit": {"context": 128_000, "output": 32_000}});
    json!({
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": false,
        "share": "disabled",
        "model": "stand-in/stand-in-1",
        "small_model": "stand-in/stand-in-small",
        "enabled_providers": ["stand-in"],
        "provider": {"stand-in": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Stand-in",
            "options": {"baseURL": llm_url, "apiKey": "not-a-key"},
            "models": {
                "stand-in-1": model("Stand-in One"),
                "stand-in-2": {"name": "Stand-in Two", "tool_call": true, "reasoning": true, "limit": {"context": 128_000, "output": 32_000}},
                "stand-in-small": model("Stand-in Small"),
            },
        }},
    })
}
