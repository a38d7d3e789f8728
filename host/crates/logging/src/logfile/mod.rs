//! The log in a file: JSON, a line for each event, whatever stderr shows, so that it can be read back by level and
//! plugin. `nexus.log` is the present file, `nexus.log.1` the newest of the older ones.
//!
//! The writer is our own: crates for this rotate by time alone and leave the mode to the umask. Here a rotation happens
//! between two lines. A thread of its own writes ([`Background`]), so that a disk that stalls stalls nothing else; what
//! waits for it when the process is killed is lost.

mod background;
mod files;
mod latest;
mod line;
mod private;
mod reader;
mod recent;
mod tail;
mod writer;

pub use background::{Background, Missing};
pub use files::is_part_of;
pub(crate) use files::make_room;
#[cfg(test)]
pub(crate) use files::open_all;
pub use latest::{LogError, LogReader};
pub use line::{Filter, Line, Parsed, plain};
pub(crate) use private::{appending, ends_with_a_line, open};
pub use reader::last;
pub use recent::recent;
pub use tail::{News, Tail};
pub use writer::{Writer, missing};
