/** What auditors ask; it loads with their screens. */
import { graphql } from './graphql';

export const FindingRow = graphql(`
	fragment FindingRow on Overlap @_unmask {
		id
		kind
		status
		quantity
		excess
		periodStart
		periodEnd
		note
		version
		area { code name level parent { code name parent { code name parent { code name } } } }
		item { key }
		programs { key }
		organizations { id name }
	}
`);

export const Findings = graphql(
	`
	query Findings($areaCode: String, $kinds: [OverlapKind!], $status: [OverlapStatus!], $first: Int!, $after: String) {
		overlaps(areaCode: $areaCode, kinds: $kinds, status: $status, first: $first, after: $after) {
			totalCount
			nodes { ...FindingRow }
			pageInfo { hasNextPage endCursor }
		}
	}
`,
	[FindingRow],
);

export const OneFinding = graphql(
	`
	query OneFinding($id: ID!, $locale: Locale!) {
		node(id: $id) {
			__typename
			... on Overlap {
				...FindingRow
				rule { owner reason(locale: $locale) validFrom validUntil }
				permittedBy { owner reason(locale: $locale) validFrom validUntil }
				evidenceRecords {
					id
					kind
					quantity
					periodStart
					periodEnd
					source
					externalId
					organization { id name }
					executor { id name }
					item { key }
					claim { id createdAt status }
					handOvers { deliveryId status at quantity accepted rejected }
				}
			}
		}
	}
`,
	[FindingRow],
);

export const DecideFinding = graphql(
	`
	mutation DecideFinding($id: ID!, $version: Version!, $status: OverlapStatus!, $note: String!) {
		resolveOverlap(id: $id, expectedVersion: $version, status: $status, note: $note) { ...FindingRow }
	}
`,
	[FindingRow],
);

export const Counts = graphql(`
	query Counts($level: AreaLevel!, $areaCode: String, $kinds: [OverlapKind!]) {
		overlapCounts(level: $level, areaCode: $areaCode, kinds: $kinds) {
			area { code name parent { name } }
			suspected
			permitted
			confirmed
		}
	}
`);

export const CoverageBelow = graphql(`
	query CoverageBelow($level: AreaLevel!, $where: NeedFilter!) {
		areaCoverage(level: $level, where: $where) {
			area { code name households parent { name parent { name } } }
			coverage { needCount unservedCount required allocated delivered unmet }
		}
	}
`);

export const Trail = graphql(`
	query Trail($subject: ID!, $first: Int!, $after: String) {
		auditTrail(subject: $subject, first: $first, after: $after) {
			nodes { sequence at actor action subject state }
			pageInfo { hasNextPage endCursor }
		}
	}
`);

export const AreaHistory = graphql(`
	query AreaHistory($code: String!, $first: Int!, $after: String) {
		areaHistory(code: $code, first: $first, after: $after) {
			nodes { sequence at actor action subject state }
			pageInfo { hasNextPage endCursor }
		}
	}
`);

export const Checkpoint = graphql(`query Checkpoint { auditCheckpoint { size rootHash at } }`);

export const AreaNamed = graphql(`query AreaNamed($code: String!) { area(code: $code) { code name level bbox } }`);
