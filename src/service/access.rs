//! Who may do what: one table, deny by default.
//!
//! The table says which roles may try an operation. What they may try it on (their own
//! organisation, their own area and below, everything) is decided where the record is known: in
//! the same transaction for changes, by [`Actor`]'s own questions for reads.

use super::error::{Code, ServiceError};
use crate::domain::actor::{Actor, Role, User};
use crate::planted::planted;

/// Every operation that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    CreateOffer,
    ClaimNeeds,
    MoveClaim,
    MoveDelivery,
    AcknowledgeDelivery,
    ReportNeed,
    ManageNeeds,
    ReadOverlaps,
    ResolveOverlap,
    ReadAudit,
    ReadOwnWork,
    ReadAreaWork,
}

impl Operation {
    pub const ALL: [Operation; 12] = [
        Operation::CreateOffer,
        Operation::ClaimNeeds,
        Operation::MoveClaim,
        Operation::MoveDelivery,
        Operation::AcknowledgeDelivery,
        Operation::ReportNeed,
        Operation::ManageNeeds,
        Operation::ReadOverlaps,
        Operation::ResolveOverlap,
        Operation::ReadAudit,
        Operation::ReadOwnWork,
        Operation::ReadAreaWork,
    ];

    /// The roles that may try it.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Operation::CreateOffer
            | Operation::ClaimNeeds
            | Operation::MoveClaim
            | Operation::MoveDelivery
            | Operation::ReadOwnWork => &[Role::Donor, Role::Aggregator],
            Operation::AcknowledgeDelivery
            | Operation::ReportNeed
            | Operation::ManageNeeds
            | Operation::ReadAreaWork => &[Role::AreaOfficer, Role::Admin],
            Operation::ReadOverlaps => &[Role::AreaOfficer, Role::Auditor, Role::Admin],
            Operation::ResolveOverlap | Operation::ReadAudit => &[Role::Auditor, Role::Admin],
        }
    }
}

/// The signed-in user, where they hold one of the operation's roles.
pub fn authorize(actor: &Actor, operation: Operation) -> Result<&User, ServiceError> {
    let user = actor.user().ok_or_else(|| {
        ServiceError::new(Code::Unauthenticated, "sign in first: send a valid API key as a bearer token")
    })?;
    if planted!(NoRoleCheck) || operation.roles().iter().any(|role| user.roles.contains(role)) {
        Ok(user)
    } else {
        Err(ServiceError::new(Code::Forbidden, "your role does not allow this"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;

    fn user(roles: &[Role]) -> Actor {
        Actor::User(User {
            id: UserId(1),
            email: "a@example.org".into(),
            roles: roles.to_vec(),
            organization: None,
            area: None,
        })
    }

    #[test]
    fn nobody_may_do_anything_without_a_role_that_the_table_names() {
        for operation in Operation::ALL {
            let anonymous = authorize(&Actor::Anonymous, operation).expect_err("anonymous");
            assert_eq!(anonymous.code, Code::Unauthenticated);
            assert_eq!(authorize(&user(&[]), operation).expect_err("no role").code, Code::Forbidden);
            for role in Role::ALL {
                let allowed = authorize(&user(&[role]), operation).is_ok();
                assert_eq!(allowed, operation.roles().contains(&role), "{operation:?} {role:?}");
            }
        }
    }
}
