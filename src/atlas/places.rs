//! Where the record with an id stands. A database gives ids one after another, so a table finds them without
//! searching and in four bytes; ids far from all others, as after a restore, are kept apart.

use std::collections::HashMap;

/// Places by id.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The id that the table begins with.
    first: i64,
    table: Vec<u32>,
    count: usize,
    apart: HashMap<i64, u32>,
}

const EMPTY: u32 = u32::MAX;

/// The table is at most so much longer than there are ids in it, and then some.
const SPREAD: usize = 4;
const SLACK: usize = 1_024;

impl Places {
    pub fn get(&self, id: i64) -> Option<u32> {
        let at = id.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let found = at.and_then(|at| self.table.get(at)).copied().filter(|place| *place != EMPTY);
        found.or_else(|| if self.apart.is_empty() { None } else { self.apart.get(&id).copied() })
    }

    /// Answers the place that the id had before.
    pub fn put(&mut self, id: i64, place: u32) -> Option<u32> {
        if let Some(before) = self.apart.get_mut(&id) {
            return Some(std::mem::replace(before, place));
        }
        if self.table.is_empty() {
            self.first = id;
        }
        let most = self.count.saturating_mul(SPREAD).saturating_add(SLACK);
        let at = id.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()).filter(|at| *at < most);
        let at = at.or_else(|| self.grow_down(id, most));
        let Some(at) = at else { return self.apart.insert(id, place) };
        if self.table.len() <= at {
            self.table.resize(at + 1, EMPTY);
        }
        let before = std::mem::replace(&mut self.table[at], place);
        self.count += usize::from(before == EMPTY);
        Some(before).filter(|before| *before != EMPTY)
    }

    /// Moves the table's beginning to a smaller id that lies near, leaving room for more that do.
    fn grow_down(&mut self, id: i64, most: usize) -> Option<usize> {
        let missing = usize::try_from(self.first.checked_sub(id)?).ok().filter(|missing| *missing > 0)?;
        if self.table.len() + missing > most {
            return None;
        }
        let room = (missing + self.count).min(most - self.table.len());
        let first = self.first.checked_sub(i64::try_from(room).ok()?)?;
        self.table.splice(0..0, std::iter::repeat_n(EMPTY, room));
        self.first = first;
        usize::try_from(id - first).ok()
    }

    /// Places by ascending id.
    pub fn in_order(&self) -> impl Iterator<Item = u32> {
        let mut apart: Vec<(i64, u32)> = self.apart.iter().map(|(id, place)| (*id, *place)).collect();
        apart.sort_unstable();
        let mut apart = apart.into_iter().peekable();
        let first = self.first;
        let mut table = self
            .table
            .iter()
            .enumerate()
            .filter(|(_, place)| **place != EMPTY)
            .map(move |(at, place)| (first.saturating_add(i64::try_from(at).unwrap_or(i64::MAX)), *place));
        let mut next = table.next();
        std::iter::from_fn(move || {
            let earlier = apart.next_if(|(id, _)| next.is_none_or(|(other, _)| *id < other));
            if let Some((_, place)) = earlier {
                return Some(place);
            }
            let (_, place) = next?;
            next = table.next();
            Some(place)
        })
    }

    pub fn shrink_to_fit(&mut self) {
        self.table.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::plain::Random;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn ids_are_found_wherever_they_lie_and_come_in_their_order() {
        let mut random = Random::seeded(41);
        for _ in 0..200 {
            let (mut places, mut plain) = (Places::default(), BTreeMap::new());
            let base = *random.pick(&[0, 1, -7, i64::MAX - 3_000, i64::MIN + 5, 1 << 40]);
            for place in 0..1 + random.below(3_000) as u32 {
                let id = match random.below(20) {
                    0 => *random.pick(&[i64::MAX, i64::MIN, 0, 1 << 60]),
                    1..4 => base.saturating_add(random.below(20_000) as i64),
                    _ => base.saturating_add(random.below(3_000) as i64),
                };
                assert_eq!(places.put(id, place), plain.insert(id, place), "{id}");
            }
            assert!(plain.iter().all(|(id, place)| places.get(*id) == Some(*place)));
            assert_eq!(places.in_order().collect::<Vec<_>>(), plain.values().copied().collect::<Vec<_>>());
            let other = base.saturating_add(50_000);
            assert_eq!(places.get(other), plain.get(&other).copied());
        }
    }
}
