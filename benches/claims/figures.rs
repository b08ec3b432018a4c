//! What a round came to, and what rounds come to together.

use std::fmt;
use std::fs;
use std::time::Duration;

/// One round of one side.
pub struct Round {
    pub batches: usize,
    pub time: Duration,
    /// From the request to the answer, ascending.
    pub latencies: Vec<Duration>,
    /// Processor time of the side's servers; of a script, all of it.
    pub work: Duration,
}

impl Round {
    pub fn new(mut latencies: Vec<Duration>, time: Duration, work: Duration) -> Self {
        latencies.sort_unstable();
        Round { batches: latencies.len(), time, latencies, work }
    }

    fn rate(&self) -> f64 {
        self.batches as f64 / self.time.as_secs_f64()
    }

    /// In milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(f64::NAN, |l| l.as_secs_f64() * 1e3)
    }

    /// Milliseconds of processor time for a batch.
    fn cost(&self) -> f64 {
        self.work.as_secs_f64() * 1e3 / self.batches as f64
    }
}

/// All rounds of one side under one load.
pub struct Series {
    name: String,
    pub rounds: Vec<Round>,
}

impl Series {
    pub fn new(side: &str, contest: &str) -> Self {
        Series { name: format!("{side}-{contest}"), rounds: Vec::new() }
    }

    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rate, p50, p99, cost] = [
            self.spread(Round::rate),
            self.spread(|r| r.percentile(50)),
            self.spread(|r| r.percentile(99)),
            self.spread(Round::cost),
        ];
        let name = &self.name;
        write!(f, "{name:<15} {rate:.0} batches/s; p50 {p50:.2} ms, p99 {p99:.2} ms; CPU {cost:.2} ms a batch")
    }
}

/// How the figures of ours stand to theirs, round by round.
pub fn ratio(ours: &Series, theirs: &Series) -> String {
    let of = |figure: fn(&Round) -> f64| {
        Spread::of(ours.rounds.iter().zip(&theirs.rounds).map(|(ours, theirs)| figure(ours) / figure(theirs)))
    };
    let [rate, p50, p99] = [of(Round::rate), of(|r| r.percentile(50)), of(|r| r.percentile(99))];
    format!("ours to plain   batches/s {rate:.2}; p50 {p50:.2}; p99 {p99:.2}")
}

/// A median with the smallest and the largest.
struct Spread([f64; 3]);

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = figures.collect();
        all.sort_unstable_by(f64::total_cmp);
        let (low, high) = (all.first().copied().unwrap_or(f64::NAN), all.last().copied().unwrap_or(f64::NAN));
        let middle = (all.len().saturating_sub(1)) / 2;
        let median = all.get(middle).zip(all.get(all.len() / 2)).map_or(f64::NAN, |(a, b)| (a + b) / 2.0);
        Spread([median, low, high])
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, low, high] = self.0;
        let digits = f.precision().unwrap_or(2);
        write!(f, "{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

/// Which machine this is.
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let model = model.trim_start_matches(['\t', ':', ' ']);
    format!("{cores} cores ({model}), Linux {}, load before {}", kernel.trim(), load.trim())
}

/// Processor time that processes and all below them have used, with what their ended children did.
pub fn work_of(roots: &[u32]) -> Duration {
    let entries = fs::read_dir("/proc").map(|all| all.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let stats = entries.iter().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // A name in brackets comes second, and may hold anything.
        let fields: Vec<u64> = stat.rsplit_once(") ")?.1.split(' ').map(|n| n.parse().unwrap_or(0)).collect();
        let used: u64 = fields.get(11..15)?.iter().sum();
        Some((pid, u32::try_from(fields[1]).ok()?, used))
    });
    let stats: Vec<(u32, u32, u64)> = stats.collect();
    let mut family: Vec<u32> = roots.to_vec();
    let mut known = 0;
    while known < family.len() {
        let one = family[known];
        family.extend(stats.iter().filter(|(_, parent, _)| *parent == one).map(|(pid, ..)| *pid));
        known += 1;
    }
    let ticks: u64 = stats.iter().filter(|(pid, ..)| family.contains(pid)).map(|(.., used)| used).sum();
    // Linux counts in hundredths of a second here, whatever its own clock does.
    Duration::from_millis(ticks * 10)
}

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    /// `N` different ones out of `all`.
    pub fn draw<const N: usize>(&mut self, all: &[i64]) -> [i64; N] {
        let mut drawn = [0; N];
        for at in 0..N {
            drawn[at] = loop {
                let one = all[self.below(all.len())];
                if !drawn[..at].contains(&one) {
                    break one;
                }
            };
        }
        drawn
    }
}
