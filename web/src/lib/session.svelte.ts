/**
 * Who looks at the page. All that knows how a caller proves it is here: today an API key, kept for this tab only.
 */
const KEPT = 'salur.key';

let key = $state(sessionStorage.getItem(KEPT));

export const session = {
	/** True where there is somebody to ask the server about. */
	get isOpen(): boolean {
		return key !== null;
	},

	open(given: string): void {
		key = given.trim();
		sessionStorage.setItem(KEPT, key);
	},

	close(): void {
		key = null;
		sessionStorage.removeItem(KEPT);
	},

	/** What a request carries. */
	headers(): Record<string, string> {
		return key ? { authorization: `Bearer ${key}` } : {};
	},

	/** What the first message of a live connection carries. */
	payload(): Record<string, string> {
		return key ? { Authorization: `Bearer ${key}` } : {};
	},
};
