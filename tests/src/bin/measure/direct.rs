//! Readers of opencode's own event stream, beside Nexus.

use crate::relay::Relay;
use futures::StreamExt as _;
use nexus_tests::world::World;
use nexus_tests::{processes, sse};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::time::Instant;
use tokio::sync::watch;

/// When each delta came, by its text; no two are alike.
pub(crate) type Arrivals = HashMap<String, Instant>;

/// Where the opencode of this world listens, and what it wants to hear.
#[derive(Clone)]
pub(crate) struct Direct {
    port: String,
    basic: String,
}

impl Direct {
    pub(crate) fn find(world: &mut World) -> Self {
        let pid = world.opencode_pid();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let password = environment
            .split(|byte| *byte == 0)
            .filter_map(|entry| std::str::from_utf8(entry).ok())
            .find_map(|entry| entry.strip_prefix("OPENCODE_SERVER_PASSWORD="))
            .unwrap();
        let command = processes::command_line(pid);
        let after = command.split("--port ").nth(1).unwrap();
        Self {
            port: after.split_whitespace().next().unwrap().to_owned(),
            basic: data_encoding::BASE64.encode(format!("opencode:{password}").as_bytes()),
        }
    }

    /// The same through a relay.
    pub(crate) fn through(&self, relay: &Relay) -> Self {
        Self {
            port: relay.port.clone(),
            basic: self.basic.clone(),
        }
    }

    /// A relay to it.
    pub(crate) fn relay(&self) -> Relay {
        Relay::to(&self.port)
    }

    /// The arrivals of the deltas that come until `over`. Nothing is read of them before: who reads keeps a core from the others.
    pub(crate) async fn read(self, over: watch::Receiver<bool>) -> Arrivals {
        let client = nexus_tests::http().build().unwrap();
        let request = client
            .get(format!("http://127.0.0.1:{}/global/event", self.port))
            .header("authorization", format!("Basic {}", self.basic));
        let mut body = request.send().await.unwrap().bytes_stream();
        let (mut chunks, mut over) = (Vec::new(), over);
        let mut over = std::pin::pin!(over.wait_for(|over| *over));
        loop {
            tokio::select! {
                chunk = body.next() => chunks.push((Instant::now(), chunk.unwrap().unwrap())),
                _ = over.as_mut() => break,
            }
        }
        let mut parser = sse::Parser::default();
        let mut seen = HashMap::new();
        for (at, bytes) in chunks {
            for data in parser.push(&bytes) {
                let event: Value = serde_json::from_str(&data).unwrap();
                let payload = &event["payload"];
                if payload["type"] == "message.part.delta" {
                    seen.insert(payload["properties"]["delta"].as_str().unwrap().to_owned(), at);
                }
            }
        }
        seen
    }
}
