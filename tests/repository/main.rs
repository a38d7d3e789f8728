//! What holds for the repository as a whole: the retired words of its language, the map and the walks of ARCHITECTURE.md against
//! the code, files that use each other, names of types, dependencies. They read sources alone, so they take seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod capability_files;
mod circles;
mod contract;
mod dependencies;
mod map;
mod retired_words;
mod sources;
mod type_names;
mod walks;
mod words;
