import { ask, type ResultOf } from './graphql';
import { i18n } from './i18n.svelte';
import { Programs } from './operations';
import { view } from './view.svelte';

type Program = ResultOf<typeof Programs>['programs'][number];
export type Item = Program['items'][number];

/** Programs and their items. One item is mapped at a time: packages and tablets do not add up. */
class Catalogue {
	programs = $state.raw<Program[]>([]);
	failed = $state.raw<unknown>(null);

	async load(): Promise<void> {
		this.failed = null;
		try {
			this.programs = (await ask(Programs, { locale: i18n.locale })).programs;
		} catch (error) {
			this.failed = error;
		}
	}

	/** The chosen item; the first of food where the address says nothing, for that is what most come for. */
	get item(): Item | null {
		const all = this.programs.flatMap((program) => program.items);
		return (
			all.find((item) => item.key === view.state.item) ??
			all.find((item) => item.key === 'SEMBAKO') ??
			all.find((item) => item.kind === 'FOOD') ??
			all[0] ??
			null
		);
	}

	program(item: Item): Program | undefined {
		return this.programs.find((program) => program.items.includes(item));
	}

	itemOf(key: string): Item | undefined {
		return this.programs.flatMap((program) => program.items).find((item) => item.key === key);
	}
}

export const catalogue = new Catalogue();
