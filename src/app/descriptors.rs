//! Descriptors of the process: each connection takes one, and some are needed besides.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What is left to everything that is no connection of a caller: the store's, the probes', files.
const BESIDE: u64 = 512;

/// How many connections there can be, of those that are wanted: the process takes as many
/// descriptors as the system lets it, and where these are too few, says so.
pub(super) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::try_from(wanted)
        .unwrap_or(u64::MAX)
        .saturating_add(BESIDE);
    let allowed = match (limit.current, limit.maximum) {
        (Some(current), maximum) if current < needed => {
            let raised = needed.min(maximum.unwrap_or(u64::MAX));
            let new = rustix::process::Rlimit {
                current: Some(raised),
                maximum,
            };
            match setrlimit(Resource::Nofile, new) {
                Ok(()) => raised,
                Err(_) => current,
            }
        }
        (Some(current), _) => current,
        (None, _) => return wanted,
    };
    // Where there are few in all, half of them.
    let left = allowed.saturating_sub(BESIDE).max(allowed / 2);
    let possible = usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            "the process may not have as many open files (RLIMIT_NOFILE) as --max-connections needs: \
             fewer connections are served"
        );
    }
    possible
}
