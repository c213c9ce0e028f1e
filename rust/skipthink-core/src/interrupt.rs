//! Stopping long work: while it goes on, the thread that called it asks now and then whether to stop.
//!
//! Work calls [`check`] wherever it can end early, at least every few milliseconds, and says how much it does next.
//! On the calling thread `check` asks by itself; a thread of a pool looks at a flag, which the calling thread raises
//! while it waits in [`wait`].

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long the calling thread goes unasked.
const PATIENCE: Duration = Duration::from_millis(50);
/// Work between two looks at the clock: a look takes some tens of nanoseconds, which is more than a short row does.
const WORK_A_LOOK: usize = 100_000;

/// Whether to stop.
pub type Ask = fn() -> bool;

static ASK: OnceLock<Ask> = OnceLock::new();

thread_local! {
    /// The flag of the work that this thread of a pool does; None on a calling thread.
    static FLAG: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    /// Work since the last look at the clock, and when this calling thread was asked last.
    static ASKED: Cell<(usize, Option<Instant>)> = const { Cell::new((0, None)) };
}

/// Sets what calling threads are asked; only the first one set counts. Without one nothing ever stops.
pub fn set_ask(ask: Ask) {
    ASK.get_or_init(|| ask);
}

/// Ends the work when whoever waits for it wants that. `work` is what is done until the next check, in units of
/// about a nanosecond.
///
/// # Errors
/// `Error::Interrupted`.
#[inline]
pub fn check(work: usize) -> Result<()> {
    let flag = FLAG.with_borrow(|flag| flag.as_ref().map(|flag| flag.load(Ordering::Relaxed)));
    if flag.unwrap_or_else(|| look(work)) { Err(Error::Interrupted) } else { Ok(()) }
}

fn look(work: usize) -> bool {
    let (done, asked) = ASKED.get();
    let done = done.saturating_add(work);
    if done < WORK_A_LOOK {
        ASKED.set((done, asked));
        return false;
    }
    let now = Instant::now();
    let due = asked.is_none_or(|asked| now.duration_since(asked) >= PATIENCE);
    ASKED.set((0, if due { Some(now) } else { asked }));
    due && ask()
}

fn ask() -> bool {
    ASK.get().is_some_and(|ask| ask())
}

/// Makes this thread of a pool listen to a flag until the guard is dropped.
pub fn listen(flag: &Arc<AtomicBool>) -> Listening {
    FLAG.set(Some(Arc::clone(flag)));
    Listening(())
}

/// A thread that listens to a flag.
#[derive(Debug)]
pub struct Listening(());

impl Drop for Listening {
    fn drop(&mut self) {
        FLAG.set(None);
    }
}

/// Takes in on the calling thread what a pool works out, until all its senders are gone, and raises its flag when
/// the answer is to stop.
///
/// # Errors
/// `Error::Interrupted` once the work has ended.
pub fn wait<T>(results: &Receiver<T>, flag: &AtomicBool, mut take: impl FnMut(T)) -> Result<()> {
    let mut asked = Instant::now();
    loop {
        match results.recv_timeout(PATIENCE) {
            Ok(result) => take(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if asked.elapsed() >= PATIENCE && !flag.load(Ordering::Relaxed) {
            asked = Instant::now();
            flag.store(ask(), Ordering::Relaxed);
        }
    }
    if flag.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    thread_local! {
        /// When the calls of this thread are to stop.
        static STOP_AT: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// Makes the calls of this thread stop after a while, or never; other tests go on beside it.
    pub(crate) fn stop_after(time: Option<Duration>) {
        set_ask(|| STOP_AT.get().is_some_and(|at| Instant::now() >= at));
        STOP_AT.set(time.map(|time| Instant::now() + time));
    }

    #[test]
    fn the_calling_thread_is_stopped_in_time() {
        stop_after(Some(Duration::from_millis(20)));
        let start = Instant::now();
        while check(1000).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(5));
        }
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(start.elapsed() < Duration::from_millis(500));
        stop_after(None);
    }

    #[test]
    fn a_thread_of_a_pool_listens_to_its_flag_alone() {
        let flag = Arc::new(AtomicBool::new(false));
        let listening = listen(&flag);
        assert_eq!(check(1), Ok(()));
        flag.store(true, Ordering::Relaxed);
        assert_eq!(check(1), Err(Error::Interrupted));
        drop(listening);
        assert_eq!(check(1), Ok(()));
    }
}
