/**
 * What the phone keeps for when there is no signal: steps that were not answered yet, and what was last seen of one's
 * own work. Steps stay until they are answered and read; what was seen goes when one signs out.
 */
const NAME = 'salur';
const STEPS = 'steps';
const SEEN = 'seen';

let opened: Promise<IDBDatabase> | null = null;

function answered<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((done, failed) => {
		request.onsuccess = () => done(request.result);
		request.onerror = () => failed(request.error);
	});
}

function open(): Promise<IDBDatabase> {
	opened ??= (async () => {
		const request = indexedDB.open(NAME, 1);
		request.onupgradeneeded = () => {
			request.result.createObjectStore(STEPS, { keyPath: 'id' });
			request.result.createObjectStore(SEEN);
		};
		return answered(request);
	})();
	// One that failed is tried again by the next who asks.
	opened.catch(() => (opened = null));
	return opened;
}

/** Done once it is on the disk, not before. */
async function write(store: string, change: (store: IDBObjectStore) => void): Promise<void> {
	const transaction = (await open()).transaction(store, 'readwrite', { durability: 'strict' });
	change(transaction.objectStore(store));
	return new Promise((done, failed) => {
		transaction.oncomplete = () => done();
		transaction.onabort = () => failed(transaction.error);
		transaction.onerror = () => failed(transaction.error);
	});
}

export async function steps<T>(): Promise<T[]> {
	return answered((await open()).transaction(STEPS).objectStore(STEPS).getAll());
}

export function putStep(step: { id: string }): Promise<void> {
	return write(STEPS, (store) => store.put(step));
}

export function dropStep(id: string): Promise<void> {
	return write(STEPS, (store) => store.delete(id));
}

export type Seen<T> = { at: string; data: T };

/** What was seen, under who saw it: another person on the same phone is not shown it. */
export async function seen<T>(who: string, what: string): Promise<Seen<T> | null> {
	return (await answered((await open()).transaction(SEEN).objectStore(SEEN).get(`${who} ${what}`))) ?? null;
}

export function see<T>(who: string, what: string, data: T): Promise<void> {
	const kept: Seen<T> = { at: new Date().toISOString(), data };
	return write(SEEN, (store) => store.put(kept, `${who} ${what}`));
}

export function forgetSeen(): Promise<void> {
	return write(SEEN, (store) => store.clear());
}
