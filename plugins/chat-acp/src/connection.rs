//! Starts the agent, reads what it writes, and writes what it is sent, until something breaks.
//!
//! Nothing of a process that runs already is adopted: which requests of it wait for an answer, and where in a line it is, the
//! instance before has taken with it. So it is stopped, and another one is started.

use crate::agent::{self, Agent};
use crate::client::{self, CallError};
use crate::connection_state::{Connection, Outgoing};
use crate::current;
use crate::lines::{Line, Lines};
use crate::rpc;
use crate::settings::{INSTALL, PROCESS, Settings};
use nexus_plugin_api::caps::process::{OutputStream, Running};
use nexus_plugin_api::caps::{clock, process as raw, types::Error};
use nexus_plugin_api::chat::Failure;
use nexus_plugin_api::chat::types::{BackendConnection, Event};
use nexus_plugin_api::error_text::cause_and_fix;
use nexus_plugin_api::job::{
    Events, HostDisconnected, Receiver, channel, permanent, permanent_from_text, race, retry, timeout,
};
use nexus_plugin_api::process::{self, Outcome};
use nexus_plugin_api::{StreamReader, log};
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;

/// `QUEUE` is how many lines may wait until the agent reads them; [`EVENTS`] is how many batches of events may wait for the host.
const QUEUE: usize = 256;
const EVENTS: usize = 64;
/// `READ` is how many bytes are read at a time.
const READ: usize = 64 << 10;
/// `START` is the time in milliseconds from the start of the agent to its first answer, which it may need to install parts of
/// itself; [`PROGRESS`] is the time between two reports about a slow start.
const START: u64 = 120_000;
const PROGRESS: u64 = 8_000;
/// `EXIT` is the time in milliseconds that an agent which has closed its output has to end.
const EXIT: u64 = 2_000;
/// `EXCERPT` is how many bytes the log has of a line that is no message.
const EXCERPT: usize = 200;
const GRANTS: &str = "correct the grants of the plugin in the configuration";

/// `StreamEnd` is the reason why the events ended.
pub enum StreamEnd {
    /// `HostDisconnected`: the host canceled, or it stopped reading.
    HostDisconnected,
    Failed(Failure),
}

impl From<HostDisconnected> for StreamEnd {
    fn from(_: HostDisconnected) -> Self {
        Self::HostDisconnected
    }
}

impl From<Failure> for StreamEnd {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

type Ended = Result<Infallible, StreamEnd>;

/// Runs until something breaks.
pub async fn run(events: &mut Events<Event>) -> StreamEnd {
    match follow(events).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    }
}

async fn follow(events: &mut Events<Event>) -> Ended {
    let settings: Settings = nexus_plugin_api::config().map_err(|e| permanent(e.text(), "update the plugin"))?;
    events
        .send(Event::Starting(format!("Starting {}", settings.title)))
        .await?;
    let running = start(&settings).await.map_err(|e| start_failure(&e))?;
    let output = raw::output(PROCESS.to_owned(), OutputStream::Stdout)
        .await
        .map_err(|e| retry(e.text()))?;
    let (outgoing, lines) = channel(QUEUE);
    let (reports, reported) = channel(EVENTS);
    current::set(Some(Connection::new(outgoing, reports)));
    let listen = race(read(events, output, reported), write(lines));
    race(listen, race(greet(&settings, &running), follow_log(&settings.title))).await
}

async fn start(settings: &Settings) -> Result<Running, Error> {
    let running = settings.command().ensure(PROCESS).await?;
    if running.outcome == Outcome::Started {
        return Ok(running);
    }
    raw::stop(PROCESS.to_owned()).await?;
    settings.command().ensure(PROCESS).await
}

fn start_failure(error: &Error) -> Failure {
    match error {
        Error::Denied(why) | Error::Invalid(why) => permanent_from_text(why, GRANTS),
        Error::NotFound(why) => permanent_from_text(&process::program_not_found(why, INSTALL), INSTALL),
        other => {
            let (why, fix) = cause_and_fix(other.text());
            Failure {
                hint: fix.map(str::to_owned),
                ..retry(format!("Cannot start the agent: {why}"))
            }
        }
    }
}

/// Greets the agent, opens the connection, and then does nothing more.
async fn greet(settings: &Settings, running: &Running) -> Ended {
    let begun = clock::elapsed();
    let hello = agent::hello();
    let mut answer = std::pin::pin!(client::call("initialize", &hello, START));
    let answer = loop {
        if let Some(answer) = timeout(PROGRESS, answer.as_mut()).await {
            break answer;
        }
        let seconds = clock::elapsed().saturating_sub(begun) / 1000;
        let progress = format!(
            "{} has not answered after {seconds} s. It may be installing parts of itself; nexus logs --plugin chat-acp shows \
             what it writes",
            settings.title
        );
        client::report(vec![Event::Starting(progress)]).await;
    };
    let agent = match answer {
        Ok(answer) => Agent::read(answer, &settings.title).map_err(|why| permanent_from_text(&why, INSTALL))?,
        Err(CallError::Agent(error)) => {
            let _ = raw::stop(PROCESS.to_owned()).await;
            let why = format!("The agent refused to begin: {}", error.text());
            return Err(permanent(
                why,
                format!("start {} in a terminal, which shows what is wrong", settings.words()),
            )
            .into());
        }
        Err(CallError::Host(error)) => {
            let _ = raw::stop(PROCESS.to_owned()).await;
            let mut failure = retry(format!("The agent is running but has not answered. {}", error.text()));
            failure.hint = Some(format!(
                "check that {} speaks the Agent Client Protocol on its standard input and output",
                settings.words()
            ));
            return Err(failure.into());
        }
    };
    let opened = BackendConnection {
        id: format!("{}-{}", running.pid, running.started_at),
        version: agent.shown_version(),
        running: Vec::new(),
        requests: Vec::new(),
    };
    current::with(|c| c.agent = Some(agent)).map_err(|e| retry(e.text()))?;
    client::report(vec![Event::Opened(opened)]).await;
    pending().await
}

/// Passes on what the agent writes to its standard error.
async fn follow_log(title: &str) -> Ended {
    if let Ok(mut lines) = raw::lines(PROCESS.to_owned()).await {
        while let Some(line) = lines.next().await {
            if line.dropped > 0 {
                log::info(format!("{title}: {} lines are not shown here", line.dropped));
            }
            log::info(format!("{title}: {}", line.text));
        }
    }
    pending().await
}

async fn write(mut lines: Receiver<Outgoing>) -> Ended {
    while let Some(Outgoing { line, written }) = lines.recv().await {
        if raw::write(PROCESS.to_owned(), line).await.is_err() {
            return Err(ended().await.into());
        }
        if let Some(written) = written {
            // Whoever waited may have stopped.
            let _ = written.try_send(());
        }
    }
    pending().await
}

type Piece = (StreamReader<u8>, Option<Vec<u8>>);

/// `chunk` are the next bytes; `None`: there are no more.
async fn chunk(mut output: StreamReader<u8>) -> Piece {
    use nexus_plugin_api::StreamResult;
    loop {
        let (result, bytes) = output.read(Vec::with_capacity(READ)).await;
        if !bytes.is_empty() {
            return (output, Some(bytes));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return (output, None);
        }
    }
}

enum Next {
    Report(Vec<Event>),
    Read(Piece),
}

/// Reads what the agent writes, and passes events on. What the other functions report comes first: they report a turn before
/// the agent has its prompt.
async fn read(events: &mut Events<Event>, output: StreamReader<u8>, mut reported: Receiver<Vec<Event>>) -> Ended {
    let mut lines = Lines::default();
    // Kept over the rounds: bytes would be lost with a reading that is dropped.
    let mut reading: Pin<Box<dyn Future<Output = Piece>>> = Box::pin(chunk(output));
    loop {
        let report = async {
            match reported.recv().await {
                Some(report) => Next::Report(report),
                None => pending().await,
            }
        };
        let (output, bytes) = match race(report, async { Next::Read(reading.as_mut().await) }).await {
            Next::Report(report) => {
                events.send_all(report).await?;
                continue;
            }
            Next::Read(chunk) => chunk,
        };
        let Some(bytes) = bytes else {
            return Err(ended().await.into());
        };
        for line in lines.push(&bytes) {
            let batch = received(line)?;
            events.send_all(batch).await?;
        }
        reading = Box::pin(chunk(output));
    }
}

fn received(line: Line) -> Result<Vec<Event>, Failure> {
    let line = match line {
        Line::Whole(line) => line,
        Line::TooLong(bytes) => {
            log::warn(format!(
                "A line of the agent with {bytes} bytes was left out: it is too long."
            ));
            return Ok(Vec::new());
        }
    };
    let message = match rpc::read(&line) {
        Ok(message) => message,
        Err(why) => {
            let excerpt = String::from_utf8_lossy(line.get(..EXCERPT.min(line.len())).unwrap_or_default());
            log::warn(format!("A line of the agent was left out, because {why}: {excerpt}"));
            return Ok(Vec::new());
        }
    };
    let now = clock::now();
    let (output, stuck) = current::with(|c| (c.received(message, now), c.stuck)).map_err(|e| retry(e.text()))?;
    output.warnings.into_iter().for_each(log::warn);
    if stuck {
        return Err(retry("The agent does not read what it is sent"));
    }
    Ok(output.events)
}

/// `ended` is the failure of an agent that has closed its output, or its input.
async fn ended() -> Failure {
    let exited = match timeout(EXIT, raw::exited(PROCESS.to_owned())).await {
        Some(exited) => exited,
        None => raw::stop(PROCESS.to_owned()).await,
    };
    let how = match &exited {
        Ok(exit) => process::describe_exit(exit),
        Err(e) => e.text().to_owned(),
    };
    let lines = process::last_lines(PROCESS, 8).await;
    let last = if lines.is_empty() {
        String::new()
    } else {
        format!(". Its last output: {}", lines.join(" | "))
    };
    let mut failure = retry(format!("The agent exited ({how}){last}"));
    let settings: Option<Settings> = nexus_plugin_api::config().ok();
    failure.hint =
        settings.map(|settings| format!("start {} in a terminal, which shows what is wrong", settings.words()));
    failure
}
