//! Shows the pages without a backend, for work on templates, styles and the script:
//!
//! ```text
//! cargo run -p nexus-web --example web_preview -- [PORT] [new] [missing]
//! ```
//!
//! `new`: no account exists (set up with the code that is shown); else log in as `ada` with the password
//! `correct horse battery`. `missing`: the backend is not installed. Words in a prompt choose what the scripted answer
//! does: `ask`, `retry`, `interrupt`, `fail`, `long`, `consent`, `refuse`.
#![allow(clippy::print_stderr)]

mod fake;

use nexus_model::time::SystemClock;
use nexus_web::{Ingress, WebState, serve};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let port = words.iter().find_map(|word| word.parse().ok()).unwrap_or(7861);
    let fakes = fake::Fakes::new(fake::Setting {
        owner: !has("new"),
        missing: has("missing"),
        pace: Some(Duration::from_millis(30)),
    })
    .await;
    if let Some(token) = &fakes.world.setup_token {
        eprintln!("set-up code: {token}");
    } else {
        fakes.world.edit_configuration().await;
    }
    if !has("new") && !has("missing") {
        fakes.chat.add("ses_older", "Why the build is slow").await;
        fakes.chat.add("ses_demo", "Make the tests pass").await;
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    eprintln!("http://{}", listener.local_addr()?);
    let state = WebState::new(fakes.services(), Arc::new(SystemClock));
    let ingress = Ingress::Local {
        hosts: Vec::new(),
        public_url: None,
    };
    serve(listener, ingress, state, CancellationToken::new()).await;
    Ok(())
}
