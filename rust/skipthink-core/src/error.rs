//! The one error type of the core: data about what is wrong, messages at the end.

/// What can be wrong with what a caller passes in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value outside its range.
    #[error("{name} must be {expected}, got {got}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was found.
        got: String,
    },
    /// Two arguments disagree about the number of rows.
    #[error("{name} has {got} rows, expected {expected}, one a sample")]
    Rows {
        /// Name of the argument.
        name: &'static str,
        /// Rows found.
        got: usize,
        /// Rows expected.
        expected: usize,
    },
    /// A row of an argument has the wrong number of values.
    #[error("{name} has {got} values for row {row}, expected {expected}; {hint}")]
    RowLength {
        /// Name of the argument.
        name: &'static str,
        /// Row.
        row: usize,
        /// Values found.
        got: usize,
        /// Values expected.
        expected: usize,
        /// What to do.
        hint: &'static str,
    },
    /// A value is not allowed.
    #[error("{name} of row {row} holds {got} at position {index}; {expected}")]
    Value {
        /// Name of the argument.
        name: &'static str,
        /// Row.
        row: usize,
        /// Position within the row.
        index: usize,
        /// What was found.
        got: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// Offsets do not describe rows of the values.
    #[error(
        "{name} offsets {problem} at position {index}: {got}; offsets start at 0 or later, never decrease and end within the values"
    )]
    Offsets {
        /// Name of the argument.
        name: &'static str,
        /// What is wrong.
        problem: &'static str,
        /// Position in the offsets.
        index: usize,
        /// What was found.
        got: i64,
    },
    /// Boundaries of a row are no boundaries.
    #[error("{name} of row {row} are {got}; expected {expected}")]
    Boundaries {
        /// Name of the argument.
        name: &'static str,
        /// Row.
        row: usize,
        /// What was found.
        got: String,
        /// What is allowed.
        expected: String,
    },
    /// A row has no step.
    #[error("row {row} has no step: its rationale is empty or white space; drop the row")]
    NoStep {
        /// Row.
        row: usize,
    },
    /// Whoever waited for the work asked it to stop.
    #[error("the work was interrupted")]
    Interrupted,
    /// A ledger is told something that cannot be.
    #[error("{0}")]
    Ledger(String),
}

/// Result of the core.
pub type Result<T> = std::result::Result<T, Error>;
