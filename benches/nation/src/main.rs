//! Writes the nation's files into a directory: `salur-nation out=DIR [scale=1000]`.

use std::error::Error;
use std::path::PathBuf;

const USAGE: &str = "usage: salur-nation out=DIR [scale=N]   N makes it N times smaller; for example: salur-nation out=/tmp/nation scale=1000";

#[expect(clippy::print_stdout, reason = "what was written is what the caller asks for")]
fn main() -> Result<(), Box<dyn Error>> {
    let (mut out, mut scale) = (None, 1);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("out", path)) => out = Some(PathBuf::from(path)),
            Some(("scale", number)) => scale = number.parse().map_err(|_| USAGE)?,
            _ => return Err(USAGE.into()),
        }
    }
    let out = out.ok_or(USAGE)?;
    std::fs::create_dir_all(&out)?;
    println!("{}", salur_nation::write(&out, scale)?);
    Ok(())
}
