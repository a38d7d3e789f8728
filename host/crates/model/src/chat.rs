//! A session as the host stores and shows it. JSON: `snake_case` names, variants tagged by `type`.

mod answer;
mod backend;
mod choices;
mod event;
mod ext;
mod feature;
mod file_change;
mod files;
mod ids;
mod message;
mod providers;
mod request;
mod session;

pub use answer::Answer;
pub use backend::{Admission, BackendConnection, LastError, Snapshot};
pub use choices::{Agent, AgentList, Command, CommandCall, Model, ModelList, PromptOptions};
pub use event::{Event, SessionEvent};
pub use ext::Ext;
pub use feature::Feature;
pub use file_change::{ChangeKind, FileChange};
pub use files::{Attachment, FileContent, FileEntry, FoundLine, NewAttachment, Workspace};
pub use ids::{MessageId, PartId, RequestId, SessionId};
pub use message::{Content, Message, Part, Role, Tool, ToolState, Usage, Waiting, is_client_id};
pub use providers::{BrowserSignIn, Provider, SignInField, SignInKind, SignInMethod, SignInValues};
pub use request::{AgentRequest, Choice, Detail, Question};
pub use session::{Root, SessionInfo, TodoItem, TodoState, Turn};
