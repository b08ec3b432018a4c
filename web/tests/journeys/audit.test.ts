/** An auditor finds what overlaps, sees by what records, decides, and proves what happened. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, DESK, fits, launch, PHONE, shoot, signIn, visit } from './browser';

let browser: Browser;
beforeAll(async () => {
	browser = await launch();
});
afterAll(() => browser.close());

/** What the API answers the auditor, asked beside the page. */
async function ask(query: string): Promise<Record<string, never>> {
	const answer = await fetch(`${inject('address')}/graphql`, {
		method: 'POST',
		headers: { 'content-type': 'application/json', authorization: `Bearer ${inject('keys')['auditor@demo.example']}` },
		body: JSON.stringify({ query }),
	});
	return ((await answer.json()) as { data: Record<string, never> }).data;
}

async function inBothLanguages(page: Page): Promise<void> {
	await accessible(page);
	await page.getByRole('button', { name: 'Switch to English' }).click();
	await page.waitForFunction(() => document.documentElement.lang === 'en');
	await accessible(page);
	await page.getByRole('button', { name: 'Ganti ke Bahasa Indonesia' }).click();
	await page.waitForFunction(() => document.documentElement.lang === 'id');
}

test('an auditor signs in, opens a finding by keyboard, sees who gave what, and decides it with a reason', async () => {
	const { page, context, errors } = await visit(browser, '/masuk', DESK);
	await signIn(page, 'auditor@demo.example');
	await page.waitForURL('**/audit');
	await page.locator('ol a').first().waitFor();
	const counted = Number((await page.locator('.head h2').textContent())?.match(/\d+/)?.[0]);
	const { overlaps } = (await ask('{ overlaps(status: [SUSPECTED], first: 1) { totalCount } }')) as unknown as { overlaps: { totalCount: number } };
	expect(counted, 'the count is the one of the API').toBe(overlaps.totalCount);
	await inBothLanguages(page);
	await shoot(page, 'audit-list');

	// A filter stands in the address and opens the same for somebody else.
	await page.getByLabel('Jenis temuan').selectOption('OVER_SERVED');
	await page.getByLabel('Keputusan').selectOption('ALL');
	await page.waitForFunction(() => location.hash.includes('kind=over_served'));
	await page.getByText('Melebihi kebutuhan:').first().waitFor();
	expect(await page.getByText('Pihak ganda:').count()).toBe(0);
	await page.reload();
	await page.getByText('Melebihi kebutuhan:').first().waitFor();

	await page.locator('ol a').first().focus();
	await page.keyboard.press('j');
	await page.keyboard.press('k');
	await page.keyboard.press('Enter');
	await page.waitForURL(/\/audit\/overlap-\d+/);
	const id = /overlap-\d+/.exec(page.url())![0];
	await page.getByRole('heading', { name: /Bantuan melebihi kebutuhan/ }).waitFor();
	const query = `{ node(id: "${id}") { ... on Overlap { quantity excess evidenceRecords { id quantity organization { name } } } } }`;
	const { node } = (await ask(query)) as unknown as { node: { quantity: number; excess: number; evidenceRecords: { id: string; quantity: number; organization: { name: string } | null }[] } };
	expect(node.evidenceRecords.length).toBeGreaterThan(0);
	expect(node.evidenceRecords.reduce((sum, record) => sum + record.quantity, 0), 'the records add up to what was found').toBe(node.quantity);
	for (const record of node.evidenceRecords) {
		const row = page.locator('tbody tr').filter({ has: page.getByText(record.id, { exact: true }) });
		await row.getByText(record.organization?.name ?? 'Tidak diketahui (saldo awal)').first().waitFor();
	}
	await inBothLanguages(page);
	await shoot(page, 'audit-finding');

	await page.getByRole('button', { name: 'Nyatakan tumpang tindih' }).click();
	await page.getByText('Tulis alasannya dulu.').waitFor();
	await page.getByLabel('Alasan (wajib)').fill('Dua truk datang pada hari yang sama.');
	await page.getByRole('button', { name: 'Nyatakan tumpang tindih' }).click();
	await page.getByText('Tersimpan: Tumpang tindih.').waitFor();
	await page.getByText('Dua truk datang pada hari yang sama.').waitFor();
	await page.locator('li').filter({ hasText: 'Temuan diputuskan' }).getByText('tumpang tindih').or(page.getByText('dikonfirmasi')).first().waitFor();
	const decided = (await ask(`{ node(id: "${id}") { ... on Overlap { status note } } }`)) as unknown as { node: { status: string; note: string } };
	expect(decided.node).toEqual({ status: 'CONFIRMED', note: 'Dua truk datang pada hari yang sama.' });
	await accessible(page);
	await shoot(page, 'audit-decided');

	// Escape leads back to the list, to the place one came from.
	await page.getByRole('heading', { name: /Bantuan melebihi kebutuhan/ }).focus();
	await page.keyboard.press('Escape');
	await page.waitForURL('**/audit#*');
	expect(errors).toEqual([]);
	await context.close();
});

test('who decides what somebody else has just decided is shown that first, and keeps the reason', async () => {
	const { page, context } = await visit(browser, '/masuk', DESK);
	await signIn(page, 'auditor@demo.example');
	await page.locator('ol a').nth(3).click();
	await page.waitForURL(/\/audit\/overlap-\d+/);
	const id = /overlap-\d+/.exec(page.url())![0];
	await page.getByLabel('Alasan (wajib)').fill('Menurut saya boleh.');
	const { node } = (await ask(`{ node(id: "${id}") { ... on Overlap { version } } }`)) as unknown as { node: { version: string } };
	await ask(`mutation { resolveOverlap(id: "${id}", expectedVersion: "${node.version}", status: CONFIRMED, note: "Rekan memutuskan lebih dulu.") { id } }`);
	await page.getByRole('button', { name: 'Izinkan' }).click();
	await page.getByRole('alert').filter({ hasText: 'Belum tersimpan: temuan ini berubah' }).waitFor();
	await page.getByText('Rekan memutuskan lebih dulu.').waitFor();
	expect(await page.getByLabel('Alasan (wajib)').inputValue()).toBe('Menurut saya boleh.');
	await accessible(page);
	await shoot(page, 'audit-conflict');
	await page.getByRole('button', { name: 'Izinkan' }).click();
	await page.getByText('Tersimpan: Diizinkan.').waitFor();
	await context.close();
});

test('map, charts, areas without aid and the log: each says the same by drawing and in words', async () => {
	const { page, context, errors } = await visit(browser, '/masuk', DESK);
	await signIn(page, 'auditor@demo.example');
	await page.getByRole('link', { name: 'Peta', exact: true }).click();
	await page.waitForSelector('.holder[data-ready]');
	await page.locator('.list .row').first().waitFor();
	// Areas are drawn, and some of them in the colour of what waits.
	const painted = () =>
		page.waitForFunction(() => {
			type Held = { map: { areTilesLoaded(): boolean; queryRenderedFeatures(options: object): { state: { cross?: number } }[] } };
			const { map } = document.querySelector('.holder') as unknown as Held;
			const drawn = map.queryRenderedFeatures({ layers: ['DISTRICT-fill'] });
			return map.areTilesLoaded() && drawn.length > 30 && drawn.some(({ state }) => state.cross === 1);
		});
	await painted();
	await inBothLanguages(page);
	await painted();
	await shoot(page, 'audit-map');
	await page.locator('.list .row').first().click();
	await page.waitForFunction(() => location.pathname === '/audit' && location.hash.includes('within='));
	await page.locator('ol a').first().waitFor();

	await page.getByRole('link', { name: 'Grafik' }).click();
	await page.getByRole('img', { name: /Cakupan .* per/ }).waitFor();
	await page.getByRole('button', { name: /Hapus saringan wilayah/ }).click();
	await page.getByRole('img', { name: /per kecamatan/ }).first().waitFor();
	await page.getByText('Angka dalam tabel').first().click();
	await inBothLanguages(page);
	await shoot(page, 'audit-charts');
	const bars = await page.getByRole('img', { name: /Cakupan/ }).locator('.value').count();
	expect(await page.locator('table').first().locator('tbody tr').count()).toBe(bars);

	await page.getByRole('link', { name: 'Wilayah tanpa bantuan' }).click();
	await page.getByText(/wilayah belum menerima apa pun/).waitFor();
	await inBothLanguages(page);
	await shoot(page, 'audit-unserved');

	await page.getByRole('link', { name: 'Riwayat' }).click();
	await page.getByText(/Buku audit berisi/).waitFor();
	const { overlaps } = (await ask('{ overlaps(first: 1) { nodes { id area { code name } evidence } } }')) as unknown as { overlaps: { nodes: { id: string; area: { code: string }; evidence: string[] }[] } };
	const found = overlaps.nodes[0]!;
	await page.getByRole('combobox', { name: 'Kelurahan, RW, atau RT' }).fill(found.area.code);
	await page.getByRole('option').first().click();
	await page.getByRole('heading', { name: /Riwayat RT/ }).waitFor();
	await page.getByText('Temuan dihitung').first().waitFor();
	await inBothLanguages(page);
	await shoot(page, 'audit-history');
	await page.getByLabel('Nomor catatan').fill(found.evidence[0]!);
	await page.getByRole('button', { name: 'Buka riwayat' }).click();
	await page.getByRole('heading', { name: `Riwayat ${found.evidence[0]}` }).waitFor();
	await page.locator('section ol li').first().waitFor();
	expect(errors).toEqual([]);
	await context.close();
});

test('the workspace fits a phone, a finding too', async () => {
	const { page, context } = await visit(browser, '/masuk', PHONE);
	await signIn(page, 'auditor@demo.example');
	await page.locator('ol a').first().waitFor();
	await fits(page);
	await accessible(page);
	await shoot(page, 'audit-list-phone');
	await page.getByRole('button', { name: 'Menu' }).click();
	await page.getByRole('link', { name: 'Akun' }).waitFor();
	await shoot(page, 'menu-phone');
	await page.getByRole('button', { name: 'Menu' }).click();
	await page.locator('ol a').first().click();
	await page.getByText('Bukti').first().waitFor();
	await page.locator('tbody tr').first().waitFor();
	await fits(page);
	await accessible(page);
	await page.screenshot({ path: 'shots/audit-finding-phone.png', fullPage: true });
	for (const [tab, shown, name] of [
		['Grafik', 'Cakupan dan tumpang tindih', 'audit-charts-phone'],
		['Wilayah tanpa bantuan', 'wilayah belum menerima apa pun', 'audit-unserved-phone'],
		['Peta', 'Wilayah di peta', 'audit-map-phone'],
		['Riwayat', 'Buku audit berisi', 'audit-history-phone'],
	] as const) {
		await page.getByRole('link', { name: tab, exact: true }).click();
		await page.getByText(shown).first().waitFor();
		if (tab === 'Grafik') await page.getByRole('img').first().waitFor();
		await fits(page);
		await accessible(page);
		await shoot(page, name);
	}
	await context.close();
});

test('an officer sees the findings of the own area alone, and a donor none', async () => {
	const officer = await visit(browser, '/masuk', DESK);
	await signIn(officer.page, 'rw@demo.example');
	await officer.page.waitForURL((url) => url.pathname !== '/masuk');
	await officer.page.getByRole('link', { name: 'Audit' }).click();
	await officer.page.getByText(/Anda melihat temuan di wilayah Anda saja/).waitFor();
	await officer.page.getByLabel('Keputusan').selectOption('ALL');
	await officer.page.locator('[aria-busy="false"] h2').first().waitFor();
	await accessible(officer.page);
	await shoot(officer.page, 'audit-officer');
	expect(await officer.page.getByRole('link', { name: 'Riwayat' }).count()).toBe(0);
	await officer.context.close();
	const donor = await visit(browser, '/audit', DESK, inject('keys')['donor@demo.example']);
	await donor.page.getByRole('heading', { name: 'Halaman ini untuk auditor, pengelola, dan pengurus wilayah.' }).waitFor();
	await accessible(donor.page);
	await donor.context.close();
});
