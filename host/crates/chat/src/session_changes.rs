//! What people do with a session as a whole: another one made of it, messages taken back, summarized, archived.

use crate::error::ChatError;
use crate::journal::{Listed, SessionState};
use crate::pending_prompts::is_pending;
use crate::service::ChatService;
use crate::shared::Wake;
use nexus_model::chat::{Event, Feature, SessionInfo};
use nexus_model::limits;
use nexus_plugin_traits::CallError;
use tokio::sync::oneshot;

impl ChatService {
    /// Makes a session with the messages of this one up to `before` and without it; `None`: with all. The session itself stays as
    /// it is.
    ///
    /// # Errors
    /// `NotFound`: there is no such session or message. `Refused`: the backend cannot. Otherwise as [`Self::prompt`].
    pub async fn fork(&self, session: &str, before: Option<&str>) -> Result<SessionInfo, ChatError> {
        let (backend, info) = self.shared.target(session)?;
        let made = backend.fork(&info, before).await?;
        let plugin = self.listed(session)?.backend;
        if made.id == session {
            return Err(ChatError::Refused(format!(
                "The chat plugin {plugin} gave the chat itself back as its fork. This is a bug of the plugin."
            )));
        }
        self.keep_new(&plugin, &made).await?;
        self.read_again(&made.id).await;
        Ok(made)
    }

    /// Takes a message of the user back and all after it, and what they did to files. It can be restored until the next prompt.
    ///
    /// # Errors
    /// As [`Self::fork`]. `Unavailable`: a turn runs.
    pub async fn revert(&self, session: &str, message: &str) -> Result<SessionInfo, ChatError> {
        let (backend, info) = self.shared.target(session)?;
        let changed = backend.revert(&info, message).await?;
        self.changed(session, changed).await
    }

    /// Brings back what is taken back.
    ///
    /// # Errors
    /// As [`Self::revert`].
    pub async fn restore(&self, session: &str) -> Result<SessionInfo, ChatError> {
        let (backend, info) = self.shared.target(session)?;
        let changed = backend.restore(&info).await?;
        self.changed(session, changed).await
    }

    /// Begins to replace the earlier messages by a summary, which `model` writes; `None`: the session's model.
    ///
    /// # Errors
    /// As [`Self::revert`].
    pub async fn compact(&self, session: &str, model: Option<&str>) -> Result<(), ChatError> {
        let (backend, info) = self.shared.target(session)?;
        Ok(backend.compact(&info, model).await?)
    }

    /// Archives a session, or takes it out of the archive.
    ///
    /// # Errors
    /// As [`Self::fork`].
    pub async fn set_archived(&self, session: &str, archived: bool) -> Result<(), ChatError> {
        let (backend, info) = self.shared.target(session)?;
        let features = backend.features();
        if features.contains(&Feature::Archive) {
            backend.set_archived(&info, archived).await?;
        } else if features.contains(&Feature::Sessions) {
            // Its own list would take it out again.
            return Err(CallError::Unsupported("archive sessions").into());
        }
        let info = SessionInfo {
            archived,
            ..self.listed(session)?.info
        };
        self.shared
            .journal
            .append(session, vec![Event::Session { info }])
            .await?;
        Ok(())
    }

    /// Shows what a session has become, as this session: no other one is changed by it. What is taken back is gone at once: a
    /// snapshot does not tell it from what has come since.
    async fn changed(&self, session: &str, changed: SessionInfo) -> Result<SessionInfo, ChatError> {
        // As it is now: it may have been named meanwhile.
        let known = self.listed(session)?.info;
        let info = SessionInfo {
            reverted: changed.reverted,
            updated_at: changed.updated_at,
            ..known
        };
        let mut events = vec![Event::Session { info: info.clone() }];
        if let Some(first) = &info.reverted {
            let gone = |state: &SessionState| {
                let from = state.messages.iter().skip_while(|known| known.message.id != *first);
                // What the backend never had is its owner's still.
                let theirs = from.filter(|known| !is_pending(&known.message));
                theirs.map(|known| known.message.id.clone()).collect::<Vec<_>>()
            };
            let gone = self.shared.journal.look(session, gone).await?.into_iter();
            events.extend(gone.map(|message| Event::MessageRemoved { message }));
        }
        self.shared.journal.append(session, events).await?;
        self.read_again(session).await;
        Ok(info)
    }

    /// Reads the messages as the backend has them now; what comes too late comes by itself.
    async fn read_again(&self, session: &str) {
        let (read, done) = oneshot::channel();
        self.wake(Wake::Changed(session.to_owned(), read));
        let _ = tokio::time::timeout(limits::FIRST_READING, done).await;
    }

    fn listed(&self, session: &str) -> Result<Listed, ChatError> {
        let listed = self.shared.listed(session);
        listed.ok_or_else(|| ChatError::NotFound("This chat does not exist.".to_owned()))
    }
}
