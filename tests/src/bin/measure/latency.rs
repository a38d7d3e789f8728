//! How much later an event comes through Nexus than from opencode itself: locally, and through each tunnel beside that.

use crate::direct::{Arrivals, Direct};
use crate::tunnels::Tunnels;
use crate::{percentile, sorted};
use nexus_tests::browser::Browser;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, World};
use serde_json::{Value, json};
use std::time::Instant;
use tokio::sync::watch;

pub(crate) const CHUNKS: usize = 1000;
/// A second.
pub(crate) const RATE: usize = 50;

/// The arrivals of the same deltas at each of the readers.
pub(crate) struct Phase {
    pub(crate) direct: Arrivals,
    /// Another one like it: what opencode itself puts between two of its listeners is not counted as ours.
    pub(crate) beside: Arrivals,
    /// One that reads through a process that does nothing.
    pub(crate) relayed: Arrivals,
    pub(crate) local: Arrivals,
    far: Option<Arrivals>,
}

pub(crate) async fn measure() {
    let tunnels = Tunnels::prepare().await;
    let mut world = World::up(&tunnels.config()).await;
    let direct = Direct::find(&mut world);
    println!(
        "\n{CHUNKS} events each, {RATE} a second; ms, p50 / p90 / p99.\n\n\
         | in one run | added to opencode read directly, local | the same through the tunnel | the tunnel's part | added by a process \
         that only passes bytes on | noise: two direct readers |\n| --- | --- | --- | --- | --- | --- |"
    );
    let alone = phase(&world, &direct, None).await;
    print("no tunnel", &alone);
    for (name, what) in tunnels.all() {
        let far = tunnels.open(&world.browser, name).await;
        let phase = phase(&world, &direct, Some(&far)).await;
        tunnels.close(&world.browser, name).await;
        print(what, &phase);
    }
}

fn print(what: &str, phase: &Phase) {
    let far = phase.far.as_ref();
    println!(
        "| {what} | {} | {} | {} | {} | {} |",
        percentiles(&phase.direct, &phase.local),
        far.map_or("–".to_owned(), |far| percentiles(&phase.direct, far)),
        far.map_or("–".to_owned(), |far| percentiles(&phase.local, far)),
        percentiles(&phase.direct, &phase.relayed),
        percentiles(&phase.direct, &phase.beside)
    );
}

pub(crate) async fn phase(world: &World, direct: &Direct, far: Option<&Browser>) -> Phase {
    let mut local = world.conversation().await;
    let relay = direct.relay();
    let (over, is_over) = watch::channel(false);
    let read = |direct: Direct| tokio::spawn(direct.read(is_over.clone()));
    let (one, other, relayed) = (read(direct.clone()), read(direct.clone()), read(direct.through(&relay)));
    let far = match far {
        Some(browser) => {
            let mut far = Conversation::look(browser, &local.session, None).await;
            far.frames_until(|frame| frame["type"] == "state").await;
            Some(tokio::spawn(async move { arrivals(&mut far).await }))
        }
        None => None,
    };
    local.prompt(&format!("[[stamp n={CHUNKS} rate={RATE}]]")).await;
    let seen = arrivals(&mut local).await;
    let far = match far {
        Some(reader) => Some(reader.await.unwrap()),
        None => None,
    };
    local.until_idle().await;
    over.send_replace(true);
    Phase {
        direct: one.await.unwrap(),
        beside: other.await.unwrap(),
        relayed: relayed.await.unwrap(),
        local: seen,
        far,
    }
}

/// As of [`Direct::read`]: noted first, read afterwards.
async fn arrivals(chat: &mut Conversation) -> Arrivals {
    let (mut frames, mut deltas) = (Vec::new(), 0);
    let reading = async {
        while deltas < CHUNKS {
            let text = chat.socket.received().await.expect("the socket was closed");
            frames.push((Instant::now(), text.clone()));
            deltas += usize::from(text.contains(r#""type":"delta""#));
        }
    };
    wait::within("all deltas came", reading).await;
    let mut seen = Arrivals::new();
    for (at, text) in frames {
        let frame: Value = serde_json::from_str(&text).unwrap();
        chat.apply(&frame);
        if frame["event"]["type"] == json!("delta") {
            seen.insert(frame["event"]["text"].as_str().unwrap().to_owned(), at);
        }
    }
    seen
}

/// How much later each delta came to the second reader: percentiles.
pub(crate) fn percentiles(one: &Arrivals, other: &Arrivals) -> String {
    let later = one.iter().filter_map(|(text, at)| {
        let then = other.get(text)?;
        Some(match then.checked_duration_since(*at) {
            Some(later) => later.as_secs_f64() * 1e3,
            None => -at.duration_since(*then).as_secs_f64() * 1e3,
        })
    });
    let all = sorted(later.collect());
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|p| percentile(&all, p));
    format!("{p50:.2} / {p90:.2} / {p99:.2}")
}
