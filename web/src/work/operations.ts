/** What "my work" asks; apart from the map's questions, because most visitors never need it. */
import { graphql } from '../lib/graphql';

export const WorkLine = graphql(`
	fragment WorkLine on ClaimLine @_unmask {
		id
		quantity
		scheduled
		delivered
		status
		need { item { key unit } area { code name point parent { name parent { name } } } }
	}
`);

export const WorkClaim = graphql(
	`
	fragment WorkClaim on Claim @_unmask {
		id
		status
		createdAt
		expiresAt
		organization { id name }
		executor { id name }
		lines { ...WorkLine }
	}
`,
	[WorkLine],
);

export const MyClaims = graphql(
	`
	query MyClaims($first: Int!, $after: ID) {
		viewer { claims(first: $first, after: $after) { ...WorkClaim } }
	}
`,
	[WorkClaim],
);

/** A trip with all that a driver needs to know without asking again. */
export const WorkTrip = graphql(
	`
	fragment WorkTrip on Delivery @_unmask {
		id
		status
		scheduledFor
		claim { id organization { id name } executor { id name } }
		lines { quantity accepted rejected claimLine { id need { item { key unit } area { code name parent { name parent { name parent { name } } } } } } }
		events { status at note }
	}
`,
);

export const MyTrips = graphql(
	`
	query MyTrips($status: [DeliveryStatus!]!, $first: Int!, $after: ID) {
		viewer { deliveries(status: $status, first: $first, after: $after) { ...WorkTrip } }
	}
`,
	[WorkTrip],
);

export const OneClaim = graphql(
	`
	query OneClaim($id: ID!) {
		claim(id: $id) { ...WorkClaim }
	}
`,
	[WorkClaim],
);

/** Only what was carried and answered: the places stand in the claim's lines. */
export const TripsOfClaim = graphql(`
	query TripsOfClaim($id: ID!) {
		claim(id: $id) { deliveries { id status scheduledFor lines { quantity accepted rejected claimLine { id } } } }
	}
`);

export const OneTrip = graphql(
	`
	query OneTrip($id: ID!) {
		delivery(id: $id) { ...WorkTrip }
	}
`,
	[WorkTrip],
);

export const ScheduleTrip = graphql(
	`
	mutation ScheduleTrip($input: ScheduleDeliveryInput!) {
		scheduleDelivery(input: $input) { ...WorkTrip }
	}
`,
	[WorkTrip],
);

export const DispatchTrip = graphql(`mutation DispatchTrip($id: ID!) { dispatchDelivery(id: $id) { id status } }`);
export const CancelTrip = graphql(`
	mutation CancelTrip($id: ID!, $reason: String!) { cancelDelivery(id: $id, reason: $reason) { id status } }
`);
export const RecordTrip = graphql(`
	mutation RecordTrip($id: ID!, $note: String) { recordDelivery(id: $id, note: $note) { id status } }
`);
export const AnswerTrip = graphql(`
	mutation AnswerTrip($id: ID!, $lines: [AcknowledgeLineInput!]!) { acknowledgeDelivery(id: $id, lines: $lines) { id status } }
`);
/** What has become of a trip, where a step was refused that may have been taken before. */
export const TripStatus = graphql(`
	query TripStatus($id: ID!) { delivery(id: $id) { id status lines { accepted rejected claimLine { id } } } }
`);

export const ReleaseWhole = graphql(`
	mutation ReleaseWhole($id: ID!, $reason: String) { releaseClaim(id: $id, reason: $reason) { id status } }
`);

export const Incoming = graphql(`
	query Incoming($first: Int!, $after: ID) {
		viewer {
			areaCode
			incoming(first: $first, after: $after) {
				id
				status
				scheduledFor
				claim { organization { name } executor { name } }
				lines { quantity accepted rejected claimLine { id need { item { key unit } area { code name } } } }
				events { status at note }
			}
		}
	}
`);

export const MyArea = graphql(`
	query MyArea($code: String!, $locale: Locale!) {
		area(code: $code) {
			code
			name
			level
			parent { name parent { name } }
			children { code name children { code name } }
			help {
				rows { organization { name } executor { name } item { key name(locale: $locale) unit } promised held underWay delivered nextTrip }
			}
		}
		needs(where: { areaCode: $code, status: [REPORTED] }, first: 100) {
			totalCount
			nodes { id required severity periodStart periodEnd reportedByViewer item { key name(locale: $locale) unit } area { code name } }
		}
	}
`);

export const ReportNeed = graphql(`
	mutation ReportNeed($input: ReportNeedInput!) { reportNeed(input: $input) { id } }
`);
export const VerifyNeeds = graphql(`mutation VerifyNeeds($ids: [ID!]!) { verifyNeeds(ids: $ids) { id status } }`);
