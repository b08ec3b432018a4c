/**
 * Who looks at the page. All that knows how a caller proves it is here: a session, whose cookie the browser keeps and
 * no script can read, or an API key, kept for this tab only.
 */
const KEY = 'salur.key';
const SIGNED_IN = 'salur.signed-in';

let key = $state(sessionStorage.getItem(KEY));
let signedIn = $state(localStorage.getItem(SIGNED_IN) !== null);

export const session = {
	/** True where there is, as far as this page knows, somebody to ask the server about. */
	get isOpen(): boolean {
		return key !== null || signedIn;
	},

	get hasKey(): boolean {
		return key !== null;
	},

	/** The server has set the cookie. */
	open(): void {
		signedIn = true;
		localStorage.setItem(SIGNED_IN, '1');
	},

	openWith(given: string): void {
		key = given.trim();
		sessionStorage.setItem(KEY, key);
	},

	close(): void {
		key = null;
		signedIn = false;
		sessionStorage.removeItem(KEY);
		localStorage.removeItem(SIGNED_IN);
	},

	/** What a request carries: with a session, a header that no foreign page can set. */
	headers(): Record<string, string> {
		return key ? { authorization: `Bearer ${key}` } : { 'salur-page': '1' };
	},

	/** What the first message of a live connection carries. */
	payload(): Record<string, string> {
		return key ? { Authorization: `Bearer ${key}` } : {};
	},
};
