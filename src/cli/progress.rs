//! How far long work has come: a bar on a terminal, plain lines elsewhere, both on stderr.

use super::outcome::say;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::Duration;

/// Where there is no terminal, work on fewer records than this is done without a word.
const LONG: u64 = 10_000;

pub struct Progress {
    bar: Option<ProgressBar>,
    /// What was said last, so that it is said once.
    said: Mutex<String>,
}

impl Progress {
    pub fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Progress { bar, said: Mutex::new(String::new()) }
    }

    /// A step over so many records begins.
    pub fn step(&self, what: &str, records: u64) {
        match &self.bar {
            Some(bar) => {
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                    bar.set_style(style);
                }
                bar.set_message(what.to_owned());
            }
            None if records >= LONG => self.say_once(what),
            None => {}
        }
    }

    /// So many of so many are done.
    pub fn count(&self, what: &str, done: u64, of: u64) {
        match &self.bar {
            Some(bar) if of > 1 => {
                if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg} {pos}/{len}") {
                    bar.set_style(style);
                }
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(what.to_owned());
            }
            Some(_) => self.step(what, of),
            None => self.say_once(what),
        }
    }

    fn say_once(&self, what: &str) {
        if let Ok(mut said) = self.said.lock()
            && *said != what
        {
            said.clear();
            said.push_str(what);
            say(what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
