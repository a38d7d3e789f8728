//! The log in a file: JSON, a line for each event, whatever stderr shows, so that it can be read back by level and
//! plugin. `nexus.log` is the present file, `nexus.log.1` the newest of the older ones.
//!
//! The writer is our own: crates for this rotate by time alone and leave the mode to the umask. Here a rotation happens
//! between two lines. A thread of its own writes ([`Background`]), so that a disk that stalls stalls nothing else; what
//! waits for it when the process is killed is lost.

mod append_file;
mod background_writer;
mod event_fields;
mod line;
mod page_reader;
mod reader;
mod recent_lines;
mod rotated_files;
mod tail;
mod writer;

pub(crate) use append_file::{appending, ends_with_a_line, open};
pub use background_writer::{Background, Missing};
pub use event_fields::EventFields;
pub use line::{Filter, Line, Parsed, plain};
pub use page_reader::{LogError, LogReader};
pub use reader::last;
pub use recent_lines::recent;
pub use rotated_files::is_part_of;
pub(crate) use rotated_files::make_room;
#[cfg(test)]
pub(crate) use rotated_files::open_all;
pub use tail::{NewLines, Tail};
pub use writer::{Writer, missing};
