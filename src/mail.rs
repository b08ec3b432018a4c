//! The way out for letters: a mail server, or the log of a demo.
//!
//! What a mail server answers may name the recipient, and its address in the settings holds a
//! password: neither is in an error of this room.

use crate::domain::message::Letter;
use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::time::Duration;
use tokio::time::timeout;

/// A letter that was not handed over in this time is tried again later.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Who carries letters out of the house.
#[derive(Clone)]
pub enum Carrier {
    Smtp(Box<Smtp>),
    /// Into the log, links and all: for a demo, where nobody but the reader of the log is to get them.
    Log,
}

#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// A setting that no mail can be sent with. Repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMail {
    #[error(
        "SALUR_SMTP is not the address of a mail server; write it like smtps://USER:PASSWORD@mail.example:465, or \
         smtp://USER:PASSWORD@mail.example:587?tls=required, with % codes for @ : / ? # % in USER and PASSWORD"
    )]
    Server,
    #[error(
        "SALUR_SMTP would send links that open accounts in clear to another machine; write smtps://…, or add \
         ?tls=required, or ?tls=opportunistic where you trust the network in between"
    )]
    InClear,
    #[error("SALUR_SMTP_FROM must say who writes, like salur@city.example, or Salur <salur@city.example>")]
    From,
}

/// Why a letter was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// It is not to be tried again: nobody takes mail at this address.
    #[error("the address is refused ({0})")]
    Address(String),
    #[error("{0}")]
    Later(String),
}

impl Carrier {
    /// `server` as lettre reads it: smtps://…, or smtp://… with ?tls=required or ?tls=opportunistic.
    pub fn smtp(server: &str, from: &str) -> Result<Carrier, BadMail> {
        let from = from.parse().map_err(|_: AddressError| BadMail::From)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(server).map_err(|_| BadMail::Server)?;
        if server.starts_with("smtp://") && !server.contains("tls=") && !is_near(server) {
            return Err(BadMail::InClear);
        }
        let transport = builder.timeout(Some(PATIENCE)).build();
        Ok(Carrier::Smtp(Box::new(Smtp { transport, from })))
    }

    /// Hands a letter over. `name` is the same each time that the same letter is tried, so that whoever
    /// gets it twice can tell.
    pub async fn deliver(&self, recipient: &str, name: &str, letter: &Letter) -> Result<(), Undelivered> {
        match self {
            Carrier::Smtp(smtp) => smtp.deliver(recipient, name, letter).await,
            Carrier::Log => {
                tracing::info!("a message, shown because this is a demo\nTo: {recipient}\n{letter}");
                Ok(())
            }
        }
    }
}

impl Smtp {
    async fn deliver(&self, recipient: &str, name: &str, letter: &Letter) -> Result<(), Undelivered> {
        let to = recipient.parse().map_err(|_| Undelivered::Address("it cannot be written in a mail".into()))?;
        let mail = MessageBuilder::new()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject.as_str())
            .message_id(Some(format!("<{name}@{}>", self.from.email.domain())))
            // So that nobody's absence is announced to us.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body.clone())
            .map_err(|error| Undelivered::Later(format!("the mail cannot be written: {error}")))?;
        match timeout(PATIENCE, self.transport.send(mail)).await {
            Ok(sent) => sent.map(|_| ()).map_err(|error| explain(&error)),
            Err(_) => Err(Undelivered::Later("the mail server does not answer in time".into())),
        }
    }
}

/// The host of an smtp:// address is this machine.
fn is_near(server: &str) -> bool {
    let authority = server.trim_start_matches("smtp://").split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(h, _)| h);
    host == "localhost" || host == "[::1]" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Mailbox unavailable, not local, full for good, or not a mailbox's name.
const NO_SUCH_MAILBOX: [u16; 4] = [550, 551, 552, 553];

fn explain(error: &SmtpError) -> Undelivered {
    match error.status().map(u16::from) {
        Some(code) if NO_SUCH_MAILBOX.contains(&code) => Undelivered::Address(code.to_string()),
        Some(code) => Undelivered::Later(format!("the mail server answers {code}")),
        None if error.is_response() => Undelivered::Later("the mail server's answer cannot be read".into()),
        None => Undelivered::Later(format!("the mail server cannot be used: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "Salur <salur@city.example>";

    #[test]
    fn a_mail_server_is_reached_in_clear_only_on_this_machine() {
        for good in [
            "smtps://u:p@mail.example",
            "smtp://u:p@mail.example:587?tls=required",
            "smtp://mail.example?tls=opportunistic",
            "smtp://localhost:2525",
            "smtp://u:p%40x@127.0.0.1:25",
            "smtp://[::1]:25",
        ] {
            assert!(Carrier::smtp(good, FROM).is_ok(), "{good}");
        }
        for clear in [
            "smtp://mail.example",
            "smtp://u:p@mail.example:25",
            "smtp://127.0.0.1.example",
            "smtp://localhost@mail.example",
        ] {
            assert_eq!(Carrier::smtp(clear, FROM).err(), Some(BadMail::InClear), "{clear}");
        }
    }

    #[test]
    fn a_wrong_setting_is_refused_and_not_repeated() {
        for wrong in ["mail.example", "http://u:geheim@mail.example", "smtps://", "smtp://u:geheim@h?tls=perhaps"] {
            let refused = Carrier::smtp(wrong, FROM).err().expect("it is no mail server");
            assert!(refused == BadMail::Server && !refused.to_string().contains("geheim"), "{wrong}: {refused}");
        }
        assert_eq!(Carrier::smtp("smtp://localhost", "Salur").err(), Some(BadMail::From));
    }
}
