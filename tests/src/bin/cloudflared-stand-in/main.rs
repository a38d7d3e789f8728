//! Behaves as cloudflared does towards whoever started it; see `nexus_tests::cloudflared`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod arguments;
mod log;
mod pages;

use arguments::{Arguments, Kind};
use log::Log;
use nexus_tests::cloudflared::public::{self, Counts, Route};
use nexus_tests::cloudflared::{Behaviour, FOLDER, Register, Started};
use pages::Shown;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const HELP: &str = "A stand-in for cloudflared, for tests of tunnel plugins.

  CLOUDFLARED_STAND_IN=FOLDER cloudflared-stand-in tunnel --url http://127.0.0.1:PORT …

FOLDER/behavior.json says what Cloudflare does to it (all keys are optional, and it is read again while it runs):
  version, quick (a status), register (accepted, unauthorized, failing, unreachable), quic, connections, remote,
  unknown_flag
FOLDER/asked has a line for each question to the quick service.
FOLDER/start-N.json tells of each start: pid, arguments, environment, the port of the public side (TLS), the protocol.
";
const LOOK: Duration = Duration::from_millis(50);
/// After this long without a registration over QUIC a tunnel of one's own goes over to HTTP/2 (12 seconds in the real one).
const FALLBACK: Duration = Duration::from_secs(3);
/// Between two tries to register.
const AGAIN: Duration = Duration::from_secs(1);

struct World {
    folder: PathBuf,
}

impl World {
    fn behaviour(&self) -> Behaviour {
        match fs::read(self.folder.join("behavior.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).expect("behavior.json"),
            Err(_) => Behaviour::default(),
        }
    }

    fn tell(&self, started: &Started) {
        let bytes = serde_json::to_vec(started).unwrap();
        let next = self.folder.join(format!("start.{}", started.pid));
        fs::write(&next, bytes).unwrap();
        let mut n = 0;
        // Another one may be telling at the same time: who finds the name free has it.
        while fs::hard_link(&next, self.folder.join(format!("start-{n}.json"))).is_err() {
            n += 1;
        }
        fs::remove_file(next).unwrap();
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let all: Vec<String> = std::env::args().skip(1).collect();
    let folder =
        std::env::var_os(FOLDER).map_or_else(|| std::env::temp_dir().join("cloudflared-stand-in"), PathBuf::from);
    fs::create_dir_all(&folder).unwrap();
    let world = World { folder };
    let behaviour = world.behaviour();
    match all.first().map(String::as_str) {
        Some("version" | "--version" | "-v") => {
            println!("cloudflared version {} (built 2026-08-20-09:54 UTC)", behaviour.version);
        }
        Some("tunnel") => {
            let arguments = Arguments::read(&all[1..], behaviour.unknown_flag.as_deref()).unwrap_or_else(|usage| {
                println!("Incorrect Usage. {usage}\n\nNAME:\n   cloudflared tunnel - Use Cloudflare Tunnel");
                exit(0)
            });
            tunnel(&world, all.clone(), &arguments).await;
        }
        _ => print!("{HELP}"),
    }
}

async fn tunnel(world: &World, all: Vec<String>, arguments: &Arguments) {
    let log = Log::new(&arguments.level);
    let kind = arguments.kind().unwrap_or_else(|(code, words)| {
        eprintln!("{words}");
        exit(code)
    });
    let hostname = match &kind {
        Kind::Quick { .. } => quick(world, &log).await,
        Kind::Token { .. } | Kind::Credentials { .. } => String::new(),
    };
    let protocol = std::env::var("TUNNEL_TRANSPORT_PROTOCOL").unwrap_or_else(|_| "auto".to_owned());
    let (listener, address) = public::listener(world.behaviour().public).await;
    let shown = Arc::new(Shown::new(hostname));
    pages::serve(&arguments.metrics, Arc::clone(&shown), &log).await;
    world.tell(&Started {
        pid: std::process::id(),
        arguments: all,
        environment: std::env::vars().filter(|(name, _)| name != FOLDER).collect(),
        public: address.port(),
        protocol: protocol.clone(),
    });
    let (route, routes) = watch::channel(Route { origin: None });
    let certificate = world.folder.join("public.pem");
    tokio::spawn(public::serve(listener, certificate, routes, Arc::clone(&shown.counts)));

    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    tokio::select! {
        name = async { tokio::select! { _ = terminate.recv() => "terminated", _ = interrupt.recv() => "interrupt" } } => {
            log.info(&format!("Initiating graceful shutdown due to signal {name} ..."), json!({}));
        }
        never = connect(world, &kind, &protocol, &shown, &route, &log) => match never {},
    }
    // It answers no more, and lets what runs come to its end.
    shown.connections.store(0, Ordering::SeqCst);
    route.send_replace(Route { origin: None });
    let end = Instant::now() + arguments.grace;
    let over_quic = protocol != "http2" && world.behaviour().quic;
    tokio::select! {
        // Over QUIC it waits for the whole grace, also where nothing runs.
        () = drained(&shown.counts), if !over_quic => {}
        () = tokio::time::sleep_until(end) => {}
        _ = terminate.recv() => exit(143),
        _ = interrupt.recv() => exit(143),
    }
    log.info("Tunnel server stopped", json!({}));
    log.info("Metrics server stopped", json!({}));
    exit(0)
}

async fn drained(counts: &Counts) {
    while counts.running.load(Ordering::SeqCst) > 0 {
        sleep(LOOK).await;
    }
}

/// The name that the quick service gives.
async fn quick(world: &World, log: &Log) -> String {
    log.info("Requesting new quick Tunnel on trycloudflare.com...", json!({}));
    sleep(LOOK).await;
    let asked = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(world.folder.join("asked"));
    writeln!(asked.unwrap(), "{}", log::seconds()).unwrap();
    let status = world.behaviour().quick;
    if status == 200 {
        let name = format!("stand-in-{}-{}.trycloudflare.com", std::process::id(), log::seconds());
        log.info(
            "+------------------------------------------------------------+",
            json!({}),
        );
        log.info(&format!("|  https://{name}  |"), json!({}));
        return name;
    }
    let not_json = |first: char| format!("invalid character '{first}' looking for beginning of value");
    let (words, body, reason) = match status {
        429 => ("429 Too Many Requests", "error code: 1015", not_json('e')),
        204 => ("200 OK", "", "unexpected end of JSON input".to_owned()),
        _ => ("500 Internal Server Error", "<html>", not_json('<')),
    };
    let message = format!("Error unmarshaling QuickTunnel response: {body}");
    log.error(&message, json!({ "error": reason, "status_code": words }));
    eprintln!("failed to unmarshal quick Tunnel: {reason}");
    exit(1)
}

/// Keeps connections as the behaviour wants them.
async fn connect(
    world: &World,
    kind: &Kind,
    protocol: &str,
    shown: &Shown,
    route: &watch::Sender<Route>,
    log: &Log,
) -> std::convert::Infallible {
    let begun = Instant::now();
    let mut tried: Option<Instant> = None;
    let (mut registered, mut fell_back) = (false, false);
    loop {
        let behaviour = world.behaviour();
        let (quick, wanted) = match kind {
            Kind::Quick { .. } => (true, 1),
            Kind::Token { .. } | Kind::Credentials { .. } => (false, behaviour.connections),
        };
        let over_http2 = protocol == "http2" || fell_back;
        let through = behaviour.quic || over_http2;
        let have = shown.connections.load(Ordering::SeqCst);
        if behaviour.register == Register::Accepted && through {
            for index in have..wanted {
                let fields = json!({ "connIndex": index, "connection": "8d3c1a1e-1111-4b5c-9a51-3f4f2a7d9b10",
                    "ip": "198.41.192.7", "location": "fra03", "protocol": if over_http2 { "http2" } else { "quic" } });
                log.info("Registered tunnel connection", fields);
            }
            shown.connections.store(wanted, Ordering::SeqCst);
            (tried, registered) = (None, true);
        } else {
            if have > 0 {
                log.error(
                    "Serve tunnel error",
                    json!({ "connIndex": 0, "error": "connection with edge closed" }),
                );
            }
            shown.connections.store(0, Ordering::SeqCst);
            if tried.is_none_or(|at| at.elapsed() > AGAIN) {
                tried = Some(Instant::now());
                refused(behaviour.register, over_http2, shown, log);
                if behaviour.register == Register::Failing && over_http2 && !registered {
                    eprintln!("context deadline exceeded");
                    exit(1)
                }
            }
            if !quick && protocol == "auto" && !fell_back && !registered && begun.elapsed() > FALLBACK {
                log.info("Switching to fallback protocol http2", json!({ "connIndex": 0 }));
                (fell_back, tried) = (true, None);
            }
        }
        shown.configure(kind, behaviour.remote.as_ref(), log);
        let up = shown.connections.load(Ordering::SeqCst) > 0;
        let origin = up.then(|| kind.origin(behaviour.remote.as_ref())).flatten();
        route.send_if_modified(|route| {
            let next = Route { origin };
            let changed = *route != next;
            *route = next;
            changed
        });
        sleep(LOOK).await;
    }
}

/// One try that led to no connection, in cloudflared's words.
fn refused(register: Register, over_http2: bool, shown: &Shown, log: &Log) {
    let (message, error) = match register {
        Register::Unauthorized | Register::Failing => {
            shown.refused.fetch_add(1, Ordering::SeqCst);
            match register {
                // Whatever the cause.
                _ if !over_http2 => (
                    "Serve tunnel error",
                    "control stream encountered a failure while serving",
                ),
                Register::Unauthorized => (
                    "Register tunnel error from server side",
                    "Unauthorized: Invalid tunnel secret",
                ),
                _ => ("Register tunnel error from server side", "context deadline exceeded"),
            }
        }
        Register::Accepted => (
            "Failed to dial a quic connection",
            "failed to dial to edge with quic: timeout: no recent network activity",
        ),
        Register::Unreachable => (
            "Unable to establish connection with Cloudflare edge",
            "DialContext error: dial tcp 198.41.192.7:7844: connect: connection refused",
        ),
    };
    log.error(message, json!({ "connIndex": 0, "error": error }));
}

/// `HOST:PORT` of `http://HOST:PORT`.
fn authority(service: &str) -> Option<String> {
    service
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/').to_owned())
}

fn services(remote: &Value) -> impl Iterator<Item = &str> {
    let rules = remote["ingress"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["service"].as_str())
}

/// A file that was named.
fn read(path: &Path) -> Result<String, (i32, String)> {
    fs::read_to_string(path).map_err(|_| {
        let words = format!(
            "Tunnel credentials file '{}' doesn't exist or is not a file",
            path.display()
        );
        (1, words)
    })
}
