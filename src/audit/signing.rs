//! The signed heads of the log: Ed25519 over a short text that names size, root and moment.
//!
//! What is signed is the UTF-8 text of four lines, each ended by one line feed:
//!
//! ```text
//! salur audit head v1
//! <size, decimal>
//! <root, 64 lower-case hexadecimal digits>
//! <moment, microseconds since 1970-01-01T00:00:00Z, decimal>
//! ```
//!
//! The first line keeps a signature over anything else from being taken for a head's. The
//! signature is written as base64 (standard alphabet, padded) of its 64 bytes. The private
//! key rests in PKCS#8 PEM, the public key in SPKI PEM, as other tools read and write them.

use super::tree::{Hash, to_hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a signature vouches for: these many leaves, counted from the first, hash to this root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    pub root: Hash,
    /// When it was signed, in microseconds since 1970-01-01T00:00:00Z.
    pub at_micros: i64,
}

impl Head {
    /// The text that is signed; the module's documentation gives its form.
    fn signed_text(&self) -> String {
        format!("salur audit head v1\n{}\n{}\n{}\n", self.size, to_hex(&self.root), self.at_micros)
    }
}

/// Why a key cannot be used. No message holds any part of a private key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key file {path}: {source}; check the path and its permissions")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the key file {path}: {source}; check that its directory exists and is writable")]
    Write { path: PathBuf, source: io::Error },
    #[error("{0} does not hold an Ed25519 private key in PKCS#8 PEM; restore the file from a backup")]
    NotPrivate(PathBuf),
    #[error("{0} does not hold an Ed25519 public key in PEM; use the .pub file that lies beside the signing key")]
    NotPublic(PathBuf),
    #[error("the public key {public} is not that of the signing key {private}; put the right one of the two back")]
    Mismatch { private: PathBuf, public: PathBuf },
    #[error("the system gives no random numbers for a new signing key: {0}; repeat the command")]
    Random(getrandom::Error),
    #[error("the new signing key cannot be written as PEM")]
    Encode,
}

/// A signature that is not the key's over the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not the public key's over this head")]
pub struct BadSignature;

/// The log's private key.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Loads the key at `path`, or makes one there where there is none.
    ///
    /// A new key file has mode 0600 and appears whole or not at all; of several callers at
    /// once one makes the key and all return that one. The public key is put beside it as
    /// `<path>.pub` where that is missing; a `.pub` of another key is [`KeyError::Mismatch`].
    pub fn create_or_load(path: &Path) -> Result<Self, KeyError> {
        let key = match Self::load(path) {
            Err(KeyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Self::create(path)?,
            other => other?,
        };
        key.place_public_key(path)?;
        Ok(key)
    }

    /// A key that is kept nowhere, for whoever only reads: what it signs is nobody's log.
    pub fn transient() -> Result<Self, KeyError> {
        let mut secret_key = [0; 32];
        getrandom::fill(&mut secret_key).map_err(KeyError::Random)?;
        Ok(SigningKey(ed25519_dalek::SigningKey::from_bytes(&secret_key)))
    }

    fn load(path: &Path) -> Result<Self, KeyError> {
        let pem = read(path)?;
        ed25519_dalek::SigningKey::from_pkcs8_pem(&pem).map(SigningKey).map_err(|_| KeyError::NotPrivate(path.into()))
    }

    fn create(path: &Path) -> Result<Self, KeyError> {
        let mut secret_key = [0; 32];
        getrandom::fill(&mut secret_key).map_err(KeyError::Random)?;
        // Without the public half this is version 1 of the format, which every tool reads.
        let pem =
            KeypairBytes { secret_key, public_key: None }.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Encode)?;
        place(path, pem.as_bytes(), 0o600)?;
        // Another starter may have been quicker: the file holds the key that counts.
        Self::load(path)
    }

    fn place_public_key(&self, path: &Path) -> Result<(), KeyError> {
        let mut public = path.as_os_str().to_owned();
        public.push(".pub");
        let public = PathBuf::from(public);
        if !public.exists() {
            let pem = self.0.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Encode)?;
            place(&public, pem.as_bytes(), 0o644)?;
        }
        if PublicKey::load(&public)? != self.public_key() {
            return Err(KeyError::Mismatch { private: path.into(), public });
        }
        Ok(())
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature over the head, in base64.
    pub fn sign_head(&self, head: &Head) -> String {
        BASE64.encode(self.0.sign(head.signed_text().as_bytes()).to_bytes())
    }
}

/// The key with which anyone checks the log's heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads an SPKI PEM file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let pem = read(path)?;
        ed25519_dalek::VerifyingKey::from_public_key_pem(&pem)
            .map(PublicKey)
            .map_err(|_| KeyError::NotPublic(path.into()))
    }

    /// Checks a signature as [`SigningKey::sign_head`] writes it; of the several encodings that
    /// lax checks let pass for one signature, only the canonical one is taken.
    pub fn verify_head(&self, head: &Head, signature: &str) -> Result<(), BadSignature> {
        let bytes = BASE64.decode(signature).map_err(|_| BadSignature)?;
        let signature = ed25519_dalek::Signature::from_slice(&bytes).map_err(|_| BadSignature)?;
        self.0.verify_strict(head.signed_text().as_bytes(), &signature).map_err(|_| BadSignature)
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    fs::read_to_string(path).map_err(|source| KeyError::Read { path: path.into(), source })
}

/// Puts a file of this content at `path`, whole or not at all; one that is there already stays.
fn place(path: &Path, content: &[u8], mode: u32) -> Result<(), KeyError> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(KeyError::Random)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}.new", u64::from_le_bytes(suffix)));
    let draft = PathBuf::from(draft);
    // A link, unlike a rename, never replaces what is there.
    let outcome = write_new(&draft, content, mode).and_then(|()| match fs::hard_link(&draft, path) {
        Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    // A draft left behind is not harmful, and its removal failing says less than the outcome does.
    let _ = fs::remove_file(&draft);
    outcome.and_then(|()| sync_directory_of(path)).map_err(|source| KeyError::Write { path: path.into(), source })
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a new name in a directory survive a loss of power; only Unix opens directories so.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::bundle::tests::TempDir;
    use super::super::tree::leaf_hash;
    use super::*;
    use std::sync::Barrier;

    const HEAD: Head = Head { size: 7, root: [0xab; 32], at_micros: 1_606_348_800_000_000 };

    #[test]
    fn the_signed_text_is_the_documented_one() {
        let expected = format!("salur audit head v1\n7\n{}\n1606348800000000\n", "ab".repeat(32));
        assert_eq!(HEAD.signed_text(), expected);
    }

    #[test]
    fn a_key_made_on_the_first_start_is_loaded_on_the_second() {
        let dir = TempDir::new();
        let path = dir.join("audit.key");
        let first = SigningKey::create_or_load(&path).expect("made");
        let before = fs::read(&path).expect("readable");
        let second = SigningKey::create_or_load(&path).expect("loaded");
        assert_eq!(first.public_key(), second.public_key());
        assert_eq!(fs::read(&path).expect("readable"), before);
        assert_eq!(PublicKey::load(&dir.join("audit.key.pub")).expect("beside the key"), first.public_key());
        assert_eq!(fs::read_dir(&*dir).expect("a directory").count(), 2, "no draft is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(!format!("{first:?}").contains(char::is_numeric));
    }

    #[test]
    fn starters_at_the_same_time_agree_on_one_key() {
        for _ in 0..20 {
            let dir = TempDir::new();
            let path = dir.join("audit.key");
            let barrier = Barrier::new(8);
            let keys: Vec<PublicKey> = std::thread::scope(|scope| {
                let start = || {
                    barrier.wait();
                    SigningKey::create_or_load(&path).expect("made or loaded").public_key()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            assert!(keys.iter().all(|key| *key == keys[0]));
        }
    }

    #[test]
    fn a_file_that_is_no_key_and_a_public_key_of_another_are_refused() {
        let dir = TempDir::new();
        let (one, two) = (dir.join("one"), dir.join("two"));
        SigningKey::create_or_load(&one).expect("made");
        SigningKey::create_or_load(&two).expect("made");
        fs::copy(dir.join("two.pub"), dir.join("one.pub")).expect("copied");
        assert!(matches!(SigningKey::create_or_load(&one), Err(KeyError::Mismatch { .. })));
        assert!(matches!(PublicKey::load(&two), Err(KeyError::NotPublic(_))));
        let empty = dir.join("empty");
        fs::write(&empty, "").expect("written");
        assert!(matches!(SigningKey::create_or_load(&empty), Err(KeyError::NotPrivate(_))));
        assert_eq!(fs::read(&empty).expect("readable"), b"", "a broken key file is never overwritten");
        assert!(matches!(SigningKey::create_or_load(&dir.join("no/such")), Err(KeyError::Write { .. })));
    }

    #[test]
    fn a_signature_holds_for_its_own_head_and_key_only() {
        let dir = TempDir::new();
        let key = SigningKey::create_or_load(&dir.join("key")).expect("made");
        let other = SigningKey::create_or_load(&dir.join("other")).expect("made");
        let signature = key.sign_head(&HEAD);
        let public = key.public_key();
        assert_eq!(public.verify_head(&HEAD, &signature), Ok(()));
        for head in [
            Head { size: 8, ..HEAD },
            Head { root: leaf_hash(b"x"), ..HEAD },
            Head { at_micros: HEAD.at_micros + 1, ..HEAD },
        ] {
            assert_eq!(public.verify_head(&head, &signature), Err(BadSignature));
        }
        assert_eq!(other.public_key().verify_head(&HEAD, &signature), Err(BadSignature));
        for wrong in ["", "!", &signature[1..], &format!("{signature}\n"), &signature.replace('=', "")] {
            assert_eq!(public.verify_head(&HEAD, wrong), Err(BadSignature), "{wrong}");
        }
    }
}
