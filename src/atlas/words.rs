//! Names, each kept once: of a million RT most are called like thousands of others.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Texts by number, in the order in which they were first met.
#[derive(Debug, Default)]
pub(super) struct Words {
    text: String,
    ends: Vec<usize>,
    /// Numbers of the words with a digest: the words themselves are in `text`.
    numbers: HashMap<u64, Vec<u32>>,
    digests: RandomState,
}

impl Words {
    /// The number of the word, which is taken in where it is new.
    pub fn number(&mut self, word: &str) -> u32 {
        let digest = self.digests.hash_one(word);
        let known = self.numbers.get(&digest).and_then(|alike| alike.iter().find(|n| self.word(**n) == word));
        if let Some(number) = known {
            return *number;
        }
        let number = self.ends.len() as u32;
        self.text.push_str(word);
        self.ends.push(self.text.len());
        self.numbers.entry(digest).or_default().push(number);
        number
    }

    pub fn word(&self, number: u32) -> &str {
        let at = number as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }

    /// All words by number.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.word(number))
    }

    /// No more are taken in: what only finds known ones is given up.
    pub fn close(&mut self) {
        self.numbers = HashMap::new();
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_number_and_comes_back_whole() {
        let mut words = Words::default();
        let given = ["RT 001", "", "Gambir", "RT 001", "", "Café", "RT 002"];
        let numbers = given.map(|word| words.number(word));
        assert_eq!(numbers, [0, 1, 2, 0, 1, 3, 4]);
        words.close();
        assert!(given.iter().zip(numbers).all(|(word, number)| words.word(number) == *word));
        assert_eq!(words.all().count(), 5);
    }
}
