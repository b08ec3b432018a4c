//! The rules of the ledger: pure functions from what stands to what follows.
//!
//! The ledger loads rows under their locks, asks here, and writes what it is told. Each
//! function answers with a new state or a named refusal, and none of them changes anything.

use super::area::{AreaCode, AreaLevel};
use super::calendar::Moment;
use super::claim::{ClaimLine, ClaimStatus};
use super::delivery::DeliveryStatus;
use super::need::{Counters, NeedStatus};
use super::quantity::Quantity;
use super::refusal::RefusalReason;

/// How a claim deals with lines that are not wholly free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// All lines or none.
    Refuse,
    /// What is free of each line; refused only where nothing is free at all.
    TakeFree,
}

/// One merged line of a claim beside what its need looks like under the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedLine {
    pub requested: Quantity,
    /// `None` where there is no such need that the caller may see.
    pub need: Option<AskedNeed>,
    /// A rule stands against this line, whatever is free.
    pub barred: bool,
    /// Until then the need is kept for its neighbours, and whoever asks is none of them.
    pub kept_until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedNeed {
    pub counters: Counters,
    pub status: NeedStatus,
}

/// What becomes of a claim: a grant per line in the order asked (zero only under
/// [`OnConflict::TakeFree`]), or the reasons, one per refused line with its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimDecision {
    Granted(Vec<Quantity>),
    Refused(Vec<(usize, RefusalReason)>),
}

/// Decides a claim over `lines` (each need at most once, ascending by need), of which an offer
/// can serve `offer_remaining` in all (`None`: no offer limits it).
///
/// Under [`OnConflict::Refuse`] any refused line refuses the claim, and an offer too small
/// for the sum bars every line. Under [`OnConflict::TakeFree`] a line is cut to what is free,
/// then the offer is spent in the order of the lines; lines left with nothing are dropped, and
/// the claim is refused only where nothing is left at all. Lines over needs that are missing or
/// not open are dropped in the same way.
pub fn decide_claim(lines: &[AskedLine], offer_remaining: Option<Quantity>, on_conflict: OnConflict) -> ClaimDecision {
    let reason = |line: &AskedLine| -> Option<RefusalReason> {
        let need = match line.need {
            None => return Some(RefusalReason::NotFound),
            Some(need) => need,
        };
        if need.status != NeedStatus::Verified {
            return Some(RefusalReason::NotOpen);
        }
        if line.barred || line.kept_until.is_some() {
            return Some(RefusalReason::Rule);
        }
        let short = match on_conflict {
            OnConflict::Refuse => need.counters.free() < line.requested,
            OnConflict::TakeFree => need.counters.free().is_zero(),
        };
        short.then_some(RefusalReason::NotEnoughFree)
    };
    let mut refused: Vec<(usize, RefusalReason)> =
        lines.iter().enumerate().filter_map(|(i, line)| reason(line).map(|r| (i, r))).collect();

    match on_conflict {
        OnConflict::Refuse => {
            if !refused.is_empty() {
                return ClaimDecision::Refused(refused);
            }
            let asked = lines.iter().map(|l| l.requested.get()).fold(0_i64, i64::saturating_add);
            if offer_remaining.is_some_and(|left| asked > left.get()) {
                return ClaimDecision::Refused((0..lines.len()).map(|i| (i, RefusalReason::Rule)).collect());
            }
            ClaimDecision::Granted(lines.iter().map(|l| l.requested).collect())
        }
        OnConflict::TakeFree => {
            let mut left = offer_remaining;
            let mut grants = vec![Quantity::ZERO; lines.len()];
            for (i, line) in lines.iter().enumerate() {
                if refused.iter().any(|(at, _)| *at == i) {
                    continue;
                }
                let free = line.need.map_or(Quantity::ZERO, |n| n.counters.free());
                let mut grant = line.requested.min(free);
                if let Some(offer) = left {
                    grant = grant.min(offer);
                    left = Some(offer.saturating_sub(grant));
                    if grant.is_zero() {
                        refused.push((i, RefusalReason::Rule));
                    }
                }
                grants[i] = grant;
            }
            if grants.iter().all(|g| g.is_zero()) {
                refused.sort();
                return ClaimDecision::Refused(refused);
            }
            ClaimDecision::Granted(grants)
        }
    }
}

/// Until when a need that is verified now is kept for its neighbours.
pub fn first_right_until(now: Moment, hours: i64) -> Option<Moment> {
    (hours > 0).then(|| now.plus_seconds(hours.saturating_mul(3_600)))
}

/// Whether an organisation that is registered in `home` belongs to the neighbourhood of a need in
/// `area`: the RW that the area is or lies in. An area above all RWs is one neighbourhood as a whole.
pub fn is_neighbour(home: Option<&AreaCode>, area: &AreaCode) -> bool {
    let rw = area.at(AreaLevel::Rw);
    home.is_some_and(|home| rw.as_ref().unwrap_or(area).covers(home))
}

/// What may happen to a claim's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineEvent {
    Confirm,
    /// The hold now ends at the given moment.
    Renew(Moment),
    Release,
    Expire,
    /// A trip is planned over so much of it.
    Schedule(Quantity),
    /// A planned trip is called off.
    Unschedule(Quantity),
    /// A planned trip has handed over so much.
    Deliver(Quantity),
    /// So much of what was handed over did not arrive whole.
    Reject(Quantity),
}

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOutcome {
    Changed(ClaimLine),
    /// The line already stands where the event leads: repeating a request is harmless.
    Unchanged,
    Illegal(&'static str),
}

/// The one table of what may happen to a line, at `now`.
///
/// A released or expired line gives back what it had not delivered; what it had delivered
/// stays counted. A fulfilled line is opened again only by a rejection.
pub fn line_after(line: &ClaimLine, event: LineEvent, now: Moment) -> LineOutcome {
    use ClaimStatus::{Confirmed, Expired, Fulfilled, Held, Released};
    use LineOutcome::{Changed, Illegal, Unchanged};
    let status = line.status_at(now);
    let with = |change: &dyn Fn(&mut ClaimLine)| {
        let mut after = *line;
        change(&mut after);
        after.version += 1;
        Changed(after)
    };
    match (status, event) {
        (Held, LineEvent::Confirm) => with(&|l| {
            l.status = Confirmed;
            l.expires_at = None;
        }),
        (Confirmed | Fulfilled, LineEvent::Confirm) => Unchanged,
        (Held, LineEvent::Renew(until)) => with(&|l| l.expires_at = Some(until)),
        (Held | Confirmed, LineEvent::Release) if !line.scheduled.is_zero() => {
            Illegal("deliveries of it are still scheduled or on their way; cancel or record them first")
        }
        (Held | Confirmed, LineEvent::Release) => with(&|l| {
            l.status = Released;
            l.expires_at = None;
        }),
        (Released, LineEvent::Release) => Unchanged,
        (Expired, LineEvent::Expire) if line.status == Held => with(&|l| {
            l.status = Expired;
            l.expires_at = None;
        }),
        (Expired, LineEvent::Expire) => Unchanged,
        (Confirmed, LineEvent::Schedule(quantity)) => {
            let open = line.quantity.saturating_sub(line.delivered).saturating_sub(line.scheduled);
            match line.scheduled.checked_add(quantity) {
                Some(scheduled) if quantity <= open && !quantity.is_zero() => with(&|l| l.scheduled = scheduled),
                _ => Illegal("more than what is still to be delivered of it"),
            }
        }
        (Confirmed, LineEvent::Unschedule(quantity)) => match line.scheduled.checked_sub(quantity) {
            Some(scheduled) => with(&|l| l.scheduled = scheduled),
            None => Illegal("less than that is scheduled"),
        },
        (Confirmed, LineEvent::Deliver(quantity)) => {
            match (line.scheduled.checked_sub(quantity), line.delivered.checked_add(quantity)) {
                (Some(scheduled), Some(delivered)) if delivered <= line.quantity => with(&|l| {
                    l.scheduled = scheduled;
                    l.delivered = delivered;
                    if delivered == l.quantity {
                        l.status = Fulfilled;
                    }
                }),
                _ => Illegal("more than what is scheduled of it"),
            }
        }
        (Confirmed | Fulfilled | Released, LineEvent::Reject(quantity)) => match line.delivered.checked_sub(quantity) {
            Some(delivered) => with(&|l| {
                l.delivered = delivered;
                if l.status == Fulfilled && !quantity.is_zero() {
                    l.status = Confirmed;
                }
            }),
            None => Illegal("more than what was delivered of it"),
        },
        (Expired, _) => Illegal("its hold has run out"),
        (Released, _) => Illegal("it was released"),
        (Fulfilled, _) => Illegal("it has been delivered in full"),
        (Held, _) => Illegal("it is held but not confirmed"),
        (Confirmed, LineEvent::Renew(_)) => Illegal("it is confirmed already"),
        (Confirmed, LineEvent::Expire) => Illegal("a confirmed claim does not run out"),
    }
}

/// The state of an opening balance: promised, given in full, or nothing (any more).
pub fn opening_status(quantity: Quantity, delivered: Quantity) -> ClaimStatus {
    if quantity.is_zero() {
        ClaimStatus::Released
    } else if quantity == delivered {
        ClaimStatus::Fulfilled
    } else {
        ClaimStatus::Confirmed
    }
}

/// An opening balance after an import has stated it anew. A balance of nothing keeps its last
/// quantity as a released line, which counts for nothing.
pub fn opening_restated(line: &ClaimLine, quantity: Quantity, delivered: Quantity) -> ClaimLine {
    let kept = if quantity.is_zero() { line.quantity } else { quantity };
    ClaimLine {
        quantity: kept,
        delivered,
        status: opening_status(quantity, delivered),
        version: line.version + 1,
        ..*line
    }
}

/// What a need's counters become when one of its lines goes from `before` to `after`;
/// `None` where that would break the counters' invariant.
pub fn counters_after(counters: Counters, before: Option<&ClaimLine>, after: &ClaimLine) -> Option<Counters> {
    let held = before.map_or(Quantity::ZERO, ClaimLine::reserved);
    let given = before.map_or(Quantity::ZERO, |l| l.delivered);
    let reserved = counters.reserved().checked_sub(held)?.checked_add(after.reserved())?;
    let delivered = counters.delivered().checked_sub(given)?.checked_add(after.delivered)?;
    Counters::new(counters.required(), reserved, delivered)
}

/// How much of its claim's offer a line stands for: all of it while it lives or once it is
/// fulfilled, what was delivered after its end.
pub fn offer_share(line: &ClaimLine) -> Quantity {
    match line.status {
        ClaimStatus::Held | ClaimStatus::Confirmed | ClaimStatus::Fulfilled => line.quantity,
        ClaimStatus::Released | ClaimStatus::Expired => line.delivered,
    }
}

/// What may happen to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryEventKind {
    Dispatch,
    Record,
    /// The area's officer has answered for the last line; `rejected` where any was rejected.
    Acknowledge {
        rejected: bool,
    },
    Cancel,
}

/// The state an event leads to. `Ok(None)`: it stands there already. `Err`: not from here.
pub fn delivery_after(
    status: DeliveryStatus,
    event: DeliveryEventKind,
) -> Result<Option<DeliveryStatus>, &'static str> {
    use DeliveryStatus::{Acknowledged, Cancelled, Delivered, Disputed, InTransit, Scheduled};
    match (status, event) {
        (Scheduled, DeliveryEventKind::Dispatch) => Ok(Some(InTransit)),
        (InTransit, DeliveryEventKind::Dispatch) => Ok(None),
        (InTransit, DeliveryEventKind::Record) => Ok(Some(Delivered)),
        (Delivered, DeliveryEventKind::Record) => Ok(None),
        (Delivered, DeliveryEventKind::Acknowledge { rejected: false }) => Ok(Some(Acknowledged)),
        (Delivered, DeliveryEventKind::Acknowledge { rejected: true }) => Ok(Some(Disputed)),
        (Scheduled | InTransit, DeliveryEventKind::Cancel) => Ok(Some(Cancelled)),
        (Cancelled, DeliveryEventKind::Cancel) => Ok(None),
        (Scheduled, DeliveryEventKind::Record) => Err("it has not been dispatched yet"),
        (Scheduled | InTransit, DeliveryEventKind::Acknowledge { .. }) => {
            Err("the giver has not recorded its hand-over yet")
        }
        (Delivered, DeliveryEventKind::Dispatch) => Err("it has been handed over already"),
        (Delivered, DeliveryEventKind::Cancel) => Err("what was handed over cannot be cancelled"),
        (Acknowledged, _) => Err("it has been acknowledged"),
        (Disputed, _) => Err("it has been answered for, with a dispute"),
        (Cancelled, _) => Err("it was cancelled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::Period;
    use crate::domain::ids::{AreaId, ItemId, NeedId, ProgramId};
    use crate::domain::need::{Need, Severity};

    fn code(text: &str) -> AreaCode {
        text.parse().expect("a code")
    }

    #[test]
    fn a_neighbour_is_registered_in_the_same_rw() {
        let rw = "31.71.01.1001.003";
        for (home, area, neighbour) in [
            (rw, rw, true),
            (rw, "31.71.01.1001.003.007", true),
            ("31.71.01.1001.003.001", "31.71.01.1001.003.007", true),
            ("31.71.01.1001.003.001", rw, true),
            ("31.71.01.1001.004", rw, false),
            ("31.71.01.1001.004.007", "31.71.01.1001.003.007", false),
            // Whoever is registered in the village is at home in none of its RWs.
            ("31.71.01.1001", rw, false),
            // An area above all RWs is one neighbourhood.
            (rw, "31.71.01.1001", true),
            ("31.71.01.1001", "31.71.01.1001", true),
            ("31.71.01.1002.003", "31.71.01.1001", false),
        ] {
            assert_eq!(is_neighbour(Some(&code(home)), &code(area)), neighbour, "{home} and {area}");
        }
        assert!(!is_neighbour(None, &code(rw)));
    }

    #[test]
    fn a_first_right_lasts_to_its_end_and_not_a_moment_longer() {
        let verified = Moment(1_000);
        assert_eq!(first_right_until(verified, 0), None);
        let until = first_right_until(verified, 2).expect("two hours");
        assert_eq!(until, Moment(1_000 + 7_200_000_000));
        let counters = Counters::new(Quantity::ZERO, Quantity::ZERO, Quantity::ZERO).expect("nothing at all");
        let need = AskedNeed { counters, status: NeedStatus::Verified };
        let line = |kept_until| AskedLine { requested: Quantity::ZERO, need: Some(need), barred: false, kept_until };
        let decided = |kept_until| decide_claim(&[line(kept_until)], None, OnConflict::Refuse);
        assert_eq!(decided(Some(until)), ClaimDecision::Refused(vec![(0, RefusalReason::Rule)]));
        assert_eq!(decided(None), ClaimDecision::Granted(vec![Quantity::ZERO]));
        let day = verified.day();
        let need = Need {
            id: NeedId(1),
            area: AreaId(1),
            program: ProgramId(1),
            item: ItemId(1),
            period: Period::new(day, day).expect("one day"),
            counters,
            severity: Severity::new(1).expect("1 to 5"),
            status: NeedStatus::Verified,
            first_right_until: Some(until),
            last_line: None,
            version: 1,
        };
        assert_eq!(need.kept_until(Moment(until.0 - 1)), Some(until));
        assert_eq!(need.kept_until(until), None);
    }
}
