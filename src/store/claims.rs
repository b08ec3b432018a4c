//! Claims and offers after they are made: confirming, renewing, releasing, and letting holds run
//! out. How a claim is made is in `opening`.

use super::bundle::{self, claim_of};
use super::dialect::Column::{Int, Text};
use super::error::StoreError;
use super::idempotency::{self, Keyed, Standing};
use super::intake::draw;
use super::ledger::{self, Book, Lines};
use super::rows::{CLAIM_COLUMNS, ClaimRow, IdRow, LINE_COLUMNS, LineRow, OFFER_COLUMNS, OfferRow, batch, ids};
use super::write::{Command, Tx, column};
use super::{Author, Store, audit};
use crate::domain::calendar::{Day, Moment};
use crate::domain::claim::{Claim, ClaimLine, ClaimStatus, Offer};
use crate::domain::ids::{ClaimId, ClaimLineId, ItemId, NeedId, OfferId, OrganizationId};
use crate::domain::place::LonLat;
use crate::domain::program::HoldRules;
use crate::domain::quantity::Quantity;
use crate::domain::rules::LineEvent;
use crate::planted::planted;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check_hold(asked: Option<i64>, usual: i64, longest: i64) -> Result<i64, StoreError> {
    let hold = asked.unwrap_or(usual);
    if (HoldRules::MIN_SECONDS..=longest).contains(&hold) {
        Ok(hold)
    } else {
        Err(StoreError::bad("holdSeconds", format!("must be between {} and {longest} seconds", HoldRules::MIN_SECONDS)))
    }
}

/// The claim's own row.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewClaim {
    pub author: Author,
    pub organization: OrganizationId,
    pub executor: OrganizationId,
    pub offer: Option<OfferId>,
    pub opening: bool,
}

impl NewClaim {
    pub async fn insert(&self, tx: &mut Tx, now: Moment) -> Result<ClaimId, StoreError> {
        let id = tx
            .insert(
                "INSERT INTO claim (organization_id, executor_id, offer_id, opening, created_at, created_by, renewals,
                 version) VALUES ($1, $2, $3, $4, $5, $6, 0, 1) RETURNING id",
                [
                    self.organization.0.into(),
                    self.executor.0.into(),
                    self.offer.map(|o| o.0).into(),
                    i64::from(self.opening).into(),
                    now.0.into(),
                    self.author.map(|u| u.0).into(),
                ],
            )
            .await?;
        Ok(ClaimId(id))
    }
}

/// The condition that the organisation `$1` makes a claim `c` or carries it out. Executors are indexed only where they
/// are others, so it says so.
pub(super) const MADE_OR_CARRIED: &str =
    "(c.organization_id = $1 OR (c.executor_id = $1 AND c.executor_id <> c.organization_id))";

/// A line before it has an id.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewLine {
    pub claim: ClaimId,
    pub need: NeedId,
    pub quantity: Quantity,
    pub delivered: Quantity,
    pub status: ClaimStatus,
    pub expires_at: Option<Moment>,
    /// The line on the need before it.
    pub previous: Option<ClaimLineId>,
}

/// Inserts lines, at most one per claim and need, and answers them in the order given. Their
/// sums are the ledger's business.
pub(super) async fn insert_lines(tx: &mut Tx, lines: &[NewLine]) -> Result<Vec<ClaimLine>, StoreError> {
    let columns = [
        ("id", Int),
        ("claim_id", Int),
        ("need_id", Int),
        ("quantity", Int),
        ("delivered", Int),
        ("status", Text),
        ("expires_at", Int),
        ("previous_line", Int),
    ];
    let sql = format!(
        "INSERT INTO claim_line (id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version,
         previous_line) SELECT id, claim_id, need_id, quantity, 0, delivered, status, expires_at, 1, previous_line
         FROM {}",
        tx.dialect.rows("$1", &columns)
    );
    let drawn = draw(tx, "claim_line", lines.len()).await?;
    let rows = batch(lines.iter().zip(&drawn), |(l, id)| {
        json!({"id": id, "claim_id": l.claim.0, "need_id": l.need.0, "quantity": l.quantity.get(),
               "delivered": l.delivered.get(), "status": l.status.word(), "expires_at": l.expires_at.map(|m| m.0),
               "previous_line": l.previous.map(|line| line.0)})
    });
    ledger::expect_rows(tx.run(&sql, [rows]).await?, lines.len())?;
    let line = |(l, id): (&NewLine, i64)| ClaimLine {
        id: ClaimLineId(id),
        claim: l.claim,
        need: l.need,
        quantity: l.quantity,
        scheduled: Quantity::ZERO,
        delivered: l.delivered,
        status: l.status,
        expires_at: l.expires_at,
        version: 1,
    };
    Ok(lines.iter().zip(drawn).map(line).collect())
}

/// Whose claims a caller may touch.
#[derive(Debug, Clone, Copy)]
pub struct ClaimAccess {
    /// The claim's organisation or its executor; `None`: any.
    pub organization: Option<OrganizationId>,
}

/// Reads a claim's own row; a foreign one is not found. Who made a claim and who carries it out
/// never changes, so no lock is needed to judge that.
pub(super) async fn own_claim(tx: &mut Tx, id: ClaimId, access: ClaimAccess) -> Result<ClaimRow, StoreError> {
    let sql = format!("SELECT {CLAIM_COLUMNS} FROM claim WHERE id = $1");
    let row: Option<ClaimRow> = tx.all(&sql, [id.0.into()]).await?.pop();
    let own = |r: &ClaimRow| r.opening == 0 && access.allows([r.organization_id, r.executor_id].map(OrganizationId));
    row.filter(own).ok_or(StoreError::NotFound("claim"))
}

impl ClaimAccess {
    /// By who made the claim and who carries it out.
    pub(super) fn allows(&self, parties: [OrganizationId; 2]) -> bool {
        planted!(ForeignClaims) || self.organization.is_none_or(|own| parties.contains(&own))
    }
}

/// Lets one event happen to all lines of a claim that can take it.
async fn move_claim(
    tx: &mut Tx,
    author: Author,
    id: ClaimId,
    access: ClaimAccess,
    action: &'static str,
    event: LineEvent,
) -> Result<Book, StoreError> {
    own_claim(tx, id, access).await?;
    let needs = ledger::needs_of_claim(tx, id).await?;
    let mut book = Book::open(tx, author, action, &needs, Lines::OfClaim(id), &[]).await?;
    let mut refused = None;
    let mut fits = false;
    for line in book.lines_of(id) {
        match book.move_line(line.id, event) {
            Ok(_) => fits = true,
            // A line that is blocked by open deliveries blocks the whole claim.
            Err(StoreError::Illegal(why)) if line.status.is_active() => return Err(StoreError::Illegal(why)),
            Err(StoreError::Illegal(why)) => refused = Some(why),
            Err(other) => return Err(other),
        }
    }
    match refused {
        Some(why) if !fits => Err(StoreError::Illegal(why)),
        _ => Ok(book),
    }
}

/// HELD becomes CONFIRMED. Confirming again changes nothing.
#[derive(Debug, Clone)]
pub struct ConfirmClaim {
    pub author: Author,
    pub id: ClaimId,
    pub access: ClaimAccess,
}

impl Command for ConfirmClaim {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let book = move_claim(tx, self.author, self.id, self.access, "claim.confirm", LineEvent::Confirm).await?;
        book.close(tx).await
    }
}

/// Gives back what was not delivered. Releasing again changes nothing.
#[derive(Debug, Clone)]
pub struct ReleaseClaim {
    pub author: Author,
    pub id: ClaimId,
    pub access: ClaimAccess,
    pub reason: Option<String>,
}

impl Command for ReleaseClaim {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let book = move_claim(tx, self.author, self.id, self.access, "claim.release", LineEvent::Release).await?;
        book.close(tx).await?;
        if let Some(reason) = &self.reason {
            let sql = "UPDATE claim SET release_reason = COALESCE(release_reason, $2) WHERE id = $1";
            tx.run(sql, [self.id.0.into(), reason.as_str().into()]).await?;
        }
        Ok(())
    }
}

/// Lets the hold last longer: until `hold_seconds` from now, or its present end where that is
/// later, as often as the programs allow.
#[derive(Debug, Clone)]
pub struct RenewClaim {
    pub author: Author,
    pub id: ClaimId,
    pub access: ClaimAccess,
    pub hold_seconds: Option<i64>,
}

impl Command for RenewClaim {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        own_claim(tx, self.id, self.access).await?;
        let needs = ledger::needs_of_claim(tx, self.id).await?;
        let mut book = Book::open(tx, self.author, "claim.renew", &needs, Lines::OfClaim(self.id), &[]).await?;
        // Read again: the needs' locks keep every other change to this claim out from here on.
        let row = own_claim(tx, self.id, self.access).await?;
        let sql = format!(
            "SELECT min(hold_seconds) AS usual, min(max_hold_seconds) AS longest, min(max_renewals) AS times
             FROM program WHERE id {}",
            tx.dialect.numbers("$1")
        );
        let programs: BTreeSet<i64> = needs.iter().filter_map(|n| book.need(*n)).map(|n| n.program.0).collect();
        let rules = tx.one(&sql, [ids(programs)]).await?.ok_or_else(|| StoreError::corrupt("program"))?;
        let hold = check_hold(self.hold_seconds, column(&rules, "usual")?, column(&rules, "longest")?)?;
        let times: i64 = column(&rules, "times")?;
        if row.renewals >= times {
            return Err(StoreError::Illegal(format!("it has been renewed {times} times, the most its program allows")));
        }
        let until = book.now().plus_seconds(hold);
        for line in book.lines_of(self.id) {
            // A renewal never shortens a hold.
            let until = line.expires_at.map_or(until, |at| at.max(until));
            book.move_line(line.id, LineEvent::Renew(until))?;
        }
        let touched = tx
            .run(
                "UPDATE claim SET renewals = renewals + 1, version = version + 1 WHERE id = $1 AND version = $2",
                [self.id.0.into(), row.version.into()],
            )
            .await?;
        ledger::expect_rows(touched, 1)?;
        let claim = NewClaim {
            author: self.author,
            organization: OrganizationId(row.organization_id),
            executor: OrganizationId(row.executor_id),
            offer: row.offer_id.map(OfferId),
            opening: false,
        };
        book.note(audit::claim_entry(self.id, &claim, row.renewals + 1, row.version + 1, "claim.renew"));
        book.close(tx).await
    }
}

/// Lets holds that have run out expire, a bounded number of needs at a time. Needs that somebody
/// else has locked are left for the next round. Answers how many needs it went through.
#[derive(Debug, Clone, Copy)]
pub struct ExpireDue {
    pub most: i64,
}

impl Command for ExpireDue {
    type Answer = usize;

    async fn run(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let now = tx.now().await?.plus_seconds(if planted!(EarlyExpiry) { 2 } else { 0 });
        let due: Vec<IdRow> = tx
            .all(
                &format!(
                    "SELECT need_id AS id FROM claim_line WHERE status = 'HELD' AND expires_at <= $1
                     UNION SELECT need_id FROM bundled_line WHERE {} ORDER BY id LIMIT $2",
                    bundle::is_due("$1")
                ),
                [now.0.into(), self.most.into()],
            )
            .await?;
        if due.is_empty() {
            return Ok(0);
        }
        let sql = format!(
            "SELECT id FROM need WHERE id {} ORDER BY id{}",
            tx.dialect.numbers("$1"),
            tx.dialect.lock_what_is_free()
        );
        let free: Vec<IdRow> = tx.all(&sql, [ids(due.into_iter().map(|d| d.id))]).await?;
        let needs: BTreeSet<NeedId> = free.into_iter().map(|f| NeedId(f.id)).collect();
        let book = Book::open(tx, None, "line.expire", &needs, Lines::None, &[]).await?;
        book.close(tx).await?;
        Ok(needs.len())
    }
}

/// Pledges a quantity of one item.
#[derive(Debug, Clone)]
pub struct CreateOffer {
    pub author: Author,
    pub keyed: Keyed,
    pub organization: OrganizationId,
    pub item: ItemId,
    pub quantity: Quantity,
    pub available_from: Option<Day>,
    pub available_until: Option<Day>,
    pub origin: Option<LonLat>,
}

impl Command for CreateOffer {
    type Answer = OfferId;

    async fn run(&self, tx: &mut Tx) -> Result<OfferId, StoreError> {
        let now = tx.now().await?;
        if let Standing::Settled(outcome) = idempotency::enter(tx, &self.keyed, now).await? {
            return Ok(OfferId(idempotency::settled_id(&outcome, "offer")?));
        }
        let id = tx
            .insert(
                "INSERT INTO offer (organization_id, item_id, quantity, claimed, available_from, available_until,
                 lon, lat, created_at, version) VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8, 1) RETURNING id",
                [
                    self.organization.0.into(),
                    self.item.0.into(),
                    self.quantity.get().into(),
                    self.available_from.map(|d| d.to_string()).into(),
                    self.available_until.map(|d| d.to_string()).into(),
                    self.origin.map(LonLat::lon).into(),
                    self.origin.map(LonLat::lat).into(),
                    now.0.into(),
                ],
            )
            .await?;
        let pledge = ledger::Pledge {
            id: OfferId(id),
            organization: self.organization,
            item: self.item,
            quantity: self.quantity,
            claimed: Quantity::ZERO,
            available: (self.available_from, self.available_until),
            version: 1,
        };
        audit::append(tx, now, self.author, vec![audit::offer_entry(&pledge, "offer.create")]).await?;
        idempotency::settle(tx, &self.keyed, &json!({"offer": id})).await?;
        Ok(OfferId(id))
    }
}

impl Store {
    /// Claims by id, with their lines, in no particular order. Who may see them is the caller's
    /// business.
    pub async fn claims(&self, wanted: &[ClaimId]) -> Result<Vec<Claim>, StoreError> {
        let wanted = ids(wanted.iter().map(|c| c.0));
        let sql = format!("SELECT {CLAIM_COLUMNS} FROM claim WHERE id {}", self.dialect.numbers("$1"));
        let rows: Vec<ClaimRow> = self.read_all(&sql, [wanted.clone()]).await?;
        let of_claims = format!("claim_id {}", self.dialect.numbers("$1"));
        let sql = format!("{} ORDER BY need_id", bundle::lines(LINE_COLUMNS, &of_claims));
        let lines: Vec<LineRow> = self.read_all(&sql, [wanted]).await?;
        let mut by_claim: BTreeMap<i64, Vec<ClaimLine>> = BTreeMap::new();
        for row in lines {
            let line = row.into_line()?;
            by_claim.entry(line.claim.0).or_default().push(line);
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let lines = by_claim.remove(&row.id).unwrap_or_default();
                row.into_claim(lines)
            })
            .collect())
    }

    /// The claims that an organisation made or carries out, newest first, older than `before`.
    pub async fn claims_of(
        &self,
        organization: OrganizationId,
        before: Option<ClaimId>,
        most: i64,
    ) -> Result<Vec<ClaimId>, StoreError> {
        let rows: Vec<IdRow> = self
            .read_all(
                &format!(
                    "SELECT c.id FROM claim c WHERE {MADE_OR_CARRIED} AND c.opening = 0 AND c.id < $2
                     ORDER BY c.id DESC LIMIT $3"
                ),
                [organization.0.into(), before.map_or(i64::MAX, |c| c.0).into(), most.into()],
            )
            .await?;
        Ok(rows.into_iter().map(|r| ClaimId(r.id)).collect())
    }

    /// The claim that a line belongs to.
    pub async fn claim_of_line(&self, line: ClaimLineId) -> Result<Option<ClaimId>, StoreError> {
        let sql = "SELECT claim_id AS id FROM claim_line WHERE id = $1
            UNION ALL SELECT claim_id FROM bundled_line WHERE id = $1 AND claim_id = $2";
        let bundled = claim_of(line).map_or(0, |claim| claim.0);
        let row = self.read_one(sql, [line.0.into(), bundled.into()]).await?;
        row.map(|r| column(&r, "id").map(ClaimId)).transpose()
    }

    pub async fn offers(&self, wanted: &[OfferId]) -> Result<Vec<Offer>, StoreError> {
        let sql = format!("SELECT {OFFER_COLUMNS} FROM offer WHERE id {}", self.dialect.numbers("$1"));
        let rows: Vec<OfferRow> = self.read_all(&sql, [ids(wanted.iter().map(|o| o.0))]).await?;
        rows.into_iter().map(OfferRow::into_offer).collect()
    }

    /// An organisation's offers, newest first, older than `before`.
    pub async fn offers_of(
        &self,
        organization: OrganizationId,
        before: Option<OfferId>,
        most: i64,
    ) -> Result<Vec<OfferId>, StoreError> {
        let rows: Vec<IdRow> = self
            .read_all(
                "SELECT id FROM offer WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                [organization.0.into(), before.map_or(i64::MAX, |o| o.0).into(), most.into()],
            )
            .await?;
        Ok(rows.into_iter().map(|r| OfferId(r.id)).collect())
    }
}

impl Tx {
    /// The lines of a claim, ascending by need.
    pub async fn lines_of_claim(&mut self, claim: ClaimId) -> Result<Vec<ClaimLine>, StoreError> {
        let sql = format!("{} ORDER BY need_id", bundle::lines(LINE_COLUMNS, "claim_id = $1"));
        let rows: Vec<LineRow> = self.all(&sql, [claim.0.into()]).await?;
        rows.into_iter().map(LineRow::into_line).collect()
    }
}
