//! Threads over rows: a private pool, rebuilt after a fork, and results that do not depend on it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Environment variable that sets the default number of threads.
pub const THREADS_VARIABLE: &str = "SKIPTHINK_NUM_THREADS";

/// Rows below which a second thread costs more than it brings.
const ROWS_A_BLOCK: usize = 64;

type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;
static POOLS: Mutex<Option<Pools>> = Mutex::new(None);

/// Number of threads to use: what is asked for, else the environment, else all cores.
///
/// # Errors
/// `Error::Option` when 0 is asked for or the environment holds no positive number.
pub fn resolve_threads(asked: Option<usize>) -> Result<usize> {
    let wrong = |name, got| Err(Error::Option { name, expected: "a whole number of at least 1", got });
    match asked {
        Some(0) => wrong("num_threads", "0".into()),
        Some(threads) => Ok(threads),
        None => match std::env::var(THREADS_VARIABLE) {
            Ok(text) => match text.trim().parse() {
                Ok(threads) if threads > 0 => Ok(threads),
                _ => wrong(THREADS_VARIABLE, format!("{text:?}")),
            },
            Err(_) => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        },
    }
}

/// Applies `work` to blocks of rows; the results come back in row order, whatever the number of threads.
///
/// # Errors
/// The error of the first block that failed, so that it is the same for every number of threads.
pub fn map_blocks<T: Send>(
    n_rows: usize,
    threads: usize,
    work: impl Fn(Range<usize>) -> Result<T> + Sync + Send,
) -> Result<Vec<T>> {
    let blocks = blocks(n_rows, threads, usize::MAX);
    run_parts(blocks, threads, || (), |(), rows| work(rows))
}

/// Cuts rows into blocks: enough of them to keep all threads busy, none longer than `most`.
pub fn blocks(n_rows: usize, threads: usize, most: usize) -> Vec<Range<usize>> {
    let block = n_rows.div_ceil(threads * 8).max(ROWS_A_BLOCK).min(most);
    (0..n_rows).step_by(block).map(|start| start..(start + block).min(n_rows)).collect()
}

/// Applies `work` to parts of a task, each thread with work space of its own; results in the order of the parts.
///
/// # Errors
/// The error of the first part that failed.
pub fn run_parts<P: Send, S, T: Send>(
    parts: Vec<P>,
    threads: usize,
    space: impl Fn() -> S + Sync + Send,
    work: impl Fn(&mut S, P) -> Result<T> + Sync + Send,
) -> Result<Vec<T>> {
    if threads == 1 || parts.len() <= 1 {
        let mut space = space();
        return parts.into_iter().map(|part| work(&mut space, part)).collect();
    }
    let results: Vec<Result<T>> =
        pool(threads).install(|| parts.into_par_iter().map_init(space, work).collect());
    results.into_iter().collect()
}

/// Does `work` on each item, in any order.
pub fn for_each<T: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) + Sync + Send) {
    if threads == 1 || items.len() <= 1 {
        items.into_iter().for_each(work);
    } else {
        pool(threads).install(|| items.into_par_iter().for_each(work));
    }
}

/// The pool of this process. A forked child finds none under its own id: it leaks the threadless copy of its
/// parent's pools and builds its own.
fn pool(threads: usize) -> Arc<ThreadPool> {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (std::process::id(), threads);
    let pools = pools.get_or_insert_with(HashMap::new);
    if pools.keys().any(|(process, _)| *process != key.0) {
        std::mem::forget(std::mem::take(pools));
    }
    Arc::clone(pools.entry(key).or_insert_with(|| {
        let built = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("skipthink-{index}"))
            .build();
        Arc::new(built.expect("the operating system gives threads"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_row_order_for_every_thread_count() {
        for threads in [1, 2, 5] {
            let blocks = map_blocks(1000, threads, |rows| Ok(rows.collect::<Vec<_>>())).unwrap();
            assert_eq!(blocks.concat(), (0..1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_wins() {
        let failing = |rows: Range<usize>| -> Result<()> {
            match rows.clone().find(|row| *row >= 300) {
                Some(row) => Err(Error::NoStep { row }),
                None => Ok(()),
            }
        };
        for threads in [1, 3] {
            assert_eq!(map_blocks(1000, threads, failing), Err(Error::NoStep { row: 300 }));
        }
    }

    #[test]
    fn zero_threads_are_refused() {
        assert!(resolve_threads(Some(0)).is_err());
        assert_eq!(resolve_threads(Some(3)), Ok(3));
    }
}
