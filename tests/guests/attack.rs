//! The ways to misbehave, the same for each kind of plugin. Each guest includes this file, and says itself how it opens
//! a stream and what garbage of its kind is.

use nexus_plugin_api::caps::{clock, log, secrets, store, types::Error};
use nexus_plugin_api::http::Request;
use nexus_plugin_api::process::Command;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// How many of everything "at once" is.
const MANY: u32 = 10_000;

/// Does what the name says. What there is to tell after it, where one survives it; none for a name that is no attack.
pub async fn perform(name: &str, open_stream: fn()) -> Option<String> {
    Some(match name {
        "trap" => std::process::abort(),
        "spin" => loop {
            std::hint::black_box(());
        },
        "memory" => memory(),
        "hang" => {
            clock::sleep(24 * 3600 * 1000).await;
            String::new()
        }
        "streams" => {
            for _ in 0..MANY {
                open_stream();
            }
            "all opened".to_owned()
        }
        "sleeps" => {
            together(|_| clock::sleep(3_600_000)).await;
            String::new()
        }
        "calls" => calls().await,
        "log-flood" => {
            for n in 0..20_000 {
                log::write(log::Level::Warn, &format!("flood {n}"));
                eprintln!("flood of words {n}");
                if n % 500 == 0 {
                    // It is the lines that are counted here, not the time they take.
                    clock::sleep(1).await;
                }
            }
            "logged".to_owned()
        }
        "endless-log" => loop {
            for n in 0..500 {
                log::write(log::Level::Warn, &format!("flood {n}"));
            }
            clock::sleep(1).await;
        },
        "store" => quota().await,
        "rewrite" => rewrite().await,
        "endless-store" => loop {
            // Refused or not: it asks again.
            let _ = store::set("same".to_owned(), vec![7; 900_000]).await;
        },
        "burn" => burn().await,
        "greedy" => greedy().await,
        "keys" => keys().await,
        "sockets" => sockets(),
        "denied" => denied().await,
        "socket" => socket().await,
        "processes" => processes().await,
        "abandon" => match sleeping("abandoned").await {
            Ok(_) => std::process::abort(),
            Err(error) => words(error),
        },
        _ => return None,
    })
}

fn memory() -> ! {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        // Written, so that no optimiser leaves it out.
        kept.push(vec![1; 1 << 20]);
        std::hint::black_box(&kept);
    }
}

/// So many calls of the host at once, each begun before any is waited for.
async fn together<T, F: Future<Output = T>>(call: impl Fn(u32) -> F) -> Vec<T> {
    let mut calls: Vec<Pin<Box<F>>> = (0..MANY).map(|n| Box::pin(call(n))).collect();
    let mut done = Vec::new();
    poll_fn(|cx| {
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            Poll::Ready(value) => {
                done.push(value);
                false
            }
            Poll::Pending => true,
        });
        if calls.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done
}

async fn calls() -> String {
    let answers = together(|n| store::get(format!("key-{n}"))).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    let first = refused.first().cloned().map_or_else(String::new, words);
    format!("refused {} of {MANY}: {first}", refused.len())
}

async fn quota() -> String {
    let mut n = 0;
    let refused = loop {
        if let Err(error) = store::set(format!("fill-{n}"), vec![7; 256 << 10]).await {
            break words(error);
        }
        n += 1;
    };
    for n in 0..n {
        if let Err(error) = store::delete(format!("fill-{n}")).await {
            return words(error);
        }
    }
    format!("after {n}: {refused}")
}

/// The same large value again and again: the quota holds, and yet each of them is written.
async fn rewrite() -> String {
    let mut n = 0;
    loop {
        if let Err(error) = store::set("same".to_owned(), vec![n as u8; 900_000]).await {
            let refused = format!("after {n}: {}", words(error));
            // What comes after this has to be kept too.
            clock::sleep(3_000).await;
            return match store::delete("same".to_owned()).await {
                Ok(()) => refused,
                Err(error) => words(error),
            };
        }
        n += 1;
    }
}

/// What the standard library offers: the name and the address of this machine.
fn sockets() -> String {
    use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
    let told = |what: &str, result: std::io::Result<()>| match result {
        Ok(()) => format!("{what}: it was let through"),
        Err(error) => format!("{what}: {:?}", error.kind()),
    };
    [
        told("connect", TcpStream::connect("127.0.0.1:22").map(drop)),
        told("listen", TcpListener::bind("127.0.0.1:0").map(drop)),
        told("send", UdpSocket::bind("127.0.0.1:0").map(drop)),
        told("look up", "localhost:22".to_socket_addrs().map(drop)),
    ]
    .join("\n")
}

/// More keys than are listed in one call.
async fn keys() -> String {
    for n in 0..1_050 {
        if let Err(error) = store::set(format!("key-{n:05}"), Vec::new()).await {
            return words(error);
        }
    }
    let mut lists = Vec::new();
    let mut after = None;
    loop {
        match store::keys("key-".to_owned(), after).await {
            Ok(keys) if keys.is_empty() => return format!("lists of {lists:?}"),
            Ok(keys) => {
                lists.push(keys.len());
                after = keys.last().cloned();
            }
            Err(error) => return words(error),
        }
    }
}

/// Nothing but work for ten seconds, with a return to the host before any limit of one turn.
async fn burn() -> String {
    let begun = clock::now();
    while clock::now().saturating_sub(begun) < 10_000 {
        let turn = clock::now();
        while clock::now().saturating_sub(turn) < 200 {
            std::hint::black_box((0..10_000u64).fold(0, |a, b| a ^ b));
        }
        clock::sleep(1).await;
    }
    "burnt".to_owned()
}

/// Processes that ask for more than any program needs.
async fn greedy() -> String {
    let command = || Command::new("sleep").args(["3600"]);
    let mut answers = Vec::new();
    let ports = (0..2_000).fold(command(), |c, n| c.port(&format!("p{n}")));
    let args = (0..100_000).fold(command(), |c, n| c.args([n.to_string()]));
    for greedy in [
        ports,
        args,
        command().env("LD_PRELOAD", "x"),
        command().env("UNNAMED", "x"),
    ] {
        answers.push(match greedy.ensure("greedy").await {
            Ok(_) => "it was started".to_owned(),
            Err(error) => words(error),
        });
    }
    answers.join("\n---\n")
}

/// What the gate says to each.
async fn denied() -> String {
    let sent = |answer: Result<_, Error>| match answer {
        Ok(_) => "it was let through".to_owned(),
        Err(error) => words(error),
    };
    let http = sent(Request::get("https://denied.example/path").send().await.map(|_| ()));
    let process = sent(Command::new("denied-tool").run(1_000).await.map(|_| ()));
    let secret = sent(secrets::get("token".to_owned()).await.map(|_| ()));
    let unasked = sent(Request::get("https://unasked.example/").send().await.map(|_| ()));
    [http, process, secret, unasked].join("\n---\n")
}

/// Asks the unix socket of the configuration, and one beside it.
async fn socket() -> String {
    #[derive(serde::Deserialize)]
    struct Settings {
        #[serde(default)]
        socket: String,
    }
    let path = match nexus_plugin_api::config::<Settings>() {
        Ok(settings) => settings.socket,
        Err(error) => return words(error),
    };
    let mut answers = Vec::new();
    for path in [path.clone(), format!("{path}.other")] {
        let request = Request::to_socket("GET", &path, "/status?from=guest").header("host", "named.sock");
        answers.push(match request.send().await {
            Ok(response) => match response.bytes(1024).await {
                Ok(body) => String::from_utf8_lossy(&body).into_owned(),
                Err(error) => words(error),
            },
            Err(error) => words(error),
        });
    }
    answers.join("\n---\n")
}

/// As many as it gets.
async fn processes() -> String {
    for n in 0..MANY {
        if let Err(error) = sleeping(&format!("many-{n}")).await {
            return format!("after {n}: {}", words(error));
        }
    }
    "no end".to_owned()
}

pub async fn sleeping(name: &str) -> Result<nexus_plugin_api::process::Running, Error> {
    Command::new("sleep").args(["3600"]).ensure(name).await
}

pub fn words(error: Error) -> String {
    match error {
        Error::Denied(text) => format!("denied: {text}"),
        Error::Limited(text) => format!("limited: {text}"),
        Error::NotFound(text) => format!("not found: {text}"),
        other => format!("{other:?}"),
    }
}
