//! Which prompts are not even passed on.

use nexus_model::chat::is_client_id;
use nexus_model::limits::PROMPT_BYTES;

/// Whether a prompt can be sent at all. `Err`: a sentence for the person.
pub(crate) fn acceptable(client_id: &str, text: &str) -> Result<(), String> {
    if !is_client_id(client_id) {
        return Err("client_id must be 1 to 128 characters of A-Z, a-z, 0-9, `_` and `-`".into());
    }
    if text.trim().is_empty() {
        return Err("This message has no text.".into());
    }
    if text.len() > PROMPT_BYTES {
        return Err(format!(
            "This message is longer than the limit of {} KiB.",
            PROMPT_BYTES / 1024
        ));
    }
    Ok(())
}
