//! The one error type of the core: variants hold data, their words stand in `Display`.

/// Largest size of a loss that is searched over: squares of it are still summed without overflow.
pub const MAX_LOSS: f64 = 1e100;
/// Largest weight: up to here whole numbers are exact.
pub const MAX_WEIGHT: f64 = 9_007_199_254_740_992.0;

/// What can be wrong with what a caller passes in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A count that must not be 0 is.
    #[error("{name} must be at least 1, got 0")]
    Zero {
        /// Name of the option.
        name: &'static str,
    },
    /// The least gain of a change is no finite number of at least 0.
    #[error("eta must be a finite number that is not negative, got {0}")]
    Eta(f64),
    /// The weight of the penalty on lengths is no finite number of at least 0.
    #[error("balance must be a finite number that is not negative, got {0}")]
    Balance(f64),
    /// A temperature is no finite number above 0.
    #[error("{name} must be a finite temperature above 0, got {got}")]
    Temperature {
        /// Name of the option.
        name: &'static str,
        /// What was found.
        got: f64,
    },
    /// A probability of dropping chunks is not in [0, 1).
    #[error("chunk_dropout must be at least 0 and below 1, got {0}")]
    ChunkDropout(f64),
    /// A name is none of those known.
    #[error("{option} must be {}, got {got:?}", or_list(.known))]
    Name {
        /// What the name is of.
        option: &'static str,
        /// The names there are.
        known: &'static [&'static str],
        /// What was found.
        got: String,
    },
    /// A name of step rules is none of those known.
    #[error("rules must be {RULES}, got {0:?}")]
    Rules(String),
    /// Separators are missing, or one of them is empty.
    #[error("rules must be {RULES}, got {0:?}")]
    Separators(Vec<String>),
    /// The plan of skip items was given no skip data.
    #[error("skipped must be given for the skip scheme, got None")]
    NoSkipData,
    /// A number of threads that nobody means.
    #[error("{THREADS}, got {0}", THREADS = threads_wanted("num_threads"))]
    Threads(usize),
    /// The environment variable holds no number of threads.
    #[error("{}, got {got:?}", threads_wanted(.name))]
    ThreadsVariable {
        /// Name of the variable.
        name: &'static str,
        /// What was found.
        got: String,
    },
    /// The operating system gives no more threads.
    #[error("num_threads must be a number of threads that the operating system gives, got {got} ({reason})")]
    ThreadsRefused {
        /// Threads asked for.
        got: usize,
        /// What the operating system said.
        reason: String,
    },
    /// The boundaries of all rows do not fit into memory.
    #[error("M must be small enough that n · (M + 1) boundaries fit into memory, got {m} for {n_rows} rows")]
    TooManyBoundaries {
        /// Number of chunks M.
        m: usize,
        /// Number of rows.
        n_rows: usize,
    },
    /// A row is too long for the dynamic programme.
    #[error(
        "M must be M · (K + 1) of at most 2**28; search so long rows by method=\"greedy\", got {m} with K = {k}"
    )]
    TooManyCells {
        /// Number of chunks M.
        m: usize,
        /// Steps of the row.
        k: usize,
    },
    /// Curves are asked for in which chunks may be empty.
    #[error("min_steps must be at least 1: empty chunks explain nothing, got 0")]
    EmptyChunks,
    /// A curve over numbers of chunks of an objective that depends on that number.
    #[error("objective must not be \"mass\" here: shares of a row's loss depend on the number of chunks")]
    NoCurve,
    /// Losses hold neither one number per step nor one per stage.
    #[error(
        "losses must be one loss per step, or M losses per step (one per stage), got {got} per step with M = {m}"
    )]
    Stages {
        /// Numbers per step.
        got: usize,
        /// Number of chunks M.
        m: usize,
    },
    /// Curves take losses that are the same for all stages.
    #[error("losses must be one loss per step, the same for all stages, got {0}")]
    StagesOfCurve(usize),
    /// Two arguments disagree about the number of rows.
    #[error("{name} has {got} rows, expected {expected}, one per sample")]
    Rows {
        /// Name of the argument.
        name: &'static str,
        /// Rows found.
        got: usize,
        /// Rows expected.
        expected: usize,
    },
    /// A row has another number of end losses than it has places between steps.
    #[error(
        "end_losses has {got} values for row {row}, expected {expected}; one loss of the end token before each step \
         and one after the last"
    )]
    EndLosses {
        /// Row.
        row: usize,
        /// Values found.
        got: usize,
        /// Values expected.
        expected: usize,
    },
    /// A loss is not finite, or too large.
    #[error("{name} of row {row} holds {got} at position {index}; losses are {}", wanted_loss(*.got))]
    Loss {
        /// Name of the argument.
        name: &'static str,
        /// Row.
        row: usize,
        /// Position within the row.
        index: usize,
        /// What was found.
        got: f64,
    },
    /// A weight is not finite, negative or too large.
    #[error("n_tokens of row {row} holds {got} at position {index}; weights are {}", wanted_weight(*.got))]
    Weight {
        /// Row.
        row: usize,
        /// Position within the row.
        index: usize,
        /// What was found.
        got: f64,
    },
    /// A number of steps is negative.
    #[error("n_steps of row {row} holds {got} at position 0; a number of steps is not negative")]
    NegativeSteps {
        /// Row.
        row: usize,
        /// What was found.
        got: i64,
    },
    /// A number of tokens is negative.
    #[error("{name} of row {row} holds {got} at position 0; a length is not negative")]
    NegativeLength {
        /// Name of the argument.
        name: &'static str,
        /// Row.
        row: usize,
        /// What was found.
        got: i64,
    },
    /// A text is not UTF-8.
    #[error(
        "text of row {row} holds bytes that are not UTF-8 at position {index}; texts are UTF-8; decode them as what \
         they are and try again"
    )]
    NotUtf8 {
        /// Row.
        row: usize,
        /// Byte from which on it is none.
        index: usize,
    },
    /// Offsets do not describe rows of the values.
    #[error(
        "{name} offsets {problem} at position {index}: {got}; offsets start at 0 or later, never decrease and end \
         within the values"
    )]
    Offsets {
        /// Name of the argument.
        name: &'static str,
        /// What is wrong.
        problem: OffsetsProblem,
        /// Position in the offsets.
        index: usize,
        /// What was found.
        got: i64,
    },
    /// Boundaries of a row are no boundaries.
    #[error("{name} of row {row} are {got:?}; expected numbers that {}", wanted_boundaries(*.n_steps))]
    Boundaries {
        /// Name of the argument.
        name: &'static str,
        /// Row.
        row: usize,
        /// What was found.
        got: Vec<i64>,
        /// Steps of the row, where they are known.
        n_steps: Option<usize>,
    },
    /// Token offsets of a row's steps are no offsets.
    #[error(
        "step_token_offsets of row {row} are {got:?}; expected token offsets that start at 0 and never decrease, one \
         more than steps"
    )]
    StepTokens {
        /// Row.
        row: usize,
        /// What was found.
        got: Vec<i64>,
    },
    /// Whoever waited for the work asked it to stop.
    #[error("the work was interrupted")]
    Interrupted,
    /// A ledger is told something that cannot be.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What is wrong with offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetsProblem {
    /// There is none, not even the first.
    Empty,
    /// The first one is below 0.
    Negative,
    /// One is smaller than the one before.
    Decrease,
    /// The last one lies behind the values.
    Overrun,
}

impl std::fmt::Display for OffsetsProblem {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(match self {
            Self::Empty => "are empty",
            Self::Negative => "are negative",
            Self::Decrease => "decrease",
            Self::Overrun => "overrun the values",
        })
    }
}

/// What a ledger cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// States of rows and of chunks do not fit together.
    #[error("{n_rows} rows of M = {m} chunks have {n_states} chunk states")]
    States {
        /// States of rows.
        n_rows: usize,
        /// Number of chunks M.
        m: usize,
        /// States of chunks.
        n_states: usize,
    },
    /// No answers lead to the states of a row.
    #[error("row {row} is in state {base} with chunks {states:?}, to which no answers lead")]
    Unreachable {
        /// Row.
        row: usize,
        /// Its state with nothing dropped.
        base: u8,
        /// The states of its chunks.
        states: Vec<u8>,
    },
    /// Answers have unequal lengths.
    #[error("rows, chunks and right must have the same length, got {rows}, {chunks} and {right}")]
    Lengths {
        /// Rows.
        rows: usize,
        /// Chunks.
        chunks: usize,
        /// Answers.
        right: usize,
    },
    /// A row stands twice in one call.
    #[error("row {0} is answered twice in one call")]
    Twice(i64),
    /// There is no such row.
    #[error("row {row} is not one of the ledger's {n_rows} rows")]
    NoRow {
        /// Row.
        row: i64,
        /// Rows of the ledger.
        n_rows: usize,
    },
    /// An answer to another question than the row's next one.
    #[error("row {row} was not asked about chunk {chunk}: {}", next_question(*.next))]
    NotAsked {
        /// Row.
        row: i64,
        /// Chunk that was answered.
        chunk: i64,
        /// The question that is next; None: the row is settled.
        next: Option<usize>,
    },
}

/// Result of the core.
pub type Result<T> = std::result::Result<T, Error>;

const RULES: &str = r#""auto", "lines", "sentences" or a list of separator strings, none empty"#;

fn threads_wanted(name: &str) -> String {
    format!("{name} must be a whole number of at least 1 and at most 4096")
}

fn wanted_loss(got: f64) -> &'static str {
    if got.abs() > MAX_LOSS && got.is_finite() { "at most 1e100 in size" } else { "finite numbers" }
}

fn wanted_weight(got: f64) -> &'static str {
    if got > 0.0 && got.is_finite() { "at most 2**53" } else { "finite and not negative" }
}

fn wanted_boundaries(n_steps: Option<usize>) -> String {
    match n_steps {
        Some(k) => format!("start at 0, never decrease and end at {k}, the steps of the row"),
        None => "start at 0 and never decrease".into(),
    }
}

fn next_question(next: Option<usize>) -> String {
    next.map_or("it is settled".into(), |next| format!("its next question is {next}"))
}

/// Names in quotes: `"a", "b" or "c"`.
fn or_list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_from_the_data() {
        let name = |known| Error::Name { option: "scope", known, got: "left\"".into() }.to_string();
        assert_eq!(name(&["a"]), r#"scope must be "a", got "left\"""#);
        assert_eq!(name(&["a", "b", "c"]), r#"scope must be "a", "b" or "c", got "left\"""#);
        let loss = |got| Error::Loss { name: "losses", row: 1, index: 2, got }.to_string();
        assert_eq!(loss(f64::NAN), "losses of row 1 holds NaN at position 2; losses are finite numbers");
        assert!(loss(-2e100).ends_with("losses are at most 1e100 in size"));
        let weight = |got| Error::Weight { row: 0, index: 0, got }.to_string();
        assert!(weight(f64::INFINITY).ends_with("weights are finite and not negative"));
        assert!(weight(-1.0).ends_with("weights are finite and not negative"));
        assert!(weight(1e16).ends_with("weights are at most 2**53"));
    }
}
