//! How much may wait for the store at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of places, each taken by what waits until that is dropped: answered, given up or never
/// sent. The count belongs to the places taken, so that no way out of the loader can miss it.
#[derive(Debug)]
pub(super) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One place that is taken.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
        }
    }

    /// So many places, or none where there are not so many.
    pub(super) fn take(&self, places: usize) -> Option<Vec<Place>> {
        let room = |taken: usize| taken.checked_add(places).filter(|sum| *sum <= self.most);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .ok()?;
        let place = || Place(Arc::clone(&self.taken));
        Some(std::iter::repeat_with(place).take(places).collect())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_all_taken_or_none_and_come_back_one_by_one() {
        let places = Places::new(3);
        let mut two = places.take(2).unwrap();
        assert!(places.take(2).is_none());
        assert!(places.take(usize::MAX).is_none());
        let last = places.take(1).unwrap();
        assert!(places.take(1).is_none());
        two.pop();
        assert!(places.take(2).is_none());
        drop(last);
        assert_eq!(places.take(2).unwrap().len(), 2);
    }
}
