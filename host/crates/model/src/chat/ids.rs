//! The names by which a backend calls its things.

/// `SessionId` is a session's id as the backend gave it.
pub type SessionId = String;
/// `MessageId` is a message's id as the backend gave it; that of a prompt which waits in the host is its client id.
pub type MessageId = String;
/// `PartId` is a part's id as the backend gave it, unique in its message.
pub type PartId = String;
/// `RequestId` is the id of a request of the agent, as the backend gave it.
pub type RequestId = String;
