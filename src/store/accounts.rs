//! Accounts: passwords, sessions, links that work once, devices that were there before.
//!
//! What opens a door is stored as a SHA-256 of random bytes; a password as its argon2id text. Letters
//! to people are posted in the transaction that is the reason for them, and leave after it.

use super::audit::{self, Entry};
use super::error::StoreError;
use super::organizations::Application;
use super::people::scopes_of;
use super::rows::IdRow;
use super::write::{Command, Tx, column};
use super::{Author, Store, outbox};
use crate::audit::state;
use crate::domain::actor::{KeyScope, Role, User, Via};
use crate::domain::calendar::Moment;
use crate::domain::ids::{ApiKeyId, OrganizationId, SessionId, UserId};
use crate::domain::message::{Link, Message};
use crate::domain::session::{self, Kept, Shown};
use sea_orm::FromQueryResult;

/// What is stored of something that opens a door.
pub type Digest = [u8; 32];

/// Sessions of one user at most; the one that was idle longest goes.
const MOST_SESSIONS: i64 = 20;

/// Devices of one user that are known at most.
const MOST_DEVICES: i64 = 20;

#[derive(FromQueryResult)]
struct UserRow {
    id: i64,
    email: String,
    organization_id: Option<i64>,
    area_code: Option<String>,
    manager: i64,
    scopes: Option<String>,
}

#[derive(FromQueryResult)]
struct RoleRow {
    role: String,
}

#[derive(FromQueryResult)]
struct SessionRow {
    id: i64,
    user_id: i64,
    label: String,
    created_at: i64,
    rotated_at: i64,
    seen_at: i64,
    ends_at: i64,
    previous_until: Option<i64>,
    has_previous: i64,
    shown: i64,
}

#[derive(FromQueryResult)]
struct ApiKeyRow {
    id: i64,
    prefix: String,
    label: Option<String>,
    scopes: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
}

/// What signing in needs to know of an account.
#[derive(Debug, Clone)]
pub struct Login {
    pub user: UserId,
    /// `None`: this account has no password; it is used with keys, or by single sign-on.
    pub password_hash: Option<String>,
}

/// A session with its user, as one of its tokens finds it.
#[derive(Debug, Clone)]
pub struct FoundSession {
    pub id: SessionId,
    pub user: User,
    pub kept: Kept,
    pub shown: Shown,
    pub has_previous: bool,
    pub now: Moment,
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    pub id: SessionId,
    /// The kind of browser and machine.
    pub label: String,
    pub created_at: Moment,
    pub seen_at: Moment,
    pub ends_at: Moment,
}

/// A key as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// Its first letters: enough to know it by.
    pub prefix: String,
    pub label: Option<String>,
    pub scopes: Vec<KeyScope>,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
}

/// What a link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    SignUp,
    Reset,
    Invitation,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Purpose::SignUp => "SIGN_UP",
            Purpose::Reset => "RESET",
            Purpose::Invitation => "INVITATION",
        }
    }

    /// How long it may lie unopened, in seconds.
    fn lives(self) -> i64 {
        match self {
            Purpose::Reset => 3_600,
            Purpose::SignUp => 3 * 86_400,
            Purpose::Invitation => 7 * 86_400,
        }
    }
}

/// A link that was followed.
pub(super) struct Followed {
    pub email: String,
    pub payload: String,
}

/// Keeps a link's digest, and what is to happen when somebody follows it.
pub(super) async fn keep_link(
    tx: &mut Tx,
    now: Moment,
    purpose: Purpose,
    hash: &Digest,
    email: &str,
    payload: &str,
) -> Result<(), StoreError> {
    let ends = now.plus_seconds(purpose.lives());
    tx.run(
        "INSERT INTO one_time_link (hash, purpose, email, payload, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        [hash.to_vec().into(), purpose.word().into(), email.into(), payload.into(), now.0.into(), ends.0.into()],
    )
    .await
    .map(|_| ())
}

/// Uses a link up. What it carried is forgotten.
pub(super) async fn follow_link(
    tx: &mut Tx,
    now: Moment,
    purpose: Purpose,
    hash: &Digest,
) -> Result<Followed, StoreError> {
    let sql = format!(
        "SELECT email, payload FROM one_time_link WHERE hash = $1 AND purpose = $2 AND used_at IS NULL
         AND expires_at > $3{}",
        tx.dialect.lock()
    );
    let row = tx.one(&sql, [hash.to_vec().into(), purpose.word().into(), now.0.into()]).await?;
    let row =
        row.ok_or_else(|| StoreError::bad("token", "this link has been used or has run out; ask for a new one"))?;
    let payload: Option<String> = column(&row, "payload")?;
    let followed = Followed { email: column(&row, "email")?, payload: payload.unwrap_or_default() };
    tx.run(
        "UPDATE one_time_link SET used_at = $2, payload = NULL WHERE hash = $1",
        [hash.to_vec().into(), now.0.into()],
    )
    .await?;
    Ok(followed)
}

/// A user's next version, with its entry.
pub(super) async fn note_user(
    tx: &mut Tx,
    now: Moment,
    author: Author,
    user: UserId,
    action: &'static str,
    of: crate::audit::State,
) -> Result<(), StoreError> {
    let row = tx.one("UPDATE app_user SET version = version + 1 WHERE id = $1 RETURNING version", [user.0.into()]);
    let row = row.await?.ok_or(StoreError::NotFound("user"))?;
    let entry = Entry::new(action, user.to_string(), column(&row, "version")?, of);
    audit::append(tx, now, author, vec![entry]).await
}

/// Ends all of a user's sessions but one.
async fn end_sessions(tx: &mut Tx, user: UserId, but: Option<SessionId>) -> Result<(), StoreError> {
    let but = but.map_or(0, |session| session.0);
    tx.run("DELETE FROM session WHERE user_id = $1 AND id <> $2", [user.0.into(), but.into()]).await.map(|_| ())
}

/// Whoever comes or goes, the doors that stood open to them are shut.
pub(super) async fn shut_out(tx: &mut Tx, now: Moment, user: UserId) -> Result<(), StoreError> {
    end_sessions(tx, user, None).await?;
    let sql = "UPDATE api_key SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";
    tx.run(sql, [user.0.into(), now.0.into()]).await.map(|_| ())
}

/// Opens a session for a user who has shown who they are.
#[derive(Debug, Clone)]
pub struct StartSession {
    pub user: UserId,
    pub hash: Digest,
    pub label: String,
    /// What this browser will be known by when it comes again.
    pub device: Digest,
    /// The password's text made anew, where it was made with other settings.
    pub rehashed: Option<String>,
}

impl Command for StartSession {
    type Answer = SessionId;

    async fn run(&self, tx: &mut Tx) -> Result<SessionId, StoreError> {
        let now = tx.now().await?;
        let sql = format!("SELECT id FROM app_user WHERE id = $1 AND disabled = 0{}", tx.dialect.lock());
        tx.one(&sql, [self.user.0.into()]).await?.ok_or(StoreError::NotFound("user"))?;
        let roles: Vec<RoleRow> = tx.all("SELECT role FROM user_role WHERE user_id = $1", [self.user.0.into()]).await?;
        let limits = session::limits(&roles_of(roles)?);
        let id = tx
            .insert(
                "INSERT INTO session (user_id, hash, label, created_at, rotated_at, seen_at, ends_at)
                 VALUES ($1, $2, $3, $4, $4, $4, $5) RETURNING id",
                [
                    self.user.0.into(),
                    self.hash.to_vec().into(),
                    self.label.as_str().into(),
                    now.0.into(),
                    now.plus_seconds(limits.absolute).0.into(),
                ],
            )
            .await?;
        tx.run(
            "DELETE FROM session WHERE user_id = $1 AND id NOT IN
             (SELECT id FROM session WHERE user_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)",
            [self.user.0.into(), MOST_SESSIONS.into()],
        )
        .await?;
        tx.run(
            "INSERT INTO known_device (hash, user_id, seen_at) VALUES ($1, $2, $3)
             ON CONFLICT (user_id, hash) DO UPDATE SET seen_at = excluded.seen_at",
            [self.device.to_vec().into(), self.user.0.into(), now.0.into()],
        )
        .await?;
        tx.run(
            "DELETE FROM known_device WHERE user_id = $1 AND hash NOT IN
             (SELECT hash FROM known_device WHERE user_id = $1 ORDER BY seen_at DESC LIMIT $2)",
            [self.user.0.into(), MOST_DEVICES.into()],
        )
        .await?;
        if let Some(text) = &self.rehashed {
            let sql = "UPDATE app_user SET password_hash = $2 WHERE id = $1";
            tx.run(sql, [self.user.0.into(), text.as_str().into()]).await?;
        }
        Ok(SessionId(id))
    }
}

/// Writes down that a session's token was shown, and changes it where it is time. Answers whether the
/// new token is in force: others may have been quicker.
#[derive(Debug, Clone)]
pub struct KeepSession {
    pub id: SessionId,
    /// As it was read: what has been changed meanwhile stays.
    pub rotated_at: Moment,
    pub shown: Shown,
    pub rotate_to: Option<Digest>,
    pub confirm: bool,
}

impl Command for KeepSession {
    type Answer = bool;

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let now = tx.now().await?;
        let (id, read) = (self.id.0, self.rotated_at.0);
        if self.confirm {
            tx.run(
                "UPDATE session SET previous_until = $3 WHERE id = $1 AND rotated_at = $2 AND previous_until IS NULL
                 AND previous_hash IS NOT NULL",
                [id.into(), read.into(), now.plus_seconds(session::OVERLAP).0.into()],
            )
            .await?;
        }
        tx.run("UPDATE session SET seen_at = $2 WHERE id = $1 AND seen_at < $2", [id.into(), now.0.into()]).await?;
        let Some(next) = &self.rotate_to else { return Ok(false) };
        // A token that was sent and never used is forgotten; the one that was shown stays the previous one.
        let previous = if self.shown == Shown::Present { "hash" } else { "previous_hash" };
        let sql = format!(
            "UPDATE session SET previous_hash = {previous}, previous_until = NULL, hash = $3, rotated_at = $4
             WHERE id = $1 AND rotated_at = $2"
        );
        let changed = tx.run(&sql, [id.into(), read.into(), next.to_vec().into(), now.0.into()]).await?;
        Ok(changed == 1)
    }
}

/// Ends a session of the user's, or all but the one.
#[derive(Debug, Clone)]
pub struct EndSessions {
    pub user: UserId,
    /// `None`: all of them.
    pub only: Option<SessionId>,
}

impl Command for EndSessions {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let Some(only) = self.only else { return end_sessions(tx, self.user, None).await };
        let sql = "DELETE FROM session WHERE user_id = $1 AND id = $2";
        match tx.run(sql, [self.user.0.into(), only.0.into()]).await? {
            0 => Err(StoreError::NotFound("session")),
            _ => Ok(()),
        }
    }
}

/// A new password of somebody who knew the old one. All other sessions end.
#[derive(Debug, Clone)]
pub struct SetPassword {
    pub user: UserId,
    pub password_hash: String,
    pub keep: Option<SessionId>,
}

impl Command for SetPassword {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let sql = "UPDATE app_user SET password_hash = $2 WHERE id = $1 AND disabled = 0";
        tx.run(sql, [self.user.0.into(), self.password_hash.as_str().into()]).await?;
        end_sessions(tx, self.user, self.keep).await?;
        note_user(tx, now, Some(self.user), self.user, "user.password", state([])).await
    }
}

/// Posts a link for a new password to whoever has an account of this address; nobody is told whether
/// there is one.
#[derive(Debug, Clone)]
pub struct RequestReset {
    pub email: String,
    pub hash: Digest,
    pub link: Link,
}

impl Command for RequestReset {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let sql = "SELECT id FROM app_user WHERE email = $1 AND disabled = 0";
        if tx.one(sql, [self.email.as_str().into()]).await?.is_none() {
            return Ok(());
        }
        keep_link(tx, now, Purpose::Reset, &self.hash, &self.email, "").await?;
        outbox::post(tx, now, &self.email, &Message::ResetPassword { link: self.link.clone() }).await
    }
}

/// A new password of whoever followed the link. All sessions end.
#[derive(Debug, Clone)]
pub struct ResetPassword {
    pub hash: Digest,
    pub password_hash: String,
}

impl Command for ResetPassword {
    type Answer = UserId;

    async fn run(&self, tx: &mut Tx) -> Result<UserId, StoreError> {
        let now = tx.now().await?;
        let email = follow_link(tx, now, Purpose::Reset, &self.hash).await?.email;
        let sql = "UPDATE app_user SET password_hash = $2 WHERE email = $1 AND disabled = 0 RETURNING id";
        let row = tx.one(sql, [email.as_str().into(), self.password_hash.as_str().into()]).await?;
        let row = row.ok_or_else(|| StoreError::bad("token", "this link's account is closed"))?;
        let user = UserId(column(&row, "id")?);
        end_sessions(tx, user, None).await?;
        note_user(tx, now, Some(user), user, "user.password", state([])).await?;
        Ok(user)
    }
}

/// Takes a key from its user.
#[derive(Debug, Clone)]
pub struct RevokeKey {
    pub user: UserId,
    pub id: ApiKeyId,
}

impl Command for RevokeKey {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let sql = "UPDATE api_key SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL
                   RETURNING prefix";
        let row = tx.one(sql, [self.id.0.into(), self.user.0.into(), now.0.into()]).await?;
        let prefix: String = column(&row.ok_or(StoreError::NotFound("key"))?, "prefix")?;
        let of = state([("prefix", prefix.into())]);
        note_user(tx, now, Some(self.user), self.user, "key.revoke", of).await
    }
}

/// Removes what points at a person. What they did stays in the log under their number.
#[derive(Debug, Clone)]
pub struct EraseAccount {
    pub author: Author,
    pub user: UserId,
}

impl Command for EraseAccount {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        erase(tx, now, self.author, self.user).await
    }
}

async fn erase(tx: &mut Tx, now: Moment, author: Author, user: UserId) -> Result<(), StoreError> {
    let id = user.0;
    let sql = format!("SELECT email FROM app_user WHERE id = $1{}", tx.dialect.lock());
    let row = tx.one(&sql, [id.into()]).await?.ok_or(StoreError::NotFound("user"))?;
    let email: String = column(&row, "email")?;
    shut_out(tx, now, user).await?;
    for sql in [
        "UPDATE api_key SET label = NULL WHERE user_id = $1",
        "DELETE FROM user_role WHERE user_id = $1",
        "DELETE FROM known_device WHERE user_id = $1",
        "DELETE FROM user_identity WHERE user_id = $1",
    ] {
        tx.run(sql, [id.into()]).await?;
    }
    // The address is no address any more, and the account never opens again.
    tx.run(
        "UPDATE app_user SET email = $2, password_hash = NULL, organization_id = NULL, area_code = NULL,
             manager = 0, disabled = 1 WHERE id = $1",
        [id.into(), format!("erased-{id}").into()],
    )
    .await?;
    tx.run("DELETE FROM one_time_link WHERE email = $1", [email.as_str().into()]).await?;
    outbox::forget(tx, &email).await?;
    note_user(tx, now, author, user, "user.erase", state([])).await
}

/// Removes what has served its time: sessions that are over, links that were used or have run out,
/// allowances of the past, browsers that did not come back for a year, and accounts that were shut out
/// a year ago. The log keeps what was done under their number, and verifies.
#[derive(Debug, Clone)]
pub struct ForgetThePast;

/// How long what is over is still there for those who look after a misuse, in seconds.
const KEPT_AFTER: i64 = 7 * 86_400;

impl Command for ForgetThePast {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let long_ago = now.plus_seconds(-KEPT_AFTER);
        for sql in [
            "DELETE FROM session WHERE ends_at < $1",
            "DELETE FROM one_time_link WHERE expires_at < $1",
            "DELETE FROM allowance WHERE ends_at < $1",
            "DELETE FROM api_key WHERE revoked_at < $1 OR expires_at < $1",
        ] {
            tx.run(sql, [long_ago.0.into()]).await?;
        }
        let year_ago = now.plus_seconds(-SHUT_OUT_FOR);
        tx.run("DELETE FROM known_device WHERE seen_at < $1", [year_ago.0.into()]).await?;
        let sql = "SELECT id FROM app_user WHERE disabled = 1 AND disabled_at < $1 AND email LIKE '%@%'
            ORDER BY id LIMIT 100";
        let gone: Vec<IdRow> = tx.all(sql, [year_ago.0.into()]).await?;
        for user in gone {
            erase(tx, now, None, UserId(user.id)).await?;
        }
        Ok(())
    }
}

/// An account that is shut out for so long is erased, in seconds: a year is time to be let in again.
const SHUT_OUT_FOR: i64 = 365 * 86_400;

fn roles_of(rows: Vec<RoleRow>) -> Result<Vec<Role>, StoreError> {
    let known = |row: &RoleRow| Role::from_word(&row.role).ok_or_else(|| StoreError::corrupt("role"));
    let mut roles = rows.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable();
    Ok(roles)
}

impl Store {
    /// The user behind a key that is neither expired nor revoked.
    pub async fn user_by_key(&self, hash: &Digest) -> Result<Option<User>, StoreError> {
        let now = self.now().await?;
        let rows: Vec<UserRow> = self
            .read_all(
                "SELECT u.id, u.email, u.organization_id, u.area_code, u.manager, k.scopes
                 FROM api_key k JOIN app_user u ON u.id = k.user_id
                 WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
                 AND u.disabled = 0",
                [hash.to_vec().into(), now.0.into()],
            )
            .await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let via = Via::Key(scopes_of(row.scopes.as_deref())?);
        self.user_of(row, via).await.map(Some)
    }

    async fn user_of(&self, row: UserRow, via: Via) -> Result<User, StoreError> {
        let roles: Vec<RoleRow> =
            self.read_all("SELECT role FROM user_role WHERE user_id = $1", [row.id.into()]).await?;
        let area = row.area_code.map(|c| c.parse().map_err(|_| StoreError::corrupt("area code"))).transpose()?;
        Ok(User {
            id: UserId(row.id),
            email: row.email,
            roles: roles_of(roles)?,
            organization: row.organization_id.map(OrganizationId),
            area,
            manager: row.manager == 1,
            via,
        })
    }

    /// The session that a token, present or previous, belongs to, with its user, unless they may not come in.
    pub async fn session_by_token(&self, hash: &Digest) -> Result<Option<FoundSession>, StoreError> {
        let rows: Vec<SessionRow> = self
            .read_all(
                "SELECT id, user_id, label, created_at, rotated_at, seen_at, ends_at, previous_until,
                 CAST(CASE WHEN previous_hash IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_previous,
                 CAST(CASE WHEN hash = $1 THEN 1 ELSE 0 END AS BIGINT) AS shown
                 FROM session WHERE hash = $1 OR previous_hash = $1",
                [hash.to_vec().into()],
            )
            .await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let users: Vec<UserRow> = self
            .read_all(
                "SELECT id, email, organization_id, area_code, manager, CAST(NULL AS TEXT) AS scopes FROM app_user
                 WHERE id = $1 AND disabled = 0",
                [row.user_id.into()],
            )
            .await?;
        let Some(user) = users.into_iter().next() else { return Ok(None) };
        let id = SessionId(row.id);
        let user = self.user_of(user, Via::Session(id)).await?;
        let kept = Kept {
            rotated_at: Moment(row.rotated_at),
            seen_at: Moment(row.seen_at),
            ends_at: Moment(row.ends_at),
            previous_until: row.previous_until.map(Moment),
            limits: session::limits(&user.roles),
        };
        let shown = if row.shown == 1 { Shown::Present } else { Shown::Previous };
        Ok(Some(FoundSession { id, user, kept, shown, has_previous: row.has_previous == 1, now: self.now().await? }))
    }

    /// The account of an address, where it may be used.
    pub async fn login(&self, email: &str) -> Result<Option<Login>, StoreError> {
        let sql = "SELECT id, password_hash FROM app_user WHERE email = $1 AND disabled = 0";
        let row = self.read_one(sql, [email.into()]).await?;
        row.map(|row| Ok(Login { user: UserId(column(&row, "id")?), password_hash: column(&row, "password_hash")? }))
            .transpose()
    }

    /// Whether this browser has been the user's before.
    pub async fn knows_device(&self, user: UserId, device: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT seen_at FROM known_device WHERE user_id = $1 AND hash = $2";
        Ok(self.read_one(sql, [user.0.into(), device.to_vec().into()]).await?.is_some())
    }

    /// A user's sessions, the latest in use first.
    pub async fn sessions_of(&self, user: UserId) -> Result<Vec<OpenSession>, StoreError> {
        let rows: Vec<SessionRow> = self
            .read_all(
                "SELECT id, user_id, label, created_at, rotated_at, seen_at, ends_at, previous_until,
                 CAST(0 AS BIGINT) AS has_previous, CAST(1 AS BIGINT) AS shown
                 FROM session WHERE user_id = $1 ORDER BY seen_at DESC, id DESC",
                [user.0.into()],
            )
            .await?;
        let session = |row: SessionRow| OpenSession {
            id: SessionId(row.id),
            label: row.label,
            created_at: Moment(row.created_at),
            seen_at: Moment(row.seen_at),
            ends_at: Moment(row.ends_at),
        };
        Ok(rows.into_iter().map(session).collect())
    }

    /// A user's keys that open something, the latest first.
    pub async fn api_keys_of(&self, user: UserId) -> Result<Vec<ApiKey>, StoreError> {
        let now = self.now().await?;
        let rows: Vec<ApiKeyRow> = self
            .read_all(
                "SELECT id, prefix, label, scopes, created_at, expires_at FROM api_key
                 WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
                 ORDER BY id DESC",
                [user.0.into(), now.0.into()],
            )
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(ApiKey {
                    id: ApiKeyId(row.id),
                    prefix: row.prefix,
                    label: row.label,
                    scopes: scopes_of(row.scopes.as_deref())?,
                    created_at: Moment(row.created_at),
                    expires_at: row.expires_at.map(Moment),
                })
            })
            .collect()
    }
}

/// Posts a link to whoever says that they are of this address. One who has an account already is told
/// so by letter, and nobody else is told anything.
#[derive(Debug, Clone)]
pub struct SignUp {
    pub email: String,
    pub hash: Digest,
    pub link: Link,
    /// Where one who has an account goes instead.
    pub sign_in: Link,
    pub application: Application,
}

impl Command for SignUp {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let known = tx.one("SELECT id FROM app_user WHERE email = $1", [self.email.as_str().into()]).await?;
        if known.is_some() {
            let told = Message::AccountExists { link: self.sign_in.clone() };
            return outbox::post(tx, now, &self.email, &told).await;
        }
        let payload = self.application.to_text()?;
        keep_link(tx, now, Purpose::SignUp, &self.hash, &self.email, &payload).await?;
        outbox::post(tx, now, &self.email, &Message::ConfirmSignUp { link: self.link.clone() }).await
    }
}
