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

/// `ARCHIVED` in `session-info.ext` is `true` for a session that its owner put away.
pub const ARCHIVED: &str = "nexus.archived";
/// `CHANGE` in `agent-request.ext` is a JSON string, a unified diff of what an edit would do.
pub const CHANGE: &str = "nexus.change";
/// `DETAILS` in `agent-request.ext` is what belongs to the request beside its detail and its change: `[{"name":"In the
/// folder","text":"vendor/x"}]`.
pub const DETAILS: &str = "nexus.details";
/// `PATHS` in `agent-request.ext` has the paths that it would touch:
/// `{"paths":[{"path":…,"new":bool,"guessed":bool}],"obeyed":[…]}`.
pub const PATHS: &str = "nexus.paths";
/// `QUESTIONS` in `agent-request.ext` has what the agent asks:
/// `[{"header":…,"text":…,"choices":[{"label":…,"description":…}],"multiple":bool,"own":bool}]`.
pub const QUESTIONS: &str = "nexus.questions";
/// `ANSWERS` in `answer.other` has one list for each question: `[["Blue"],["a","another answer"]]`.
pub const ANSWERS: &str = "nexus.answers";
/// `REJECTED_TOOL` in `content.other` is a tool call that the owner rejected, in place of `content.tool`:
/// `{"name":…,"title":…,"input":…,"message":…,"started_at":…,"ended_at":…}`; `message` is what the owner wrote, if
/// anything.
pub const REJECTED_TOOL: &str = "nexus.rejected-tool";

/// Tells whether a path goes through one of these names, or ends in one: `.git`, `.config/opencode`. It has no regard
/// to case, as some disks have none.
pub fn path_contains_name<T: AsRef<str>>(path: &str, names: &[T]) -> bool {
    let framed = |text: &str| format!("/{}/", text.to_lowercase().replace('\\', "/"));
    let path = framed(path);
    names.iter().any(|name| path.contains(&framed(name.as_ref())))
}
