//! A made-up nation of real size: 38 provinces, 1.2 million RT in about 84,000 villages, three million needs,
//! in the files that `salur import` reads. Codes and names of provinces are the Ministry's; everything
//! else is made up, the same on every machine, and written as it is made: memory holds one village.
//!
//! RT have 80 to 160 households, RW 8 to 16 RT. In the middle of a province RT lie as near to each other as in
//! Jakarta, towards its edges farther and farther apart.

mod draw;
mod files;
mod ground;
mod needs;
mod provinces;

use draw::Draw;
use files::{Files, Row};
use ground::{Rect, cut};
use provinces::Province;
use std::fmt;
use std::io;
use std::path::Path;

/// What the programs' file holds.
pub const PROGRAMS_CSV: &str = include_str!("../../../seed/programs.csv");

/// The areas' files, parents first.
pub const AREA_FILES: [&str; 6] = ["provinces.csv", "cities.csv", "districts.csv", "villages.csv", "rw.csv", "rt.csv"];
pub const PROGRAMS_FILE: &str = "programs.csv";
pub const NEEDS_FILE: &str = "needs.csv";

/// How many records were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// From provinces to RT.
    pub areas: [u64; 6],
    pub needs: u64,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [provinces, cities, districts, villages, rw, rt] = self.areas;
        write!(
            f,
            "{provinces} provinces, {cities} cities, {districts} districts, {villages} villages, {rw} RW, {rt} RT, {} \
             needs",
            self.needs
        )
    }
}

/// Households, and the poor among them.
type Counts = [u32; 2];

/// Writes the nation, `scale` times smaller, into the directory, which must be there.
pub fn write(out: &Path, scale: u32) -> io::Result<Totals> {
    let mut files = Files::create(out)?;
    for province in provinces::provinces(scale) {
        Writer { province: &province, files: &mut files }.province()?;
    }
    files.finish()
}

struct Writer<'a> {
    province: &'a Province,
    files: &'a mut Files,
}

impl Writer<'_> {
    fn province(&mut self) -> io::Result<()> {
        let Province { code, name, plane, columns, rows } = self.province;
        let all = Rect { left: 0, bottom: 0, right: plane.width, top: plane.height };
        let mut sum = Counts::default();
        // A province's middle is its largest town's; codes of regencies ascend from 01, those of towns from 71.
        let (mut regencies, mut towns) = (0, 70);
        let mut cities = Vec::new();
        let mut bottom = 0;
        for height in rows {
            let mut left = 0;
            for widths in columns {
                let right = left + widths.iter().sum::<u32>();
                let rect = Rect { left, bottom, right, top: bottom + height };
                let town = plane.remoteness(rect) < 0.08;
                let number = if town { &mut towns } else { &mut regencies };
                *number += 1;
                cities.push((*number, town, rect, widths));
                left = right;
            }
            bottom += height;
        }
        cities.sort_unstable_by_key(|(number, ..)| *number);
        for (number, town, rect, widths) in cities {
            add(&mut sum, self.city(&format!("{code}.{number:02}"), town, rect, widths)?);
        }
        self.area(Row { level: 0, code: &code.to_string(), name, rect: all, counts: sum })
    }

    fn city(&mut self, code: &str, town: bool, rect: Rect, widths: &[u32]) -> io::Result<Counts> {
        let mut draw = self.draw(2, rect);
        let (mut sum, mut left, mut number) = (Counts::default(), rect.left, 0);
        for width in widths {
            let strips = cut(rect.top - rect.bottom, 3, 4, &mut draw);
            let mut bottom = rect.bottom;
            // Three strips of villages are a district; one that is left over belongs to the last.
            let districts = (strips.len() / 3).max(1);
            for district in 0..districts {
                let last = if district + 1 == districts { strips.len() } else { district * 3 + 3 };
                let strips = &strips[district * 3..last];
                let top = bottom + strips.iter().sum::<u32>();
                number += 1;
                let own = Rect { left, bottom, right: left + width, top };
                add(&mut sum, self.district(&format!("{code}.{number:02}"), town, own, strips)?);
                bottom = top;
            }
            left += width;
        }
        let name = format!("{} {}", if town { "Kota" } else { "Kabupaten" }, name(&mut draw));
        self.area(Row { level: 1, code, name: &name, rect, counts: sum })?;
        Ok(sum)
    }

    fn district(&mut self, code: &str, town: bool, rect: Rect, strips: &[u32]) -> io::Result<Counts> {
        let mut draw = self.draw(3, rect);
        let (mut sum, mut bottom, mut number) = (Counts::default(), rect.bottom, 0);
        // A kelurahan of a town has more RW than a desa.
        let shares: &[u64] = if town { &[15, 30, 30, 25] } else { &[83, 17] };
        for height in strips {
            // An RW is as high as its strip and holds 8 to 16 RT.
            let (least, most) = if *height == 3 { (3, 5) } else { (2, 4) };
            let mut left = rect.left;
            let widths = cut(rect.right - rect.left, least, most, &mut draw);
            let mut rest = widths.as_slice();
            while !rest.is_empty() {
                let (rws, more) = rest.split_at((draw.share(shares) + 1).min(rest.len()));
                rest = more;
                number += 1;
                let own = Rect { left, bottom, right: left + rws.iter().sum::<u32>(), top: bottom + height };
                let kind = if town { 1 } else { 2 };
                add(&mut sum, self.village(&format!("{code}.{kind}{number:03}"), own, rws)?);
                left = own.right;
            }
            bottom += height;
        }
        self.area(Row { level: 2, code, name: &name(&mut draw), rect, counts: sum })?;
        Ok(sum)
    }

    fn village(&mut self, code: &str, rect: Rect, widths: &[u32]) -> io::Result<Counts> {
        let mut draw = self.draw(4, rect);
        // Poverty differs from village to village.
        let poor = draw.whole(5, 30);
        let (mut sum, mut left) = (Counts::default(), rect.left);
        for (number, width) in (1..).zip(widths) {
            let own = Rect { left, right: left + width, ..rect };
            add(&mut sum, self.rw(&format!("{code}.{number:03}"), &format!("RW {number:03}"), own, poor)?);
            left += width;
        }
        self.area(Row { level: 3, code, name: &name(&mut draw), rect, counts: sum })?;
        Ok(sum)
    }

    fn rw(&mut self, code: &str, name: &str, rect: Rect, poor: u32) -> io::Result<Counts> {
        let mut sum = Counts::default();
        let cells = (rect.bottom..rect.top).flat_map(|y| (rect.left..rect.right).map(move |x| (x, y)));
        for (number, (x, y)) in (1..).zip(cells) {
            let cell = Rect { left: x, bottom: y, right: x + 1, top: y + 1 };
            let mut draw = self.draw(6, cell);
            let households = draw.whole(80, 160);
            let counts = [households, (households * (poor + draw.whole(0, 5))).div_ceil(100)];
            let (code, name) = (format!("{code}.{number:03}"), format!("RT {number:03}"));
            self.area(Row { level: 5, code: &code, name: &name, rect: cell, counts })?;
            needs::of_rt(&code, counts, &mut draw, self.files)?;
            add(&mut sum, counts);
        }
        self.area(Row { level: 4, code, name, rect, counts: sum })?;
        Ok(sum)
    }

    fn area(&mut self, row: Row) -> io::Result<()> {
        self.files.area(&self.province.plane, row)
    }

    fn draw(&self, level: u64, rect: Rect) -> Draw {
        Draw::keyed(&[level, self.province.plane.number, u64::from(rect.left), u64::from(rect.bottom)])
    }
}

fn add(sum: &mut Counts, more: Counts) {
    sum[0] += more[0];
    sum[1] += more[1];
}

/// A name as villages have them; many share one, as they do.
fn name(draw: &mut Draw) -> String {
    const FIRST: [&str; 24] = [
        "Suka", "Karang", "Tanjung", "Sumber", "Mekar", "Bumi", "Teluk", "Muara", "Kampung", "Gunung", "Sido", "Wono",
        "Banjar", "Pasir", "Batu", "Tegal", "Kali", "Rejo", "Lubuk", "Sungai", "Padang", "Pulau", "Kota", "Bukit",
    ];
    const SECOND: [&str; 24] = [
        "maju", "sari", "mulya", "agung", "jaya", "rejo", "asri", "makmur", "raya", "indah", "harjo", "tani",
        "laksana", "murni", "bakti", "mukti", "luhur", "hilir", "hulu", "baru", "lama", "tengah", "wetan", "kulon",
    ];
    let pick = |draw: &mut Draw, from: &[&'static str]| from[draw.whole(0, from.len() as u32 - 1) as usize];
    let (first, second) = (pick(draw, &FIRST), pick(draw, &SECOND));
    format!("{first}{second}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A border in millionths of a degree, closed, with the households inside.
    type Area = (Vec<(i64, i64)>, [u64; 2]);

    fn area(line: &str) -> Option<(String, Area)> {
        let (head, rest) = line.split_once(",\"POLYGON((")?;
        let (ring, counts) = rest.split_once("))\",")?;
        let millionths = |text: &str| text.replace('.', "").parse::<i64>().ok();
        let ring = ring.split(',').map(|p| p.split_once(' ').and_then(|(x, y)| Some((millionths(x)?, millionths(y)?))));
        let (all, poor) = counts.split_once(',')?;
        let counts = [all.parse().ok()?, poor.parse().ok()?];
        Some((head.split(',').next()?.to_owned(), (ring.collect::<Option<_>>()?, counts)))
    }

    fn twice_area(ring: &[(i64, i64)]) -> i64 {
        let (x, y) = ring[0];
        ring.windows(2).map(|w| (w[0].0 - x) * (w[1].1 - y) - (w[1].0 - x) * (w[0].1 - y)).sum()
    }

    /// Whether two segments without a common end meet.
    fn meet(a: (i64, i64), b: (i64, i64), c: (i64, i64), d: (i64, i64)) -> bool {
        let side = |a: (i64, i64), b: (i64, i64), p: (i64, i64)| twice_area(&[a, b, p, a]).signum();
        side(a, b, c) * side(a, b, d) <= 0 && side(c, d, a) * side(c, d, b) <= 0
    }

    fn is_simple(ring: &[(i64, i64)]) -> bool {
        let sides: Vec<_> = ring.windows(2).map(|w| (w[0], w[1])).collect();
        (0..sides.len()).all(|i| {
            (i + 2..sides.len())
                .filter(|j| (i, *j) != (0, sides.len() - 1))
                .all(|j| !meet(sides[i].0, sides[i].1, sides[j].0, sides[j].1))
        })
    }

    #[test]
    fn areas_partition_their_parents_and_are_of_believable_size() {
        let out = std::env::temp_dir().join(format!("salur-nation-{}", std::process::id()));
        std::fs::create_dir(&out).expect("a directory");
        let totals = write(&out, 40).expect("written");
        let again = out.join("again");
        std::fs::create_dir(&again).expect("a directory");
        write(&again, 40).expect("written again");
        let mut areas: Vec<BTreeMap<String, Area>> = Vec::new();
        for (file, count) in AREA_FILES.iter().zip(totals.areas) {
            let text = std::fs::read_to_string(out.join(file)).expect("a file");
            assert!(text == std::fs::read_to_string(again.join(file)).expect("a file"), "{file} differs");
            let codes: Vec<_> = text.lines().skip(1).map(|line| area(line).expect(line)).collect();
            assert!(codes.is_sorted_by_key(|(code, _)| code), "{file} is not in the order of codes");
            areas.push(codes.into_iter().collect());
            assert_eq!(areas.last().map(|a| a.len() as u64), Some(count), "{file}");
        }
        let needs = std::fs::read_to_string(out.join(NEEDS_FILE)).expect("a file");
        std::fs::remove_dir_all(&out).expect("removed");
        for (above, below) in areas.iter().zip(&areas[1..]) {
            let mut sums: BTreeMap<&str, (i64, [u64; 2])> = BTreeMap::new();
            for (code, (ring, counts)) in below {
                let parent = code.rsplit_once('.').expect("a parent").0;
                let sum = sums.entry(parent).or_default();
                sum.0 += twice_area(ring);
                (sum.1[0], sum.1[1]) = (sum.1[0] + counts[0], sum.1[1] + counts[1]);
            }
            for (code, (ring, counts)) in above {
                assert_eq!(sums.get(code.as_str()), Some(&(twice_area(ring), *counts)), "{code}");
            }
        }
        for (code, (ring, [households, poor])) in &areas[5] {
            assert!(twice_area(ring) > 0 && is_simple(ring), "{code}: {ring:?}");
            assert!((80..=160).contains(households) && poor < households);
        }
        for rw in areas[4].keys() {
            let rt = areas[5].range(format!("{rw}.")..format!("{rw}/")).count();
            assert!((8..=16).contains(&rt), "{rw} has {rt} RT");
        }
        let [.., villages, _, rt] = totals.areas;
        assert!((28_000..32_000).contains(&rt), "{totals}");
        assert!((12.0..16.0).contains(&(rt as f64 / villages as f64)), "{totals}");
        assert!((2.4..2.6).contains(&(totals.needs as f64 / rt as f64)), "{totals}");
        let cells: Vec<Vec<&str>> = needs.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert!(cells.iter().all(|c| areas[5].contains_key(c[0])));
        let opened = cells.iter().filter(|c| c[7] != "0").count() as f64 / cells.len() as f64;
        assert!((0.3..0.4).contains(&opened), "{opened}");
    }
}
