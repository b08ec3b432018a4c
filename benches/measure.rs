//! What benchmarks count alike: rounds of requests, processor time and memory of processes, chance.

use std::fmt;
use std::fs;
use std::time::Duration;

/// One round of one side.
pub struct Round {
    pub count: usize,
    time: Duration,
    /// From the request to the answer, ascending.
    latencies: Vec<Duration>,
    /// Processor time of the side's servers; of a script, all of it.
    work: Duration,
}

impl Round {
    pub fn new(mut latencies: Vec<Duration>, time: Duration, work: Duration) -> Self {
        latencies.sort_unstable();
        Round { count: latencies.len(), time, latencies, work }
    }

    pub fn rate(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    /// In milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(f64::NAN, |l| l.as_secs_f64() * 1e3)
    }

    /// Milliseconds of processor time for each.
    pub fn cost(&self) -> f64 {
        self.work.as_secs_f64() * 1e3 / self.count as f64
    }
}

/// A median with the smallest and the largest.
pub struct Spread([f64; 3]);

impl Spread {
    pub fn of(figures: impl Iterator<Item = f64>) -> Self {
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
    let (mut family, mut ticks) = (Vec::new(), 0_u64);
    // Who ends while we look is counted twice or not at all, by itself and by its parent: look again.
    for _ in 0..100 {
        let all = stats();
        let mut now = below(roots, &all);
        now.sort_unstable();
        ticks = all.iter().filter(|(pid, ..)| now.contains(pid)).map(|(.., used)| used).sum();
        if now == family {
            break;
        }
        family = now;
    }
    // Linux counts in hundredths of a second here, whatever its own clock does.
    Duration::from_millis(ticks * 10)
}

/// Each process with its parent and its ticks.
fn stats() -> Vec<(u32, u32, u64)> {
    let entries = fs::read_dir("/proc").map(|all| all.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let stats = entries.iter().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // A name in brackets comes second, and may hold anything.
        let fields: Vec<u64> = stat.rsplit_once(") ")?.1.split(' ').map(|n| n.parse().unwrap_or(0)).collect();
        let used: u64 = fields.get(11..15)?.iter().sum();
        Some((pid, u32::try_from(fields[1]).ok()?, used))
    });
    stats.collect()
}

/// Processes and all below them.
fn below(roots: &[u32], stats: &[(u32, u32, u64)]) -> Vec<u32> {
    let mut family: Vec<u32> = roots.to_vec();
    let mut known = 0;
    while known < family.len() {
        let one = family[known];
        family.extend(stats.iter().filter(|(_, parent, _)| *parent == one).map(|(pid, ..)| *pid));
        known += 1;
    }
    family
}

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}
