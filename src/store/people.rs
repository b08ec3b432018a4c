//! Organisations, users, roles and keys.

use super::audit::{self, Entry};
use super::dialect::Dialect;
use super::error::StoreError;
use super::rows::{self, ORGANIZATION_COLUMNS, OrganizationRow, ids};
use super::write::{Command, Tx, column};
use super::{Author, Store};
use crate::audit::state;
use crate::domain::actor::{KeyScope, Role};
use crate::domain::area::AreaCode;
use crate::domain::calendar::{Day, Moment};
use crate::domain::ids::{ApiKeyId, OrganizationId, UserId};
use crate::domain::organization::{self, Organization, OrganizationCategory, OrganizationStatus, Standing};
use sea_orm::FromQueryResult;
use std::collections::{HashMap, HashSet};

/// The organisation that opening balances are written to: aid whose giver is not known.
const OPENING_NAME: &str = "Saldo awal (sebelum Salur)";

/// Enters an organisation. A known name is refused, unless it is one that came with an import and
/// waits for somebody to vouch for it: that one gets what is said here.
#[derive(Debug, Clone)]
pub struct AddOrganization {
    pub author: Author,
    pub name: String,
    pub category: OrganizationCategory,
    pub status: OrganizationStatus,
    pub aggregator: bool,
    /// Where it is registered.
    pub home_area: Option<AreaCode>,
}

impl Command for AddOrganization {
    type Answer = OrganizationId;

    async fn run(&self, tx: &mut Tx) -> Result<OrganizationId, StoreError> {
        let now = tx.now().await?;
        if let Some(area) = &self.home_area {
            let found = tx.one("SELECT id FROM area WHERE code = $1", [area.as_str().into()]).await?;
            found.ok_or_else(|| StoreError::bad("homeArea", "there is no area of this code"))?;
        }
        if let Some(id) = find(tx, &self.name).await? {
            return self.vouch_for(tx, now, id).await;
        }
        self.insert(tx, now).await
    }
}

impl AddOrganization {
    async fn vouch_for(&self, tx: &mut Tx, now: Moment, id: OrganizationId) -> Result<OrganizationId, StoreError> {
        let sql = format!("SELECT status, version FROM organization WHERE id = $1{}", tx.dialect.lock());
        let row = tx.one(&sql, [id.0.into()]).await?.ok_or(StoreError::NotFound("organization"))?;
        let (status, version): (String, i64) = (column(&row, "status")?, column(&row, "version")?);
        if status != OrganizationStatus::Pending.word() || self.name == OPENING_NAME {
            return Err(StoreError::bad("name", "an organisation of this name is known already"));
        }
        let (category, status) = (self.category.word(), self.status.word());
        tx.run(
            "UPDATE organization SET category = $2, status = $3, aggregator = $4, home_area = $5, version = $6
             WHERE id = $1",
            [
                id.0.into(),
                category.into(),
                status.into(),
                i64::from(self.aggregator).into(),
                self.home().into(),
                (version + 1).into(),
            ],
        )
        .await?;
        audit::append(tx, now, self.author, vec![self.entry(id, version + 1, "organization.vouch")]).await?;
        Ok(id)
    }

    async fn insert(&self, tx: &mut Tx, now: Moment) -> Result<OrganizationId, StoreError> {
        let id = tx
            .insert(
                "INSERT INTO organization (name, category, status, aggregator, home_area, version)
                 VALUES ($1, $2, $3, $4, $5, 1) RETURNING id",
                [
                    self.name.as_str().into(),
                    self.category.word().into(),
                    self.status.word().into(),
                    i64::from(self.aggregator).into(),
                    self.home().into(),
                ],
            )
            .await?;
        let id = OrganizationId(id);
        audit::append(tx, now, self.author, vec![self.entry(id, 1, "organization.add")]).await?;
        Ok(id)
    }

    fn home(&self) -> Option<&str> {
        self.home_area.as_ref().map(AreaCode::as_str)
    }

    fn entry(&self, id: OrganizationId, version: i64, action: &'static str) -> Entry {
        let (category, status) = (self.category.word(), self.status.word());
        audit::organization_entry(id, category, status, self.aggregator, self.home(), version, action)
    }

    /// One that nobody has vouched for yet.
    fn pending(author: Author, name: &str, category: OrganizationCategory) -> Self {
        let status = OrganizationStatus::Pending;
        AddOrganization { author, name: name.to_owned(), category, status, aggregator: false, home_area: None }
    }
}

async fn find(tx: &mut Tx, name: &str) -> Result<Option<OrganizationId>, StoreError> {
    let row = tx.one("SELECT id FROM organization WHERE name = $1", [name.into()]).await?;
    row.map(|r| column(&r, "id").map(OrganizationId)).transpose()
}

/// The organisation of that name, entered as pending where it is new.
pub(super) async fn organization_named(
    tx: &mut Tx,
    now: Moment,
    author: Author,
    name: &str,
    category: OrganizationCategory,
) -> Result<(OrganizationId, bool), StoreError> {
    match find(tx, name).await? {
        Some(id) => Ok((id, false)),
        None => {
            let id = AddOrganization::pending(author, name, category).insert(tx, now).await?;
            Ok((id, true))
        }
    }
}

pub(super) async fn opening_organization(tx: &mut Tx, now: Moment) -> Result<OrganizationId, StoreError> {
    match find(tx, OPENING_NAME).await? {
        Some(id) => Ok(id),
        None => {
            let opening = AddOrganization::pending(None, OPENING_NAME, OrganizationCategory::Government);
            opening.insert(tx, now).await
        }
    }
}

/// A user with one more role. A known e-mail address keeps what it has and gets the role besides.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: String,
    pub role: Role,
    pub organization: Option<OrganizationId>,
    pub area: Option<AreaCode>,
}

#[derive(Debug, Clone)]
pub struct AddUser {
    pub author: Author,
    pub user: NewUser,
}

impl Command for AddUser {
    type Answer = UserId;

    async fn run(&self, tx: &mut Tx) -> Result<UserId, StoreError> {
        let user = &self.user;
        let now = tx.now().await?;
        if let Some(organization) = user.organization {
            let found = tx.one("SELECT id FROM organization WHERE id = $1", [organization.0.into()]).await?;
            found.ok_or_else(|| StoreError::bad("organization", "there is no such organisation"))?;
        }
        if let Some(area) = &user.area {
            let found = tx.one("SELECT id FROM area WHERE code = $1", [area.as_str().into()]).await?;
            found.ok_or_else(|| StoreError::bad("area", "there is no area of this code"))?;
        }
        let sql = format!(
            "SELECT id, organization_id, area_code, version FROM app_user WHERE email = $1{}",
            tx.dialect.lock()
        );
        let known = tx.one(&sql, [user.email.as_str().into()]).await?;
        let area = user.area.as_ref().map(AreaCode::to_string);
        let (id, version) = match known {
            Some(row) => {
                let id: i64 = column(&row, "id")?;
                let organization: Option<i64> = column(&row, "organization_id")?;
                let held: Option<String> = column(&row, "area_code")?;
                let other_organization =
                    organization.is_some() && user.organization.is_some_and(|o| Some(o.0) != organization);
                if other_organization || (held.is_some() && area.is_some() && held != area) {
                    return Err(StoreError::bad(
                        "email",
                        "this user belongs to another organisation or area already; use another e-mail address",
                    ));
                }
                let version: i64 = column(&row, "version")?;
                tx.run(
                    "UPDATE app_user SET organization_id = COALESCE(organization_id, $2),
                     area_code = COALESCE(area_code, $3), version = version + 1 WHERE id = $1",
                    [id.into(), user.organization.map(|o| o.0).into(), area.into()],
                )
                .await?;
                (id, version + 1)
            }
            None => {
                let id = tx
                    .insert(
                        "INSERT INTO app_user (email, organization_id, area_code, version) VALUES ($1, $2, $3, 1)
                         RETURNING id",
                        [user.email.as_str().into(), user.organization.map(|o| o.0).into(), area.into()],
                    )
                    .await?;
                (id, 1)
            }
        };
        tx.run(
            "INSERT INTO user_role (user_id, role) VALUES ($1, $2) ON CONFLICT (user_id, role) DO NOTHING",
            [id.into(), user.role.word().into()],
        )
        .await?;
        let entry = Entry::new(
            "user.grant",
            UserId(id).to_string(),
            version,
            state([
                ("role", user.role.word().into()),
                ("organization", user.organization.map(|o| o.to_string()).into()),
                ("area", user.area.as_ref().map(AreaCode::to_string).into()),
            ]),
        );
        audit::append(tx, now, self.author, vec![entry]).await?;
        Ok(UserId(id))
    }
}

/// Enters a key for a user. The key itself is never stored, only its SHA-256 and its first letters.
#[derive(Debug, Clone)]
pub struct IssueKey {
    pub author: Author,
    pub email: String,
    pub prefix: String,
    pub hash: [u8; 32],
    pub expires_days: Option<i64>,
    /// What its owner calls it.
    pub label: Option<String>,
    pub scopes: Vec<KeyScope>,
}

/// Scopes as a key's row holds them; none written: all, as keys had before they had scopes.
pub(super) fn scopes_of(text: Option<&str>) -> Result<Vec<KeyScope>, StoreError> {
    let Some(text) = text else { return Ok(KeyScope::ALL.to_vec()) };
    let known = |word| KeyScope::from_word(word).ok_or_else(|| StoreError::corrupt("scope"));
    let mut scopes = text.split_whitespace().map(known).collect::<Result<Vec<_>, _>>()?;
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

impl Command for IssueKey {
    type Answer = ApiKeyId;

    async fn run(&self, tx: &mut Tx) -> Result<ApiKeyId, StoreError> {
        let now = tx.now().await?;
        let sql = format!("SELECT id, version FROM app_user WHERE email = $1 AND disabled = 0{}", tx.dialect.lock());
        let row = tx.one(&sql, [self.email.as_str().into()]).await?;
        let row = row.ok_or_else(|| StoreError::bad("email", "there is no user of this e-mail address"))?;
        let user: i64 = column(&row, "id")?;
        let version: i64 = column::<i64>(&row, "version")? + 1;
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.word()).collect();
        let id = tx
            .insert(
                "INSERT INTO api_key (user_id, prefix, hash, created_at, expires_at, label, scopes)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                [
                    user.into(),
                    self.prefix.as_str().into(),
                    self.hash.to_vec().into(),
                    now.0.into(),
                    self.expires_days.map(|days| now.plus_seconds(days.saturating_mul(86_400)).0).into(),
                    self.label.clone().into(),
                    scopes.join(" ").into(),
                ],
            )
            .await?;
        tx.run("UPDATE app_user SET version = $2 WHERE id = $1", [user.into(), version.into()]).await?;
        let entry = Entry::new(
            "key.issue",
            UserId(user).to_string(),
            version,
            state([
                ("prefix", self.prefix.as_str().into()),
                ("expiresDays", self.expires_days.into()),
                ("scopes", scopes.join(" ").into()),
            ]),
        );
        audit::append(tx, now, self.author, vec![entry]).await?;
        Ok(ApiKeyId(id))
    }
}

#[derive(FromQueryResult)]
struct EmailRow {
    id: i64,
    email: String,
}

/// An organisation with one of its permits, or with none.
#[derive(FromQueryResult)]
struct StandingRow {
    id: i64,
    status: String,
    aggregator: i64,
    permit: Option<i64>,
    valid_from: Option<String>,
    valid_until: Option<String>,
}

fn standing_sql(dialect: Dialect) -> String {
    format!(
        "SELECT o.id, o.status, o.aggregator, d.id AS permit, d.valid_from, d.valid_until FROM organization o
         LEFT JOIN organization_document d ON d.organization_id = o.id AND d.kind = 'PERMIT'
         WHERE o.id {} ORDER BY o.id",
        dialect.numbers("$1")
    )
}

type Term = (Option<Day>, Option<Day>);

fn standings_of(rows: Vec<StandingRow>, today: Day) -> Result<HashMap<OrganizationId, (bool, Standing)>, StoreError> {
    let mut of: HashMap<OrganizationId, (OrganizationStatus, bool, Vec<Term>)> = HashMap::new();
    for row in rows {
        let status = OrganizationStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("status"))?;
        let one = of.entry(OrganizationId(row.id)).or_insert((status, row.aggregator == 1, Vec::new()));
        if row.permit.is_some() {
            let day = |text: Option<String>| text.map(|t| rows::day(&t)).transpose();
            one.2.push((day(row.valid_from)?, day(row.valid_until)?));
        }
    }
    let judged = of.into_iter().map(|(id, (status, aggregator, permits))| {
        (id, (aggregator, organization::standing(status, aggregator, permits, today)))
    });
    Ok(judged.collect())
}

/// Those among `wanted` that may carry out others' claims today.
pub(super) async fn partners(
    tx: &mut Tx,
    wanted: impl IntoIterator<Item = i64>,
    today: Day,
) -> Result<HashSet<OrganizationId>, StoreError> {
    let rows: Vec<StandingRow> = tx.all(&standing_sql(tx.dialect), [ids(wanted)]).await?;
    let found = standings_of(rows, today)?.into_iter();
    Ok(found.filter(|(_, judged)| *judged == (true, Standing::Good)).map(|(id, _)| id).collect())
}

impl Store {
    /// Whether the organisation may promise anything today; `None`: there is no such organisation.
    pub async fn standing(&self, id: OrganizationId) -> Result<Option<Standing>, StoreError> {
        let rows: Vec<StandingRow> = self.read_all(&standing_sql(self.dialect), [ids([id.0])]).await?;
        let today = self.now().await?.day();
        Ok(standings_of(rows, today)?.remove(&id).map(|(_, standing)| standing))
    }

    pub async fn organizations(&self, wanted: &[OrganizationId]) -> Result<Vec<Organization>, StoreError> {
        let sql = format!("SELECT {ORGANIZATION_COLUMNS} FROM organization WHERE id {}", self.dialect.numbers("$1"));
        let rows: Vec<OrganizationRow> = self.read_all(&sql, [ids(wanted.iter().map(|o| o.0))]).await?;
        rows.into_iter().map(OrganizationRow::into_organization).collect()
    }

    /// Who the given users are to people who may know it.
    pub async fn emails(&self, wanted: &[UserId]) -> Result<HashMap<UserId, String>, StoreError> {
        let sql = format!("SELECT id, email FROM app_user WHERE id {}", self.dialect.numbers("$1"));
        let rows: Vec<EmailRow> = self.read_all(&sql, [ids(wanted.iter().map(|u| u.0))]).await?;
        Ok(rows.into_iter().map(|r| (UserId(r.id), r.email)).collect())
    }

    /// True where nobody has been entered yet: an empty database.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let row = self
            .read_one(
                "SELECT (SELECT count(*) FROM area) + (SELECT count(*) FROM app_user)
                 + (SELECT count(*) FROM program) AS records",
                [],
            )
            .await?
            .ok_or_else(|| StoreError::corrupt("count"))?;
        Ok(column::<i64>(&row, "records")? == 0)
    }
}

impl Store {
    /// The user of an e-mail address, disabled ones left out.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserId>, StoreError> {
        let row = self.read_one("SELECT id FROM app_user WHERE email = $1 AND disabled = 0", [email.into()]).await?;
        row.map(|r| column(&r, "id").map(UserId)).transpose()
    }
}
