//! Who may do what: one table of operations, roles and how far each role reaches; deny by default.
//!
//! An operation is a field of the API's roots, by its name there. The door refuses whatever the table
//! does not grant ([`admit`]), so that a resolver cannot forget to ask. How far a caller reaches is
//! decided where the record is known, by the [`Permit`]: in the transaction of a change, in the
//! question of a read. Foreign and missing answer alike.

use super::error::{Code, ServiceError};
use crate::domain::actor::KeyScope::{self, Audit, Claim, Deliver, Manage, Neighbourhood, Read};
use crate::domain::actor::{Actor, Role, User, Via};
use crate::domain::area::AreaCode;
use crate::domain::ids::OrganizationId;
use crate::planted::planted;
use Grantee::{Everyone, Manager, SignedIn};
use Over::{Everything, OwnArea, OwnOrganization, OwnSelf, Public};

/// Who is granted something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grantee {
    Everyone,
    SignedIn,
    /// Whoever keeps the members of their own organisation.
    Manager,
    Is(Role),
}

/// What it is granted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// What the public may see, and of the rest what the caller's roles show.
    Public,
    /// The caller's own account.
    OwnSelf,
    OwnOrganization,
    /// The area in the caller's charge, and all below it.
    OwnArea,
    Everything,
}

/// By whom an operation may be called that is granted to the user behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A browser's session, and keys of this scope.
    Key(KeyScope),
    /// A browser's session alone: a key makes no keys and ends no sessions.
    SessionAlone,
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub operation: Operation,
    /// As the API calls it.
    pub name: &'static str,
    pub by: By,
    pub grants: &'static [(Grantee, Over)],
}

macro_rules! operations {
    ($($operation:ident $name:literal $by:expr => [$($grantee:expr, $over:expr;)*])*) => {
        /// Everything that can be asked of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation { $($operation,)* }

        /// The table. `docs/rights.md` is made of it.
        pub const TABLE: &[Row] = &[
            $(Row { operation: Operation::$operation, name: $name, by: $by, grants: &[$(($grantee, $over)),*] },)*
        ];
    };
}

const DONOR: Grantee = Grantee::Is(Role::Donor);
const AGGREGATOR: Grantee = Grantee::Is(Role::Aggregator);
const OFFICER: Grantee = Grantee::Is(Role::AreaOfficer);
const AUDITOR: Grantee = Grantee::Is(Role::Auditor);
const ADMIN: Grantee = Grantee::Is(Role::Admin);
const SESSION: By = By::SessionAlone;

const fn key(scope: KeyScope) -> By {
    By::Key(scope)
}

operations! {
    // Questions.
    Node "node" key(Read) => [Everyone, Public;]
    Viewer "viewer" key(Read) => [Everyone, OwnSelf;]
    Programs "programs" key(Read) => [Everyone, Public;]
    Area "area" key(Read) => [Everyone, Public;]
    Needs "needs" key(Read) => [Everyone, Public;]
    Coverage "coverage" key(Read) => [Everyone, Public;]
    AreaCoverage "areaCoverage" key(Read) => [Everyone, Public;]
    CoverageBreaks "coverageBreaks" key(Read) => [Everyone, Public;]
    SearchAreas "searchAreas" key(Read) => [Everyone, Public;]
    PlanMatch "planMatch" key(Read) => [Everyone, Public;]
    ReadClaim "claim" key(Read)
        => [Everyone, Public; SignedIn, OwnOrganization; OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]
    ReadDelivery "delivery" key(Read)
        => [Everyone, Public; SignedIn, OwnOrganization; OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]
    ReadOverlaps "overlaps" key(Read) => [OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]
    ReadOverlapCounts "overlapCounts" key(Read) => [OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]
    ReadAreaHistory "areaHistory" key(Audit) => [AUDITOR, Everything; ADMIN, Everything;]
    ReadAudit "auditTrail" key(Audit) => [AUDITOR, Everything; ADMIN, Everything;]
    ReadCheckpoint "auditCheckpoint" key(Read) => [Everyone, Public;]
    ReadWaysIn "waysIn" key(Read) => [Everyone, Public;]
    ReadOrganization "organization" key(Read) => [Everyone, Public;]
    ReadOrganizations "organizations" key(Manage) => [ADMIN, Everything; AUDITOR, Everything;]
    ReadOfficials "officials" key(Manage) => [ADMIN, Everything;]

    // Questions within an answer.
    ReadOwnClaims "Viewer.claims" key(Read) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    ReadOwnDeliveries "Viewer.deliveries" key(Read) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    ReadOwnOffers "Viewer.offers" key(Read) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    ReadIncoming "Viewer.incoming" key(Read) => [OFFICER, OwnArea;]
    ReadSessions "Viewer.sessions" SESSION => [SignedIn, OwnSelf;]
    ReadApiKeys "Viewer.apiKeys" SESSION => [SignedIn, OwnSelf;]
    ReadMembers "Organization.members" key(Manage) => [Manager, OwnOrganization; ADMIN, Everything;]
    ReadDocuments "Organization.documents" key(Read)
        => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization; AUDITOR, Everything; ADMIN, Everything;]
    ReadEvidence "Overlap.evidenceRecords" key(Read) => [OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]

    // Giving.
    CreateOffer "createOffer" key(Claim) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    ClaimNeeds "claimNeeds" key(Claim) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    ConfirmClaim "confirmClaim" key(Claim) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    RenewClaim "renewClaim" key(Claim) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    ReleaseClaim "releaseClaim" key(Claim) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    ScheduleDelivery "scheduleDelivery" key(Deliver) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    DispatchDelivery "dispatchDelivery" key(Deliver) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    RecordDelivery "recordDelivery" key(Deliver) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]
    CancelDelivery "cancelDelivery" key(Deliver) => [DONOR, OwnOrganization; AGGREGATOR, OwnOrganization;]

    // The neighbourhood's side.
    AcknowledgeDelivery "acknowledgeDelivery" key(Neighbourhood) => [OFFICER, OwnArea; ADMIN, Everything;]
    ReportNeed "reportNeed" key(Neighbourhood) => [OFFICER, OwnArea; ADMIN, Everything;]
    ReviseNeed "reviseNeed" key(Neighbourhood) => [OFFICER, OwnArea; ADMIN, Everything;]
    VerifyNeeds "verifyNeeds" key(Neighbourhood) => [OFFICER, OwnArea; ADMIN, Everything;]
    CloseNeed "closeNeed" key(Neighbourhood) => [OFFICER, OwnArea; ADMIN, Everything;]

    // Auditing.
    ResolveOverlap "resolveOverlap" key(Audit) => [AUDITOR, Everything; ADMIN, Everything;]

    // Getting in.
    SignUp "signUp" key(Read) => [Everyone, OwnSelf;]
    ConfirmSignUp "confirmSignUp" key(Read) => [Everyone, OwnSelf;]
    SignIn "signIn" key(Read) => [Everyone, OwnSelf;]
    RequestPasswordReset "requestPasswordReset" key(Read) => [Everyone, OwnSelf;]
    ResetPassword "resetPassword" key(Read) => [Everyone, OwnSelf;]
    AcceptInvitation "acceptInvitation" key(Read) => [Everyone, OwnSelf;]
    SignOut "signOut" key(Read) => [Everyone, OwnSelf;]

    // The own account.
    ChangePassword "changePassword" SESSION => [SignedIn, OwnSelf;]
    EndSession "endSession" SESSION => [SignedIn, OwnSelf;]
    CreateApiKey "createApiKey" SESSION => [SignedIn, OwnSelf;]
    RevokeApiKey "revokeApiKey" SESSION => [SignedIn, OwnSelf;]
    EraseAccount "eraseAccount" SESSION => [SignedIn, OwnSelf; ADMIN, Everything;]

    // Organisations and their members.
    AddDocument "addDocument" key(Manage) => [Manager, OwnOrganization; ADMIN, Everything;]
    InviteMember "inviteMember" key(Manage) => [Manager, OwnOrganization; ADMIN, Everything;]
    SuspendMember "suspendMember" key(Manage) => [Manager, OwnOrganization; ADMIN, Everything;]
    ReinstateMember "reinstateMember" key(Manage) => [Manager, OwnOrganization; ADMIN, Everything;]
    GrantRole "grantRole" key(Manage) => [ADMIN, Everything;]
    RevokeRole "revokeRole" key(Manage) => [ADMIN, Everything;]
    ApproveOrganization "approveOrganization" key(Manage) => [ADMIN, Everything;]
    RefuseOrganization "refuseOrganization" key(Manage) => [ADMIN, Everything;]
    SuspendOrganization "suspendOrganization" key(Manage) => [ADMIN, Everything;]
    ReinstateOrganization "reinstateOrganization" key(Manage) => [ADMIN, Everything;]

    // Files.
    ExportNeeds "/export/needs" key(Read) => [Everyone, Public;]
    ExportClaims "/export/claims" key(Read)
        => [SignedIn, OwnOrganization; OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]
    ExportDeliveries "/export/deliveries" key(Read)
        => [SignedIn, OwnOrganization; OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]
    ExportOverlaps "/export/overlaps" key(Read) => [OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]
    ExportWhoWhatWhere "/export/3w" key(Read)
        => [Everyone, Public; SignedIn, OwnOrganization; OFFICER, OwnArea; AUDITOR, Everything; ADMIN, Everything;]

    // As it happens.
    NeedsChanged "needsChanged" key(Read) => [Everyone, Public;]
    AreaCoverageChanged "areaCoverageChanged" key(Read) => [Everyone, Public;]
}

impl Operation {
    pub fn row(self) -> &'static Row {
        // The macro writes both in one order; `rows_stand_in_the_order_of_operations` holds it.
        &TABLE[self as usize]
    }

    /// The operation that the API calls so.
    pub fn called(name: &str) -> Option<Operation> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.operation)
    }
}

/// The table for people to read.
pub fn markdown() -> String {
    const COLUMNS: [Grantee; 8] = [Everyone, SignedIn, Manager, DONOR, AGGREGATOR, OFFICER, AUDITOR, ADMIN];
    let mut text = String::from(
        "# Who may do what\n\nWritten by `salur schema --rights` from the table in `src/service/access.rs`, \
         and compared with it by a test.\nWhat has no word in a row is refused. *own* reaches the caller's \
         account, *organisation* what their organisation gives or\ncarries out, *area* the area in their \
         charge and all below it, *all* everything, *public* what everybody may see. A\nmanager keeps the \
         members of their own organisation. *Key*: the scope that an API key needs; where there is none, \
         people\ndo it, signed in.\n\n\
         | operation | everyone | signed in | manager | donor | aggregator | officer | auditor | admin | key |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        text += &format!("| `{}` |", row.name);
        for column in COLUMNS {
            let over = row.grants.iter().find(|(to, _)| *to == column).map(|(_, over)| match over {
                Public => " public",
                OwnSelf => " own",
                OwnOrganization => " organisation",
                OwnArea => " area",
                Everything => " all",
            });
            text += over.unwrap_or_default();
            text += " |";
        }
        text += &match row.by {
            By::Key(scope) => format!(" {} |\n", scope.word()),
            By::SessionAlone => " – |\n".into(),
        };
    }
    text
}

/// What a caller may do it on.
#[derive(Debug, Clone)]
pub struct Permit<'a> {
    user: Option<&'a User>,
    everything: bool,
    organization: bool,
    area: bool,
}

impl<'a> Permit<'a> {
    /// The signed-in caller.
    pub fn user(&self) -> Result<&'a User, ServiceError> {
        self.user.ok_or_else(unauthenticated)
    }

    /// Reaches everything, whoever it belongs to.
    pub fn everything(&self) -> bool {
        self.everything
    }

    /// The area that it is granted on, `None` for anywhere.
    pub fn area(&self) -> Result<Option<AreaCode>, ServiceError> {
        if self.everything {
            return Ok(None);
        }
        let own = self.user.filter(|_| self.area).and_then(|user| user.area.clone());
        own.map(Some).ok_or_else(|| ServiceError::new(Code::Forbidden, "your account is not in charge of any area"))
    }

    /// The organisation that it is granted on, `None` for any.
    pub fn organization(&self) -> Result<Option<OrganizationId>, ServiceError> {
        if self.everything {
            return Ok(None);
        }
        let own = self.user.filter(|_| self.organization).and_then(|user| user.organization);
        own.map(Some).ok_or_else(|| ServiceError::new(Code::Forbidden, "your account belongs to no organisation"))
    }

    /// True where a record of these organisations is the caller's to see.
    pub fn reaches_organization(&self, of: &[OrganizationId]) -> bool {
        let own = self.user.filter(|_| self.organization).and_then(|user| user.organization);
        self.everything || own.is_some_and(|own| of.contains(&own))
    }

    /// The area whose records are the caller's to see, beside those of their organisation.
    pub fn sees_area(&self) -> Option<&'a AreaCode> {
        self.user.filter(|_| self.area).and_then(|user| user.area.as_ref())
    }
}

fn unauthenticated() -> ServiceError {
    ServiceError::new(Code::Unauthenticated, "sign in first, or send a valid API key as a bearer token")
}

/// What the table grants this caller of an operation; refused where it grants nothing.
pub fn authorize(actor: &Actor, operation: Operation) -> Result<Permit<'_>, ServiceError> {
    let row = operation.row();
    let user = actor.user();
    let (mut permit, mut granted, mut everyone) =
        (Permit { user, everything: false, organization: false, area: false }, false, false);
    for (grantee, over) in row.grants {
        let held = planted!(NoRoleCheck) && user.is_some()
            || match grantee {
                Everyone => true,
                SignedIn => user.is_some(),
                Manager => user.is_some_and(|u| u.manager),
                Grantee::Is(role) => actor.has(*role),
            };
        if held {
            granted = true;
            everyone |= *grantee == Everyone;
            permit.everything |= *over == Everything;
            permit.organization |= *over == OwnOrganization;
            permit.area |= *over == OwnArea;
        }
    }
    if !granted {
        return Err(match user {
            None => unauthenticated(),
            Some(_) => ServiceError::new(Code::Forbidden, "your role does not allow this"),
        });
    }
    match (user.map(|u| &u.via), row.by) {
        (Some(Via::Key(_)), By::SessionAlone) => {
            Err(ServiceError::new(Code::Forbidden, "this is done by people who have signed in, not with an API key"))
        }
        // Without the scope a key shows what everybody sees, where there is anything to see.
        (Some(Via::Key(scopes)), By::Key(needed)) if !scopes.contains(&needed) => match everyone {
            true => Ok(Permit { user, everything: false, organization: false, area: false }),
            false => Err(ServiceError::new(Code::Forbidden, format!("the API key lacks the scope {}", needed.word()))),
        },
        _ => Ok(permit),
    }
}

/// Refuses what the table does not grant, before anything is run. `name`: as the API calls it.
pub fn admit(actor: &Actor, name: &str) -> Result<(), ServiceError> {
    match Operation::called(name) {
        Some(operation) => authorize(actor, operation).map(|_| ()),
        // The engine will say that there is no such field.
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{SessionId, UserId};

    fn user(roles: &[Role], manager: bool, via: Via) -> Actor {
        let email = "a@example.org".into();
        let (organization, area) = (Some(OrganizationId(7)), "31.71".parse().ok());
        Actor::User(User { id: UserId(1), email, roles: roles.to_vec(), organization, area, manager, via })
    }

    fn session() -> Via {
        Via::Session(SessionId(1))
    }

    #[test]
    fn the_page_about_rights_says_what_the_table_says() {
        let page = include_str!("../../docs/rights.md");
        assert_eq!(page.trim_end(), markdown().trim_end(), "run: salur schema --rights > docs/rights.md");
    }

    #[test]
    fn rows_stand_in_the_order_of_operations() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.operation as usize, place);
            assert_eq!(Operation::called(row.name), Some(row.operation), "{} is there twice", row.name);
            assert!(!row.grants.is_empty(), "{} is granted to nobody", row.name);
        }
    }

    #[test]
    fn nobody_may_do_anything_without_a_grant_that_the_table_names() {
        for row in TABLE {
            let everyone = row.grants.iter().any(|(to, _)| *to == Everyone);
            let signed_in = everyone || row.grants.iter().any(|(to, _)| *to == SignedIn);
            let manager = signed_in || row.grants.iter().any(|(to, _)| *to == Manager);
            let refusal = |actor: &Actor| authorize(actor, row.operation).err().map(|e| e.code);
            assert_eq!(refusal(&Actor::Anonymous), (!everyone).then_some(Code::Unauthenticated), "{}", row.name);
            let nobody = user(&[], false, session());
            assert_eq!(refusal(&nobody), (!signed_in).then_some(Code::Forbidden), "{}", row.name);
            let keeper = user(&[], true, session());
            assert_eq!(refusal(&keeper), (!manager).then_some(Code::Forbidden), "{}", row.name);
            for role in Role::ALL {
                let named = signed_in || row.grants.iter().any(|(to, _)| *to == Grantee::Is(role));
                let refused = refusal(&user(&[role], false, session()));
                assert_eq!(refused, (!named).then_some(Code::Forbidden), "{} {role:?}", row.name);
            }
        }
    }

    #[test]
    fn a_key_does_what_its_scopes_say_and_never_what_is_for_people() {
        let everybody = Role::ALL;
        for row in TABLE {
            let everyone = row.grants.iter().any(|(to, _)| *to == Everyone);
            for scope in KeyScope::ALL {
                let allowed = authorize(&user(&everybody, true, Via::Key(vec![scope])), row.operation).is_ok();
                let expected = match row.by {
                    By::SessionAlone => false,
                    By::Key(needed) => everyone || needed == scope,
                };
                assert_eq!(allowed, expected, "{} with {scope:?}", row.name);
            }
        }
    }

    #[test]
    fn a_caller_reaches_what_their_own_grants_say() {
        let officer = user(&[Role::AreaOfficer], false, session());
        let permit = authorize(&officer, Operation::VerifyNeeds).expect("an officer verifies");
        assert_eq!(permit.area().ok().flatten().map(|a| a.to_string()), Some("31.71".into()));
        assert!(permit.organization().is_err() && !permit.everything());
        let admin = user(&[Role::Admin, Role::AreaOfficer], false, session());
        let permit = authorize(&admin, Operation::VerifyNeeds).expect("an admin verifies");
        assert_eq!(permit.area().ok(), Some(None));
        let donor = user(&[Role::Donor], false, session());
        let permit = authorize(&donor, Operation::ReadClaim).expect("a donor reads claims");
        assert!(
            permit.reaches_organization(&[OrganizationId(7)]) && !permit.reaches_organization(&[OrganizationId(8)])
        );
        assert!(permit.sees_area().is_none(), "an area without the officer's role shows nothing");
    }
}
