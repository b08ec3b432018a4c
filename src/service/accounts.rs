//! Accounts: signing up, in and out, passwords, sessions and keys.
//!
//! Nobody learns from an answer, or from how long it takes, whether an address has an account.

use super::access::{Operation, authorize};
use super::organizations::sound_document;
use super::visits::{Keepsake, Visit, digest, fresh_secret};
use super::{Code, Service, ServiceError, passwords};
use crate::domain::actor::{Actor, KeyScope, Role, User};
use crate::domain::area::AreaCode;
use crate::domain::ids::{ApiKeyId, SessionId, UserId};
use crate::domain::message::Link;
use crate::domain::organization::{Document, DocumentKind, OrganizationCategory};
use crate::domain::session::limits;
use crate::store::{
    AcceptInvitation, Allowance, ApiKey, Application, ConfirmSignUp, Digest, EndSessions, EraseAccount, IssueKey,
    OpenSession, Refund, RequestReset, ResetPassword, RevokeKey, SetPassword, SignUp, Spend, StartSession,
};
use std::net::IpAddr;

#[derive(Debug, Clone)]
pub struct SignUpRequest {
    pub email: String,
    pub password: String,
    pub organization: String,
    pub category: OrganizationCategory,
    pub aggregator: bool,
    pub documents: Vec<Document>,
    pub home_area: Option<AreaCode>,
}

#[derive(Debug, Clone)]
pub struct KeyRequest {
    pub label: String,
    pub scopes: Vec<KeyScope>,
    pub expires_days: i64,
}

/// Keys live no longer than two years.
const LONGEST_KEY: i64 = 730;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

/// What is counted.
#[derive(Debug, Clone, Copy)]
enum Try {
    /// Of a password, by address.
    SignIn,
    /// Of one account's password, from one address or one known device.
    SignInHere,
    /// Of one account's password, from wherever it is not known.
    SignInAnywhere,
    /// Letters that are asked for, by address.
    Letter,
    /// Letters to one person.
    LetterTo,
    /// Links that are followed, by address.
    Follow,
    /// Ways to and from single sign-on, by address: a whole city hall may have one.
    SignOn,
}

impl Try {
    /// So many, within so many seconds.
    fn bounds(self) -> (i64, i64) {
        match self {
            Try::SignIn => (100, 15 * MINUTE),
            Try::SignInHere => (10, 15 * MINUTE),
            Try::SignInAnywhere => (50, HOUR),
            Try::Letter => (30, HOUR),
            Try::LetterTo => (5, HOUR),
            Try::Follow => (60, HOUR),
            Try::SignOn => (600, 15 * MINUTE),
        }
    }
}

/// An address as it is counted: of IPv6 the part that one household or office has for itself.
pub(super) fn neighbourhood(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".into(),
        Some(IpAddr::V4(v4)) => v4.to_string(),
        Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => v6.segments()[..4].iter().map(|s| format!("{s:x}:")).collect(),
        },
    }
}

fn allowance(of: Try, whom: &str) -> Allowance {
    let (most, seconds) = of.bounds();
    Allowance { bucket: digest(&format!("{of:?}\n{whom}")), most, seconds }
}

/// An address that mail can be sent to, in lower case: one name, one @, one host with a dot.
pub fn email_address(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"@<>,;\"".contains(c))
    };
    let host = |host: &str| host.contains('.') && host.split('.').all(plain);
    let sound = email.split_once('@').is_some_and(|(name, rest)| plain(name) && host(rest)) && email.len() <= 254;
    sound.then_some(email)
}

pub(super) fn email(field: &str, text: &str) -> Result<String, ServiceError> {
    if crate::domain::nik::is_in(text) {
        return Err(ServiceError::bad(field, crate::domain::nik::REFUSAL));
    }
    email_address(text).ok_or_else(|| ServiceError::bad(field, "an e-mail address is written like dian@donor.example"))
}

/// A name or number in one line, of 1 to `most` characters, and no person's.
pub(super) fn line(field: &str, text: &str, most: usize) -> Result<String, ServiceError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(ServiceError::bad(field, format!("must have 1 to {most} characters without line breaks")));
    }
    if crate::domain::nik::is_in(text) {
        return Err(ServiceError::bad(field, crate::domain::nik::REFUSAL));
    }
    Ok(text.to_owned())
}

/// What is kept of a password that a program has made up.
pub async fn kept_password(password: String) -> Result<String, ServiceError> {
    passwords::keep(password).await
}

fn too_often() -> ServiceError {
    ServiceError::new(Code::RateLimited, "tried too often; wait a while, then try again")
}

impl Service {
    async fn spend(&self, takes: Vec<Allowance>) -> Result<Option<Digest>, ServiceError> {
        Ok(self.store().execute(Spend(takes)).await?.map(|(bucket, _)| bucket))
    }

    async fn within(&self, takes: Vec<Allowance>) -> Result<(), ServiceError> {
        match self.spend(takes).await? {
            None => Ok(()),
            Some(_) => Err(too_often()),
        }
    }

    pub(super) async fn may_sign_on(&self, visit: &Visit) -> Result<(), ServiceError> {
        self.within(vec![allowance(Try::SignOn, &neighbourhood(visit.address))]).await
    }

    fn link(&self, page: &str, token: &str) -> Link {
        // Behind the #: a browser sends it to nobody, and no log of a proxy holds it.
        Link(format!("{}/{page}#{token}", self.public_url()))
    }

    /// Signs up: the address is told by letter how to go on, whether it has an account or not.
    pub async fn sign_up(&self, visit: &Visit, request: SignUpRequest) -> Result<(), ServiceError> {
        let email = email("email", &request.email)?;
        let name = line("organization.name", &request.organization, 200)?;
        passwords::check_strength(&request.password, &[&email, &name])?;
        if request.documents.len() > 20 {
            return Err(ServiceError::bad("organization.documents", "must hold at most 20"));
        }
        let sound = |document| sound_document("organization.documents", document);
        let documents = request.documents.into_iter().map(sound).collect::<Result<Vec<_>, _>>()?;
        let permit = |document: &Document| document.kind == DocumentKind::Permit && document.valid_until.is_some();
        if request.aggregator && !documents.iter().any(permit) {
            return Err(ServiceError::bad(
                "organization.documents",
                "who carries out what others give names a PERMIT and the last day it is good on",
            ));
        }
        if request.home_area.as_ref().is_some_and(|code| self.atlas().ground().area(code).is_none()) {
            return Err(ServiceError::bad("organization.homeAreaCode", "there is no area of this code"));
        }
        let letters = [allowance(Try::Letter, &neighbourhood(visit.address)), allowance(Try::LetterTo, &email)];
        self.within(letters.to_vec()).await?;
        let password_hash = passwords::keep(request.password).await?;
        let token = fresh_secret("")?;
        let (category, aggregator, home_area) = (request.category, request.aggregator, request.home_area);
        let application = Application { name, category, aggregator, documents, home_area, password_hash };
        let (hash, link) = (digest(&token), self.link("daftar", &token));
        let sign_in = Link(format!("{}/masuk", self.public_url()));
        Ok(self.store().execute(SignUp { email, hash, link, sign_in, application }).await?)
    }

    /// Follows the link of a sign-up, and signs in.
    pub async fn confirm_sign_up(&self, visit: &Visit, token: &str) -> Result<User, ServiceError> {
        self.within(vec![allowance(Try::Follow, &neighbourhood(visit.address))]).await?;
        let user = self.store().execute(ConfirmSignUp { hash: digest(token) }).await?;
        self.start_session(visit, user, None).await
    }

    /// Follows an invitation, and signs in. A new account needs a password.
    pub async fn accept_invitation(
        &self,
        visit: &Visit,
        token: &str,
        password: Option<String>,
    ) -> Result<User, ServiceError> {
        self.within(vec![allowance(Try::Follow, &neighbourhood(visit.address))]).await?;
        let password_hash = match password {
            None => None,
            Some(password) => {
                passwords::check_strength(&password, &[])?;
                Some(passwords::keep(password).await?)
            }
        };
        let user = self.store().execute(AcceptInvitation { hash: digest(token), password_hash }).await?;
        self.start_session(visit, user, None).await
    }

    /// Signs in. Who guesses is stopped where they guess from: whoever signed in from a device before
    /// may go on from there, however many others try.
    pub async fn sign_in(&self, visit: &Visit, email: &str, password: String) -> Result<User, ServiceError> {
        let email = email_address(email).unwrap_or_default();
        if password.chars().count() > 1_000 {
            return Err(ServiceError::bad("password", "is too long"));
        }
        let login = self.store().login(&email).await?;
        let known = match (&login, &visit.device) {
            (Some(login), Some(device)) if self.store().knows_device(login.user, device).await? => Some(device),
            _ => None,
        };
        let address = neighbourhood(visit.address);
        let here = match known {
            Some(device) => allowance(Try::SignInHere, &format!("{email}\n{device:x?}")),
            None => allowance(Try::SignInHere, &format!("{email}\n{address}")),
        };
        let anywhere = allowance(Try::SignInAnywhere, &email);
        let mut takes = vec![here];
        if known.is_none() {
            takes.extend([anywhere, allowance(Try::SignIn, &address)]);
        }
        if let Some(used_up) = self.spend(takes).await? {
            return Err(match used_up == anywhere.bucket {
                true => ServiceError::new(
                    Code::RateLimited,
                    "tried too often; sign in on a device that you used before, or ask for a new password by letter",
                ),
                false => too_often(),
            });
        }
        let (user, kept) = login.map_or((None, None), |login| (Some(login.user), login.password_hash));
        let checked = passwords::check(password, kept).await?;
        let Some(user) = user.filter(|_| checked.right) else {
            return Err(ServiceError::new(Code::Unauthenticated, "the e-mail address or the password is wrong"));
        };
        self.store().execute(Refund(vec![here.bucket])).await?;
        self.start_session(visit, user, checked.rehashed).await
    }

    /// Opens a session for somebody who has shown who they are, and gives the browser what it needs.
    pub async fn start_session(
        &self,
        visit: &Visit,
        user: UserId,
        rehashed: Option<String>,
    ) -> Result<User, ServiceError> {
        let (token, device) = (fresh_secret("")?, fresh_secret("")?);
        let known = match visit.device {
            Some(kept) if self.store().knows_device(user, &kept).await? => Some(kept),
            _ => None,
        };
        let start = StartSession {
            user,
            hash: digest(&token),
            label: visit.label.clone(),
            device: known.unwrap_or_else(|| digest(&device)),
            rehashed,
        };
        self.store().execute(start).await?;
        let found = self.store().session_by_token(&digest(&token)).await?;
        let user = found.ok_or_else(|| ServiceError::fault("a session just opened is missing"))?.user;
        visit.give(Keepsake::Session { token, seconds: limits(&user.roles).absolute });
        if known.is_none() {
            visit.give(Keepsake::Device(device));
        }
        Ok(user)
    }

    /// Ends the session that this request came with; whoever has none is signed out already.
    pub async fn sign_out(&self, actor: &Actor, visit: &Visit) -> Result<(), ServiceError> {
        if let Some((user, session)) = actor.session() {
            self.end(user.id, Some(session)).await?;
        }
        visit.give(Keepsake::NoSession);
        Ok(())
    }

    async fn end(&self, user: UserId, only: Option<SessionId>) -> Result<(), ServiceError> {
        self.store().execute(EndSessions { user, only }).await?;
        self.0.users.forget();
        Ok(())
    }

    /// Ends one of the caller's sessions: a device that they do not have any more.
    pub async fn end_session(&self, actor: &Actor, id: SessionId) -> Result<(), ServiceError> {
        let user = authorize(actor, Operation::EndSession)?.user()?;
        self.end(user.id, Some(id)).await
    }

    pub async fn own_sessions(&self, actor: &Actor) -> Result<Vec<OpenSession>, ServiceError> {
        let user = authorize(actor, Operation::ReadSessions)?.user()?;
        Ok(self.store().sessions_of(user.id).await?)
    }

    /// A letter with a link, if there is an account of this address.
    pub async fn request_password_reset(&self, visit: &Visit, text: &str) -> Result<(), ServiceError> {
        let email = email("email", text)?;
        self.within(vec![allowance(Try::Letter, &neighbourhood(visit.address))]).await?;
        // Those who ask in somebody's name cannot keep that person out: the letters sent so far hold.
        if self.spend(vec![allowance(Try::LetterTo, &email)]).await?.is_some() {
            return Ok(());
        }
        let token = fresh_secret("")?;
        let (hash, link) = (digest(&token), self.link("sandi", &token));
        Ok(self.store().execute(RequestReset { email, hash, link }).await?)
    }

    /// Follows the letter, and signs in.
    pub async fn reset_password(&self, visit: &Visit, token: &str, password: String) -> Result<User, ServiceError> {
        self.within(vec![allowance(Try::Follow, &neighbourhood(visit.address))]).await?;
        passwords::check_strength(&password, &[])?;
        let password_hash = passwords::keep(password).await?;
        let user = self.store().execute(ResetPassword { hash: digest(token), password_hash }).await?;
        self.0.users.forget();
        self.start_session(visit, user, None).await
    }

    /// A new password; the caller's other sessions end.
    pub async fn change_password(&self, actor: &Actor, old: String, new: String) -> Result<(), ServiceError> {
        let user = authorize(actor, Operation::ChangePassword)?.user()?;
        passwords::check_strength(&new, &[&user.email])?;
        self.within(vec![allowance(Try::SignInHere, &format!("{}\nchange", user.id))]).await?;
        let login = self.store().login(&user.email).await?;
        let kept = login.and_then(|login| login.password_hash);
        if !passwords::check(old, kept).await?.right {
            return Err(ServiceError::bad("oldPassword", "is not your password"));
        }
        let password_hash = passwords::keep(new).await?;
        let keep = actor.session().map(|(_, session)| session);
        self.store().execute(SetPassword { user: user.id, password_hash, keep }).await?;
        self.0.users.forget();
        Ok(())
    }

    /// A key for a machine that acts for the caller, shown once.
    pub async fn create_api_key(&self, actor: &Actor, request: KeyRequest) -> Result<(String, ApiKey), ServiceError> {
        let user = authorize(actor, Operation::CreateApiKey)?.user()?;
        let label = line("label", &request.label, 100)?;
        if request.scopes.is_empty() {
            return Err(ServiceError::bad("scopes", "name what the key is good for"));
        }
        if !(1..=LONGEST_KEY).contains(&request.expires_days) {
            return Err(ServiceError::bad("expiresInDays", format!("must be between 1 and {LONGEST_KEY}")));
        }
        let mut scopes = request.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        let key = fresh_secret("slr_")?;
        let issue = IssueKey {
            author: Some(user.id),
            email: user.email.clone(),
            prefix: key.chars().take(8).collect(),
            hash: digest(&key),
            expires_days: Some(request.expires_days),
            label: Some(label),
            scopes,
        };
        let id = self.store().execute(issue).await?;
        let made = self.store().api_keys_of(user.id).await?.into_iter().find(|k| k.id == id);
        Ok((key, made.ok_or_else(|| ServiceError::fault("a key just made is missing"))?))
    }

    pub async fn revoke_api_key(&self, actor: &Actor, id: ApiKeyId) -> Result<(), ServiceError> {
        let user = authorize(actor, Operation::RevokeApiKey)?.user()?;
        self.store().execute(RevokeKey { user: user.id, id }).await?;
        self.0.users.forget();
        Ok(())
    }

    pub async fn own_api_keys(&self, actor: &Actor) -> Result<Vec<ApiKey>, ServiceError> {
        let user = authorize(actor, Operation::ReadApiKeys)?.user()?;
        Ok(self.store().api_keys_of(user.id).await?)
    }

    /// Erases an account: one's own, or, for an admin, anybody's. What was done stays done, under a number.
    pub async fn erase_account(&self, actor: &Actor, visit: &Visit, id: Option<UserId>) -> Result<(), ServiceError> {
        let permit = authorize(actor, Operation::EraseAccount)?;
        let user = permit.user()?;
        let erased = id.unwrap_or(user.id);
        if erased != user.id && !permit.everything() {
            return Err(ServiceError::not_found("user"));
        }
        if erased == user.id && user.roles.contains(&Role::Admin) {
            return Err(ServiceError::new(Code::IllegalTransition, "an admin is erased by another admin"));
        }
        self.store().execute(EraseAccount { author: Some(user.id), user: erased }).await?;
        self.0.users.forget();
        if erased == user.id {
            visit.give(Keepsake::NoSession);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_with_its_household() {
        let of = |text: &str| neighbourhood(text.parse().ok());
        assert_eq!(of("2001:db8:1:2::7"), of("2001:db8:1:2:3:4:5:6"));
        assert_ne!(of("2001:db8:1:2::7"), of("2001:db8:1:3::7"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }
}
