/** What an area's page asks. */
import { graphql } from './graphql';
import { NeedRow } from './operations';

export const AreaPage = graphql(
	`
	query AreaPage($code: String!, $where: NeedFilter!) {
		area(code: $code) {
			code
			name
			label
			level
			households
			poorHouseholds
			bbox
			point
			geometryIsGenerated
			parent { code name level parent { code name level parent { code name level parent { code name level parent { code name level } } } } }
			coverage(where: $where) { needCount unservedCount unservedAreaCount required allocated delivered unmet }
			needs(first: 100, where: {}) {
				totalCount
				nodes { ...NeedRow item { key } program { key } }
			}
		}
	}
`,
	[NeedRow],
);

export const AreaChildren = graphql(`
	query AreaChildren($level: AreaLevel!, $where: NeedFilter!) {
		areaCoverage(level: $level, where: $where) {
			area { code name households }
			coverage { needCount unservedCount required allocated delivered unmet }
		}
	}
`);

/** That something has changed here or below; what, is read anew. */
export const ChangedHere = graphql(`
	subscription ChangedHere($where: NeedFilter!) {
		needsChanged(where: $where) { id }
	}
`);

export const AreaHelp = graphql(`
	query AreaHelp($code: String!, $locale: Locale!) {
		area(code: $code) {
			help {
				partlyHidden
				rows {
					organization { name }
					executor { name }
					item { key name(locale: $locale) unit }
					needCount
					promised
					held
					underWay
					delivered
					accepted
					nextTrip
					lastArrival
				}
			}
		}
	}
`);
