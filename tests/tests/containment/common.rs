//! A Nexus with hostile plugins, and what is seen of it from outside.

use nexus_tests::browser::Browser;
use nexus_tests::guests::guest;
use nexus_tests::machine::{Lap, Stopwatch};
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::world::{Conversation, ready};
use nexus_tests::{processes, wait};
use serde_json::Value;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What each attack leaves in the words of the failure.
pub(super) const ATTACKS: [(&str, &str); 3] = [("trap", "trap"), ("spin", "CPU"), ("memory", "bytes of memory")];

/// How late an event or an answer may be while somebody misbehaves, on a machine that does nothing else.
pub(super) const LATE: Duration = Duration::from_secs(1);
/// The memory of what has ended is waited for as long as it shrinks: if it has not for so long, the rest is kept.
const SETTLED: Duration = Duration::from_secs(5);
/// KiB by which the memory of Nexus may have grown when it is over: what an allocator keeps.
pub(super) const KEPT: u64 = 48 * 1024;

pub(super) const CHAT: &str = "hostile-chat";
pub(super) const TUNNEL: &str = "hostile-tunnel";
pub(super) const AUTH: &str = "hostile-auth";

/// What `/healthz` says of a plugin.
pub(super) async fn health(url: &str, plugin: &str) -> Value {
    let answer: Value = nexus_tests::http()
        .build()
        .unwrap()
        .get(format!("{url}/healthz"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let plugins = answer["plugins"].as_array().unwrap();
    let found = plugins.iter().find(|p| p["name"] == plugin);
    found.unwrap_or_else(|| panic!("{answer}")).clone()
}

pub(super) async fn until_health(nexus: &Nexus, plugin: &str, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    wait::seen_async(what, async || health(&nexus.url, plugin).await, done).await
}

/// What the status page says, as one line of text.
pub(super) async fn status_page(browser: &Browser) -> String {
    browser.get("/status").await.text().await.unwrap()
}

/// The card of one plugin or tunnel on the status page.
pub(super) fn card<'a>(page: &'a str, name: &str) -> &'a str {
    let of_it = page.rsplit(&format!("<h3>{name}</h3>")).next().unwrap();
    of_it.split("<h3>").next().unwrap()
}

/// Waits until the status page's card of `name` holds all of `words`. The card.
pub(super) async fn until_card(browser: &Browser, name: &str, words: &[&str]) -> String {
    let look = async || card(&status_page(browser).await, name).to_owned();
    let what = format!("the card of {name} holds {words:?}");
    wait::seen_async(&what, look, |card| words.iter().all(|w| card.contains(w))).await
}

/// KiB of memory that a process holds.
pub(super) fn resident(pid: u32) -> u64 {
    processes::resident(pid) / 1024
}

/// Runs `work` and watches the memory of Nexus meanwhile: KiB before, at most, and after it has settled.
pub(super) async fn memory<T>(nexus: &Nexus, what: &str, work: impl Future<Output = T>) -> (T, [u64; 3]) {
    let pid = nexus.pid();
    let before = resident(pid);
    let mut most = before;
    let watch = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            most = most.max(resident(pid));
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = watch => unreachable!(),
    };
    // It is given back by tasks that end when they are told, not at once.
    let (mut least, mut since) = (u64::MAX, Instant::now());
    let after = async || {
        let now = resident(pid);
        if now < least {
            (least, since) = (now, Instant::now());
        }
        (now, since.elapsed())
    };
    let (after, _) = wait::seen_async("memory is given back, or is not any more", after, |(now, still)| {
        *now <= before + KEPT || *still > SETTLED
    })
    .await;
    println!("{what}: memory {before} KiB before, {most} KiB at most, {after} KiB after");
    (done, [before, most, after])
}

/// As [`memory`], and the memory has to come back.
pub(super) async fn memory_comes_back<T>(nexus: &Nexus, what: &str, work: impl Future<Output = T>) -> T {
    let (done, [before, _, after]) = memory(nexus, what, work).await;
    assert!(
        after <= before + KEPT,
        "{what}: {before} KiB before, {after} KiB after\n{}",
        nexus.output()
    );
    done
}

/// A Nexus with these hostile plugins, granted what they may need: (name, more lines of its table). `config`: what selects
/// them.
pub(super) fn hostile(plugins: &[(&str, &str)], config: &str) -> Start {
    let mut config = config.to_owned();
    for (name, more) in plugins {
        config += &format!(
            "[plugin.{name}]\nsource = {:?}\ngrants.process.sleep = {{}}\ngrants.store_quota = \"1 MiB\"\n{more}",
            guest(name)
        );
        for (limit, default) in [("cpu", "500ms"), ("memory", "48 MiB")] {
            if !more.contains(&format!("limits.{limit} ")) {
                config += &format!("limits.{limit} = \"{default}\"\n");
            }
        }
    }
    Start::new().config(config)
}

pub(super) const MAIN: &str = "[chat.main]\nplugin = \"hostile-chat\"\nfallback = \"\"\n";
pub(super) const LOGIN: &str = "[auth]\nplugin = \"hostile-auth\"\n";
pub(super) const WAY: &str = "[tunnel.hostile]\nplugin = \"hostile-tunnel\"\nallow_plaintext = true\n";

/// A Nexus whose chat is the hostile one; `more`: lines of its table.
pub(super) async fn hostile_chat(more: &str) -> (Nexus, Browser) {
    let nexus = hostile(&[(CHAT, more)], MAIN).up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    (nexus, browser)
}

/// A new chat's answer to one prompt.
pub(super) async fn answer(nexus: &Nexus, browser: &Browser, prompt: &str) -> String {
    let mut chat = Conversation::create(browser, nexus).await;
    chat.prompt(prompt).await;
    chat.until("it is answered", |c| c.turn == "idle" && c.answer().contains("heard: "))
        .await;
    // What the user said is a part too.
    chat.answer()
        .split_once("heard: ")
        .unwrap_or_else(|| panic!("{}", chat.answer()))
        .1
        .to_owned()
}

/// How long something took, many times, and how busy the machine was meanwhile.
#[derive(Debug)]
pub(super) struct Statistics {
    all: Vec<Duration>,
    lap: Lap,
}

impl Statistics {
    fn new(mut all: Vec<Duration>, lap: Lap) -> Self {
        assert!(!all.is_empty());
        all.sort();
        Self { all, lap }
    }
    fn at(&self, percent: usize) -> Duration {
        self.all[(self.all.len() - 1) * percent / 100]
    }
    /// # Panics
    /// One of them took longer, even on so busy a machine.
    pub(super) fn assert_within(&self, what: &str, limit: Duration) {
        println!("{what}: {self}");
        self.lap.assert_one_within(what, self.at(100), limit);
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "median {:?}, p99 {:?}, most {:?}, of {}",
            self.at(50),
            self.at(99),
            self.at(100),
            self.all.len()
        )
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Lets the hostile chat answer in earnest with `count` events, one every 20 ms, and says how late each came: milliseconds,
/// as the plugin's clock counts. All of them have to come.
pub(super) async fn stream(nexus: &Nexus, browser: &Browser, count: usize) -> Statistics {
    let mut chat = Conversation::create(browser, nexus).await;
    chat.prompt(&format!("stream {count}")).await;
    let mut late = Vec::new();
    let mut seen = 0;
    let watch = Stopwatch::start();
    loop {
        let stamps = |c: &Conversation| -> Vec<u64> {
            let text = c.answer();
            let stamps = text.split_once("heard: ").map_or("", |(_, rest)| rest);
            stamps.lines().map(|l| l.parse().unwrap()).collect()
        };
        chat.until("there is more of the stream", |c| {
            stamps(c).len() > seen || c.turn == "idle" && seen > 0
        })
        .await;
        let arrived = now();
        let all = stamps(&chat);
        for sent in &all[seen..] {
            late.push(arrived.saturating_sub(Duration::from_millis(*sent)));
        }
        seen = all.len();
        if chat.turn == "idle" && seen > 0 {
            break;
        }
    }
    assert_eq!(seen, count, "events were lost or doubled\n{}", nexus.output());
    Statistics::new(late, watch.stop())
}

/// Asks a page again and again while `work` runs, and says how long each answer took.
pub(super) async fn pulse<T>(browser: &Browser, path: &str, work: impl Future<Output = T>) -> (T, Statistics) {
    let mut took = Vec::new();
    let watch = Stopwatch::start();
    let asking = async {
        loop {
            let begun = Instant::now();
            assert!(browser.get(path).await.status().is_success());
            took.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::select! {
        biased;
        () = asking => unreachable!(),
        done = work => done,
    };
    (done, Statistics::new(took, watch.stop()))
}
