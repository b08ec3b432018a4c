/** Every question that the page asks, in one place: checked against schema.graphql. */
import { graphql } from './graphql';

export const NeedRow = graphql(`
	fragment NeedRow on Need @_unmask {
		id
		severity
		required
		allocated
		delivered
		unmet
		service
		status
		version
		smallCountsRounded
		periodEnd
		area { code name households parent { code name parent { code name } } }
	}
`);

export const Programs = graphql(`
	query Programs($locale: Locale!) {
		programs {
			key
			name(locale: $locale)
			holdSeconds
			maxRenewals
			items { key name(locale: $locale) unit kind }
		}
	}
`);

export const MapCoverage = graphql(`
	query MapCoverage($level: AreaLevel!, $where: NeedFilter!, $view: BBoxInput!) {
		areaCoverage(level: $level, where: $where, view: $view) {
			area { code name households }
			coverage { needCount unservedCount required allocated delivered unmet }
		}
	}
`);

/** The same of what changes. The first answer is empty and says that nothing is missed from there on. */
export const MapChanged = graphql(`
	subscription MapChanged($level: AreaLevel!, $where: NeedFilter!, $view: BBoxInput!) {
		areaCoverageChanged(level: $level, where: $where, view: $view) {
			area { code name households }
			coverage { needCount unservedCount required allocated delivered unmet }
		}
	}
`);

export const Breaks = graphql(`
	query Breaks($level: AreaLevel!, $item: String!) {
		coverageBreaks(level: $level, item: $item)
	}
`);

export const InView = graphql(
	`
	query InView($where: NeedFilter!, $first: Int!, $after: String) {
		needs(where: $where, orderBy: PRIORITY, first: $first, after: $after) {
			totalCount
			nodes { ...NeedRow }
			pageInfo { hasNextPage endCursor }
		}
	}
`,
	[NeedRow],
);

export const Totals = graphql(`
	query Totals($where: NeedFilter!) {
		coverage(where: $where) { needCount unservedCount unservedAreaCount required allocated delivered unmet }
	}
`);

export const NeedsChanged = graphql(
	`
	subscription NeedsChanged($where: NeedFilter!) {
		needsChanged(where: $where) { ...NeedRow }
	}
`,
	[NeedRow],
);

export const Search = graphql(`
	query Search($text: String!) {
		searchAreas(text: $text, first: 8) {
			code
			name
			level
			bbox
			point
			parent { name parent { name parent { name } } }
		}
	}
`);

export const ClaimView = graphql(
	`
	fragment ClaimView on Claim @_unmask {
		id
		status
		createdAt
		expiresAt
		renewals
		lines { id quantity status need { ...NeedRow item { key unit } program { key maxRenewals } } }
	}
`,
	[NeedRow],
);

export const ClaimNeeds = graphql(
	`
	mutation ClaimNeeds($input: ClaimNeedsInput!) {
		claimNeeds(input: $input) {
			__typename
			... on ClaimAccepted {
				replayed
				claim { ...ClaimView }
				shortfalls { needId requested free freesAt reason }
			}
			... on ClaimRefused {
				replayed
				refusals { needId requested free freesAt reason }
			}
		}
	}
`,
	[ClaimView],
);

export const Viewer = graphql(`
	query Viewer {
		viewer { email roles manager areaCode organization { id name status statusReason } }
	}
`);

export const SignOut = graphql(`mutation SignOut { signOut }`);
