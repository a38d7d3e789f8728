//! A prompt on its way to the agent, once.

use crate::client::{self, CallError};
use crate::offers::What;
use crate::prompt_blocks::blocks;
use crate::records;
use crate::{current, sessions};
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::SessionRef;
use nexus_plugin_api::chat::{Admission, Input, Options};

/// `CHOOSE` is how many milliseconds the agent has to take a choice.
const CHOOSE: u64 = 5_000;

/// `send` sends a prompt, as WIT `chat.prompt` says.
pub async fn send(
    session: SessionRef,
    client_id: String,
    parts: Vec<Input>,
    options: Options,
) -> Result<Admission, Error> {
    let agent = current::agent()?;
    let Some(_sending) = current::with(|c| c.begin(&format!("chat {}", session.id)))? else {
        return Ok(Admission::Unknown(
            "A prompt of this chat is already being sent.".to_owned(),
        ));
    };
    let mut record = records::load(&session.id).await?;
    if record.has(&client_id) {
        return Ok(Admission::Duplicate);
    }
    if current::with(|c| c.is_running(&session.id))? {
        return Ok(Admission::Refused(format!(
            "{} is still answering, and takes one message at a time. To fix: wait for the end of the answer, or stop it.",
            agent.name
        )));
    }
    let folder = sessions::folder(&session.workspace);
    let command = parts.iter().find_map(|part| match part {
        Input::Command(call) => Some(call.name.clone()),
        _ => None,
    });
    let blocks = match blocks(parts, agent.can.prompt_capabilities, &folder) {
        Ok(blocks) => blocks,
        Err(why) => return Ok(Admission::Refused(why)),
    };
    match sessions::ensure(&session, &mut record).await {
        Ok(()) => {}
        Err(CallError::Host(error)) => return Err(error),
        Err(error) => return Ok(Admission::Refused(error.text())),
    }
    if let Some(name) = command
        && current::with(|c| {
            c.chat_offers(&session.id)
                .is_some_and(|offers| offers.has_no_command(&name))
        })?
    {
        return Ok(Admission::Refused(format!("{} has no command /{name}.", agent.name)));
    }
    for (what, wanted) in [
        (What::Mode, options.agent),
        (What::Model, options.model),
        (What::Effort, options.variant),
    ] {
        if let Some(wanted) = wanted
            && let Some(why) = choose(&session.id, what, &wanted).await?
        {
            return Ok(Admission::Refused(why));
        }
    }
    // Kept first: it is better not sent than sent twice.
    record.add(&client_id);
    records::save(&session.id, &mut record).await?;
    let now = clock::now();
    let Some((line, events)) = current::with(|c| c.begin_turn(&session.id, &blocks, now))? else {
        return Err(Error::Unavailable(
            "The agent's session has ended. Try again.".to_owned(),
        ));
    };
    client::report(events).await;
    if let Err(error) = client::deliver(line).await {
        record.remove(&client_id);
        records::save(&session.id, &mut record).await?;
        if let Ok(events) = current::with(|c| c.abandon(&session.id, now)) {
            client::report(events).await;
        }
        return Err(error);
    }
    Ok(Admission::Admitted)
}

/// `choose` has the agent use what the owner wants in this chat's session. `Some`: it does not, in words.
async fn choose(chat: &str, what: What, wanted: &str) -> Result<Option<String>, Error> {
    let request = current::with(|c| {
        let session = c.chat(chat).map(|chat| chat.agent_session.clone()).unwrap_or_default();
        let request = c.session_offers(&session).request(what, wanted, &session);
        request.map(|request| request.map(|request| (session, request)))
    })?;
    let (session, (method, params)) = match request {
        Err(why) => return Ok(Some(why)),
        Ok(None) => return Ok(None),
        Ok(Some(request)) => request,
    };
    match client::call(method, &params, CHOOSE).await {
        Ok(answer) => {
            current::with(|c| c.session_offers(&session).chosen(what, wanted, &answer))?;
            Ok(None)
        }
        Err(CallError::Agent(error)) => {
            let agent = current::agent()?;
            Ok(Some(format!(
                "The agent did not take the {} {wanted:?}. {}",
                what.word(),
                agent.words(&error)
            )))
        }
        Err(CallError::Host(error)) => Err(error),
    }
}
