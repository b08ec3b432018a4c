//! Bugs on purpose: a rig that has never caught one proves nothing.
//!
//! In a build with the feature `planted`, `SALUR_PLANT` names the one that is in force; rigs alone make
//! such builds (`make torture plant=all`). Any other build has no bug, no name of one, and does not look
//! at the variable.

#[cfg(all(feature = "planted", not(debug_assertions)))]
compile_error!("planted bugs are for rigs: build them with debug assertions, as scripts/torture.sh does");

macro_rules! bugs {
    ($($(#[doc = $sentence:literal])+ $bug:ident,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $sentence])+ $bug,)+
        }

        #[cfg(feature = "planted")]
        const ALL: &[(&str, Bug)] = &[$((stringify!($bug), Bug::$bug),)+];
    };
}

bugs! {
    /// PostgreSQL's table of needs does not repeat the rule for counters.
    NoCheck,
    /// Needs are read without their locks, and written whatever their version has become.
    CheckBeforeLock,
    /// Every transaction locks its needs in an order of its own.
    UnsortedLocks,
    /// The sweeper takes holds two seconds before their end.
    EarlyExpiry,
    /// What ran out is given back, and the line still counts as held.
    ExpiryForgetsTheLine,
    /// What runs out leaves no entry in the log.
    SilentExpiry,
    /// A claim that the map decides is written on whichever server, whatever was restored there.
    AnyLife,
    /// A claim that the map decides leaves holds on its needs that have run out.
    DueIgnored,
    /// Followers are not told of what has changed.
    UntoldFollowers,
    /// A follower's cursor on PostgreSQL is the last id that it saw.
    CursorOnId,
    /// The caller is answered while COMMIT is on its way.
    AnswerBeforeCommit,
    /// PostgreSQL may lose what it has acknowledged lately.
    LazyCommit,
    /// What a failed transaction has done until then is committed.
    CommitOfTheFailed,
    /// Who loses a race for locks or keys is sent away.
    NoSecondTry,
    /// A key answers whatever is asked with it.
    KeyIgnoresInput,
    /// All organisations share their keys.
    SharedKeys,
    /// A refusal is not kept with its key.
    RefusalForgotten,
    /// A connection to SQLite that is left inside a transaction is used again.
    BrokenConnectionKept,
    /// Everybody who is signed in may do everything.
    NoRoleCheck,
    /// A foreign claim is moved like an own one.
    ForeignClaims,
    /// Versions start again behind the last one.
    VersionsWrap,
    /// Words of people are hashed into the log without their salt.
    UnsaltedWords,
    /// The check of a log takes every signed root for the log's own.
    BlindVerifier,
    /// The check of a log does not look at the tables.
    RowsUnchecked,
    /// A line does not name the one on its need before it.
    LostLine,
    /// Lines that have become rows stay in their claim's row, too.
    BundleLeft,
    /// Errors of the engine repeat what was sent.
    ValuesRepeated,
}

#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(|| {
        let name = std::env::var("SALUR_PLANT").ok()?;
        let known = ALL.iter().find(|(known, _)| *known == name);
        Some(known.unwrap_or_else(|| panic!("there is no bug {name} to plant")).1)
    });
    *CHOSEN == Some(bug)
}

#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}

/// True where this bug shall show itself.
macro_rules! planted {
    ($bug:ident) => {
        crate::planted::is(crate::planted::Bug::$bug)
    };
}
pub(crate) use planted;
