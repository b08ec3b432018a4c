/** Who helps in an area; asked on its page alone. */
import { graphql } from './graphql';

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
