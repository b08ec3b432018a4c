//! How long somebody who has signed in stays so, and when their token is changed for a new one.
//!
//! A token is changed on the way, so that one that was copied is soon of no use. The browser may never
//! get the new one: a phone loses its signal. So the old token stays good until the new one was used,
//! and a little longer for requests that were under way; one that comes back after that is a copy, and
//! the session ends for whoever holds it.

use super::actor::Role;
use super::calendar::Moment;

/// In seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Without a request.
    pub idle: i64,
    /// Whatever happens.
    pub absolute: i64,
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Whoever can undo others' work signs in every day; a neighbourhood's phone stays signed in.
pub fn limits(roles: &[Role]) -> Limits {
    if roles.iter().any(|role| matches!(role, Role::Admin | Role::Auditor)) {
        Limits { idle: 2 * HOUR, absolute: 12 * HOUR }
    } else {
        Limits { idle: 14 * DAY, absolute: 60 * DAY }
    }
}

/// A token is changed for a new one after so many seconds.
pub const ROTATE_AFTER: i64 = 15 * 60;
/// Requests that were under way when the new token was first used may still bring the old one.
pub const OVERLAP: i64 = 60;
/// That somebody is there is written down at most this often.
pub const SEEN_EVERY: i64 = 60;

/// A session as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    pub rotated_at: Moment,
    pub seen_at: Moment,
    pub ends_at: Moment,
    /// Until when the token before is good; `None`: until the present one was used.
    pub previous_until: Option<Moment>,
    pub limits: Limits,
}

/// Which of a session's tokens was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Present,
    Previous,
}

/// What to do with a request that shows a session's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Serve it, and write down what there is to write.
    Serve {
        rotate: bool,
        /// The present token was used for the first time: the one before has its time set.
        confirm: bool,
        seen: bool,
    },
    /// The session is over.
    Over,
    /// The token was given up long ago: somebody has a copy.
    Copied,
}

pub fn judge(kept: &Kept, shown: Shown, has_previous: bool, now: Moment) -> Verdict {
    if now >= kept.ends_at || now >= kept.seen_at.plus_seconds(kept.limits.idle) {
        return Verdict::Over;
    }
    let seen = now >= kept.seen_at.plus_seconds(SEEN_EVERY);
    match shown {
        Shown::Present => {
            let confirm = has_previous && kept.previous_until.is_none();
            Verdict::Serve { rotate: now >= kept.rotated_at.plus_seconds(ROTATE_AFTER), confirm, seen }
        }
        Shown::Previous if kept.previous_until.is_some_and(|until| now >= until) => Verdict::Copied,
        // The new token was sent and not used: lost, unless its answer is still on the way.
        Shown::Previous => {
            let lost = kept.previous_until.is_none() && now >= kept.rotated_at.plus_seconds(OVERLAP);
            Verdict::Serve { rotate: lost, confirm: false, seen }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment(1_000_000_000_000_000);

    fn kept(previous_until: Option<Moment>) -> Kept {
        let limits = limits(&[Role::Donor]);
        Kept { rotated_at: AT, seen_at: AT, ends_at: AT.plus_seconds(limits.absolute), previous_until, limits }
    }

    fn serve(rotate: bool, confirm: bool, seen: bool) -> Verdict {
        Verdict::Serve { rotate, confirm, seen }
    }

    #[test]
    fn a_session_ends_when_nobody_comes_and_in_the_end_whoever_comes() {
        let mut kept = kept(None);
        let Limits { idle, absolute } = kept.limits;
        let verdict = |kept: &Kept, after| judge(kept, Shown::Present, false, AT.plus_seconds(after));
        assert_eq!(verdict(&kept, idle - 1), serve(true, false, true));
        assert_eq!(verdict(&kept, idle), Verdict::Over);
        kept.seen_at = AT.plus_seconds(absolute - 1);
        assert_eq!(verdict(&kept, absolute - 1), serve(true, false, false));
        assert_eq!(verdict(&kept, absolute), Verdict::Over);
        assert!(limits(&[Role::Donor, Role::Admin]).idle < idle, "who can do much signs in more often");
    }

    #[test]
    fn a_token_is_changed_after_its_time_and_the_old_one_is_good_until_the_new_one_was_used() {
        let at = |after| AT.plus_seconds(after);
        let unused = kept(None);
        assert_eq!(judge(&unused, Shown::Present, false, at(ROTATE_AFTER - 1)), serve(false, false, true));
        assert_eq!(judge(&unused, Shown::Present, false, at(ROTATE_AFTER)), serve(true, false, true));
        // The new one was sent at AT. Others who still hold the old one are not each given another.
        assert_eq!(judge(&unused, Shown::Previous, true, at(OVERLAP - 1)), serve(false, false, false));
        assert_eq!(judge(&unused, Shown::Previous, true, at(OVERLAP)), serve(true, false, true));
        assert_eq!(judge(&unused, Shown::Present, true, at(1)), serve(false, true, false));
        let used = kept(Some(at(OVERLAP)));
        assert_eq!(judge(&used, Shown::Previous, true, at(OVERLAP - 1)), serve(false, false, false));
        assert_eq!(judge(&used, Shown::Previous, true, at(OVERLAP)), Verdict::Copied);
    }
}
