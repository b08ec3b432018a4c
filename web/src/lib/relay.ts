/**
 * One subscription after another without a gap: what is followed goes on until what takes its place stands. Who reads
 * after the new one stands has missed nothing.
 */
export class Relay {
	#key = '';
	#stands = false;
	#stood: Promise<void> = Promise.resolve();
	#stop: (() => void) | null = null;
	#before: (() => void) | null = null;

	/**
	 * Follows what the key names, unless that is followed already. `begin` takes what to call whenever it stands (again,
	 * too, after a lost connection) and gives what stops it. The promise is kept when it stands.
	 */
	follow(key: string, begin: (stands: () => void) => () => void): Promise<void> {
		if (this.#stop && key === this.#key) return this.#stood;
		// Of several that came in quick succession the one that stands is kept.
		if (this.#stands) {
			this.#before?.();
			this.#before = this.#stop;
		} else this.#stop?.();
		this.#key = key;
		this.#stands = false;
		this.#stood = new Promise((kept) => {
			let over = false;
			const stop = begin(() => {
				if (over) return;
				this.#stands ||= this.#key === key;
				this.#before?.();
				this.#before = null;
				kept();
			});
			this.#stop = () => ((over = true), stop());
		});
		return this.#stood;
	}

	end(): void {
		this.#stop?.();
		this.#before?.();
		this.#stop = this.#before = null;
		this.#stands = false;
	}
}
