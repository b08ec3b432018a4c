//! What RT ask for: two and a half needs each on the average, none of fewer than five.

use crate::Counts;
use crate::draw::Draw;
use crate::files::Files;
use std::io;

/// Items with how often they are asked for, and how many of them: of a poor household, or of anything else.
const ITEMS: [(&str, &str, u64, Amount); 10] = [
    ("PANGAN", "SEMBAKO", 40, Amount::PerPoor(1)),
    ("PANGAN", "PAKET_GIZI_BALITA", 12, Amount::UpTo(30)),
    ("PANGAN", "MAKANAN_SIAP_SAJI", 10, Amount::PerPoor(14)),
    ("UMKM", "MODAL_UMKM", 8, Amount::PerPoor(750_000)),
    ("UMKM", "BAHAN_BAKU", 6, Amount::UpTo(20)),
    ("PENDIDIKAN", "TABLET", 8, Amount::UpTo(25)),
    ("PENDIDIKAN", "SMARTPHONE", 6, Amount::UpTo(25)),
    ("PERMUKIMAN", "SALURAN_AIR", 4, Amount::UpTo(300)),
    ("PERSAMPAHAN", "TEMPAT_SAMPAH_TERPILAH", 3, Amount::UpTo(40)),
    ("KETENAGAKERJAAN", "PELATIHAN_KERJA", 3, Amount::UpTo(15)),
];

#[derive(Clone, Copy)]
enum Amount {
    PerPoor(u32),
    UpTo(u32),
}

/// Of a hundred RT so many have no need, one, two …
const HOW_MANY: [u64; 6] = [6, 20, 26, 24, 14, 10];

const PERIODS: [(&str, &str); 4] = [
    ("2026-01-01", "2026-06-30"),
    ("2026-01-01", "2026-12-31"),
    ("2026-07-01", "2026-12-31"),
    ("2026-10-01", "2027-03-31"),
];

/// The opening balances that there are: nothing, a part of it promised, all of it, all of it given.
const OPENINGS: [u64; 4] = [66, 18, 8, 8];

pub fn of_rt(area: &str, counts: Counts, draw: &mut Draw, files: &mut Files) -> io::Result<()> {
    let mut asked = Vec::new();
    for _ in 0..draw.share(&HOW_MANY) {
        let item = draw.share(&ITEMS.map(|(.., share, _)| share));
        // Nobody asks for one thing twice; whoever would asks for the next one.
        let item = (0..ITEMS.len()).map(|on| (item + on) % ITEMS.len()).find(|item| !asked.contains(item));
        asked.extend(item);
    }
    for item in asked {
        let (program, key, _, amount) = ITEMS[item];
        let required = match amount {
            Amount::PerPoor(each) => counts[1].max(5) * each,
            Amount::UpTo(most) => draw.whole(5, most),
        };
        let severity = 1 + draw.share(&[10, 25, 35, 20, 10]);
        let (start, end) = PERIODS[draw.share(&[30, 40, 20, 10])];
        let [allocated, delivered] = match draw.share(&OPENINGS) {
            0 => [0, 0],
            1 => {
                let allocated = draw.whole(1, required - 1);
                [allocated, draw.whole(0, allocated)]
            }
            2 => [required, draw.whole(0, required - 1)],
            _ => [required, required],
        };
        let [from, to] = [start, end];
        files.need(|number| {
            format!(
                "{area},{program},{key},{required},{severity},{from},{to},{allocated},{delivered},NASIONAL-{number}\n"
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_those_of_the_programs_file() {
        for (program, item, ..) in ITEMS {
            assert!(
                crate::PROGRAMS_CSV
                    .lines()
                    .any(|l| l.starts_with(&format!("{program},")) && l.contains(&format!(",{item},")))
            );
        }
    }
}
