//! What the store has of a chat: the session of the agent that it had last, and the prompts that the agent was given, so that
//! none is sent twice.

use nexus_plugin_api::caps::{clock, store, types::Error};
use serde::{Deserialize, Serialize};

/// `PROMPTS` is how many client ids of a chat are kept: the host asks again for its last ones alone.
const PROMPTS: usize = 32;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `agent_session` is the id of the agent's session.
    #[serde(default)]
    pub agent_session: Option<String>,
    #[serde(default)]
    prompts: Vec<String>,
    #[serde(default)]
    changed_at: u64,
}

impl Record {
    pub fn has(&self, client_id: &str) -> bool {
        self.prompts.iter().any(|known| known == client_id)
    }

    pub fn add(&mut self, client_id: &str) {
        self.prompts.push(client_id.to_owned());
        let many = self.prompts.len().saturating_sub(PROMPTS);
        self.prompts.drain(..many);
    }

    pub fn remove(&mut self, client_id: &str) {
        self.prompts.retain(|known| known != client_id);
    }
}

fn key(chat: &str) -> String {
    format!("chat/{chat}")
}

fn read(bytes: Option<Vec<u8>>) -> Record {
    // A damaged one is as none: the chat gets another session of the agent.
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

pub async fn load(chat: &str) -> Result<Record, Error> {
    Ok(read(store::get(key(chat)).await?))
}

/// Saves a record. Where the quota is full, the half that was not used for longest goes first.
pub async fn save(chat: &str, record: &mut Record) -> Result<(), Error> {
    record.changed_at = clock::now();
    let bytes = serde_json::to_vec(record).map_err(|e| Error::Other(e.to_string()))?;
    match store::set(key(chat), bytes.clone()).await {
        Err(Error::Limited(full)) => {
            if forget_older_half().await? == 0 {
                return Err(Error::Limited(full));
            }
            store::set(key(chat), bytes).await
        }
        other => other,
    }
}

async fn forget_older_half() -> Result<usize, Error> {
    let (mut known, mut after) = (Vec::new(), None);
    loop {
        let keys = store::keys("chat/".to_owned(), after.take()).await?;
        let Some(last) = keys.last().cloned() else { break };
        for key in keys {
            let record = read(store::get(key.clone()).await?);
            known.push((record.changed_at, key));
        }
        after = Some(last);
    }
    known.sort_unstable();
    known.truncate(known.len().div_ceil(2));
    let count = known.len();
    for (_, key) in known {
        store::delete(key).await?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_prompts_are_known() {
        let mut record = Record::default();
        (0..100).for_each(|n| record.add(&n.to_string()));
        assert!(record.has("99") && record.has("68") && !record.has("67"));
        record.remove("99");
        assert!(!record.has("99") && record.prompts.len() == PROMPTS - 1);
        let bytes = serde_json::to_vec(&record).ok();
        assert_eq!(read(bytes), record);
        assert_eq!(read(Some(b"damaged".to_vec())), Record::default());
        // A chat's id is the host's.
        assert!(key(&format!("chat-{}", "0".repeat(32))).len() <= 256);
    }
}
