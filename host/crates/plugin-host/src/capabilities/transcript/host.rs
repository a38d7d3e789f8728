//! `transcript`: what was said in the plugin's own sessions, for a backend that keeps no history.

use crate::bindings::caps::types::Error;
use crate::bindings::chat::nexus::plugin::chat_types::{Attachment, FileContent, Role};
use crate::bindings::chat::nexus::plugin::transcript as wit;
use crate::capabilities::capability::{Capability, HostResult};
use crate::capabilities::context::{Capabilities, Granted, enter};
use nexus_model::chat;
use nexus_plugin_traits::{TranscriptError, Utterance};
use wasmtime::component::Accessor;

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability::new("transcript", |linker, caps| {
        wit::add_to_linker::<T, Granted>(linker, caps)
    })
}

impl wit::Host for Capabilities {}
impl crate::bindings::chat::nexus::plugin::chat_types::Host for Capabilities {}

impl<T: Send> wit::HostWithStore<T> for Granted {
    async fn read(
        a: &Accessor<T, Self>,
        session: String,
        before: Option<String>,
        limit: u32,
    ) -> HostResult<Vec<wit::Utterance>> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            let state = &ctx.states.transcript;
            let _turn = state.turn.lock().await;
            ctx.gate.another_reading(&state.reads)?;
            let read = state
                .transcripts
                .read(ctx.name(), &session, before.as_deref(), limit)
                .await;
            let read = read.map_err(failed)?;
            state
                .reads
                .used(read.iter().map(|said| said.text.len()).sum::<usize>() as f64);
            Ok(read.into_iter().map(utterance).collect())
        }
        .await)
    }

    async fn read_attachment(a: &Accessor<T, Self>, session: String, id: String) -> HostResult<FileContent> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            let state = &ctx.states.transcript;
            let _turn = state.turn.lock().await;
            ctx.gate.another_reading(&state.reads)?;
            let read = state.transcripts.attachment(ctx.name(), &session, &id).await;
            let chat::FileContent { mime, data } = read.map_err(failed)?;
            state.reads.used(data.len() as f64);
            Ok(FileContent { mime, data })
        }
        .await)
    }
}

fn failed(error: TranscriptError) -> Error {
    match error {
        TranscriptError::NotFound(t) => Error::NotFound(t),
        TranscriptError::Unavailable(t) => Error::Unavailable(t),
    }
}

fn utterance(said: Utterance) -> wit::Utterance {
    wit::Utterance {
        message: said.message,
        role: match said.role {
            chat::Role::User => Role::User,
            chat::Role::Assistant => Role::Assistant,
            chat::Role::System => Role::System,
        },
        client_id: said.client_id,
        text: said.text,
        attachments: said.attachments.into_iter().map(attachment).collect(),
        created_at: said.created_at,
    }
}

fn attachment(kept: chat::Attachment) -> Attachment {
    Attachment {
        id: kept.id,
        mime: kept.mime,
        name: kept.name,
        size: kept.size,
    }
}
