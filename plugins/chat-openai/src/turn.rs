//! One turn: the chat is read from the host, sent to the server, and what streams back becomes events.

use crate::answer::{Answer, Prompt};
use crate::client;
use crate::connection::{self, Turn};
use crate::files::{File, REQUEST_BYTES};
use crate::refusal::Refusal;
use crate::request_body::{Spoken, body, missing, until, wanted};
use crate::settings::Settings;
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::transcript;
use nexus_plugin_api::chat::types::{Event, Retry, Role, Turn as TurnNow, TurnState};
use nexus_plugin_api::http::Response;
use nexus_plugin_api::job::{Sender, race, timeout};
use nexus_plugin_api::sse;
use std::collections::BTreeMap;

/// `ATTEMPTS` is how often an answer is asked for.
const ATTEMPTS: u32 = 5;
/// `PAUSE` is in milliseconds, before the second attempt; each further one doubles it.
const PAUSE: u64 = 1_000;
/// `LONGEST_PAUSE` is what a server may ask for before an attempt, in milliseconds; a longer one is the owner's to wait for.
const LONGEST_PAUSE: u64 = 60_000;
/// `DRAIN` is how long the end of a stream is waited for after its last event, in milliseconds.
const DRAIN: u64 = 200;
/// `UTTERANCES` is how much of a chat is read: all that the host gives.
const UTTERANCES: u32 = 1_000;

/// `ConnectionEnded`: nobody takes the events any more.
#[derive(Debug)]
pub struct ConnectionEnded;

/// `Out` takes the events of a turn, those together that came together.
pub type Out = Sender<Vec<Event>>;

/// Runs a turn to its end; the end is reported in each case.
pub async fn run(turn: Turn, out: &Out) -> Result<(), ConnectionEnded> {
    let Turn { prompt, mut stop } = turn;
    let Ok((settings, key)) = connection::with(|c| (c.settings.clone(), c.key)) else {
        return Err(ConnectionEnded);
    };
    let mut answer = Answer::new(settings.server.clone(), key, &prompt, clock::now());
    send(out, vec![state(&prompt, TurnNow::Running)]).await?;
    // Once a turn is stopped what it waits for is dropped where it stands, and with it the connection to the server.
    let stopped = async {
        stop.recv().await;
        Ok(None)
    };
    let refused = race(stopped, answer_prompt(&settings, &prompt, &mut answer, out)).await?;
    let mut events = Vec::new();
    answer.complete(refused, clock::now(), &mut events);
    events.push(state(&prompt, TurnNow::Idle));
    send(out, events).await
}

async fn send(out: &Out, events: Vec<Event>) -> Result<(), ConnectionEnded> {
    if events.is_empty() {
        return Ok(());
    }
    out.send(events).await.map_err(|_| ConnectionEnded)
}

fn state(prompt: &Prompt, turn: TurnNow) -> Event {
    Event::Turn(TurnState {
        session: prompt.session.clone(),
        turn,
    })
}

/// Asks until there is an answer. `Some`: why there is none.
async fn answer_prompt(
    settings: &Settings,
    prompt: &Prompt,
    answer: &mut Answer,
    out: &Out,
) -> Result<Option<String>, ConnectionEnded> {
    let chat = match chat(prompt).await {
        Ok(chat) => chat,
        Err(error) => return Ok(Some(format!("The chat cannot be read. {}", error.text()))),
    };
    send(out, vec![answer.message()]).await?;
    let mut count = connection::with(|c| !c.uncounted).unwrap_or(true);
    let mut request = body(settings, &prompt.model, &chat, count);
    drop(chat);
    let mut attempt = 1;
    loop {
        let refusal = match client::complete(settings, answer.asked(), &request).await {
            Ok(response) => match read(settings, response, answer, out).await? {
                None => return Ok(None),
                Some(refusal) => refusal,
            },
            Err((_, true)) if count => {
                count = false;
                // Nobody is connected any more where it fails, and the turn ends with it.
                let _ = connection::with(|c| c.uncounted = true);
                if let Some(request) = request.as_object_mut() {
                    request.remove("stream_options");
                }
                continue;
            }
            Err((refusal, _)) => refusal,
        };
        let Some(pause) = pause(&refusal, attempt) else {
            return Ok(Some(refusal.text));
        };
        let mut events = Vec::new();
        answer.drop_attempt(&mut events);
        events.push(state(
            prompt,
            TurnNow::Retrying(Retry {
                attempt,
                message: refusal.text,
                next_at: Some(clock::now().saturating_add(pause)),
            }),
        ));
        send(out, events).await?;
        clock::sleep(pause).await;
        send(out, vec![state(prompt, TurnNow::Running)]).await?;
        attempt += 1;
    }
}

/// `pause` is how long to wait before the next attempt, in milliseconds; `None`: there is none.
fn pause(refusal: &Refusal, attempt: u32) -> Option<u64> {
    let wanted = refusal.retry?;
    let own = PAUSE << (attempt - 1).min(6);
    let pause = wanted.unwrap_or_default().max(own);
    (attempt < ATTEMPTS && pause <= LONGEST_PAUSE).then_some(pause)
}

/// Reads an answer to its end. `Some`: it broke off, or the server refuses after all.
async fn read(
    settings: &Settings,
    mut response: Response,
    answer: &mut Answer,
    out: &Out,
) -> Result<Option<Refusal>, ConnectionEnded> {
    let kind = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("text/html") {
        let why = format!(
            "{} answered with a page ({kind}) in place of a model's answer",
            settings.server.host
        );
        let fix = "correct `base_url` in [plugin.chat-openai.config]: most addresses end in /v1";
        return Ok(Some(Refusal::lasting(&why, Some(fix))));
    }
    // A server that streams nothing answers with the whole.
    let whole = kind.starts_with("application/json");
    let (mut parser, mut body) = (sse::Parser::default(), Vec::new());
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // What ends after its end is whole.
            Err(_) if answer.ended().is_ok() => break,
            Err(error) => return Ok(Some(Refusal::of_host(answer.asked(), error, settings.timeout))),
        };
        if whole {
            body.extend(chunk);
            if body.len() > 2 * crate::answer::MOST_BYTES {
                let why = format!("The answer of {} is too long", settings.server.host);
                return Ok(Some(Refusal::lasting(&why, Some("ask for less at once"))));
            }
            continue;
        }
        let mut events = Vec::new();
        for data in parser.push(&chunk) {
            if let Err(refusal) = answer.take(&data, &mut events) {
                send(out, events).await?;
                return Ok(Some(refusal));
            }
        }
        send(out, events).await?;
        if answer.is_done() {
            // A connection whose answer is read to its end is used again, which spares the next turn a handshake.
            timeout(DRAIN, async { while let Ok(Some(_)) = response.chunk().await {} }).await;
            return Ok(None);
        }
    }
    if whole {
        let mut events = Vec::new();
        let taken = answer.take(&String::from_utf8_lossy(&body), &mut events);
        send(out, events).await?;
        if let Err(refusal) = taken {
            return Ok(Some(refusal));
        }
    }
    Ok(answer.ended().err())
}

/// `chat` is the chat up to a prompt, with its files as far as they are sent.
async fn chat(prompt: &Prompt) -> Result<Vec<Spoken>, Error> {
    let read = transcript::read(prompt.session.clone(), None, UTTERANCES).await?;
    let utterances = until(read, &prompt.client_id);
    let mut files = BTreeMap::new();
    for (at, place) in wanted(&utterances, REQUEST_BYTES) {
        let file = utterances
            .get(at)
            .and_then(|utterance| utterance.attachments.get(place));
        let Some((file, id)) = file.and_then(|file| Some((file, file.id.clone()?))) else {
            continue;
        };
        let found = match transcript::read_attachment(prompt.session.clone(), id).await {
            Ok(content) => File::read(file.name.as_deref().unwrap_or_default(), content.data)
                .unwrap_or_else(|_| missing(file, "this backend cannot send a file of its kind")),
            Err(Error::NotFound(_)) => missing(file, "it is not there any more"),
            Err(error) => return Err(error),
        };
        files.insert((at, place), found);
    }
    let spoken = utterances.into_iter().enumerate().map(|(at, utterance)| {
        let sent = utterance.attachments.iter().enumerate().map(|(place, file)| {
            let old = || missing(file, "newer files of this chat take its place");
            files.remove(&(at, place)).unwrap_or_else(old)
        });
        Spoken {
            role: utterance.role,
            files: if utterance.role == Role::User {
                sent.collect()
            } else {
                Vec::new()
            },
            text: utterance.text,
        }
    });
    Ok(spoken.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_a_long_one_is_the_owners() {
        let refusal = |retry| Refusal {
            text: String::new(),
            retry,
        };
        assert_eq!(pause(&refusal(None), 1), None);
        let own: Vec<_> = (1..=5).map(|attempt| pause(&refusal(Some(None)), attempt)).collect();
        assert_eq!(own, [Some(1_000), Some(2_000), Some(4_000), Some(8_000), None]);
        assert_eq!(pause(&refusal(Some(Some(30_000))), 1), Some(30_000));
        assert_eq!(
            pause(&refusal(Some(Some(10))), 3),
            Some(4_000),
            "no faster than our own"
        );
        assert_eq!(pause(&refusal(Some(Some(60_001))), 1), None);
        assert_eq!(pause(&refusal(Some(Some(u64::MAX))), 1), None);
    }
}
