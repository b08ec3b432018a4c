/**
 * Lets this page be opened without a signal. Only who carries work with them needs that; whoever just looks at the map
 * is not made to load it.
 */
export function stayHere(): void {
	if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
	// Where a browser forbids it, in a private window for one, the page still works with a signal.
	navigator.serviceWorker.register('/sw.js').catch(() => {});
}
