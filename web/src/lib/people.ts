/** What is asked about accounts, organisations and their members; it loads with those screens. */
import { graphql } from './graphql';

export const Account = graphql(`
	query Account {
		viewer {
			email
			roles
			areaCode
			organization { name }
			sessions { id label createdAt seenAt endsAt current }
			apiKeys { id label prefix scopes createdAt expiresAt }
		}
	}
`);

export const EndSession = graphql(`mutation EndSession($id: ID!) { endSession(id: $id) }`);

export const CreateApiKey = graphql(`
	mutation CreateApiKey($input: CreateApiKeyInput!) {
		createApiKey(input: $input) { key apiKey { id } }
	}
`);

export const RevokeApiKey = graphql(`mutation RevokeApiKey($id: ID!) { revokeApiKey(id: $id) }`);

export const ChangePassword = graphql(`
	mutation ChangePassword($old: String!, $new: String!) {
		changePassword(oldPassword: $old, newPassword: $new)
	}
`);

export const EraseAccount = graphql(`mutation EraseAccount { eraseAccount }`);

export const OrganizationView = graphql(`
	fragment OrganizationView on Organization @_unmask {
		id
		name
		category
		status
		statusReason
		aggregator
		homeArea { code name }
		documents { id kind number issuer validFrom validUntil areaCode }
		members { id email roles manager suspended }
	}
`);

export const OwnOrganization = graphql(
	`
	query OwnOrganization {
		viewer { email manager organization { ...OrganizationView } }
	}
`,
	[OrganizationView],
);

export const Organizations = graphql(
	`
	query Organizations($status: OrganizationStatus, $after: ID) {
		organizations(status: $status, first: 20, after: $after) { ...OrganizationView }
	}
`,
	[OrganizationView],
);

export const AddDocument = graphql(`
	mutation AddDocument($organizationId: ID, $document: DocumentInput!) {
		addDocument(organizationId: $organizationId, document: $document) { id }
	}
`);

export const InviteMember = graphql(`mutation InviteMember($input: InviteMemberInput!) { inviteMember(input: $input) }`);
export const SuspendMember = graphql(`mutation SuspendMember($id: ID!) { suspendMember(id: $id) }`);
export const ReinstateMember = graphql(`mutation ReinstateMember($id: ID!) { reinstateMember(id: $id) }`);

export const Approve = graphql(`
	mutation Approve($id: ID!, $aggregator: Boolean) { approveOrganization(id: $id, aggregator: $aggregator) { id } }
`);
export const Refuse = graphql(`
	mutation Refuse($id: ID!, $reason: String!) { refuseOrganization(id: $id, reason: $reason) { id } }
`);
export const Suspend = graphql(`
	mutation Suspend($id: ID!, $reason: String!) { suspendOrganization(id: $id, reason: $reason) { id } }
`);
export const Reinstate = graphql(`mutation Reinstate($id: ID!) { reinstateOrganization(id: $id) { id } }`);

export const Officials = graphql(`
	query Officials($after: ID) {
		officials(first: 50, after: $after) { id email roles suspended areaCode }
	}
`);
export const GrantRole = graphql(`
	mutation GrantRole($id: ID!, $role: Role!, $areaCode: String) { grantRole(id: $id, role: $role, areaCode: $areaCode) }
`);
export const RevokeRole = graphql(`mutation RevokeRole($id: ID!, $role: Role!) { revokeRole(id: $id, role: $role) }`);
