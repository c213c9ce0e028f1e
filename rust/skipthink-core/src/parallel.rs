//! Threads over rows: a private pool, rebuilt after a fork, and results that do not depend on it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

use crate::error::{Error, Result};
use crate::interrupt;

/// Environment variable that sets the default number of threads.
pub const THREADS_VARIABLE: &str = "SKIPTHINK_NUM_THREADS";

/// Most threads that may be asked for: more are a slip of the pen, and no machine gives them.
const MOST_THREADS: usize = 4096;

/// Rows below which a second thread costs more than it brings.
pub const ROWS_A_BLOCK: usize = 64;

type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;
static POOLS: Mutex<Option<Pools>> = Mutex::new(None);

thread_local! {
    static HELD: RefCell<Option<MutexGuard<'static, Option<Pools>>>> = const { RefCell::new(None) };
}

/// Number of threads to use: what is asked for, else the environment, else all cores.
///
/// # Errors
/// `Error::Threads` when 0 or too many are asked for, `Error::ThreadsVariable` when the environment holds no such number.
pub fn resolve_threads(asked: Option<usize>) -> Result<usize> {
    let allowed = 1..=MOST_THREADS;
    match asked {
        Some(threads) if allowed.contains(&threads) => Ok(threads),
        Some(threads) => Err(Error::Threads(threads)),
        None => match std::env::var(THREADS_VARIABLE) {
            Ok(text) => match text.trim().parse() {
                Ok(threads) if allowed.contains(&threads) => Ok(threads),
                _ => Err(Error::ThreadsVariable { name: THREADS_VARIABLE, got: text }),
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
    let blocks = blocks(n_rows, threads, ROWS_A_BLOCK, usize::MAX);
    run_parts(blocks, threads, || (), |(), rows| work(rows))
}

/// Cuts rows into blocks: enough of them to keep several threads busy, none shorter than `least` or longer than `most`.
pub fn blocks(n_rows: usize, threads: usize, least: usize, most: usize) -> Vec<Range<usize>> {
    let wanted = if threads == 1 { 1 } else { threads * 8 };
    let block = n_rows.div_ceil(wanted).max(least).min(most);
    (0..n_rows).step_by(block).map(|start| start..(start + block).min(n_rows)).collect()
}

/// Applies `work` to parts of a task, each thread with work space of its own; results in the order of the parts.
///
/// # Errors
/// The error of the first part that failed; `Error::Interrupted` when the caller is asked to stop meanwhile.
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
    let mut results: Vec<Option<Result<T>>> = parts.iter().map(|_| None).collect();
    let (n_workers, queue) = (threads.min(parts.len()), Mutex::new(parts.into_iter().enumerate()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = |sender: Sender<(usize, Result<T>)>| {
        let _listening = interrupt::listen(&stop);
        let mut space = space();
        while let Some((index, part)) = next() {
            let result = interrupt::check(0).and_then(|()| work(&mut space, part));
            // the receiver waits until every sender is dropped
            let _ = sender.send((index, result));
        }
    };
    // this thread stays outside the pool: it is the one that can be asked whether to stop
    pool(threads)?.in_place_scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for sender in vec![sender; n_workers] {
            scope.spawn(|_| worker(sender));
        }
        interrupt::wait(&receiver, &stop, |(index, result)| results[index] = Some(result))
    })?;
    // a worker that panicked left its part undone, but then the scope has passed its panic on
    results.into_iter().flatten().collect()
}

/// The pool of this process. A forked child finds none under its own id: it leaks the threadless copy of its
/// parent's pools and builds its own.
///
/// # Errors
/// `Error::ThreadsRefused` when the operating system gives no more threads.
fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    let mut pools = lock();
    let key = (std::process::id(), threads);
    let pools = pools.get_or_insert_with(HashMap::new);
    if pools.keys().any(|(process, _)| *process != key.0) {
        std::mem::forget(std::mem::take(pools));
    }
    if let Some(pool) = pools.get(&key) {
        return Ok(Arc::clone(pool));
    }
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let refused = |error: rayon::ThreadPoolBuildError| Error::ThreadsRefused {
        got: threads,
        reason: error.to_string(),
    };
    let pool = builder.thread_name(|index| format!("skipthink-{index}")).build().map_err(refused)?;
    Ok(Arc::clone(pools.entry(key).or_insert(Arc::new(pool))))
}

fn lock() -> MutexGuard<'static, Option<Pools>> {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// To be called before a fork, on the thread that forks: waits for pools in the making. A child has that thread
/// alone, so a lock that another one holds would never be let go there.
pub fn before_fork() {
    HELD.set(Some(lock()));
}

/// To be called after a fork, in parent and child.
pub fn after_fork() {
    HELD.set(None);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

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
                Some(row) => Err(Error::NegativeSteps { row, got: -1 }),
                None => Ok(()),
            }
        };
        for threads in [1, 3] {
            assert_eq!(map_blocks(1000, threads, failing), Err(Error::NegativeSteps { row: 300, got: -1 }));
        }
    }

    #[test]
    fn zero_threads_are_refused() {
        assert!(resolve_threads(Some(0)).is_err());
        assert!(resolve_threads(Some(usize::MAX)).is_err());
        assert_eq!(resolve_threads(Some(3)), Ok(3));
    }

    #[test]
    fn work_is_interrupted_for_every_thread_count() {
        for threads in [1, 2, 5] {
            interrupt::tests::stop_after(Some(Duration::from_millis(30)));
            let start = Instant::now();
            let endless = |_rows: Range<usize>| -> Result<()> {
                loop {
                    interrupt::check(1000)?;
                }
            };
            assert_eq!(map_blocks(1000, threads, endless), Err(Error::Interrupted));
            assert!(start.elapsed() < Duration::from_secs(2));
            interrupt::tests::stop_after(None);
            assert_eq!(map_blocks(1000, threads, |rows| Ok(rows.len())).unwrap().iter().sum::<usize>(), 1000);
        }
    }

    #[test]
    #[should_panic(expected = "a defect")]
    fn a_panic_comes_out_and_nothing_hangs() {
        let failing = |rows: Range<usize>| -> Result<()> {
            assert!(rows.start == 0, "a defect");
            Ok(())
        };
        let _ = map_blocks(1000, 3, failing);
    }
}
