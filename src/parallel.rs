//! Runs many jobs at once, with results in the order of the jobs, and says when the system has no thread left.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;

use crate::error::{describe, Error, ErrorKind, Result};

/// Calls `work` for each job with up to `threads` threads. Returns the first error in the order of the jobs; jobs not
/// begun by then are left out.
pub(crate) fn map<J: Sync, T: Send>(
    jobs: &[J],
    threads: NonZeroUsize,
    work: impl Fn(&J) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    if threads.get() == 1 || jobs.len() < 2 {
        return jobs.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    // By job number. The error is kept apart: it is larger than most results, of which there may be many.
    let (results, failure) = (Mutex::new(Vec::with_capacity(jobs.len())), Mutex::new(None));
    let unpoisoned = "no thread panics while holding it";
    let run = || loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = jobs.get(at) else { break };
        match work(job) {
            Ok(result) => results.lock().expect(unpoisoned).push((at, result)),
            Err(error) => {
                next.store(jobs.len(), Ordering::Relaxed);
                let mut failure = failure.lock().expect(unpoisoned);
                if failure.as_ref().map_or(true, |(earlier, _)| at < *earlier) {
                    *failure = Some((at, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        // This thread works too, so that everything is done even if the system has no other thread.
        for _ in 1..threads.get().min(jobs.len()) {
            if thread::Builder::new().spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
    if let Some((_, error)) = failure.into_inner().expect(unpoisoned) {
        return Err(error);
    }
    let mut results = results.into_inner().expect(unpoisoned);
    results.sort_unstable_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// The error for a thread that the system does not start. It travels as an I/O error, and names no file.
pub(crate) fn no_thread(cause: &io::Error) -> io::Error {
    let message = format!("cannot start a thread: {}", describe(cause));
    Error::refused_with_hint(message, "raise the limit on processes (`ulimit -u`)").of_kind(ErrorKind::Io).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_jobs() {
        let jobs: Vec<u64> = (0..100).collect();
        for threads in [1, 2, 8, 200] {
            let threads = NonZeroUsize::new(threads).unwrap();
            assert_eq!(map(&jobs, threads, |job| Ok(job * 2)).unwrap(), (0..200).step_by(2).collect::<Vec<_>>());
            let failed = map(&jobs, threads, |job| if *job == 7 { Err(Error::Interrupted) } else { Ok(*job) });
            assert!(matches!(failed, Err(Error::Interrupted)));
            assert!(map(&[], threads, |job: &u64| Ok(*job)).unwrap().is_empty());
        }
    }
}
