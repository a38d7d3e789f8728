//! The files that people add to prompts, and those of messages.

use crate::attachments;
use crate::error::ChatError;
use crate::service::ChatService;
use nexus_model::chat::{Attachment, Feature, FileContent};

impl ChatService {
    /// Keeps a file for a prompt of a session. `name` is one line without a folder.
    ///
    /// # Errors
    /// The session's backend takes no files, is not up, or the file is too large.
    pub async fn upload(&self, session: &str, name: &str, content: FileContent) -> Result<Attachment, ChatError> {
        let (backend, _) = self.shared.target(session)?;
        if !backend.features().contains(&Feature::Attachments) {
            return Err(ChatError::Refused(format!(
                "{} takes no files with a prompt.",
                backend.title()
            )));
        }
        let now = self.shared.clock.now();
        attachments::keep(self.shared.journal.store(), session, name, content, now).await
    }

    /// Reads a file of a message.
    ///
    /// # Errors
    /// `NotFound`: it is not there any more. Otherwise as [`Self::prompt`].
    pub async fn attachment(&self, session: &str, id: &str) -> Result<FileContent, ChatError> {
        if attachments::is_own(id) {
            let found = attachments::read(self.shared.journal.store(), session, id).await?;
            return found.map(|kept| kept.content).ok_or_else(attachments::gone);
        }
        let (backend, info) = self.shared.target(session)?;
        Ok(backend.read_attachment(&info, id).await?)
    }
}
