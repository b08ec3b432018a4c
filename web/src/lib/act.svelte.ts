/** One press of a button that changes something: whether it is under way, and what came of it, in words. */
import { Refused } from './graphql';
import { i18n } from './i18n.svelte';

export class Act {
	busy = $state(false);
	done = $state('');
	wrong = $state<{ said: string; detail: string } | null>(null);

	/** `said`: what it means where the server refuses with one of these codes. */
	async run(step: () => Promise<string>, failed: string, said: Record<string, string> = {}): Promise<boolean> {
		this.busy = true;
		this.done = '';
		this.wrong = null;
		try {
			this.done = await step();
			return true;
		} catch (fault) {
			const code = fault instanceof Refused ? fault.code : '';
			const detail = fault instanceof Error ? fault.message : String(fault);
			this.wrong = code === 'OFFLINE' ? { said: failed, detail: i18n.t.weakConnection } : { said: said[code] ?? failed, detail };
			return false;
		} finally {
			this.busy = false;
		}
	}
}
