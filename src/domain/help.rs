//! Help as a neighbourhood's page tells of it: who gives, who brings it, how far it has come.

use super::calendar::{Day, Moment};
use super::claim::ClaimLine;
use super::delivery::DeliveryStatus;
use super::ids::{ItemId, OrganizationId};
use super::quantity::Quantity;
use std::collections::BTreeMap;

/// A line of a claim with the trips that serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpLine {
    pub organization: OrganizationId,
    pub executor: OrganizationId,
    pub line: ClaimLine,
    pub trips: Vec<HelpTrip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelpTrip {
    pub status: DeliveryStatus,
    pub scheduled_for: Option<Day>,
    pub quantity: Quantity,
    /// What arrived whole, once the neighbourhood has answered.
    pub accepted: Option<Quantity>,
    /// When it was handed over.
    pub arrived: Option<Moment>,
}

/// What one organisation gives of one item, brought by the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    pub organization: OrganizationId,
    pub executor: OrganizationId,
    pub item: ItemId,
    /// How many needs it goes to.
    pub needs: i64,
    /// Held, confirmed and delivered together.
    pub promised: Quantity,
    /// Of it, what is only held and may still be given up.
    pub held: Quantity,
    pub delivered: Quantity,
    pub accepted: Quantity,
    pub under_way: Quantity,
    /// The first day on which something more is to come.
    pub next_trip: Option<Day>,
    pub last_arrival: Option<Moment>,
}

/// Sums up by giver, bringer and item, the largest promise first. A hold that has run out helps nobody.
pub fn sum_up(lines: impl IntoIterator<Item = (ItemId, HelpLine)>, now: Moment) -> Vec<Help> {
    let mut sums: BTreeMap<(OrganizationId, OrganizationId, ItemId), Help> = BTreeMap::new();
    for (item, HelpLine { organization, executor, line, trips }) in lines {
        if line.is_due(now) {
            continue;
        }
        let help = sums.entry((organization, executor, item)).or_insert(Help {
            organization,
            executor,
            item,
            needs: 0,
            promised: Quantity::ZERO,
            held: Quantity::ZERO,
            delivered: Quantity::ZERO,
            accepted: Quantity::ZERO,
            under_way: Quantity::ZERO,
            next_trip: None,
            last_arrival: None,
        });
        let add = |sum: &mut Quantity, more: Quantity| *sum = sum.checked_add(more).unwrap_or(*sum);
        help.needs += 1;
        add(&mut help.promised, line.quantity);
        add(&mut help.delivered, line.delivered);
        if line.expires_at.is_some() {
            add(&mut help.held, line.quantity);
        }
        for trip in trips {
            let coming = matches!(trip.status, DeliveryStatus::Scheduled | DeliveryStatus::InTransit);
            if trip.status == DeliveryStatus::InTransit {
                add(&mut help.under_way, trip.quantity);
            }
            if let (true, Some(day)) = (coming, trip.scheduled_for) {
                help.next_trip = Some(help.next_trip.map_or(day, |known| known.min(day)));
            }
            add(&mut help.accepted, trip.accepted.unwrap_or(Quantity::ZERO));
            help.last_arrival = help.last_arrival.max(trip.arrived);
        }
    }
    let mut all: Vec<Help> = sums.into_values().collect();
    all.sort_by_key(|help| (std::cmp::Reverse(help.promised), help.organization, help.executor, help.item));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claim::ClaimStatus;
    use crate::domain::ids::{ClaimId, ClaimLineId, NeedId};

    fn q(n: i64) -> Quantity {
        Quantity::new(n).expect("a quantity")
    }

    fn line(organization: i64, quantity: i64, delivered: i64, until: Option<i64>, trips: Vec<HelpTrip>) -> HelpLine {
        let line = ClaimLine {
            id: ClaimLineId(1),
            claim: ClaimId(1),
            need: NeedId(1),
            quantity: q(quantity),
            scheduled: Quantity::ZERO,
            delivered: q(delivered),
            status: if until.is_some() { ClaimStatus::Held } else { ClaimStatus::Confirmed },
            expires_at: until.map(Moment),
            version: 1,
        };
        HelpLine { organization: OrganizationId(organization), executor: OrganizationId(9), line, trips }
    }

    #[test]
    fn help_is_summed_up_by_giver_bringer_and_item_and_a_hold_that_ran_out_is_none() {
        let day = |text: &str| Some(text.parse().expect("a day"));
        let trip = |status, scheduled_for, accepted, arrived: Option<i64>| HelpTrip {
            status,
            scheduled_for,
            quantity: q(4),
            accepted,
            arrived: arrived.map(Moment),
        };
        let lines = [
            (
                ItemId(1),
                line(
                    1,
                    10,
                    4,
                    None,
                    vec![
                        trip(DeliveryStatus::Disputed, day("2020-04-01"), Some(q(3)), Some(70)),
                        trip(DeliveryStatus::Scheduled, day("2020-04-09"), None, None),
                    ],
                ),
            ),
            (ItemId(1), line(1, 5, 0, None, vec![trip(DeliveryStatus::InTransit, day("2020-04-08"), None, None)])),
            (ItemId(1), line(2, 30, 0, Some(101), vec![])),
            (ItemId(2), line(1, 7, 0, Some(100), vec![])),
        ];
        let told = sum_up(lines, Moment(100));
        assert_eq!(told.len(), 2, "the hold that ended is gone: {told:?}");
        assert_eq!((told[0].organization, told[0].promised, told[0].held), (OrganizationId(2), q(30), q(30)));
        let first = &told[1];
        assert_eq!((first.needs, first.promised, first.held, first.delivered), (2, q(15), q(0), q(4)));
        assert_eq!((first.accepted, first.under_way, first.next_trip), (q(3), q(4), day("2020-04-08")));
        assert_eq!(first.last_arrival, Some(Moment(70)));
    }
}
