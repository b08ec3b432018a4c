//! `salur organization` and `salur user`

use super::database::{DatabaseFlags, store_failure};
use super::outcome::{Failure, show};
use crate::domain::actor::Role;
use crate::domain::area::AreaCode;
use crate::domain::ids::OrganizationId;
use crate::domain::organization::{OrganizationCategory, OrganizationStatus};
use crate::service::accounts::email_address;
use crate::store::{AddOrganization, AddUser, NewUser};
use clap::{Args, Subcommand};

/// Enter organisations
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example:
  salur organization add --name 'PMI' --category CIVIL_SOCIETY --aggregator")]
pub enum Organization {
    Add(AddOrganizationFlags),
}

/// Enter a verified organisation and print its id
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  salur organization add --name 'PMI' --category CIVIL_SOCIETY --aggregator
  salur organization add --name 'Toko' --category BUSINESS --home-area 31.71.01.1001.003")]
pub struct AddOrganizationFlags {
    /// Its name, which no other organisation has
    #[arg(long)]
    name: String,
    /// INDIVIDUAL, BUSINESS, GOVERNMENT, CIVIL_SOCIETY or FOREIGN
    #[arg(long, value_parser = category)]
    category: OrganizationCategory,
    /// It may carry out other donors' claims
    #[arg(long)]
    aggregator: bool,
    /// Where it is registered: needs of its own RW may be kept for it for a while
    #[arg(long, value_name = "CODE")]
    home_area: Option<AreaCode>,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Enter users and their roles
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example:
  salur user add --email dian@donor.example --role DONOR --organization organization-3")]
pub enum User {
    Add(AddUserFlags),
}

/// Enter a user, or give a known one another role, and print the user's id
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  salur user add --email dian@donor.example --role DONOR --organization organization-3
  salur user add --email rw3@gambir.example --role AREA_OFFICER --area 31.71.01.1001.003
  salur user add --email audit@city.example --role AUDITOR")]
pub struct AddUserFlags {
    /// The user's e-mail address; capital letters do not count
    #[arg(long, value_parser = email)]
    email: String,
    /// DONOR, AGGREGATOR, AREA_OFFICER, AUDITOR or ADMIN; may be repeated
    #[arg(long = "role", required = true, value_parser = role)]
    roles: Vec<Role>,
    /// The organisation of a DONOR or AGGREGATOR
    #[arg(long, value_name = "ID", value_parser = organization)]
    organization: Option<OrganizationId>,
    /// The area of an AREA_OFFICER: that area and all below it
    #[arg(long, value_name = "CODE")]
    area: Option<AreaCode>,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl Organization {
    pub async fn run(self) -> Result<(), Failure> {
        let Organization::Add(flags) = self;
        let name = flags.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
            return Err(Failure::usage("--name takes 1 to 200 characters without line breaks"));
        }
        let (store, settings) = flags.database.open().await?;
        let add = AddOrganization {
            author: None,
            name,
            category: flags.category,
            status: OrganizationStatus::Verified,
            aggregator: flags.aggregator,
            home_area: flags.home_area,
        };
        let id = store.execute(add).await.map_err(|e| store_failure(&settings, &e))?;
        show(&id.to_string())
    }
}

impl User {
    pub async fn run(self) -> Result<(), Failure> {
        let User::Add(flags) = self;
        for role in &flags.roles {
            check_role(*role, flags.organization.is_some(), flags.area.is_some())?;
        }
        let (store, settings) = flags.database.open().await?;
        let mut id = None;
        for role in flags.roles {
            let user = NewUser {
                email: flags.email.clone(),
                role,
                organization: flags.organization,
                area: flags.area.clone(),
            };
            let added = store.execute(AddUser { author: None, user }).await;
            id = Some(added.map_err(|e| store_failure(&settings, &e))?);
        }
        show(&id.map(|id| id.to_string()).unwrap_or_default())
    }
}

/// A role stands on what it is about.
fn check_role(role: Role, organization: bool, area: bool) -> Result<(), Failure> {
    let word = role.word();
    match role {
        Role::Donor | Role::Aggregator if !organization => Err(Failure::usage(format!(
            "--role {word} needs the organisation that the user acts for: --organization organization-3"
        ))),
        Role::AreaOfficer if !area => Err(Failure::usage(format!(
            "--role {word} needs the area that the user answers for: --area 31.71.01.1001.003"
        ))),
        _ => Ok(()),
    }
}

fn category(text: &str) -> Result<OrganizationCategory, String> {
    OrganizationCategory::from_word(text).ok_or_else(|| {
        let words: Vec<&str> = OrganizationCategory::ALL.iter().map(|c| c.word()).collect();
        format!("the categories are {}", words.join(", "))
    })
}

/// As `category`, for others that take one.
pub(super) fn category_of(text: &str) -> Result<OrganizationCategory, String> {
    category(text)
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_word(text).ok_or_else(|| {
        let words: Vec<&str> = Role::ALL.iter().map(|r| r.word()).collect();
        format!("the roles are {}", words.join(", "))
    })
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    text.parse().map_err(|_| "an id is written like organization-3, as `salur organization add` prints it".into())
}

pub(super) fn email(text: &str) -> Result<String, String> {
    email_address(text).ok_or_else(|| "an e-mail address is written like dian@donor.example".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_is_lower_cased_and_looks_like_one() {
        assert_eq!(email(" Dian@Donor.Example ").as_deref(), Ok("dian@donor.example"));
        for wrong in ["", "dian", "dian@", "@donor.example", "dian@donor", "a b@c.d", "a@b@c.d", "a@b..c", "a@.b"] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_role_stands_on_its_organisation_or_area() {
        assert!(check_role(Role::Donor, false, true).is_err() && check_role(Role::Donor, true, false).is_ok());
        assert!(check_role(Role::AreaOfficer, true, false).is_err() && check_role(Role::Admin, false, false).is_ok());
    }
}
