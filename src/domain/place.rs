//! Positions on the earth, WGS 84, longitude first, always.

/// A position in degrees. Built only by [`LonLat::new`], so it is finite and in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LonLat {
    lon: f64,
    lat: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    #[error("longitude must be between -180 and 180 degrees")]
    Longitude,
    #[error("latitude must be between -90 and 90 degrees")]
    Latitude,
    #[error("a box needs west <= east and south <= north")]
    Order,
}

impl LonLat {
    pub fn new(lon: f64, lat: f64) -> Result<Self, BadPlace> {
        if !(-180.0..=180.0).contains(&lon) {
            return Err(BadPlace::Longitude);
        }
        if !(-90.0..=90.0).contains(&lat) {
            return Err(BadPlace::Latitude);
        }
        Ok(LonLat { lon, lat })
    }

    pub fn lon(self) -> f64 {
        self.lon
    }

    pub fn lat(self) -> f64 {
        self.lat
    }
}

/// A box in degrees with `west <= east` and `south <= north`; borders belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bounds {
    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Result<Self, BadPlace> {
        let low = LonLat::new(west, south)?;
        let high = LonLat::new(east, north)?;
        if low.lon > high.lon || low.lat > high.lat {
            return Err(BadPlace::Order);
        }
        Ok(Bounds { west, south, east, north })
    }

    pub fn west(&self) -> f64 {
        self.west
    }
    pub fn south(&self) -> f64 {
        self.south
    }
    pub fn east(&self) -> f64 {
        self.east
    }
    pub fn north(&self) -> f64 {
        self.north
    }

    /// `[west, south, east, north]`
    pub fn to_array(&self) -> [f64; 4] {
        [self.west, self.south, self.east, self.north]
    }

    /// The smallest box around both.
    pub fn around(&self, other: &Bounds) -> Bounds {
        Bounds {
            west: self.west.min(other.west),
            south: self.south.min(other.south),
            east: self.east.max(other.east),
            north: self.north.max(other.north),
        }
    }

    pub fn intersects(&self, other: &Bounds) -> bool {
        self.west <= other.east && other.west <= self.east && self.south <= other.north && other.south <= self.north
    }
}
