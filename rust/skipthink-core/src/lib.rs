//! Pure-Rust core of skipthink: step splitting, boundary search over cached losses, skip
//! bookkeeping and item planning. No Python here: every function is a pure function of data.
#![forbid(unsafe_code)]

mod error;
mod interrupt;
mod losses;
mod machine;
mod parallel;
mod plan;
mod ragged;
mod search;
mod skip;
mod steps;

pub use error::{Error, LedgerError, OffsetsProblem, Result};
pub use interrupt::set_ask;
pub use losses::{Losses, Objective};
pub use machine::vector_unit;
pub use parallel::{after_fork, before_fork, resolve_threads};
pub use plan::{PieceKind, Plan, PlanOptions, PlanRows, Scheme, Thought, plan_items};
pub use ragged::{Cuts, Numbers, Offsets, check_boundaries};
pub use search::{
    Anneal, Found, Greedy, Method, Scope, SearchOptions, SplitMix64, average_boundaries, find_boundaries,
    objective_curves,
};
pub use skip::{Ledger, LedgerStats};
pub use steps::{Rules, Spans, Splitter, split_buffer, split_texts};
