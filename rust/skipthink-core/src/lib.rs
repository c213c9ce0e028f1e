//! Pure-Rust core of skipthink: step splitting, boundary search over cached losses, skip
//! bookkeeping and item planning. No Python here: every function is a pure function of data.
#![forbid(unsafe_code)]

pub mod error;
pub mod interrupt;
pub mod losses;
pub mod machine;
pub mod parallel;
pub mod plan;
pub mod ragged;
pub mod search;
pub mod skip;
pub mod steps;
