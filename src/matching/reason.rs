//! Why a plan gives a need what it gives: facts first, sentences from them.

use super::{Candidate, Policy, worth};
use crate::domain::need::Severity;
use crate::domain::quantity::Quantity;

/// The language of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Locale {
    #[default]
    Id,
    En,
}

/// The facts behind one line. `rank` counts the plan's lines from one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    Priority {
        severity: Severity,
        /// What is unmet before the plan.
        unmet: Quantity,
        rank: usize,
    },
    Equity {
        required: Quantity,
        /// What is spoken for before the plan, and with it.
        before: Quantity,
        after: Quantity,
        rank: usize,
    },
    Nearest {
        /// Metres; `None` where it is unknown.
        distance_m: Option<f64>,
        rank: usize,
    },
}

impl Reason {
    pub(super) fn of(candidate: &Candidate<'_>, policy: Policy, given: Quantity, rank: usize) -> Self {
        let unmet = candidate.required.saturating_sub(candidate.allocated);
        match policy {
            Policy::Priority => Reason::Priority { severity: candidate.severity, unmet, rank },
            Policy::Equity => Reason::Equity {
                required: candidate.required,
                before: candidate.allocated,
                after: candidate.required.saturating_sub(unmet.saturating_sub(given)),
                rank,
            },
            Policy::Nearest => Reason::Nearest { distance_m: worth::known(candidate.distance_m), rank },
        }
    }

    /// One sentence for people.
    pub fn sentence(self, locale: Locale) -> String {
        match (self, locale) {
            (Reason::Priority { severity, unmet, rank }, Locale::Id) => format!(
                "Tingkat keparahan {} dari 5, masih kurang {}; urutan ke-{rank} dalam rencana ini.",
                severity.get(),
                grouped(unmet.get(), locale)
            ),
            (Reason::Priority { severity, unmet, rank }, Locale::En) => format!(
                "Severity {} of 5, {} still unmet; number {rank} in this plan.",
                severity.get(),
                grouped(unmet.get(), locale)
            ),
            (Reason::Equity { required, before, after, .. }, Locale::Id) => format!(
                "Baru terlayani {}, menjadi {} dengan bagian ini; yang paling sedikit terlayani didahulukan.",
                share(before, required, locale),
                share(after, required, locale)
            ),
            (Reason::Equity { required, before, after, .. }, Locale::En) => format!(
                "{} served so far, {} with this share; the least served come first.",
                share(before, required, locale),
                share(after, required, locale)
            ),
            (Reason::Nearest { distance_m: Some(metres), rank }, Locale::Id) => {
                format!("Berjarak {}; urutan ke-{rank} dari yang terdekat.", distance(metres, locale))
            }
            (Reason::Nearest { distance_m: Some(metres), rank }, Locale::En) => {
                format!("{} away; number {rank} from the nearest.", distance(metres, locale))
            }
            (Reason::Nearest { distance_m: None, .. }, Locale::Id) => {
                "Jaraknya tidak diketahui; semua yang jaraknya diketahui didahulukan.".to_string()
            }
            (Reason::Nearest { distance_m: None, .. }, Locale::En) => {
                "Its distance is unknown; all whose distance is known come first.".to_string()
            }
        }
    }
}

fn point(locale: Locale) -> char {
    match locale {
        Locale::Id => ',',
        Locale::En => '.',
    }
}

/// `1200` as `1.200` in Indonesian and `1,200` in English.
fn grouped(number: i64, locale: Locale) -> String {
    let separator = match locale {
        Locale::Id => '.',
        Locale::En => ',',
    };
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// A number of tenths with its tenth, which is left out where it is zero.
fn tenths(number: i64, locale: Locale) -> String {
    match number % 10 {
        0 => grouped(number / 10, locale),
        tenth => format!("{}{}{tenth}", grouped(number / 10, locale), point(locale)),
    }
}

/// A percentage, rounded down: 100 % is said only of what is served in full.
fn share(part: Quantity, whole: Quantity, locale: Locale) -> String {
    let whole = i128::from(whole.get().max(1));
    let tenths_of_percent = i64::try_from(i128::from(part.get()) * 1000 / whole).unwrap_or(i64::MAX);
    let below = if tenths_of_percent == 0 && !part.is_zero() { "<" } else { "" };
    format!("{below}{}%", tenths(tenths_of_percent.max(i64::from(!part.is_zero())), locale))
}

fn distance(metres: f64, locale: Locale) -> String {
    if metres < 999.5 {
        format!("{metres:.0} m")
    } else {
        format!("{} km", tenths((metres / 100.0).round() as i64, locale))
    }
}
