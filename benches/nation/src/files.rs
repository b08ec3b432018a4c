//! The files, written row by row.

use crate::ground::{Place, Plane, Rect};
use crate::{AREA_FILES, Counts, NEEDS_FILE, PROGRAMS_CSV, PROGRAMS_FILE, Totals};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const AREA_HEADER: &str = "code,name,level,lon,lat,wkt,households,poor_households\n";
const NEEDS_HEADER: &str =
    "area_code,program,item,required,severity,period_start,period_end,allocated,delivered,external_id\n";

/// What a file buffers.
const BUFFER: usize = 1 << 20;

const LEVELS: [&str; 6] = ["province", "city", "district", "village", "rw", "rt"];

/// One area; its level is its place among [`AREA_FILES`].
pub struct Row<'a> {
    pub level: usize,
    pub code: &'a str,
    pub name: &'a str,
    pub rect: Rect,
    pub counts: Counts,
}

pub struct Files {
    areas: Vec<BufWriter<File>>,
    needs: BufWriter<File>,
    totals: Totals,
    border: Vec<Place>,
    row: String,
}

impl Files {
    pub fn create(out: &Path) -> io::Result<Self> {
        let create = |name: &str, header: &str| {
            let mut file = BufWriter::with_capacity(BUFFER, File::create(out.join(name))?);
            file.write_all(header.as_bytes())?;
            Ok::<_, io::Error>(file)
        };
        std::fs::write(out.join(PROGRAMS_FILE), PROGRAMS_CSV)?;
        let areas = AREA_FILES.iter().map(|name| create(name, AREA_HEADER)).collect::<Result<_, _>>()?;
        let needs = create(NEEDS_FILE, NEEDS_HEADER)?;
        Ok(Files { areas, needs, totals: Totals::default(), border: Vec::new(), row: String::new() })
    }

    pub fn area(&mut self, plane: &Plane, area: Row) -> io::Result<()> {
        let Files { areas, totals, border, row, .. } = self;
        row.clear();
        plane.border(area.rect, border);
        let level = LEVELS[area.level];
        let _ = write!(row, "{},{},{level},", area.code, area.name);
        let (lon, lat) = plane.middle_of(area.rect);
        degrees(lon, row);
        row.push(',');
        degrees(lat, row);
        row.push_str(",\"POLYGON((");
        // A ring ends where it began.
        for (at, (lon, lat)) in border.iter().chain(border.first()).enumerate() {
            if at > 0 {
                row.push(',');
            }
            degrees(*lon, row);
            row.push(' ');
            degrees(*lat, row);
        }
        let [households, poor] = area.counts;
        let _ = writeln!(row, "))\",{households},{poor}");
        totals.areas[area.level] += 1;
        areas[area.level].write_all(row.as_bytes())
    }

    /// Writes the row that is made of the need's number.
    pub fn need(&mut self, row: impl FnOnce(u64) -> String) -> io::Result<()> {
        self.totals.needs += 1;
        self.needs.write_all(row(self.totals.needs).as_bytes())
    }

    pub fn finish(mut self) -> io::Result<Totals> {
        self.areas.iter_mut().try_for_each(BufWriter::flush)?;
        self.needs.flush()?;
        Ok(self.totals)
    }
}

/// Millionths of a degree as degrees.
fn degrees(millionths: i64, into: &mut String) {
    if millionths < 0 {
        into.push('-');
    }
    let all = millionths.unsigned_abs();
    let _ = write!(into, "{}.{:06}", all / 1_000_000, all % 1_000_000);
}
