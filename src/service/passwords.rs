//! Passwords: how strong one must be, and how it is kept.
//!
//! argon2id with 19 MiB and two passes. Few are computed at a time, so that many who sign in at once
//! cost time and not the machine. A password that was kept with other settings is kept anew when its
//! owner signs in.

use super::ServiceError;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::LazyLock;
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

/// Characters.
const SHORTEST: usize = 10;
const LONGEST: usize = 200;
/// What is judged of a long one: the judge takes time that grows with the square.
const JUDGED: usize = 64;

/// Computed at the same time.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What an unknown account is checked against, so that it takes as long as a known one.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody's password").ok());

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

/// Refuses what is soon guessed. `known`: words that a guesser would try first.
pub(super) fn check_strength(password: &str, known: &[&str]) -> Result<(), ServiceError> {
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err(ServiceError::bad("password", format!("must have {SHORTEST} to {LONGEST} characters")));
    }
    let judged: String = password.chars().take(JUDGED).collect();
    // Words as they stand, what stands around an @, and what stands between all else.
    let mut words = vec!["salur"];
    words.extend(known);
    words.extend(known.iter().flat_map(|text| text.split('@')));
    words.extend(known.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).filter(|w| w.len() > 2));
    if zxcvbn(&judged, &words).score() < Score::Three {
        return Err(ServiceError::bad(
            "password",
            "is guessed too soon; take four or more words that do not belong together",
        ));
    }
    Ok(())
}

fn hash(password: &str) -> Result<String, ServiceError> {
    let salt: [u8; 16] = crate::random::bytes().ok_or_else(|| ServiceError::fault("no random numbers to be had"))?;
    let hashed: Result<PasswordHash, _> = argon2().hash_password_with_salt(password.as_bytes(), &salt);
    hashed.map(|text| text.to_string()).map_err(|e| ServiceError::fault(format!("a password cannot be kept: {e}")))
}

/// What is kept of a password.
pub(super) async fn keep(password: String) -> Result<String, ServiceError> {
    aside(move || hash(&password)).await?
}

/// What came of a check.
pub(super) struct Checked {
    pub right: bool,
    /// Kept with other settings than today's, and so anew.
    pub rehashed: Option<String>,
}

/// Whether this is the password that was kept; where none was, takes as long and says no.
pub(super) async fn check(password: String, kept: Option<String>) -> Result<Checked, ServiceError> {
    aside(move || {
        let against = kept.as_deref().or(NOBODY.as_deref()).unwrap_or_default();
        let Ok(parsed) = PasswordHash::new(against) else {
            return Err(ServiceError::fault("a kept password cannot be read"));
        };
        let right = argon2().verify_password(password.as_bytes(), &parsed).is_ok() && kept.is_some();
        let params = Params::try_from(&parsed).ok();
        let outdated = params.is_none_or(|p| {
            (p.m_cost(), p.t_cost(), p.p_cost())
                != (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST)
        });
        let rehashed = if right && outdated { Some(hash(&password)?) } else { None };
        Ok(Checked { right, rehashed })
    })
    .await?
}

/// Computes on a thread that nobody waits on for anything else.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
    let _turn = AT_ONCE.acquire().await.map_err(|e| ServiceError::fault(format!("no turn to be had: {e}")))?;
    tokio::task::spawn_blocking(work).await.map_err(|e| ServiceError::fault(format!("hashing stopped: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_soon_guessed_is_refused() {
        let known = ["dian@donor.example", "Yayasan Beras Makmur"];
        for weak in ["short", "1234567890", "passwordpassword", "donor.example", "makmurmakmur", "salursalur1"] {
            assert!(check_strength(weak, &known).is_err(), "{weak}");
        }
        assert!(check_strength(&"x".repeat(201), &known).is_err());
        assert_eq!(check_strength("kuda baterai staples benar", &known), Ok(()));
    }

    #[tokio::test]
    async fn a_kept_password_is_known_again_and_no_other() {
        let kept = keep("kuda baterai staples benar".into()).await.expect("kept");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !kept.contains("kuda"), "{kept}");
        let checked = |password: &str, kept: Option<&str>| check(password.to_owned(), kept.map(str::to_owned));
        let right = checked("kuda baterai staples benar", Some(&kept)).await.expect("checked");
        assert!(right.right && right.rehashed.is_none());
        assert!(!checked("kuda baterai staples salah", Some(&kept)).await.expect("checked").right);
        assert!(
            !checked("nobody's password", None).await.expect("checked").right,
            "an unknown account opens to nobody"
        );
    }

    #[tokio::test]
    async fn a_password_that_was_kept_with_less_is_kept_anew() {
        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8 * 1024, 1, 1, None).expect("settings"));
        let old: PasswordHash = weak.hash_password_with_salt(b"kuda baterai", &[7; 16]).expect("hashed");
        let checked = check("kuda baterai".into(), Some(old.to_string())).await.expect("checked");
        let anew = checked.rehashed.expect("kept anew");
        assert!(checked.right && anew.contains("m=19456"));
        assert!(check("kuda baterai".into(), Some(anew)).await.expect("checked").right);
    }
}
