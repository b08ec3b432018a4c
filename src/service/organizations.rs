//! Organisations and who belongs to them.

use super::access::{Operation, Permit, authorize};
use super::accounts::{email, line};
use super::visits::{digest, fresh_secret};
use super::{Code, Service, ServiceError, words};
use crate::domain::actor::{Actor, Role};
use crate::domain::area::AreaCode;
use crate::domain::ids::{OrganizationId, UserId};
use crate::domain::message::Link;
use crate::domain::organization::{Document, FiledDocument, Organization, OrganizationStatus};
use crate::store::{AddDocument, ChangeRole, DecideOrganization, Decision, Invitation, Invite, Member, SuspendMember};

#[derive(Debug, Clone)]
pub struct InviteRequest {
    pub email: String,
    pub roles: Vec<Role>,
    /// `None`: the caller's own.
    pub organization: Option<OrganizationId>,
    pub area: Option<AreaCode>,
    pub manager: bool,
}

/// What is decided of an organisation, as it was said.
#[derive(Debug, Clone)]
pub enum Verdict<'a> {
    Approve { aggregator: Option<bool> },
    Refuse { reason: &'a str },
    Suspend { reason: &'a str },
    Reinstate,
}

impl Service {
    pub async fn organization(&self, id: OrganizationId) -> Result<Organization, ServiceError> {
        self.store().organizations(&[id]).await?.pop().ok_or_else(|| ServiceError::not_found("organisation"))
    }

    /// Organisations of a status, or all; those after `after`.
    pub async fn organization_list(
        &self,
        actor: &Actor,
        status: Option<OrganizationStatus>,
        first: usize,
        after: Option<OrganizationId>,
    ) -> Result<Vec<Organization>, ServiceError> {
        authorize(actor, Operation::ReadOrganizations)?;
        Ok(self.store().organization_page(status, first as i64, after).await?)
    }

    pub async fn decide_organization(
        &self,
        actor: &Actor,
        id: OrganizationId,
        verdict: Verdict<'_>,
    ) -> Result<Organization, ServiceError> {
        let (operation, decision) = match verdict {
            Verdict::Approve { aggregator } => (Operation::ApproveOrganization, Decision::Approve { aggregator }),
            Verdict::Refuse { reason } => {
                (Operation::RefuseOrganization, Decision::Refuse { reason: words("reason", reason)? })
            }
            Verdict::Suspend { reason } => {
                (Operation::SuspendOrganization, Decision::Suspend { reason: words("reason", reason)? })
            }
            Verdict::Reinstate => (Operation::ReinstateOrganization, Decision::Reinstate),
        };
        let user = authorize(actor, operation)?.user()?;
        self.store().execute(DecideOrganization { author: Some(user.id), id, decision }).await?;
        self.0.standings.forget();
        self.organization(id).await
    }

    /// The one that is meant: the caller's own, or, where they reach it, the one that is named.
    fn meant(permit: &Permit<'_>, named: Option<OrganizationId>) -> Result<OrganizationId, ServiceError> {
        match (named, permit.organization()?) {
            (Some(id), None) => Ok(id),
            (None, None) => permit.user()?.organization.ok_or_else(|| ServiceError::bad("organizationId", "name one")),
            (None, Some(own)) => Ok(own),
            (Some(id), Some(own)) if id == own => Ok(own),
            (Some(_), Some(_)) => Err(ServiceError::not_found("organisation")),
        }
    }

    pub async fn add_document(
        &self,
        actor: &Actor,
        organization: Option<OrganizationId>,
        mut document: Document,
    ) -> Result<Organization, ServiceError> {
        let permit = authorize(actor, Operation::AddDocument)?;
        let organization = Self::meant(&permit, organization)?;
        document = sound_document("document", document)?;
        let author = Some(permit.user()?.id);
        self.store().execute(AddDocument { author, organization, document }).await?;
        self.0.standings.forget();
        self.organization(organization).await
    }

    /// Posts an invitation. Those who keep an organisation's members invite to it; officials are invited
    /// by an admin.
    pub async fn invite_member(&self, actor: &Actor, request: InviteRequest) -> Result<(), ServiceError> {
        let permit = authorize(actor, Operation::InviteMember)?;
        let email = email("email", &request.email)?;
        let collaborator = |role: &Role| matches!(role, Role::Donor | Role::Aggregator);
        let for_members = request.roles.iter().any(collaborator) || request.manager;
        let organization = match (permit.everything(), for_members) {
            (false, _) => Some(Self::meant(&permit, request.organization)?),
            (true, true) => Some(Self::meant(&permit, request.organization)?),
            (true, false) => request.organization,
        };
        if request.roles.is_empty() {
            return Err(ServiceError::bad("roles", "name at least one"));
        }
        if !permit.everything() && !request.roles.iter().all(collaborator) {
            return Err(ServiceError::new(Code::Forbidden, "officials are invited by an admin"));
        }
        if request.roles.contains(&Role::AreaOfficer) != request.area.is_some() {
            return Err(ServiceError::bad("areaCode", "belongs to an AREA_OFFICER, and to nobody else"));
        }
        let token = fresh_secret("")?;
        let link = Link(format!("{}/undangan#{token}", self.public_url()));
        let (roles, area, manager) = (request.roles, request.area, request.manager);
        let invite = Invite {
            author: Some(permit.user()?.id),
            email,
            invitation: Invitation { roles, organization, area, manager },
            hash: digest(&token),
            link,
        };
        Ok(self.store().execute(invite).await?)
    }

    /// Shuts a member out, or lets them in again.
    pub async fn suspend_member(&self, actor: &Actor, user: UserId, suspended: bool) -> Result<(), ServiceError> {
        let operation = if suspended { Operation::SuspendMember } else { Operation::ReinstateMember };
        let permit = authorize(actor, operation)?;
        let author = permit.user()?.id;
        if author == user {
            return Err(ServiceError::new(Code::Forbidden, "nobody suspends or reinstates themselves"));
        }
        let of = permit.organization()?;
        self.store().execute(SuspendMember { author: Some(author), user, of, suspended }).await?;
        self.0.users.forget();
        Ok(())
    }

    pub async fn grant_role(
        &self,
        actor: &Actor,
        user: UserId,
        role: Role,
        area: Option<AreaCode>,
    ) -> Result<(), ServiceError> {
        let author = authorize(actor, Operation::GrantRole)?.user()?.id;
        if area.is_some() && role != Role::AreaOfficer {
            return Err(ServiceError::bad("areaCode", "belongs to an AREA_OFFICER, and to nobody else"));
        }
        self.change_role(ChangeRole { author: Some(author), user, role, area, granted: true }).await
    }

    pub async fn revoke_role(&self, actor: &Actor, user: UserId, role: Role) -> Result<(), ServiceError> {
        let author = authorize(actor, Operation::RevokeRole)?.user()?.id;
        self.change_role(ChangeRole { author: Some(author), user, role, area: None, granted: false }).await
    }

    async fn change_role(&self, change: ChangeRole) -> Result<(), ServiceError> {
        self.store().execute(change).await?;
        self.0.users.forget();
        Ok(())
    }

    /// The members of an organisation; `None`: not for the caller to see.
    pub async fn members(&self, actor: &Actor, of: OrganizationId) -> Result<Option<Vec<Member>>, ServiceError> {
        match authorize(actor, Operation::ReadMembers) {
            Ok(permit) if permit.reaches_organization(&[of]) => Ok(Some(self.store().members_of(of).await?)),
            _ => Ok(None),
        }
    }

    /// Officers, auditors and admins, whatever they belong to; those after `after`.
    pub async fn officials(
        &self,
        actor: &Actor,
        first: usize,
        after: Option<UserId>,
    ) -> Result<Vec<Member>, ServiceError> {
        authorize(actor, Operation::ReadOfficials)?;
        Ok(self.store().officials(first as i64, after).await?)
    }

    /// The papers of an organisation; `None`: not for the caller to see.
    pub async fn documents(
        &self,
        actor: &Actor,
        of: OrganizationId,
    ) -> Result<Option<Vec<FiledDocument>>, ServiceError> {
        match authorize(actor, Operation::ReadDocuments) {
            Ok(permit) if permit.reaches_organization(&[of]) => Ok(Some(self.store().documents_of(of).await?)),
            _ => Ok(None),
        }
    }

    /// Why an organisation may not act; `None`: it may, or it is not for the caller to see.
    pub async fn status_reason(&self, actor: &Actor, of: OrganizationId) -> Result<Option<String>, ServiceError> {
        match authorize(actor, Operation::ReadDocuments) {
            Ok(permit) if permit.reaches_organization(&[of]) => Ok(self.store().status_reason(of).await?),
            _ => Ok(None),
        }
    }
}

/// A document whose texts are sound and whose days are in order.
pub(super) fn sound_document(field: &str, document: Document) -> Result<Document, ServiceError> {
    if let (Some(from), Some(until)) = (document.valid_from, document.valid_until)
        && from > until
    {
        return Err(ServiceError::bad(&format!("{field}.validUntil"), "lies before validFrom"));
    }
    Ok(Document {
        number: line(&format!("{field}.number"), &document.number, 100)?,
        issuer: line(&format!("{field}.issuer"), &document.issuer, 200)?,
        ..document
    })
}
