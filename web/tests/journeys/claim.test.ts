/** A donor claims what somebody else is looking at, too. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, drawn, fits, launch, PHONE, shoot, stateOf, visit, DESK } from './browser';

const HERE = '/#map=15/-6.135/106.905';
let browser: Browser;
let donor: string;
let other: string;
beforeAll(async () => {
	browser = await launch();
	donor = inject('keys')['donor@demo.example']!;
	other = inject('keys')['agregator@demo.example']!;
});
afterAll(() => browser.close());

const codeOf = (page: Page) => page.evaluate(() => (JSON.parse(localStorage.getItem('salur.basket')!) as { lines: { code: string }[] }).lines[0]!.code);

test('a claim recolours the other open map and says so in the other basket; taking what is free names the rest', async () => {
	const [a, b] = [await visit(browser, HERE, DESK, donor), await visit(browser, HERE, DESK, other)];
	await drawn(a.page);
	await drawn(b.page);
	// Both pick the first two; the first of them is the same need.
	for (const { page } of [a, b]) {
		for (let i = 0; i < 2; i++) await page.getByRole('button', { name: /^Tambah: / }).first().click();
	}
	const code = await codeOf(a.page);
	expect(await codeOf(b.page)).toBe(code);
	const before = await stateOf(b.page, 'rt', code);
	await a.page.getByRole('link', { name: /Keranjang \(2\)/ }).click();
	await accessible(a.page);
	await shoot(a.page, 'basket');
	// Half of the first one only, so that something of it stays free.
	const quantity = a.page.getByRole('spinbutton').first();
	await quantity.fill('10');
	await quantity.blur();
	// Pressed twice: one claim.
	await a.page.getByRole('button', { name: 'Klaim semuanya' }).dblclick();
	await a.page.getByRole('heading', { name: 'Ditahan untuk Anda' }).waitFor();
	await accessible(a.page);
	await shoot(a.page, 'claim-held');
	// The other map and list change by themselves.
	await expect.poll(async () => (await stateOf(b.page, 'rt', code))['hatch'], { timeout: 60_000 }).toBe(1);
	expect(before['hatch']).toBe(0);
	await b.page.getByRole('link', { name: /Keranjang \(2\)/ }).click();
	await b.page.getByText(/baru saja diambil/).first().waitFor();
	await shoot(b.page, 'basket-taken');
	await b.page.getByRole('button', { name: 'Klaim semuanya' }).click();
	await b.page.getByText('Belum ada yang diklaim').waitFor();
	await b.page.getByText(/sudah diambil pihak lain · tersisa/).waitFor();
	await accessible(b.page);
	await shoot(b.page, 'claim-refused');
	await b.page.getByRole('button', { name: 'Ambil yang tersedia' }).click();
	await b.page.getByRole('heading', { name: 'Ditahan untuk Anda' }).waitFor();
	await b.page.getByRole('button', { name: 'Lepaskan' }).click();
	await b.page.getByRole('button', { name: 'Lepaskan' }).click();
	await b.page.getByText('Klaim dilepaskan.').waitFor();
	await a.page.getByRole('button', { name: 'Perpanjang' }).click();
	await a.page.getByText(/Masih bisa diperpanjang 1 kali/).waitFor();
	await a.page.getByRole('button', { name: 'Konfirmasi klaim' }).click();
	await a.page.getByText('Klaim dikonfirmasi').waitFor();
	await accessible(a.page);
	expect([a.errors, b.errors]).toEqual([[], []]);
	await Promise.all([a.context.close(), b.context.close()]);
});

test('an answer that is lost on the way back makes no second claim', async () => {
	const { page, context } = await visit(browser, HERE, DESK, donor);
	await drawn(page);
	await page.getByRole('button', { name: /^Tambah: / }).nth(3).click();
	await page.getByRole('link', { name: /Keranjang \(1\)/ }).click();
	const keys: string[] = [];
	await page.route('**/graphql', async (route) => {
		const body = route.request().postDataJSON() as { query: string; variables: { input?: { idempotencyKey: string } } };
		if (!body.query.includes('mutation ClaimNeeds')) return route.fallback();
		keys.push(body.variables.input!.idempotencyKey);
		if (keys.length > 1) return route.fallback();
		// The server did it; the phone never heard.
		await route.fetch();
		await route.abort('connectionreset');
	});
	await page.getByRole('button', { name: 'Klaim semuanya' }).click();
	await page.getByText('Klaim Anda tidak akan tercatat dua kali').waitFor();
	// Neither a reload nor another quantity makes another claim of it.
	await page.reload();
	await page.getByText('Klaim Anda tidak akan tercatat dua kali').waitFor();
	await page.getByRole('spinbutton').first().fill('1');
	await page.getByRole('spinbutton').first().blur();
	await page.getByRole('button', { name: 'Klaim semuanya' }).click();
	await page.getByRole('heading', { name: 'Ditahan untuk Anda' }).waitFor();
	expect(keys).toHaveLength(2);
	expect(keys[0]).toBe(keys[1]);
	// The clock runs on every screen.
	await page.getByRole('link', { name: 'Salur', exact: true }).click();
	await page.getByRole('link', { name: /^Keranjang\s*\d+:\d\d/ }).waitFor();
	await context.close();
});

test('an offer fills the basket with reasons, on a phone', async () => {
	const { page, context } = await visit(browser, '/keranjang', PHONE, donor);
	await page.getByLabel(/Jumlah yang Anda punya/).fill('250');
	await page.getByRole('button', { name: 'Usulkan' }).click();
	await page.getByText(/250 paket untuk \d+ wilayah/).first().waitFor();
	await fits(page);
	await accessible(page);
	await shoot(page, 'plan-phone');
	await page.getByRole('button', { name: 'Masukkan ke keranjang' }).click();
	await page.getByRole('button', { name: 'Klaim semuanya' }).waitFor();
	await fits(page);
	await context.close();
});

test('the keyboard alone leads from the first page to a confirmed claim', async () => {
	const { page, context } = await visit(browser, HERE, DESK);
	await drawn(page);
	const tabTo = async (name: RegExp, key = 'Tab') => {
		for (let i = 0; i < 80; i++) {
			await page.keyboard.press(key);
			const text = await page.evaluate(() => {
				const at = document.activeElement as HTMLElement;
				// Between the last stop of the page and the first nothing has the focus, and the body says all that there is.
				if (at === document.body) return '';
				return at.getAttribute('aria-label') ?? at.innerText ?? at.id;
			});
			if (name.test(text ?? '')) return;
		}
		throw new Error(`${name} cannot be reached with the Tab key`);
	};
	await tabTo(/^Tambah: /);
	await page.keyboard.press('Enter');
	await tabTo(/Keranjang \(1\)/, 'Shift+Tab');
	await page.keyboard.press('Enter');
	await page.getByRole('link', { name: 'Masuk untuk mengklaim' }).waitFor();
	await tabTo(/Masuk untuk mengklaim/);
	await page.keyboard.press('Enter');
	await tabTo(/Masuk dengan kunci API/);
	await page.keyboard.press('Enter');
	await page.getByLabel('Kunci API').waitFor();
	await accessible(page);
	await shoot(page, 'sign-in');
	await page.getByLabel('Kunci API').focus();
	await page.keyboard.type(donor);
	await page.keyboard.press('Enter');
	await tabTo(/^Klaim semuanya$/);
	await page.keyboard.press('Enter');
	await page.getByRole('button', { name: 'Konfirmasi klaim' }).waitFor();
	await tabTo(/^Konfirmasi klaim$/);
	await page.keyboard.press('Enter');
	await page.getByText('Klaim dikonfirmasi').waitFor();
	await context.close();
});

test('what somebody else claims colours the open map, and nothing is asked for but totals', async () => {
	const { page, context } = await visit(browser, HERE, DESK);
	await drawn(page);
	type Found = { needs: { nodes: { id: string; required: number; area: { code: string } }[] } };
	const api = async <D>(query: string, variables: object): Promise<D> => {
		const headers = { 'content-type': 'application/json', authorization: `Bearer ${donor}` };
		const answer = await fetch(`${inject('address')}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
		return ((await answer.json()) as { data: D }).data;
	};
	const where = { items: ['SEMBAKO'], levels: ['RT'], service: ['UNSERVED'], bbox: { west: 106.903, south: -6.137, east: 106.907, north: -6.133 } };
	const { needs } = await api<Found>('query($where: NeedFilter!) { needs(where: $where, first: 100) { nodes { id required area { code } } } }', { where });
	const [first, second] = needs.nodes.filter(({ required }) => required >= 10);
	const claimed: string[] = [];
	const claims = async ({ id, area }: typeof first & {}) => {
		expect((await stateOf(page, 'rt', area.code))['hatch']).toBe(0);
		const input = { idempotencyKey: crypto.randomUUID(), lines: [{ needId: id, quantity: 1 }] };
		const { claimNeeds } = await api<{ claimNeeds: { claim: { id: string } } }>('mutation($input: ClaimNeedsInput!) { claimNeeds(input: $input) { ... on ClaimAccepted { claim { id } } } }', { input });
		claimed.push(claimNeeds.claim.id);
		await expect.poll(async () => (await stateOf(page, 'rt', area.code))['hatch'], { timeout: 60_000 }).toBe(1);
	};
	// Once this has arrived, all that the first view asks for has been asked for.
	await claims(first!);
	const asked: string[] = [];
	page.on('request', (request) => asked.push(/query (\w+)/.exec(request.postData() ?? '')?.[1] ?? request.url()));
	await claims(second!);
	await expect.poll(() => asked, { timeout: 60_000 }).toContain('Totals');
	expect(asked.filter((name) => name !== 'Totals')).toEqual([]);
	for (const id of claimed) await api('mutation($id: ID!) { releaseClaim(id: $id) { id } }', { id });
	await context.close();
});
