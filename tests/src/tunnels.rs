//! What tests of tunnels do on the page, whatever the provider.

use crate::browser::{Browser, Socket};
use crate::nexus::Nexus;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);

/// A socket that also hears the states of the tunnels.
pub async fn watch(browser: &Browser) -> Socket {
    let mut socket = browser.socket("/live").await.unwrap();
    socket
        .send(&json!({"type": "hello", "protocol": 3, "status": true}))
        .await;
    socket
}

/// The tunnel once it is as `takes` wants it, and the states on the way.
pub async fn tunnel(browser: &Browser, takes: impl Fn(&Value) -> bool) -> Value {
    let frames = watch(browser)
        .await
        .until(|f| f["type"] == "status" && f["tunnels"].as_array().unwrap().iter().any(&takes))
        .await;
    let all = frames.last().unwrap()["tunnels"].as_array().unwrap().clone();
    all.into_iter().find(|t| takes(t)).unwrap()
}

/// Presses a button of a tunnel on the status page.
pub async fn action(browser: &Browser, tunnel: &str, what: &str) {
    let path = format!("/status/tunnel/{tunnel}/{what}");
    let answer = browser.submit_on("/status", &path, &[]).await;
    assert_eq!(answer.headers()["location"], "/status");
}

/// Gives a tunnel to another plugin by the form of the status page, and waits until that serves it. Its address.
pub async fn swap(browser: &Browser, tunnel_name: &str, plugin: &str) -> String {
    let path = format!("/status/tunnel/{tunnel_name}/swap");
    let answer = browser.submit_on("/status", &path, &[("plugin", plugin)]).await;
    assert_eq!(answer.headers()["location"], "/status");
    let done = tunnel(browser, |t| {
        t["name"] == tunnel_name
            && (t["plugin"] == plugin && t["swap"].is_null() && t["state"] == "up" || t["swap"]["state"] == "failed")
    })
    .await;
    assert_eq!(done["plugin"], plugin, "{done}");
    done["url"].as_str().unwrap().to_owned()
}

/// Stops Nexus in order; nothing of it may be left. Gives all it wrote.
pub fn stop(mut nexus: Nexus) -> String {
    assert_eq!(
        nexus.terminate(BOUND).and_then(|e| e.code()),
        Some(0),
        "{}",
        nexus.output()
    );
    assert_eq!(nexus.survivors(), []);
    nexus.output()
}

/// One turn of the example backend over a live socket.
pub async fn chats(browser: &Browser) {
    // The same request, or the same prompt, twice would be one.
    static CHATS: AtomicU32 = AtomicU32::new(0);
    let once = format!("chat-{}", CHATS.fetch_add(1, Ordering::Relaxed));
    crate::world::ready_example(browser).await;
    let mut socket = watch(browser).await;
    socket.send(&json!({"type": "create", "id": once})).await;
    let created = socket.until(|f| f["type"] == "created" || f["type"] == "failed").await;
    let session = created.last().unwrap()["session"]["id"].clone();
    assert!(session.is_string(), "{created:?}");
    socket.send(&json!({"type": "subscribe", "session": session})).await;
    socket.until(|f| f["type"] == "state").await;
    let prompt = json!({"type": "prompt", "session": session, "client_id": once, "text": "through the tunnel"});
    socket.send(&prompt).await;
    let events = socket
        .until(|f| f["type"] == "event" && f["event"]["type"] == "turn" && f["event"]["turn"]["state"] == "idle")
        .await;
    let streamed = events
        .iter()
        .filter(|f| f["event"]["type"] == "delta" || f["event"]["type"] == "part");
    assert!(streamed.count() > 1, "{events:?}");
}
