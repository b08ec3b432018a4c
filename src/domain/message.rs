//! What Salur writes to people by mail: one text in Bahasa Indonesia with the same in English below,
//! because nobody knows yet which of the two its reader prefers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An address that does something for whoever opens it: it is shown to nobody but its recipient, and
/// never by `{:?}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Link(pub String);

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(…)")
    }
}

/// What is told, with all that its text needs. The names are kept in the database: they may be added
/// to, and not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "parameters", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Message {
    /// To an address that nobody has proved to be theirs.
    ConfirmSignUp {
        link: Link,
    },
    /// Somebody signed up with an address that has an account: what the screen must not tell.
    AccountExists {
        link: Link,
    },
    ResetPassword {
        link: Link,
    },
    Invitation {
        organization: String,
        link: Link,
    },
    OrganizationApproved {
        organization: String,
    },
    OrganizationRefused {
        organization: String,
        reason: String,
    },
}

/// A message as it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    pub subject: String,
    /// Plain text; lines end with `\n`.
    pub body: String,
}

impl Message {
    pub fn letter(&self) -> Letter {
        let ([subject_id, subject_en], [id, en]) = match self {
            Message::ConfirmSignUp { link } => (
                ["Konfirmasi pendaftaran Anda", "Confirm your sign-up"],
                [
                    format!(
                        "Terima kasih atas pendaftaran Anda di Salur. Untuk memastikan bahwa alamat surel\n\
                         ini milik Anda, silakan buka tautan berikut:\n\n{link}\n\n\
                         Jika Anda tidak mendaftar, abaikan surel ini; tidak ada yang akan terjadi."
                    ),
                    format!(
                        "Thank you for signing up with Salur. To show that this address is yours, please\n\
                         open this link:\n\n{link}\n\n\
                         If you did not sign up, ignore this mail; nothing will happen."
                    ),
                ],
            ),
            Message::AccountExists { link } => (
                ["Anda sudah memiliki akun", "You have an account already"],
                [
                    format!(
                        "Baru saja ada pendaftaran dengan alamat surel ini, padahal alamat ini sudah memiliki\n\
                         akun di Salur. Anda dapat masuk, atau mengatur ulang kata sandi, di sini:\n\n{link}\n\n\
                         Jika bukan Anda yang mendaftar, abaikan surel ini; akun Anda tidak berubah."
                    ),
                    format!(
                        "Somebody has just signed up with this address, which has an account with Salur\n\
                         already. You can sign in, or set a new password, here:\n\n{link}\n\n\
                         If it was not you, ignore this mail; your account has not changed."
                    ),
                ],
            ),
            Message::ResetPassword { link } => (
                ["Atur ulang kata sandi Anda", "Set a new password"],
                [
                    format!(
                        "Kami menerima permintaan untuk mengatur ulang kata sandi Anda di Salur. Silakan buka\n\
                         tautan ini, yang hanya berlaku satu kali:\n\n{link}\n\n\
                         Jika Anda tidak memintanya, abaikan surel ini; kata sandi Anda tidak berubah."
                    ),
                    format!(
                        "We were asked to set a new password for you at Salur. Please open this link, which\n\
                         works once:\n\n{link}\n\n\
                         If you did not ask for it, ignore this mail; your password has not changed."
                    ),
                ],
            ),
            Message::Invitation { organization, link } => {
                let organization = plain(organization);
                (
                    ["Undangan untuk bergabung di Salur", "You are invited to Salur"],
                    [
                        format!(
                            "Anda diundang untuk bergabung dengan {organization} di Salur. Untuk menerima\n\
                             undangan ini, silakan buka tautan berikut, yang hanya berlaku satu kali:\n\n{link}\n\n\
                             Jika Anda tidak mengenal pengundangnya, abaikan surel ini."
                        ),
                        format!(
                            "You are invited to join {organization} at Salur. To accept, please open this\n\
                             link, which works once:\n\n{link}\n\n\
                             If you do not know who invites you, ignore this mail."
                        ),
                    ],
                )
            }
            Message::OrganizationApproved { organization } => {
                let organization = plain(organization);
                (
                    ["Pendaftaran lembaga Anda disetujui", "Your organisation is approved"],
                    [
                        format!(
                            "Pendaftaran {organization} di Salur telah disetujui. Mulai sekarang lembaga Anda\n\
                             dapat memilih kebutuhan yang hendak dibantu. Terima kasih atas kepedulian Anda."
                        ),
                        format!(
                            "{organization} has been approved at Salur. From now on your organisation can\n\
                             claim the needs that it wants to meet. Thank you for caring."
                        ),
                    ],
                )
            }
            Message::OrganizationRefused { organization, reason } => {
                let (organization, reason) = (plain(organization), plain(reason));
                (
                    ["Pendaftaran lembaga Anda belum dapat disetujui", "Your organisation is not approved"],
                    [
                        format!(
                            "Mohon maaf, pendaftaran {organization} di Salur belum dapat disetujui.\n\
                             Alasannya:\n\n{reason}\n\n\
                             Anda dapat mendaftar kembali setelah hal tersebut dilengkapi."
                        ),
                        format!(
                            "We are sorry: {organization} could not be approved at Salur. The reason given:\n\n\
                             {reason}\n\n\
                             You may sign up again once that is settled."
                        ),
                    ],
                )
            }
        };
        Letter {
            subject: format!("[Salur] {subject_id} / {subject_en}"),
            body: format!(
                "Yth. Bapak/Ibu,\n\n{id}\n\nSalam,\nSalur\n\n-- English --\n\nDear reader,\n\n{en}\n\nSalur\n"
            ),
        }
    }
}

/// As mail programs show one.
impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject: {}\n\n{}", self.subject, self.body)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody's words on one line, without what a terminal or a mail program would obey.
fn plain(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Message> {
        let link = Link("https://salur.example/x?token=t0ken".into());
        let organization = "Yayasan \u{1b}[31mPeduli\r\nBcc: all@example.org".to_owned();
        vec![
            Message::ConfirmSignUp { link: link.clone() },
            Message::AccountExists { link: link.clone() },
            Message::ResetPassword { link: link.clone() },
            Message::Invitation { organization: organization.clone(), link },
            Message::OrganizationApproved { organization: organization.clone() },
            Message::OrganizationRefused { organization, reason: "Izin\n\nbelum ada".into() },
        ]
    }

    #[test]
    fn a_letter_says_the_same_in_both_languages_and_holds_its_link_in_each() {
        for message in all() {
            let letter = message.letter();
            let (id, en) = letter.body.split_once("-- English --").expect("two languages");
            assert!(id.starts_with("Yth.") && en.contains("Dear reader"), "{}", letter.body);
            let links = letter.body.matches("\nhttps://salur.example/x?token=t0ken\n").count();
            assert_eq!(links, if format!("{message:?}").contains("Link") { 2 } else { 0 }, "{}", letter.body);
            assert!(letter.body.lines().all(|line| line.chars().count() <= 130), "{}", letter.body);
        }
    }

    #[test]
    fn what_people_typed_begins_no_line_and_moves_no_terminal() {
        for message in all() {
            let Letter { subject, body } = message.letter();
            assert!(!subject.contains(char::is_control), "{subject:?}");
            assert!(!body.contains("\nBcc") && !body.contains(|c: char| c.is_control() && c != '\n'), "{body:?}");
        }
    }

    #[test]
    fn a_link_is_kept_but_not_shown_by_accident() {
        let message = Message::ResetPassword { link: Link("https://salur.example/x".into()) };
        assert_eq!(format!("{message:?}"), "ResetPassword { link: Link(…) }");
        let kept = serde_json::to_value(&message).expect("it is data");
        assert_eq!(
            kept,
            serde_json::json!({"kind": "RESET_PASSWORD", "parameters": {"link": "https://salur.example/x"}})
        );
        assert_eq!(serde_json::from_value::<Message>(kept).expect("it is read again"), message);
    }
}
