//! Organisations from their sign-up on: who vouches for them, what papers they have named, who belongs
//! to them.

use super::accounts::{Digest, Purpose, follow_link, keep_link, note_user, shut_out};
use super::audit;
use super::error::StoreError;
use super::rows::{self, ORGANIZATION_COLUMNS, OrganizationRow};
use super::write::{Command, Tx, column};
use super::{Author, Store, outbox};
use crate::audit::state;
use crate::domain::actor::Role;
use crate::domain::area::AreaCode;
use crate::domain::calendar::{Day, Moment};
use crate::domain::ids::{DocumentId, OrganizationId, UserId};
use crate::domain::message::{Link, Message};
use crate::domain::organization::{
    Document, DocumentKind, FiledDocument, Organization, OrganizationCategory, OrganizationStatus,
};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

/// What somebody asks for who signs their organisation up.
#[derive(Debug, Clone)]
pub struct Application {
    pub name: String,
    pub category: OrganizationCategory,
    /// They want to carry out what others give.
    pub aggregator: bool,
    pub documents: Vec<Document>,
    /// Where it is registered.
    pub home_area: Option<AreaCode>,
    /// Of the password that the account will have.
    pub password_hash: String,
}

/// An application as a link carries it.
#[derive(Serialize, Deserialize)]
struct Carried {
    name: String,
    category: String,
    aggregator: bool,
    documents: Vec<Paper>,
    home_area: Option<String>,
    password_hash: String,
}

/// A document in words.
#[derive(Serialize, Deserialize)]
struct Paper {
    kind: String,
    number: String,
    issuer: String,
    from: Option<String>,
    until: Option<String>,
    area: Option<String>,
}

impl Paper {
    fn of(document: &Document) -> Self {
        Paper {
            kind: document.kind.word().into(),
            number: document.number.clone(),
            issuer: document.issuer.clone(),
            from: document.valid_from.map(|d| d.to_string()),
            until: document.valid_until.map(|d| d.to_string()),
            area: document.area.as_ref().map(AreaCode::to_string),
        }
    }

    fn read(self) -> Result<Document, StoreError> {
        let day = |text: Option<String>| -> Result<Option<Day>, StoreError> { text.map(|t| rows::day(&t)).transpose() };
        Ok(Document {
            kind: DocumentKind::from_word(&self.kind).ok_or_else(|| StoreError::corrupt("kind of document"))?,
            number: self.number,
            issuer: self.issuer,
            valid_from: day(self.from)?,
            valid_until: day(self.until)?,
            area: self.area.map(|c| c.parse().map_err(|_| StoreError::corrupt("area code"))).transpose()?,
        })
    }
}

fn to_text(carried: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(carried).map_err(|_| StoreError::Fault("what a link carries cannot be written".into()))
}

fn from_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::corrupt("link"))
}

impl Application {
    pub(super) fn to_text(&self) -> Result<String, StoreError> {
        to_text(&Carried {
            name: self.name.clone(),
            category: self.category.word().into(),
            aggregator: self.aggregator,
            documents: self.documents.iter().map(Paper::of).collect(),
            home_area: self.home_area.as_ref().map(AreaCode::to_string),
            password_hash: self.password_hash.clone(),
        })
    }
}

/// Makes the account and its organisation of whoever followed the link; the organisation waits for
/// somebody to vouch for it.
#[derive(Debug, Clone)]
pub struct ConfirmSignUp {
    pub hash: Digest,
}

impl Command for ConfirmSignUp {
    type Answer = UserId;

    async fn run(&self, tx: &mut Tx) -> Result<UserId, StoreError> {
        let now = tx.now().await?;
        let followed = follow_link(tx, now, Purpose::SignUp, &self.hash).await?;
        let carried: Carried = from_text(&followed.payload)?;
        let sql = "SELECT id FROM app_user WHERE email = $1";
        if tx.one(sql, [followed.email.as_str().into()]).await?.is_some() {
            return Err(StoreError::bad("token", "this address has an account meanwhile; sign in"));
        }
        let taken = tx.one("SELECT id FROM organization WHERE name = $1", [carried.name.as_str().into()]).await?;
        if taken.is_some() {
            return Err(StoreError::bad(
                "name",
                "an organisation of this name is known already; ask it for an invitation, or sign up under another name",
            ));
        }
        let status = OrganizationStatus::Pending.word();
        let id = tx
            .insert(
                "INSERT INTO organization (name, category, status, aggregator, home_area, version)
                 VALUES ($1, $2, $3, $4, $5, 1) RETURNING id",
                [
                    carried.name.as_str().into(),
                    carried.category.as_str().into(),
                    status.into(),
                    i64::from(carried.aggregator).into(),
                    carried.home_area.clone().into(),
                ],
            )
            .await?;
        let organization = OrganizationId(id);
        if let Some(home) = &carried.home_area {
            let found = tx.one("SELECT id FROM area WHERE code = $1", [home.as_str().into()]).await?;
            found.ok_or_else(|| StoreError::bad("homeAreaCode", "there is no area of this code any more"))?;
        }
        let sql = "INSERT INTO app_user (email, organization_id, manager, password_hash, version)
                   VALUES ($1, $2, 1, $3, 0) RETURNING id";
        let user = UserId(
            tx.insert(sql, [followed.email.as_str().into(), id.into(), carried.password_hash.as_str().into()]).await?,
        );
        let role = if carried.aggregator { Role::Aggregator } else { Role::Donor };
        add_role(tx, user, role).await?;
        let entry = audit::organization_entry(
            organization,
            &carried.category,
            status,
            carried.aggregator,
            carried.home_area.as_deref(),
            1,
            "organization.apply",
        );
        audit::append(tx, now, Some(user), vec![entry]).await?;
        for paper in carried.documents {
            file(tx, organization, &paper.read()?).await?;
        }
        let of = state([("role", role.word().into()), ("organization", organization.to_string().into())]);
        note_user(tx, now, Some(user), user, "user.sign_up", of).await?;
        Ok(user)
    }
}

async fn add_role(tx: &mut Tx, user: UserId, role: Role) -> Result<(), StoreError> {
    let sql = "INSERT INTO user_role (user_id, role) VALUES ($1, $2) ON CONFLICT (user_id, role) DO NOTHING";
    tx.run(sql, [user.0.into(), role.word().into()]).await.map(|_| ())
}

async fn file(tx: &mut Tx, organization: OrganizationId, document: &Document) -> Result<DocumentId, StoreError> {
    if let Some(area) = &document.area {
        let found = tx.one("SELECT id FROM area WHERE code = $1", [area.as_str().into()]).await?;
        found.ok_or_else(|| StoreError::bad("areaCode", "there is no area of this code"))?;
    }
    let paper = Paper::of(document);
    tx.insert(
        "INSERT INTO organization_document (organization_id, kind, number, issuer, valid_from, valid_until, area_code)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        [
            organization.0.into(),
            paper.kind.into(),
            paper.number.into(),
            paper.issuer.into(),
            paper.from.into(),
            paper.until.into(),
            paper.area.into(),
        ],
    )
    .await
    .map(DocumentId)
}

/// Names one more paper of an organisation's.
#[derive(Debug, Clone)]
pub struct AddDocument {
    pub author: Author,
    pub organization: OrganizationId,
    pub document: Document,
}

impl Command for AddDocument {
    type Answer = DocumentId;

    async fn run(&self, tx: &mut Tx) -> Result<DocumentId, StoreError> {
        let now = tx.now().await?;
        let id = file(tx, self.organization, &self.document).await?;
        let sql = "SELECT count(*) AS documents FROM organization_document WHERE organization_id = $1";
        let row = tx.one(sql, [self.organization.0.into()]).await?.ok_or_else(|| StoreError::corrupt("count"))?;
        if column::<i64>(&row, "documents")? > MOST_DOCUMENTS {
            return Err(StoreError::bad("organization", "has too many documents already"));
        }
        note_organization(tx, now, self.author, self.organization, "organization.document").await?;
        Ok(id)
    }
}

const MOST_DOCUMENTS: i64 = 50;

/// An organisation's next version, with its entry.
async fn note_organization(
    tx: &mut Tx,
    now: Moment,
    author: Author,
    id: OrganizationId,
    action: &'static str,
) -> Result<(), StoreError> {
    let sql = "UPDATE organization SET version = version + 1 WHERE id = $1
               RETURNING category, status, aggregator, home_area, version";
    let row = tx.one(sql, [id.0.into()]).await?.ok_or(StoreError::NotFound("organization"))?;
    let (category, status): (String, String) = (column(&row, "category")?, column(&row, "status")?);
    let (aggregator, version): (i64, i64) = (column(&row, "aggregator")?, column(&row, "version")?);
    let home: Option<String> = column(&row, "home_area")?;
    let entry = audit::organization_entry(id, &category, &status, aggregator == 1, home.as_deref(), version, action);
    audit::append(tx, now, author, vec![entry]).await
}

/// What is decided of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It waited: it may act from now on, as an aggregator or not.
    Approve {
        aggregator: Option<bool>,
    },
    /// It waited: it may not.
    Refuse {
        reason: String,
    },
    Suspend {
        reason: String,
    },
    /// Suspended or refused: it may act again.
    Reinstate,
}

/// Decides, and writes to those who keep the organisation's members.
#[derive(Debug, Clone)]
pub struct DecideOrganization {
    pub author: Author,
    pub id: OrganizationId,
    pub decision: Decision,
}

impl Command for DecideOrganization {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        use OrganizationStatus::{Pending, Suspended, Verified};
        let now = tx.now().await?;
        let sql = format!("SELECT name, status FROM organization WHERE id = $1{}", tx.dialect.lock());
        let row = tx.one(&sql, [self.id.0.into()]).await?.ok_or(StoreError::NotFound("organization"))?;
        let (name, status): (String, String) = (column(&row, "name")?, column(&row, "status")?);
        let (from, to, action, reason) = match &self.decision {
            Decision::Approve { .. } => (Pending, Verified, "organization.approve", None),
            Decision::Refuse { reason } => (Pending, Suspended, "organization.refuse", Some(reason)),
            Decision::Suspend { reason } => (Verified, Suspended, "organization.suspend", Some(reason)),
            Decision::Reinstate => (Suspended, Verified, "organization.reinstate", None),
        };
        if status == to.word() && reason.is_none() {
            return Ok(());
        }
        if status != from.word() {
            return Err(StoreError::Illegal(format!("{}: it is {status}, not {}", self.id, from.word())));
        }
        tx.run(
            "UPDATE organization SET status = $2, status_reason = $3 WHERE id = $1",
            [self.id.0.into(), to.word().into(), reason.cloned().into()],
        )
        .await?;
        if let Decision::Approve { aggregator: Some(aggregator) } = self.decision {
            let sql = "UPDATE organization SET aggregator = $2 WHERE id = $1";
            tx.run(sql, [self.id.0.into(), i64::from(aggregator).into()]).await?;
        }
        note_organization(tx, now, self.author, self.id, action).await?;
        let told = match &self.decision {
            Decision::Approve { .. } => Message::OrganizationApproved { organization: name },
            Decision::Refuse { reason } => Message::OrganizationRefused { organization: name, reason: reason.clone() },
            Decision::Suspend { .. } | Decision::Reinstate => return Ok(()),
        };
        let sql = "SELECT email FROM app_user WHERE organization_id = $1 AND manager = 1 AND disabled = 0";
        let managers: Vec<EmailRow> = tx.all(sql, [self.id.0.into()]).await?;
        for manager in managers {
            outbox::post(tx, now, &manager.email, &told).await?;
        }
        Ok(())
    }
}

#[derive(FromQueryResult)]
struct EmailRow {
    email: String,
}

/// What somebody is invited to be.
#[derive(Debug, Clone)]
pub struct Invitation {
    pub roles: Vec<Role>,
    pub organization: Option<OrganizationId>,
    pub area: Option<AreaCode>,
    pub manager: bool,
}

#[derive(Serialize, Deserialize)]
struct CarriedInvitation {
    roles: Vec<String>,
    organization: Option<i64>,
    area: Option<String>,
    manager: bool,
    by: Option<i64>,
}

/// Posts an invitation.
#[derive(Debug, Clone)]
pub struct Invite {
    pub author: Author,
    pub email: String,
    pub invitation: Invitation,
    pub hash: Digest,
    pub link: Link,
}

impl Command for Invite {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let invitation = &self.invitation;
        let name = match invitation.organization {
            None => "Salur".to_owned(),
            Some(id) => {
                let row = tx.one("SELECT name FROM organization WHERE id = $1", [id.0.into()]).await?;
                column(&row.ok_or(StoreError::NotFound("organization"))?, "name")?
            }
        };
        if let Some(area) = &invitation.area {
            let found = tx.one("SELECT id FROM area WHERE code = $1", [area.as_str().into()]).await?;
            found.ok_or_else(|| StoreError::bad("areaCode", "there is no area of this code"))?;
        }
        let payload = to_text(&CarriedInvitation {
            roles: invitation.roles.iter().map(|r| r.word().to_owned()).collect(),
            organization: invitation.organization.map(|o| o.0),
            area: invitation.area.as_ref().map(AreaCode::to_string),
            manager: invitation.manager,
            by: self.author.map(|u| u.0),
        })?;
        keep_link(tx, now, Purpose::Invitation, &self.hash, &self.email, &payload).await?;
        let told = Message::Invitation { organization: name, link: self.link.clone() };
        outbox::post(tx, now, &self.email, &told).await
    }
}

/// Makes whoever followed the link what they were invited to be. An account that is there already
/// keeps its password and all that it has.
#[derive(Debug, Clone)]
pub struct AcceptInvitation {
    pub hash: Digest,
    /// Of a new account.
    pub password_hash: Option<String>,
}

impl Command for AcceptInvitation {
    type Answer = UserId;

    async fn run(&self, tx: &mut Tx) -> Result<UserId, StoreError> {
        let now = tx.now().await?;
        let followed = follow_link(tx, now, Purpose::Invitation, &self.hash).await?;
        let carried: CarriedInvitation = from_text(&followed.payload)?;
        let sql = format!(
            "SELECT id, organization_id, area_code, password_hash, disabled FROM app_user WHERE email = $1{}",
            tx.dialect.lock()
        );
        let user = match tx.one(&sql, [followed.email.as_str().into()]).await? {
            None => {
                let password = self
                    .password_hash
                    .as_deref()
                    .ok_or_else(|| StoreError::bad("password", "choose one: this address has no account yet"))?;
                let sql = "INSERT INTO app_user (email, password_hash, version) VALUES ($1, $2, 0) RETURNING id";
                UserId(tx.insert(sql, [followed.email.as_str().into(), password.into()]).await?)
            }
            Some(row) => {
                let held: Option<i64> = column(&row, "organization_id")?;
                let area: Option<String> = column(&row, "area_code")?;
                if column::<i64>(&row, "disabled")? == 1 {
                    return Err(StoreError::bad("token", "this account is suspended"));
                }
                let elsewhere = held.is_some() && carried.organization.is_some() && held != carried.organization;
                if elsewhere || (area.is_some() && carried.area.is_some() && area != carried.area) {
                    return Err(StoreError::bad(
                        "token",
                        "this account belongs to another organisation or area already; ask for an invitation to another address",
                    ));
                }
                let id: i64 = column(&row, "id")?;
                if column::<Option<String>>(&row, "password_hash")?.is_none()
                    && let Some(password) = &self.password_hash
                {
                    let sql = "UPDATE app_user SET password_hash = $2 WHERE id = $1";
                    tx.run(sql, [id.into(), password.as_str().into()]).await?;
                }
                UserId(id)
            }
        };
        tx.run(
            "UPDATE app_user SET organization_id = COALESCE(organization_id, $2), area_code = COALESCE(area_code, $3),
             manager = CASE WHEN $4 = 1 THEN 1 ELSE manager END WHERE id = $1",
            [
                user.0.into(),
                carried.organization.into(),
                carried.area.clone().into(),
                i64::from(carried.manager).into(),
            ],
        )
        .await?;
        for word in &carried.roles {
            add_role(tx, user, Role::from_word(word).ok_or_else(|| StoreError::corrupt("role"))?).await?;
        }
        let of = state([
            ("roles", carried.roles.join(" ").into()),
            ("organization", carried.organization.map(|o| OrganizationId(o).to_string()).into()),
            ("area", carried.area.into()),
            ("manager", carried.manager.into()),
        ]);
        note_user(tx, now, carried.by.map(UserId), user, "user.join", of).await?;
        Ok(user)
    }
}

/// Shuts a member out, or lets them in again.
#[derive(Debug, Clone)]
pub struct SuspendMember {
    pub author: Author,
    pub user: UserId,
    /// `None`: whoever it is.
    pub of: Option<OrganizationId>,
    pub suspended: bool,
}

impl Command for SuspendMember {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        known_member(tx, self.user, self.of).await?;
        let sql = "UPDATE app_user SET disabled = $2, disabled_at = $3 WHERE id = $1 AND disabled <> $2";
        let since = self.suspended.then_some(now.0);
        if tx.run(sql, [self.user.0.into(), i64::from(self.suspended).into(), since.into()]).await? == 0 {
            return Ok(());
        }
        if self.suspended {
            shut_out(tx, now, self.user).await?;
        }
        let action = if self.suspended { "user.suspend" } else { "user.reinstate" };
        note_user(tx, now, self.author, self.user, action, state([])).await
    }
}

/// Locks a user of that organisation; erased accounts are nobody's any more.
async fn known_member(tx: &mut Tx, user: UserId, of: Option<OrganizationId>) -> Result<(), StoreError> {
    let sql = format!("SELECT organization_id FROM app_user WHERE id = $1 AND email LIKE '%@%'{}", tx.dialect.lock());
    let row = tx.one(&sql, [user.0.into()]).await?.ok_or(StoreError::NotFound("member"))?;
    let organization: Option<i64> = column(&row, "organization_id")?;
    match of {
        Some(own) if organization != Some(own.0) => Err(StoreError::NotFound("member")),
        _ => Ok(()),
    }
}

/// Gives somebody a role, or takes it from them.
#[derive(Debug, Clone)]
pub struct ChangeRole {
    pub author: Author,
    pub user: UserId,
    pub role: Role,
    /// The area of an officer who has none yet.
    pub area: Option<AreaCode>,
    pub granted: bool,
}

impl Command for ChangeRole {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        known_member(tx, self.user, None).await?;
        let id = self.user.0;
        let of =
            state([("role", self.role.word().into()), ("area", self.area.as_ref().map(AreaCode::to_string).into())]);
        if !self.granted {
            let sql = "DELETE FROM user_role WHERE user_id = $1 AND role = $2";
            if tx.run(sql, [id.into(), self.role.word().into()]).await? == 0 {
                return Ok(());
            }
            if self.role == Role::Admin {
                let others = tx.one(
                    "SELECT r.user_id FROM user_role r JOIN app_user u ON u.id = r.user_id
                     WHERE r.role = 'ADMIN' AND u.disabled = 0 LIMIT 1",
                    [],
                );
                if others.await?.is_none() {
                    return Err(StoreError::Illegal(
                        "the last admin stays one; make somebody else an admin first".into(),
                    ));
                }
            }
            return note_user(tx, now, self.author, self.user, "user.revoke", of).await;
        }
        if let Some(area) = &self.area {
            let found = tx.one("SELECT id FROM area WHERE code = $1", [area.as_str().into()]).await?;
            found.ok_or_else(|| StoreError::bad("areaCode", "there is no area of this code"))?;
            tx.run("UPDATE app_user SET area_code = $2 WHERE id = $1", [id.into(), area.as_str().into()]).await?;
        }
        let row = tx.one("SELECT organization_id, area_code FROM app_user WHERE id = $1", [id.into()]).await?;
        let row = row.ok_or(StoreError::NotFound("member"))?;
        let organization: Option<i64> = column(&row, "organization_id")?;
        let held: Option<String> = column(&row, "area_code")?;
        match self.role {
            Role::Donor | Role::Aggregator if organization.is_none() => {
                return Err(StoreError::bad("role", "is for members of an organisation; invite them to one"));
            }
            Role::AreaOfficer if held.is_none() => {
                return Err(StoreError::bad("areaCode", "name the area that the officer answers for"));
            }
            _ => {}
        }
        add_role(tx, self.user, self.role).await?;
        note_user(tx, now, self.author, self.user, "user.grant", of).await
    }
}

/// A user as those see them who keep the organisation's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: UserId,
    pub email: String,
    pub roles: Vec<Role>,
    pub manager: bool,
    pub suspended: bool,
    /// In their charge, of an area's officer.
    pub area: Option<AreaCode>,
}

#[derive(FromQueryResult)]
struct MemberRow {
    id: i64,
    email: String,
    manager: i64,
    disabled: i64,
    area_code: Option<String>,
    role: Option<String>,
}

/// Rows of one member after the other, one for each of their roles, put together.
fn members(rows: Vec<MemberRow>) -> Result<Vec<Member>, StoreError> {
    let mut members: Vec<Member> = Vec::new();
    for row in rows {
        if members.last().is_none_or(|m| m.id.0 != row.id) {
            let area = row.area_code.map(|code| code.parse().map_err(|_| StoreError::corrupt("area code")));
            members.push(Member {
                id: UserId(row.id),
                email: row.email,
                roles: Vec::new(),
                manager: row.manager == 1,
                suspended: row.disabled == 1,
                area: area.transpose()?,
            });
        }
        if let (Some(word), Some(member)) = (row.role, members.last_mut()) {
            member.roles.push(Role::from_word(&word).ok_or_else(|| StoreError::corrupt("role"))?);
        }
    }
    Ok(members)
}

#[derive(FromQueryResult)]
struct DocumentRow {
    id: i64,
    kind: String,
    number: String,
    issuer: String,
    valid_from: Option<String>,
    valid_until: Option<String>,
    area_code: Option<String>,
}

impl Store {
    /// The members of an organisation, by e-mail.
    pub async fn members_of(&self, organization: OrganizationId) -> Result<Vec<Member>, StoreError> {
        let rows = self
            .read_all(
                "SELECT u.id, u.email, u.manager, u.disabled, u.area_code, r.role FROM app_user u
                 LEFT JOIN user_role r ON r.user_id = u.id WHERE u.organization_id = $1 ORDER BY u.email, u.id, r.role",
                [organization.0.into()],
            )
            .await?;
        members(rows)
    }

    /// Officers, auditors and admins, by number, after the given one; erased accounts are nobody's any more.
    pub async fn officials(&self, most: i64, after: Option<UserId>) -> Result<Vec<Member>, StoreError> {
        let rows = self
            .read_all(
                "SELECT u.id, u.email, u.manager, u.disabled, u.area_code, r.role FROM app_user u
                 JOIN user_role r ON r.user_id = u.id
                 WHERE u.id IN (SELECT o.id FROM app_user o WHERE o.id > $1 AND o.email LIKE '%@%'
                     AND EXISTS (SELECT 1 FROM user_role h WHERE h.user_id = o.id
                         AND h.role IN ('AREA_OFFICER', 'AUDITOR', 'ADMIN')) ORDER BY o.id LIMIT $2)
                 ORDER BY u.id, r.role",
                [after.map_or(0, |user| user.0).into(), most.into()],
            )
            .await?;
        members(rows)
    }

    pub async fn documents_of(&self, organization: OrganizationId) -> Result<Vec<FiledDocument>, StoreError> {
        let rows: Vec<DocumentRow> = self
            .read_all(
                "SELECT id, kind, number, issuer, valid_from, valid_until, area_code FROM organization_document
                 WHERE organization_id = $1 ORDER BY id",
                [organization.0.into()],
            )
            .await?;
        let read = |row: DocumentRow| {
            let paper = Paper {
                kind: row.kind,
                number: row.number,
                issuer: row.issuer,
                from: row.valid_from,
                until: row.valid_until,
                area: row.area_code,
            };
            Ok(FiledDocument { id: DocumentId(row.id), organization, document: paper.read()? })
        };
        rows.into_iter().map(read).collect()
    }

    /// Why an organisation is not one that may act, in the words of whoever decided it.
    pub async fn status_reason(&self, id: OrganizationId) -> Result<Option<String>, StoreError> {
        let row = self.read_one("SELECT status_reason FROM organization WHERE id = $1", [id.0.into()]).await?;
        row.map_or(Ok(None), |row| column(&row, "status_reason"))
    }

    /// Organisations of a status, or all, by number; those after `after`.
    pub async fn organization_page(
        &self,
        status: Option<OrganizationStatus>,
        first: i64,
        after: Option<OrganizationId>,
    ) -> Result<Vec<Organization>, StoreError> {
        let sql = format!(
            "SELECT {ORGANIZATION_COLUMNS} FROM organization
             WHERE id > $1 AND (CAST($2 AS TEXT) IS NULL OR status = $2) ORDER BY id LIMIT $3"
        );
        let after = after.map_or(0, |id| id.0);
        let rows: Vec<OrganizationRow> =
            self.read_all(&sql, [after.into(), status.map(|s| s.word().to_owned()).into(), first.into()]).await?;
        rows.into_iter().map(OrganizationRow::into_organization).collect()
    }
}
