//! The one error type of the core.

/// What can be wrong with the data a caller passes in.
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
}
