//! The names of additions (`ext`, `other`) that a chat backend and the host agree on.
//!
//! Problem: contract 0.1 has no words for a question with choices, for the change that an edit is about, and for a call
//! that its owner rejected. Widening a record would break every plugin that exists.
//!
//! Mechanism: these names in the lists that may grow, each with JSON as its value. Which of them stands where is said in
//! `wit/chat.wit` at the record. A side that does not know a name ignores it.
//!
//! Limits: the compiler does not check such a value; one that is not what is written there counts as absent. Contract
//! 0.2 has typed forms of all of them.

/// `session-info.ext`: `true` for a session that its owner put away.
pub const ARCHIVED: &str = "nexus.archived";
/// `ask.ext`: a JSON string, a unified diff of what an edit would do.
pub const CHANGE: &str = "nexus.change";
/// `ask.ext`: `[{"header":…,"text":…,"choices":[{"label":…,"description":…}],"multiple":bool,"own":bool}]`.
pub const QUESTIONS: &str = "nexus.questions";
/// `answer.other`: `[["Blue"],["a","words of one's own"]]`, one list for each question.
pub const ANSWERS: &str = "nexus.answers";
/// `content.other`: a tool call that the owner rejected, in place of `content.tool`:
/// `{"name":…,"title":…,"input":…,"words":…,"started_at":…,"ended_at":…}`; `words` are the owner's, if any.
pub const REJECTED_TOOL: &str = "nexus.rejected-tool";
/// `content.other`: a JSON string, one sentence that stands by itself in the conversation, as "The conversation was
/// summarised to make room."
pub const NOTE: &str = "nexus.note";
