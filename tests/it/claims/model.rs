//! A small model of the ledger in plain arithmetic. It knows no SQL, no lock and none of the
//! program's rules: what a need has promised is added up from the lines every time.
//!
//! Records are named by their place in the model's lists; the driver keeps the database's ids.

use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Reported,
    Verified,
    Closed,
}

#[derive(Debug, Clone)]
pub struct Need {
    pub required: i64,
    pub stage: Stage,
    pub item: usize,
    /// Which of the two villages it lies in.
    pub village: usize,
    /// It lies where the neighbour is registered.
    pub next_door: bool,
    /// Until then only the neighbour may claim it; set by the driver, who knows the moment.
    pub kept_until: i64,
    /// `(claim, line)` of all lines ever made on it.
    pub lines: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Held,
    Confirmed,
    Fulfilled,
    Released,
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub need: usize,
    pub quantity: i64,
    pub scheduled: i64,
    pub delivered: i64,
    pub state: State,
    /// End of the hold in microseconds; without meaning once it is not held.
    pub ends: i64,
}

#[derive(Debug, Clone)]
pub struct Claim {
    pub organization: usize,
    pub executor: usize,
    pub offer: Option<usize>,
    pub renewals: i64,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone)]
pub struct Offer {
    pub organization: usize,
    pub item: usize,
    pub quantity: i64,
    pub claims: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Scheduled,
    InTransit,
    Delivered,
    Acknowledged,
    Disputed,
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct Stop {
    /// Place among the claim's lines.
    pub line: usize,
    pub quantity: i64,
    pub answer: Option<(i64, i64)>,
}

#[derive(Debug, Clone)]
pub struct Trip {
    pub claim: usize,
    pub leg: Leg,
    pub stops: Vec<Stop>,
}

/// What is asked of the ledger. `by: None` is an admin.
#[derive(Debug, Clone)]
pub enum Deed {
    Report {
        required: i64,
        item: usize,
        area: usize,
    },
    Verify {
        needs: BTreeSet<usize>,
    },
    Revise {
        need: usize,
        required: i64,
        stale: bool,
    },
    Close {
        need: usize,
        stale: bool,
    },
    Offer {
        organization: usize,
        item: usize,
        quantity: i64,
    },
    Claim(Ask),
    Confirm {
        claim: usize,
        by: Option<usize>,
    },
    Renew {
        claim: usize,
        by: Option<usize>,
        hold: i64,
    },
    Release {
        claim: usize,
        by: Option<usize>,
    },
    Expire {
        most: usize,
    },
    Schedule {
        claim: usize,
        by: Option<usize>,
        stops: Vec<(usize, i64)>,
    },
    Dispatch {
        trip: usize,
        by: Option<usize>,
    },
    Record {
        trip: usize,
        by: Option<usize>,
    },
    Cancel {
        trip: usize,
        by: Option<usize>,
    },
    /// `village: None` is an admin; `answers` are `(stop, accepted, rejected)`.
    Acknowledge {
        trip: usize,
        village: Option<usize>,
        answers: Vec<(usize, i64, i64)>,
    },
}

#[derive(Debug, Clone)]
pub struct Ask {
    pub organization: usize,
    pub executor: usize,
    pub offer: Option<usize>,
    /// Ascending by need, each once.
    pub lines: Vec<(usize, i64)>,
    pub take_free: bool,
    pub hold: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    NotOpen,
    Rule,
    NotEnoughFree,
}

/// What came of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// How many needs were swept.
    Swept(usize),
    /// The lines that were granted, and those that got less than they asked for, with what was free.
    Accepted {
        granted: Vec<(usize, i64)>,
        short: Vec<(usize, i64, Why)>,
    },
    /// The refused lines with what is free.
    Refused(Vec<(usize, i64, Why)>),
    NotFound,
    Illegal,
    VersionConflict,
    BadInput,
}

/// Longest hold, and how often it may be renewed, by the programs' defaults.
pub const LONGEST_HOLD: i64 = 14 * 86_400;
const RENEWALS: i64 = 2;

/// The organisation that is registered in the first area.
const NEIGHBOUR: usize = 2;

#[derive(Debug, Default)]
pub struct Model {
    pub needs: Vec<Need>,
    pub claims: Vec<Claim>,
    pub offers: Vec<Offer>,
    pub trips: Vec<Trip>,
    /// Claims whose lines changed in the last deed.
    pub touched: BTreeSet<usize>,
}

impl Model {
    /// `(reserved, delivered)` of a need.
    pub fn sums(&self, need: usize) -> (i64, i64) {
        let lines = self.needs[need].lines.iter().map(|(c, l)| &self.claims[*c].lines[*l]);
        lines.fold((0, 0), |(reserved, delivered), l| {
            let open = if matches!(l.state, State::Held | State::Confirmed) { l.quantity - l.delivered } else { 0 };
            (reserved + open, delivered + l.delivered)
        })
    }

    pub fn free(&self, need: usize) -> i64 {
        let (reserved, delivered) = self.sums(need);
        self.needs[need].required - reserved - delivered
    }

    pub fn claimed(&self, offer: usize) -> i64 {
        let lines = self.offers[offer].claims.iter().flat_map(|c| &self.claims[*c].lines);
        lines.map(|l| if matches!(l.state, State::Released | State::Expired) { l.delivered } else { l.quantity }).sum()
    }

    /// Lets every hold on `needs` that has run out expire, as every committed change of these
    /// needs does.
    fn expire(&mut self, needs: impl IntoIterator<Item = usize>, now: i64) -> Vec<(usize, usize)> {
        let mut expired = Vec::new();
        for need in needs {
            for (claim, line) in self.needs[need].lines.clone() {
                let l = &mut self.claims[claim].lines[line];
                if l.state == State::Held && l.ends <= now {
                    l.state = State::Expired;
                    self.touched.insert(claim);
                    expired.push((claim, line));
                }
            }
        }
        expired
    }

    /// A claim that was answered before is sent once more for these needs.
    pub fn look(&mut self, needs: &[usize], now: i64) {
        self.expire(needs.iter().copied(), now);
    }

    /// A deed that fails leaves no trace: neither do the holds that it would have let expire.
    fn unexpire(&mut self, expired: Vec<(usize, usize)>) {
        for (claim, line) in expired {
            self.claims[claim].lines[line].state = State::Held;
        }
    }

    fn needs_of(&self, claim: usize) -> Vec<usize> {
        self.claims[claim].lines.iter().map(|l| l.need).collect()
    }

    fn is_of(&self, claim: usize, by: Option<usize>) -> bool {
        by.is_none_or(|who| who == self.claims[claim].organization || who == self.claims[claim].executor)
    }

    /// Does the deed at `now`. A claim that is accepted is the last of `claims`; its `ends` are set by
    /// the driver, who knows the moment.
    pub fn apply(&mut self, deed: &Deed, now: i64) -> Fate {
        self.touched.clear();
        match deed {
            Deed::Report { required, item, area } => {
                self.needs.push(Need {
                    required: *required,
                    stage: Stage::Reported,
                    item: *item,
                    village: area / 10,
                    next_door: *area == 0,
                    kept_until: 0,
                    lines: Vec::new(),
                });
                Fate::Done
            }
            Deed::Verify { needs } => {
                if needs.iter().any(|n| self.needs[*n].stage == Stage::Closed) {
                    return Fate::Illegal;
                }
                self.expire(needs.iter().copied(), now);
                for need in needs {
                    self.needs[*need].stage = Stage::Verified;
                }
                Fate::Done
            }
            Deed::Revise { stale: true, .. } | Deed::Close { stale: true, .. } => Fate::VersionConflict,
            Deed::Revise { need, required, .. } => {
                let expired = self.expire([*need], now);
                let (reserved, delivered) = self.sums(*need);
                if self.needs[*need].stage == Stage::Closed || reserved + delivered > *required {
                    self.unexpire(expired);
                    return Fate::Illegal;
                }
                self.needs[*need].required = *required;
                Fate::Done
            }
            Deed::Close { need, .. } => {
                if self.needs[*need].stage == Stage::Closed {
                    return Fate::Illegal;
                }
                self.expire([*need], now);
                self.needs[*need].stage = Stage::Closed;
                Fate::Done
            }
            Deed::Offer { organization, item, quantity } => {
                let offer = Offer { organization: *organization, item: *item, quantity: *quantity, claims: Vec::new() };
                self.offers.push(offer);
                Fate::Done
            }
            Deed::Claim(ask) => self.claim(ask, now),
            Deed::Confirm { claim, by } => {
                if !self.is_of(*claim, *by) {
                    return Fate::NotFound;
                }
                let expired = self.expire(self.needs_of(*claim), now);
                let lines = &mut self.claims[*claim].lines;
                if lines.iter().all(|l| matches!(l.state, State::Expired | State::Released)) {
                    self.unexpire(expired);
                    return Fate::Illegal;
                }
                lines.iter_mut().filter(|l| l.state == State::Held).for_each(|l| l.state = State::Confirmed);
                self.touched.insert(*claim);
                Fate::Done
            }
            Deed::Renew { claim, by, hold } => {
                if !self.is_of(*claim, *by) {
                    return Fate::NotFound;
                }
                if !(2..=LONGEST_HOLD).contains(hold) {
                    return Fate::BadInput;
                }
                let expired = self.expire(self.needs_of(*claim), now);
                let held = self.claims[*claim].lines.iter().all(|l| l.state == State::Held);
                if self.claims[*claim].renewals >= RENEWALS || !held {
                    self.unexpire(expired);
                    return Fate::Illegal;
                }
                self.claims[*claim].renewals += 1;
                self.touched.insert(*claim);
                Fate::Done
            }
            Deed::Release { claim, by } => {
                if !self.is_of(*claim, *by) {
                    return Fate::NotFound;
                }
                let expired = self.expire(self.needs_of(*claim), now);
                let lines = &mut self.claims[*claim].lines;
                let blocked = lines.iter().any(|l| l.scheduled > 0);
                let nothing = lines.iter().all(|l| matches!(l.state, State::Expired | State::Fulfilled));
                if blocked || nothing {
                    self.unexpire(expired);
                    return Fate::Illegal;
                }
                let open = lines.iter_mut().filter(|l| matches!(l.state, State::Held | State::Confirmed));
                open.for_each(|l| l.state = State::Released);
                self.touched.insert(*claim);
                Fate::Done
            }
            Deed::Expire { most } => {
                let due = |l: &Line| l.state == State::Held && l.ends <= now;
                let is_due = |n: &usize| self.needs[*n].lines.iter().any(|(c, l)| due(&self.claims[*c].lines[*l]));
                let needs: Vec<usize> = (0..self.needs.len()).filter(is_due).take(*most).collect();
                let swept = needs.len();
                self.expire(needs, now);
                Fate::Swept(swept)
            }
            Deed::Schedule { claim, by, stops } => {
                if !self.is_of(*claim, *by) {
                    return Fate::NotFound;
                }
                let expired =
                    self.expire(stops.iter().map(|(l, _)| self.claims[*claim].lines[*l].need).collect::<Vec<_>>(), now);
                let lines = &mut self.claims[*claim].lines;
                let fits = |(line, quantity): &(usize, i64)| {
                    let l = &lines[*line];
                    l.state == State::Confirmed && *quantity <= l.quantity - l.delivered - l.scheduled
                };
                if !stops.iter().all(fits) {
                    self.unexpire(expired);
                    return Fate::Illegal;
                }
                for (line, quantity) in stops {
                    lines[*line].scheduled += quantity;
                }
                let stops =
                    stops.iter().map(|(line, quantity)| Stop { line: *line, quantity: *quantity, answer: None });
                self.trips.push(Trip { claim: *claim, leg: Leg::Scheduled, stops: stops.collect() });
                self.touched.insert(*claim);
                Fate::Done
            }
            Deed::Dispatch { trip, by } => self.step(*trip, *by, now, |leg| match leg {
                Leg::Scheduled => Some(Leg::InTransit),
                Leg::InTransit => Some(leg),
                _ => None,
            }),
            Deed::Record { trip, by } => self.step(*trip, *by, now, |leg| match leg {
                Leg::InTransit => Some(Leg::Delivered),
                Leg::Delivered => Some(leg),
                _ => None,
            }),
            Deed::Cancel { trip, by } => self.step(*trip, *by, now, |leg| match leg {
                Leg::Scheduled | Leg::InTransit => Some(Leg::Cancelled),
                Leg::Cancelled => Some(leg),
                _ => None,
            }),
            Deed::Acknowledge { trip, village, answers } => self.acknowledge(*trip, *village, answers, now),
        }
    }

    fn claim(&mut self, ask: &Ask, now: i64) -> Fate {
        // Claims are decided together: what runs out under their locks has run out, whatever becomes of each.
        self.expire(ask.lines.iter().map(|(n, _)| *n), now);
        if ask.offer.is_some_and(|o| self.offers[o].organization != ask.organization) {
            return Fate::NotFound;
        }
        let mut left = ask.offer.map_or(i64::MAX, |o| self.offers[o].quantity - self.claimed(o));
        let kept = |model: &Model, need: usize| {
            let n = &model.needs[need];
            now < n.kept_until && !(n.next_door && ask.organization == NEIGHBOUR)
        };
        let closed_to = |model: &Model, need: usize| {
            let n = &model.needs[need];
            if n.stage != Stage::Verified {
                Some(Why::NotOpen)
            } else if kept(model, need) || ask.offer.is_some_and(|o| model.offers[o].item != n.item) {
                Some(Why::Rule)
            } else {
                None
            }
        };
        let mut granted = Vec::new();
        let mut short = Vec::new();
        for (need, quantity) in &ask.lines {
            // Of a need that is not open, or not yet, nothing can be had.
            let open = self.needs[*need].stage == Stage::Verified && !kept(self, *need);
            let free = if open { self.free(*need) } else { 0 };
            match closed_to(self, *need) {
                Some(why) => short.push((*need, free, why)),
                None if ask.take_free => {
                    let grant = (*quantity).min(free).min(left);
                    left -= grant;
                    if grant > 0 {
                        granted.push((*need, grant));
                    }
                    if grant < *quantity {
                        let why = if grant == free { Why::NotEnoughFree } else { Why::Rule };
                        short.push((*need, free, why));
                    }
                }
                None if *quantity > free => short.push((*need, free, Why::NotEnoughFree)),
                None => granted.push((*need, *quantity)),
            }
        }
        if !ask.take_free && short.is_empty() && granted.iter().map(|(_, q)| q).sum::<i64>() > left {
            short = ask.lines.iter().map(|(n, _)| (*n, self.free(*n), Why::Rule)).collect();
        }
        if granted.is_empty() || (!ask.take_free && !short.is_empty()) {
            return Fate::Refused(short);
        }
        if !(2..=LONGEST_HOLD).contains(&ask.hold) {
            return Fate::BadInput;
        }
        let id = self.claims.len();
        for (place, (need, _)) in granted.iter().enumerate() {
            self.needs[*need].lines.push((id, place));
        }
        if let Some(offer) = ask.offer {
            self.offers[offer].claims.push(id);
        }
        let line = |(need, quantity): &(usize, i64)| Line {
            need: *need,
            quantity: *quantity,
            scheduled: 0,
            delivered: 0,
            state: State::Held,
            ends: i64::MAX,
        };
        self.claims.push(Claim {
            organization: ask.organization,
            executor: ask.executor,
            offer: ask.offer,
            renewals: 0,
            lines: granted.iter().map(line).collect(),
        });
        self.touched.insert(id);
        Fate::Accepted { granted, short }
    }

    fn step(&mut self, trip: usize, by: Option<usize>, now: i64, next: impl Fn(Leg) -> Option<Leg>) -> Fate {
        let Trip { claim, leg, stops } = self.trips[trip].clone();
        if !self.is_of(claim, by) {
            return Fate::NotFound;
        }
        let Some(after) = next(leg) else { return Fate::Illegal };
        if after == leg {
            return Fate::Done;
        }
        self.expire(stops.iter().map(|s| self.claims[claim].lines[s.line].need).collect::<Vec<_>>(), now);
        for stop in &stops {
            let line = &mut self.claims[claim].lines[stop.line];
            if after != Leg::InTransit {
                line.scheduled -= stop.quantity;
            }
            if after == Leg::Delivered {
                line.delivered += stop.quantity;
                if line.delivered == line.quantity {
                    line.state = State::Fulfilled;
                }
            }
        }
        self.trips[trip].leg = after;
        self.touched.insert(claim);
        Fate::Done
    }

    fn acknowledge(&mut self, trip: usize, village: Option<usize>, answers: &[(usize, i64, i64)], now: i64) -> Fate {
        let Trip { claim, leg, stops } = self.trips[trip].clone();
        let mine =
            |stop: &Stop| village.is_none_or(|v| v == self.needs[self.claims[claim].lines[stop.line].need].village);
        if !stops.iter().any(mine) {
            return Fate::NotFound;
        }
        let mut after = stops.clone();
        for (stop, accepted, rejected) in answers {
            if !mine(&stops[*stop]) {
                return Fate::NotFound;
            }
            if accepted + rejected != stops[*stop].quantity {
                return Fate::BadInput;
            }
            if stops[*stop].answer.is_some_and(|said| said != (*accepted, *rejected)) {
                return Fate::Illegal;
            }
            after[*stop].answer = Some((*accepted, *rejected));
        }
        let news: Vec<usize> = (0..stops.len()).filter(|i| stops[*i].answer != after[*i].answer).collect();
        if news.is_empty() {
            return Fate::Done;
        }
        if leg != Leg::Delivered {
            return Fate::Illegal;
        }
        self.expire(stops.iter().map(|s| self.claims[claim].lines[s.line].need).collect::<Vec<_>>(), now);
        for stop in news {
            let rejected = after[stop].answer.map_or(0, |(_, rejected)| rejected);
            let line = &mut self.claims[claim].lines[after[stop].line];
            line.delivered -= rejected;
            if rejected > 0 && line.state == State::Fulfilled {
                line.state = State::Confirmed;
            }
        }
        if after.iter().all(|s| s.answer.is_some()) {
            let disputed = after.iter().any(|s| s.answer.is_some_and(|(_, rejected)| rejected > 0));
            self.trips[trip].leg = if disputed { Leg::Disputed } else { Leg::Acknowledged };
        }
        self.trips[trip].stops = after;
        self.touched.insert(claim);
        Fate::Done
    }
}
