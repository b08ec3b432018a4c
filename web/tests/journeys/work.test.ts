/** From a promise to what arrived: those who give, those who bring, and those who receive. */
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, DESK, drawn, fits, launch, PHONE, shoot, visit } from './browser';

let browser: Browser;
let keys: Record<string, string>;
beforeAll(async () => {
	browser = await launch();
	keys = inject('keys');
});
afterAll(() => browser.close());

const key = (who: string) => keys[`${who}@demo.example`]!;

async function graph<T>(who: string, query: string, variables: object = {}): Promise<T> {
	const answer = await fetch(`${inject('address')}/graphql`, {
		method: 'POST',
		headers: { 'content-type': 'application/json', authorization: `Bearer ${key(who)}` },
		body: JSON.stringify({ query, variables }),
	});
	const { data, errors } = (await answer.json()) as { data: T; errors?: unknown };
	expect(errors).toBeUndefined();
	return data;
}

/** Everything of the page is there and nothing is being read. */
const settled = (page: Page) => page.waitForFunction(() => document.querySelector('#content h1') && !document.querySelector('[aria-busy=true]'));

/** A promise of the aggregator's with one trip for each of the needs. */
async function trips(count: number): Promise<string[]> {
	type Needs = { needs: { nodes: { id: string; unmet: number }[] } };
	const free = await graph<Needs>('agregator', `{ needs(where: {items: ["SEMBAKO"], areaCode: "31.71", service: [UNSERVED]}, first: ${count}) { nodes { id unmet } } }`);
	type Claimed = { claimNeeds: { claim: { id: string; lines: { id: string; quantity: number }[] } } };
	const claim = 'mutation($input: ClaimNeedsInput!) { claimNeeds(input: $input) { ... on ClaimAccepted { claim { id lines { id quantity } } } } }';
	const lines = free.needs.nodes.map(({ id, unmet }) => ({ needId: id, quantity: unmet }));
	const { claimNeeds } = await graph<Claimed>('agregator', claim, { input: { idempotencyKey: crypto.randomUUID(), lines } });
	await graph('agregator', 'mutation($id: ID!) { confirmClaim(id: $id) { id } }', { id: claimNeeds.claim.id });
	const made: string[] = [];
	for (const line of claimNeeds.claim.lines) {
		const input = { idempotencyKey: crypto.randomUUID(), claimId: claimNeeds.claim.id, lines: [{ claimLineId: line.id, quantity: line.quantity }], scheduledFor: '2026-01-02' };
		made.push((await graph<{ scheduleDelivery: { id: string } }>('agregator', 'mutation($input: ScheduleDeliveryInput!) { scheduleDelivery(input: $input) { id } }', { input })).scheduleDelivery.id);
	}
	return made;
}

type Standing = { delivery: { status: string; events: { status: string; note: string | null }[] } };
const standing = async (trip: string) => (await graph<Standing>('agregator', 'query($id: ID!) { delivery(id: $id) { status events { status note } } }', { id: trip })).delivery;

test('a donor goes from the map to a confirmed claim and to a report of what arrived; the officer answers in two taps', async () => {
	const area = (await graph<{ viewer: { areaCode: string } }>('rw', '{ viewer { areaCode } }')).viewer.areaCode;
	type Needs = { needs: { nodes: { area: { code: string; name: string }; unmet: number }[] } };
	const open = await graph<Needs>('donor', 'query($area: String!) { needs(where: {areaCode: $area, items: ["SEMBAKO"], service: [UNSERVED]}, first: 1) { nodes { unmet area { code name } } } }', { area });
	const need = open.needs.nodes[0]!;
	const giver = await visit(browser, `/w/${need.area.code}`, DESK, key('donor'));
	const { page } = giver;
	await page.getByRole('button', { name: 'Tambah: Paket sembako' }).click();
	await page.getByRole('link', { name: /Keranjang \(1\)/ }).click();
	await page.getByRole('button', { name: 'Klaim semuanya' }).click();
	await page.getByRole('button', { name: 'Konfirmasi klaim' }).click();
	await page.getByRole('button', { name: 'Rencanakan perjalanan' }).click();
	await page.getByRole('button', { name: 'Jadwalkan 1 tujuan' }).click();
	await page.getByText('1 perjalanan dijadwalkan.').waitFor();
	await settled(page);
	await accessible(page);
	await shoot(page, 'claim-page');
	const claim = new URL(page.url()).pathname.split('/').at(-1)!;
	type Trips = { claim: { deliveries: { id: string }[] } };
	const trip = (await graph<Trips>('donor', 'query($id: ID!) { claim(id: $id) { deliveries { id } } }', { id: claim })).claim.deliveries[0]!.id;
	// Everybody is told on the area's page.
	const public_ = await visit(browser, `/w/${need.area.code}`, PHONE);
	await public_.page.getByRole('heading', { name: 'Siapa yang membantu' }).waitFor();
	await public_.page.getByText('berikutnya dijadwalkan').waitFor();
	await fits(public_.page);
	await accessible(public_.page);
	await shoot(public_.page, 'area-helpers-phone');

	await page.getByRole('link', { name: 'Kembali ke penyaluran' }).click();
	const card = page.locator(`[data-trip="${trip}"]`);
	await card.getByRole('button', { name: 'Berangkat' }).click();
	await card.getByText('Dalam pengiriman').waitFor();
	await card.getByRole('button', { name: 'Catat serah terima' }).click();
	await card.getByRole('button', { name: 'Ya, sudah diserahkan' }).click();
	await page.getByText(/Dicatat server/).waitFor();
	await card.getByText('Diserahkan, menunggu jawaban RW').waitFor();
	await accessible(page);
	await shoot(page, 'work-desk');

	const officer = await visit(browser, '/rw', PHONE, key('rw'));
	const arrival = officer.page.locator(`[data-trip="${trip}"]`);
	await arrival.getByRole('button', { name: 'Semua tiba utuh' }).waitFor();
	await fits(officer.page);
	await accessible(officer.page);
	await shoot(officer.page, 'officer-phone');
	await arrival.getByRole('button', { name: 'Semua tiba utuh' }).click();
	await shoot(officer.page, 'officer-phone-sure');
	await arrival.getByRole('button', { name: 'Ya, konfirmasi' }).click();
	await officer.page.getByText(/Dicatat server/).waitFor();
	await arrival.getByText('Diterima utuh').waitFor();

	await page.goto(`${inject('address')}/penyaluran/${claim}`);
	await settled(page);
	const row = page.getByRole('row').filter({ hasText: need.area.name });
	expect(await row.getByRole('cell').allTextContents()).toEqual(['Paket sembako', ...[need.unmet, 0, need.unmet, need.unmet, 0].map(String)]);
	const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Unduh laporan (CSV)' }).click()]);
	const report = readFileSync(await file.path(), 'utf8');
	expect(report).toContain(`${need.area.code},`);
	expect(report).toContain(`,${need.unmet},0,${need.unmet},${need.unmet},0\r\n`);
	expect([giver.errors, officer.errors, public_.errors]).toEqual([[], [], []]);
	await Promise.all([giver, officer, public_].map(({ context }) => context.close()));
});

test('a delivering organisation claims fifty areas, plans trips, prints what goes along, and hands over', async () => {
	const { page, context, errors } = await visit(browser, '/#map=14.2/-6.27/106.87&status=unserved', DESK, key('agregator'));
	await drawn(page);
	await page.getByRole('button', { name: /^Tambah 50 yang tampil/ }).click();
	await page.getByRole('link', { name: /Keranjang \(50\)/ }).click();
	await page.getByRole('button', { name: 'Klaim semuanya' }).click();
	await page.getByRole('button', { name: 'Konfirmasi klaim' }).click();
	await page.getByRole('button', { name: 'Rencanakan perjalanan' }).click();
	await page.getByRole('button', { name: 'Semua (50)' }).click();
	await page.getByRole('button', { name: 'Jadwalkan 50 tujuan' }).waitFor();
	await accessible(page);
	await shoot(page, 'plan-trip');
	await page.getByRole('button', { name: 'Jadwalkan 50 tujuan' }).click();
	await page.getByText('1 perjalanan dijadwalkan.').waitFor();
	const claim = new URL(page.url()).pathname.split('/').at(-1)!;
	type Trips = { claim: { deliveries: { id: string; lines: { claimLine: { need: { area: { code: string } } } }[] }[] } };
	const made = (await graph<Trips>('agregator', 'query($id: ID!) { claim(id: $id) { deliveries { id lines { claimLine { need { area { code } } } } } } }', { id: claim })).claim.deliveries[0]!;
	const rws = new Set(made.lines.map(({ claimLine }) => claimLine.need.area.code.split('.').slice(0, 5).join('.')));

	await page.getByRole('link', { name: /Cetak: Perjalanan/ }).click();
	await page.getByRole('heading', { name: 'SURAT JALAN' }).waitFor();
	await settled(page);
	// A list for the driver, and a sheet for each RW with its own number.
	expect(await page.locator('article.sheet').count()).toBe(1 + rws.size);
	for (const rw of rws) expect(await page.getByText(`/${rw}/BAST/`).count()).toBe(1);
	await accessible(page);
	await page.emulateMedia({ media: 'print' });
	expect(await page.getByRole('link', { name: 'Keranjang' }).count(), 'what is for the screen is not printed').toBe(0);
	await page.locator('article.sheet').nth(1).scrollIntoViewIfNeeded();
	await shoot(page, 'bast-print');
	const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
	expect(pdf).toMatch(/\/MediaBox \[0 0 59[45](\.\d+)? 84[12](\.\d+)?\]/);
	expect((pdf.match(/\/Type \/Page\b/g) ?? []).length).toBeGreaterThanOrEqual(1 + rws.size);
	await page.emulateMedia({ media: 'screen' });

	await page.getByRole('link', { name: 'Kembali ke penyaluran' }).click();
	const card = page.locator(`[data-trip="${made.id}"]`);
	await card.getByRole('button', { name: 'Catat serah terima' }).click();
	await card.getByRole('button', { name: 'Ya, sudah diserahkan' }).click();
	await page.getByText(/Dicatat server/).waitFor();
	expect((await standing(made.id)).events.map(({ status }) => status)).toEqual(['SCHEDULED', 'IN_TRANSIT', 'DELIVERED']);
	await page.getByRole('button', { name: 'Peta', exact: true }).click();
	await page.waitForSelector('.holder[data-ready]');
	await accessible(page);
	await shoot(page, 'work-map');
	expect(errors).toEqual([]);
	await context.close();
});

/** The way to the server, which can be cut. */
class Way {
	#server: Server | null = null;
	#open = new Set<Socket>();
	port = 0;

	async restore(): Promise<void> {
		const target = new URL(inject('address'));
		const server = createServer((near) => {
			const far = connect(Number(target.port), target.hostname);
			for (const end of [near, far]) {
				this.#open.add(end);
				end.on('error', () => end.destroy()).on('close', () => this.#open.delete(end));
			}
			near.pipe(far).pipe(near);
		});
		await new Promise<void>((listens) => server.listen(this.port, '127.0.0.1', listens));
		this.port = (server.address() as { port: number }).port;
		this.#server = server;
	}

	async cut(): Promise<void> {
		const closed = new Promise((done) => this.#server?.close(done));
		this.#open.forEach((socket) => socket.destroy());
		await closed;
	}
}

test('a hand-over without a signal is kept, survives a reload, is sent on return, and each gets an honest answer', async () => {
	const [first, second] = (await trips(2)) as [string, string];
	const way = new Way();
	await way.restore();
	const context = await browser.newContext({ viewport: PHONE, locale: 'id-ID' });
	context.setDefaultTimeout(60_000);
	await context.addInitScript((key) => sessionStorage.setItem('salur.key', key), key('agregator'));
	const page = await context.newPage();
	await page.goto(`http://127.0.0.1:${way.port}/penyaluran`);
	await page.locator(`[data-trip="${first}"]`).waitFor();
	await page.waitForFunction(() => navigator.serviceWorker.controller !== null);

	await way.cut();
	await context.setOffline(true);
	await page.reload();
	await page.getByText(/Tanpa sinyal\. Yang tampil adalah keadaan/).waitFor();
	for (const trip of [first, second]) {
		const card = page.locator(`[data-trip="${trip}"]`);
		await card.getByRole('button', { name: 'Catat serah terima' }).click();
		await card.getByLabel(/Catatan/).fill('pos RW');
		await card.getByRole('button', { name: 'Ya, sudah diserahkan' }).click();
		await card.getByRole('status').filter({ hasText: 'Menunggu sinyal' }).waitFor();
	}
	await page.getByText('2 belum terkirim').waitFor();
	await fits(page);
	await accessible(page);
	await shoot(page, 'offline-phone');
	await page.reload();
	await page.getByText('2 belum terkirim').waitFor();

	// Meanwhile the second is called off at the desk.
	await graph('agregator', 'mutation($id: ID!) { cancelDelivery(id: $id, reason: "salah muat") { id } }', { id: second });
	await way.restore();
	await context.setOffline(false);
	await page.locator('[data-step=ACCEPTED]').waitFor();
	await page.locator('[data-step=REFUSED]').getByText('Ditolak server: perjalanan ini sudah dibatalkan.').waitFor();
	await page.getByText(/Tanpa sinyal/).waitFor({ state: 'detached' });
	await shoot(page, 'offline-answers-phone');
	await accessible(page);
	expect((await standing(first)).events.filter(({ status }) => status === 'DELIVERED')).toEqual([{ status: 'DELIVERED', note: 'pos RW' }]);
	expect((await standing(second)).status).toBe('CANCELLED');
	// Answers stay until they have been read.
	await page.reload();
	await page.locator('[data-step=REFUSED]').getByRole('button', { name: 'Sudah saya baca' }).click();
	await page.locator('[data-step=ACCEPTED]').getByRole('button', { name: 'Sudah saya baca' }).click();
	await page.getByText('Tersimpan di ponsel ini').waitFor({ state: 'detached' });
	await context.close();
	await way.cut();
});

test('a hand-over whose answer was lost counts once, also where the neighbourhood has answered meanwhile', async () => {
	const [trip] = (await trips(1)) as [string];
	const { page, context } = await visit(browser, '/penyaluran', PHONE, key('agregator'));
	let sent = 0;
	await page.route('**/graphql', async (route) => {
		if (!(route.request().postDataJSON() as { query: string }).query.includes('mutation RecordTrip')) return route.fallback();
		sent += 1;
		if (sent > 1) return route.fallback();
		// The server did it; the phone never heard.
		await route.fetch();
		await route.abort('connectionreset');
	});
	const card = page.locator(`[data-trip="${trip}"]`);
	await card.getByRole('button', { name: 'Catat serah terima' }).click();
	await card.getByRole('button', { name: 'Ya, sudah diserahkan' }).click();
	await page.getByText('1 belum terkirim').waitFor();
	type Lines = { delivery: { lines: { quantity: number; claimLine: { id: string } }[] } };
	const { delivery } = await graph<Lines>('agregator', 'query($id: ID!) { delivery(id: $id) { lines { quantity claimLine { id } } } }', { id: trip });
	const lines = delivery.lines.map(({ quantity, claimLine }) => ({ claimLineId: claimLine.id, accepted: quantity, rejected: 0 }));
	await graph('admin', 'mutation($id: ID!, $lines: [AcknowledgeLineInput!]!) { acknowledgeDelivery(id: $id, lines: $lines) { id } }', { id: trip, lines });
	await page.getByRole('button', { name: 'Kirim sekarang' }).click();
	await page.getByText(/Dicatat server/).waitFor();
	expect((await standing(trip)).events.map(({ status }) => status)).toEqual(['SCHEDULED', 'IN_TRANSIT', 'DELIVERED', 'ACKNOWLEDGED']);
	await context.close();
});

test('an officer says line by line what is short, reports a need, and verifies what others reported', async () => {
	const area = (await graph<{ viewer: { areaCode: string } }>('rw', '{ viewer { areaCode } }')).viewer.areaCode;
	// What is on its way to the RW is handed over by its donor.
	type Coming = { viewer: { incoming: { id: string; lines: { claimLine: { need: { area: { code: string; name: string } } } }[] }[] } };
	const coming = await graph<Coming>('rw', '{ viewer { incoming(first: 20) { id status lines { claimLine { need { area { code name } } } } } } }');
	const trip = coming.viewer.incoming.at(-1)!;
	await graph('donor', 'mutation($id: ID!) { recordDelivery(id: $id) { id } }', { id: trip.id });
	const { page, context, errors } = await visit(browser, '/rw', PHONE, key('rw'));
	const card = page.locator(`[data-trip="${trip.id}"]`);
	await card.getByRole('button', { name: 'Ada yang kurang' }).click();
	const amount = card.getByRole('spinbutton').first();
	const brought = Number(await amount.inputValue());
	await amount.fill(String(brought - 2));
	await card.getByText('kurang 2 paket').waitFor();
	await fits(page);
	await accessible(page);
	await shoot(page, 'officer-short-phone');
	await card.getByRole('button', { name: 'Kirim jawaban' }).click();
	await page.getByText(/Dicatat server/).waitFor();
	await card.getByText(`Tiba utuh ${brought - 2}, kurang 2`).waitFor();

	const waiting = page.getByRole('button', { name: /^Verifikasi: / });
	const before = await waiting.count();
	expect(before).toBeGreaterThan(0);
	await waiting.first().click();
	await expect.poll(() => waiting.count()).toBe(before - 1);

	await page.getByLabel(/^Wilayah/).selectOption(`${area}.003`);
	await page.getByLabel(/^Bantuan/).selectOption('PAKET_LEBARAN');
	await page.getByLabel(/Jumlah yang dibutuhkan \(paket\)/).fill('31');
	await page.getByRole('button', { name: 'Laporkan', exact: true }).click();
	await page.getByText('Kebutuhan dilaporkan.').waitFor();
	await page.getByText('Anda yang melapor; petugas lain yang memverifikasi.').waitFor();
	expect(await waiting.count(), 'nobody verifies what they reported').toBe(before - 1);
	await accessible(page);
	await shoot(page, 'officer-report-phone');
	expect(errors).toEqual([]);
	await context.close();
});

test('the screens of one’s own work speak English, on a desk and on a phone', async () => {
	for (const [who, path, title, size] of [['donor', '/penyaluran', 'Deliveries', DESK], ['rw', '/rw', /My area: RW/, PHONE], ['rw', '/rw', /My area: RW/, DESK], ['agregator', '/penyaluran', 'Deliveries', PHONE]] as const) {
		const { page, context, errors } = await visit(browser, path, size, key(who));
		await page.getByRole('button', { name: 'Switch to English' }).click();
		await page.getByRole('heading', { name: title, level: 1 }).waitFor();
		await settled(page);
		await fits(page);
		await accessible(page);
		await shoot(page, `english-${who}-${size === DESK ? 'desk' : 'phone'}`);
		expect(errors).toEqual([]);
		await context.close();
	}
});

test('a box is chosen on a phone without a mouse', async () => {
	const { page, context } = await visit(browser, '/#map=15.2/-6.20/106.82', PHONE);
	await drawn(page);
	await page.getByRole('button', { name: 'Pilih dengan kotak' }).click();
	await accessible(page);
	await page.getByRole('button', { name: 'Tambah isi bingkai' }).click();
	await page.getByRole('status').filter({ hasText: /\d+ kebutuhan masuk keranjang/ }).waitFor();
	await page.getByRole('link', { name: /Keranjang \(\d+\)/ }).waitFor();
	await fits(page);
	await shoot(page, 'box-phone');
	await context.close();
});
