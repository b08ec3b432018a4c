//! How far a map has been read, for whoever waits for it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Counts by the ids of what was read: the last one there is stands for how many there are.
#[derive(Debug, Default)]
pub(super) struct Loading {
    under_way: AtomicBool,
    areas: AtomicI64,
    of_areas: AtomicI64,
    needs: AtomicI64,
    of_needs: AtomicI64,
}

/// Parts of a hundred that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    pub areas: u8,
    pub needs: u8,
}

impl Loading {
    /// Nobody knows yet how much there is.
    pub fn starts(&self) {
        self.is_over();
        self.under_way.store(true, Ordering::Relaxed);
    }

    pub fn begins(&self, areas: i64, needs: i64) {
        self.starts();
        self.of_areas.store(areas, Ordering::Relaxed);
        self.of_needs.store(needs, Ordering::Relaxed);
    }

    pub fn has_read_areas(&self, last: i64) {
        self.areas.store(last, Ordering::Relaxed);
    }

    pub fn has_read_needs(&self, last: i64) {
        // Needs come after all areas.
        self.areas.store(self.of_areas.load(Ordering::Relaxed), Ordering::Relaxed);
        self.needs.store(last, Ordering::Relaxed);
    }

    pub fn is_over(&self) {
        self.under_way.store(false, Ordering::Relaxed);
        for number in [&self.areas, &self.of_areas, &self.needs, &self.of_needs] {
            number.store(0, Ordering::Relaxed);
        }
    }

    pub fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed)
    }

    pub fn stage(&self) -> Stage {
        let part = |done: &AtomicI64, of: &AtomicI64| {
            let (done, of) = (done.load(Ordering::Relaxed).max(0), of.load(Ordering::Relaxed));
            if of <= 0 { 0 } else { (i128::from(done) * 100 / i128::from(of)).clamp(0, 100) as u8 }
        };
        Stage { areas: part(&self.areas, &self.of_areas), needs: part(&self.needs, &self.of_needs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_told_in_parts_of_a_hundred() {
        let loading = Loading::default();
        assert_eq!(loading.stage(), Stage { areas: 0, needs: 0 });
        assert!(!loading.is_under_way());
        loading.begins(200, 1_000);
        loading.has_read_areas(50);
        assert_eq!(loading.stage(), Stage { areas: 25, needs: 0 });
        loading.has_read_needs(999);
        assert_eq!(loading.stage(), Stage { areas: 100, needs: 99 });
        loading.has_read_needs(2_000);
        assert_eq!(loading.stage(), Stage { areas: 100, needs: 100 });
        loading.begins(0, 0);
        assert_eq!(loading.stage(), Stage { areas: 0, needs: 0 });
    }
}
