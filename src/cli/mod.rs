//! The command line: settings come together here, rooms are put together, and what they say is
//! shown. Data goes to stdout, an error to stderr in one line; the exit code is 0, 1 (it failed) or
//! 2 (it was used wrongly).

mod audit;
mod backup;
mod database;
mod demo;
mod export;
mod import;
mod keys;
mod migrate;
mod outbox;
mod outcome;
mod people;
mod progress;
mod schema;
mod serve;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use outcome::{Failure, show, show_error};
use std::ffi::OsString;

/// Matches those who want to give with neighbourhoods that need, so that no two gifts land on one door.
#[derive(Debug, Parser)]
#[command(name = "salur", version, disable_help_subcommand = true, arg_required_else_help = true)]
#[command(after_help = "\
Settings come from flags, else the environment (SALUR_DATABASE, SALUR_LISTEN, SALUR_PUBLIC_URL, SALUR_SMTP,
SALUR_SMTP_FROM, SALUR_OIDC_ISSUER, SALUR_OIDC_CLIENT_ID, SALUR_OIDC_CLIENT_SECRET, SALUR_DATA_DIR, SALUR_LOG,
SALUR_LOG_FORMAT), else salur.toml (the same names in small letters without SALUR_), else defaults.

Examples:
  salur demo --print-guide      fill a database with the demo city and say how to look at it
  salur serve                   serve it on http://127.0.0.1:8080")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    #[command(subcommand)]
    Import(import::Import),
    Export(export::Export),
    #[command(subcommand)]
    Organization(people::Organization),
    #[command(subcommand)]
    User(people::User),
    #[command(subcommand)]
    Key(keys::Key),
    #[command(subcommand)]
    Audit(audit::Audit),
    Outbox(outbox::Outbox),
    Migrate(migrate::Migrate),
    Backup(backup::Backup),
    Schema(schema::Schema),
}

/// Runs what the arguments ask for, the program's own name first, and answers the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return show_error(&Failure::failed(format!("the system gives no threads: {error}"))),
    };
    match runtime.block_on(dispatch(arguments.command)) {
        Ok(()) => 0,
        Err(failure) => show_error(&failure),
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => serve.run().await,
        Command::Demo(demo) => demo.run().await,
        Command::Import(import) => import.run().await,
        Command::Export(export) => export.run().await,
        Command::Organization(organization) => organization.run().await,
        Command::User(user) => user.run().await,
        Command::Key(key) => key.run().await,
        Command::Audit(audit) => audit.run().await,
        Command::Outbox(outbox) => outbox.run().await,
        Command::Migrate(migrate) => migrate.run().await,
        Command::Backup(backup) => backup.run().await,
        Command::Schema(schema) => schema.run(),
    }
}

/// Help is data; a wrong use is one line that ends with where to find help.
fn refuse(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let shown = show(error.render().to_string().trim_end());
            shown.map_or_else(|failure| show_error(&failure), |()| 0)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            2
        }
        _ => {
            let text = error.render().to_string();
            let (problem, rest) = text.split_once("\n\nUsage: ").unwrap_or((&text, ""));
            let problem = problem.trim_start_matches("error: ");
            let called = called(rest);
            show_error(&Failure::usage(format!("{problem}; see `{called} --help`")))
        }
    }
}

/// The command that a usage line is about: its leading words.
fn called(usage: &str) -> String {
    let own = Arguments::command();
    let words = usage.split_whitespace().take_while(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    let words: Vec<&str> = words.take_while(|w| !w.starts_with('-')).collect();
    if words.is_empty() { own.get_name().to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(command: &clap::Command, path: &str, seen: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        seen.push((path.trim().to_owned(), help));
        for sub in command.get_subcommands() {
            walk(sub, &path, seen);
        }
    }

    #[test]
    fn every_command_s_help_has_an_example_that_parses() {
        Arguments::command().debug_assert();
        let mut seen = Vec::new();
        walk(&Arguments::command(), "", &mut seen);
        assert!(seen.len() >= 15, "{seen:?}");
        for (path, help) in seen {
            let examples: Vec<&str> = help.lines().map(str::trim).filter(|l| l.starts_with("salur ")).collect();
            assert!(!examples.is_empty(), "{path} has no example");
            for example in examples {
                let words = example.split("  ").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
                let words = words.split_whitespace().map(|w| w.trim_matches('\''));
                let parsed = Arguments::try_parse_from(words);
                assert!(parsed.is_ok(), "{example}: {:?}", parsed.err().map(|e| e.to_string()));
                assert!(example.starts_with(&path) || path == "salur", "{path}: {example}");
            }
        }
    }

    #[test]
    fn a_wrong_use_is_told_which_help_to_read() {
        let error = Arguments::try_parse_from(["salur", "user", "add", "--email"]).expect_err("no value");
        let text = error.render().to_string();
        assert_eq!(called(text.split_once("\n\nUsage: ").map_or("", |(_, rest)| rest)), "salur");
        let error = Arguments::try_parse_from(["salur", "key", "issue"]).expect_err("no e-mail");
        let text = error.render().to_string();
        assert_eq!(called(text.split_once("\n\nUsage: ").map_or("", |(_, rest)| rest)), "salur key issue");
    }
}
