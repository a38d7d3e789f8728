//! What a live socket costs on which nothing happens.

use crate::median;
use nexus_tests::browser::{Browser, Socket};
use nexus_tests::nexus::Start;
use nexus_tests::processes::resident;
use nexus_tests::tunnels::stop;
use nexus_tests::world::{Conversation, ready_example};
use serde_json::json;
use std::time::Duration;

const RUNS: usize = 3;
/// A few less than are let in.
const SOCKETS: usize = 250;

/// As the page does it: a socket that looks at a session.
async fn look(browser: &Browser, session: &str) -> Socket {
    let mut socket = browser.socket("/live").await.unwrap();
    socket
        .send(&json!({"type": "hello", "protocol": 3, "session": session}))
        .await;
    socket.until(|frame| frame["type"] == "state").await;
    socket
}

/// The growth of resident memory from the first to the last.
pub(crate) async fn measure() {
    let mut each = Vec::new();
    for _ in 0..RUNS {
        let nexus = Start::new().config("[chat.main]\nplugin = \"chat-echo\"\n").up();
        let owner = Browser::set_up(&nexus).await;
        ready_example(&owner).await;
        let first = Conversation::create(&owner, &nexus).await;
        // What is made once, for the first of them, is not what one of them costs.
        let mut sockets = vec![look(&owner, &first.session).await];
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = resident(nexus.pid());
        for _ in 0..SOCKETS {
            sockets.push(look(&owner, &first.session).await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let grown = resident(nexus.pid()).saturating_sub(before);
        each.push(grown as f64 / 1e3 / SOCKETS as f64);
        drop((sockets, first));
        stop(nexus);
    }
    println!(
        "| resident memory of an idle live socket, {SOCKETS} open | {:.0} KB |",
        median(each)
    );
}
