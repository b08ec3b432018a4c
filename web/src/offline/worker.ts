/**
 * Opens the page without a signal. It keeps the page's own files, and nothing that anybody asked the server: what was
 * seen of one's work lies in work/keep.ts, under who saw it. A new version waits until the old one's tabs are closed,
 * so that no open page loses its files.
 */
const scope = self as unknown as ServiceWorkerGlobalScope;

/** The files of this build, put in by vite.config.ts; the map's are kept once they were used. */
declare const __FILES__: string[];
declare const __VERSION__: string;

const OWN = `salur-${__VERSION__}`;
/** Longer than this nobody waits for a page whose files lie here already. */
const PATIENCE = 4_000;

scope.addEventListener('install', (event) => {
	event.waitUntil(caches.open(OWN).then((own) => own.addAll(['/', ...__FILES__])));
});

scope.addEventListener('activate', (event) => {
	const tidy = async () => {
		for (const name of await caches.keys()) if (name.startsWith('salur-') && name !== OWN) await caches.delete(name);
		await scope.clients.claim();
	};
	event.waitUntil(tidy());
});

scope.addEventListener('fetch', (event) => {
	const { request } = event;
	const url = new URL(request.url);
	if (request.method !== 'GET' || url.origin !== location.origin) return;
	if (request.mode === 'navigate') event.respondWith(newest(request, '/', PATIENCE));
	else if (url.pathname.startsWith('/assets/')) event.respondWith(kept(request));
	else if (url.pathname === '/tiles/areas.json') event.respondWith(newest(request, url.pathname, PATIENCE));
});

/** A name with a fingerprint in it always has the same bytes. */
async function kept(request: Request): Promise<Response> {
	const known = await caches.match(request);
	if (known) return known;
	const answer = await fetch(request);
	if (answer.ok) await keep(request, answer);
	return answer;
}

/** From the server where it answers in time, else as it was last. */
async function newest(request: Request, name: string, patience: number): Promise<Response> {
	const asked = fetch(request).then(async (answer) => {
		if (answer.ok) await keep(name, answer);
		return answer;
	});
	const late = new Promise<null>((give) => setTimeout(() => give(null), patience));
	const answer = await Promise.race([asked.catch(() => null), late]);
	// A server in trouble answers for itself: only silence is replaced.
	return answer ?? (await caches.match(name)) ?? asked;
}

async function keep(name: Request | string, answer: Response): Promise<void> {
	const own = await caches.open(OWN);
	// A full disk keeps less, and the page goes on.
	await own.put(name, answer.clone()).catch(() => {});
}

export {};
