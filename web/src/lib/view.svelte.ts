import { START, read, write, type Place, type State } from './address';
import type { Box } from './levels';

/** What one looks at. Reading and writing the address is done here and nowhere else. */
class View {
	state = $state.raw<State>(read(location.hash));
	path = $state(location.pathname);
	/** What the map shows at present; null until it knows, or where there is no map. */
	box = $state.raw<Box | null>(null);
	/** Where the map is asked to go; the map takes it away when it has set out. */
	goal = $state.raw<{ box?: Box; place?: Place } | null>(null);

	constructor() {
		addEventListener('popstate', () => {
			const before = this.state.place;
			this.path = location.pathname;
			this.state = read(location.hash);
			const place = this.state.place;
			if (place && JSON.stringify(place) !== JSON.stringify(before)) this.goal = { place };
		});
	}

	/** A step that one may want to take back is pushed; panning is not. */
	change(part: Partial<State>, step: 'push' | 'replace' = 'push'): void {
		this.state = { ...this.state, ...part };
		history[step === 'push' ? 'pushState' : 'replaceState'](null, '', this.link(this.state));
	}

	moved(place: Place, box: Box): void {
		this.box = box;
		this.change({ place }, 'replace');
	}

	go(path: string): void {
		this.path = path;
		history.pushState(null, '', `${path}${location.hash}`);
		scrollTo(0, 0);
	}

	link(state: State): string {
		const fragment = write(state);
		return `${location.pathname}${fragment ? `#${fragment}` : ''}`;
	}

	get isFiltered(): boolean {
		return this.state.status.length > 0 || this.state.severity > 1;
	}

	clear(): void {
		this.change({ status: START.status, severity: START.severity });
	}
}

export const view = new View();
