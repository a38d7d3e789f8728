//! The guest side.
