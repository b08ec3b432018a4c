/** "Fill my offer". */
import { graphql } from './graphql';
import { NeedRow } from './operations';

export const Plan = graphql(
	`
	query Plan($input: PlanMatchInput!, $locale: Locale!) {
		planMatch(input: $input) {
			areas
			bound
			value
			quantity
			unplaced
			lines { quantity reason(locale: $locale) need { ...NeedRow } }
		}
	}
`,
	[NeedRow],
);
