//! A new edition of all RT beside readers: who asks meanwhile is answered from the old one until the new one is
//! swapped in.

use super::Outcome;
use super::http::Connection;
use super::measure::Round;
use super::ours::{Ours, get};
use super::questions::Question;
use super::town::Town;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Of all callers together, one after another.
const PAUSE: Duration = Duration::from_millis(5);

/// Publishes every RT anew with more households, and asks all the while.
pub async fn renew(town: &Town, ours: &Ours, scale: u32, questions: &[Question]) -> Outcome<()> {
    let files = town.home.join("renewal");
    fs::create_dir_all(&files)?;
    salur_nation::write(&files, scale)?;
    let changed = files.join("changed.csv");
    let before = edition(ours).await?;
    // More with each edition: what stands already would be published by none.
    let rows = households_more(before.unsigned_abs(), &files.join("rt.csv"), &changed)?;
    let begun = Instant::now();
    let mut import = Command::new(env!("CARGO_BIN_EXE_salur"))
        .args(["import", "areas", &changed.display().to_string(), "--database", &town.ours, "--data-dir", "."])
        .current_dir(&town.home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let (mut caller, mut latencies, mut at) = (ours.caller().await?, [Vec::new(), Vec::new()], 0);
    let (mut imported, mut swapped) = (None, None);
    while swapped.is_none() {
        let asked = Instant::now();
        caller.ask(&questions[at % questions.len()]).await?;
        // While the import runs, and while the server reads what it has published.
        latencies[usize::from(imported.is_some())].push(asked.elapsed());
        at += 1;
        tokio::time::sleep(PAUSE).await;
        if imported.is_none()
            && let Some(status) = import.try_wait()?
        {
            if !status.success() {
                return Err("the import failed".into());
            }
            imported = Some(begun.elapsed());
        }
        if at % 20 == 0 && edition(ours).await? != before {
            swapped = Some(begun.elapsed());
        }
        if begun.elapsed() > Duration::from_secs(900) {
            return Err("no new edition within a quarter of an hour".into());
        }
    }
    import.wait()?;
    let ended = [imported, swapped].map(Option::unwrap_or_default);
    println!(
        "{rows} RT published anew in {:.0} s; the new edition was answered from after {:.0} s",
        ended[0].as_secs_f64(),
        ended[1].as_secs_f64()
    );
    for (what, latencies) in ["while it was imported", "while the server read it"].into_iter().zip(latencies) {
        let most = latencies.iter().max().copied().unwrap_or_default().as_secs_f64() * 1e3;
        let round = Round::new(latencies, Duration::from_secs(1), Duration::ZERO);
        println!(
            "  {what}: {} views of 4 km one after another, none refused; p50 {:.2} ms, p99 {:.2} ms, at most {most:.0} ms",
            round.count,
            round.percentile(50),
            round.percentile(99)
        );
    }
    let status = fs::read_to_string(format!("/proc/{}/status", ours.process()))?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    println!("  the server's memory at most: {}", most.trim());
    fs::remove_dir_all(&files)?;
    Ok(())
}

async fn edition(ours: &Ours) -> Outcome<i64> {
    let mut connection = Connection::open(ours.address()).await?;
    let ready = connection.send(get(ours.address(), "/health/ready", "identity").as_bytes()).await?;
    let ready: serde_json::Value = serde_json::from_slice(ready)?;
    Ok(ready["edition"].as_i64().ok_or("a server that is ready names its edition")?)
}

fn households_more(by: u64, from: &std::path::Path, to: &std::path::Path) -> Outcome<usize> {
    let mut lines = BufReader::new(fs::File::open(from)?).lines();
    let header = lines.next().ok_or("a file has a header")??;
    let column = header.rsplit(',').position(|name| name == "households").ok_or("households are a column")?;
    let mut out = BufWriter::new(fs::File::create(to)?);
    writeln!(out, "{header}")?;
    let mut rows = 0;
    for line in lines {
        let line = line?;
        // Told from the end: before it there are commas in quotes.
        let mut cells: Vec<&str> = line.rsplitn(column + 2, ',').collect();
        let more = (cells[column].parse::<u64>()? + by).to_string();
        cells[column] = &more;
        cells.reverse();
        writeln!(out, "{}", cells.join(","))?;
        rows += 1;
    }
    out.flush()?;
    Ok(rows)
}
