//! Where the time of a chat event goes: each hop of its way through the host leaves a stamp while somebody traces.
//!
//! # Mechanism
//! A trace point is one line, [`Hop::reached`], and costs one relaxed load of an atomic while nothing is traced. While
//! something is, it writes a [`Stamp`]: when (the monotonic clock, which all processes of a machine share), on which thread, and how
//! long that thread has run and has waited for a core. [`EventTrace`] puts the stamps together to the ways of events.
//!
//! # Limits
//! - One trace at a time, for the whole process; [`EVENT_TRACE_STAMPS`](crate::limits::EVENT_TRACE_STAMPS) stamps, the rest is counted.
//! - A stamp says nothing of its event, neither which one it is nor what is in it. Events are told apart by their times, see
//!   [`EventTrace::of`].
//! - A stamp takes between one and two microseconds, which are a part of the step after it.
//!
//! # Rejected
//! A number that travels with the event: the bytes of a backend have none, the sandbox is between, and each type on the way would
//! carry it for a command that seldom runs. Spans of `tracing`: they cost something when they are off, and know no run delay.

mod recorder;
mod report;
mod this_thread;

pub use recorder::{Hop, Recording, Stamp, Stamps, begin};
pub use report::{EventTrace, Quantiles, TraceStep};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
