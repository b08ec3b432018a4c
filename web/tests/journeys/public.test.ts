/** Somebody without an account looks where nobody has helped. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, drawn, DESK, fits, launch, PHONE, shoot, stateOf, visit } from './browser';

let browser: Browser;
beforeAll(async () => {
	browser = await launch();
});
afterAll(() => browser.close());

test('the map is drawn, nothing is asked of anybody else, and nothing goes wrong', async () => {
	const { page, context, asked, errors } = await visit(browser, '/');
	await drawn(page);
	// Before the first tile is asked for, all that were asked for are there.
	await page.waitForFunction(() => {
		type Held = { map: { queryRenderedFeatures(options: object): unknown[] } };
		const { map } = document.querySelector('.holder') as unknown as Held;
		return map.queryRenderedFeatures({ layers: ['DISTRICT-fill'] }).length > 40;
	});
	expect((await stateOf(page, 'district', '31.73.01'))['colour']).toMatch(/^#/);
	expect(asked.filter((url) => !url.startsWith(inject('address')) && !/^(blob|data):/.test(url))).toEqual([]);
	expect(errors).toEqual([]);
	expect(await page.locator('h1').textContent()).toMatch(/^\d{2}\.\d{3} kebutuhan di layar$/);
	await accessible(page);
	await shoot(page, 'map-desk');
	await context.close();
});

test('an area is found by its name, opened, and its link shows the same to somebody else', async () => {
	const { page, context } = await visit(browser, '/');
	await drawn(page);
	await page.fill('#search', 'rw 5 kapuk muara');
	await page.getByRole('option').first().waitFor();
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'RW 005' }).waitFor();
	await page.waitForFunction(() => location.hash.includes('area=31.72.01.1003.005'));
	await accessible(page);
	await shoot(page, 'area-beside-map');
	const there = await visit(browser, new URL(page.url()).pathname + new URL(page.url()).hash);
	await there.page.getByRole('heading', { name: 'RW 005' }).waitFor();
	await page.getByRole('link', { name: 'Buka halaman wilayah' }).click();
	await page.waitForURL(/\/w\/31\.72\.01\.1003\.005/);
	await page.getByRole('heading', { name: 'RW 005' }).waitFor();
	await accessible(page);
	await shoot(page, 'area-page');
	await page.goBack();
	await page.waitForURL((url) => url.pathname === '/');
	await Promise.all([context.close(), there.context.close()]);
});

test('a filter narrows map and list alike, stands in the address, and is cleared in one press', async () => {
	const { page, context } = await visit(browser, '/#map=14.2/-6.135/106.905');
	await drawn(page);
	const count = async () => Number((await page.locator('h1').textContent())?.match(/[\d.]+/)?.[0].replaceAll('.', ''));
	const all = await count();
	await page.getByRole('button', { name: 'Sudah tersalurkan' }).click();
	await expect.poll(count, { timeout: 60_000 }).toBeLessThan(all);
	expect(page.url()).toContain('status=delivered');
	await page.waitForSelector('#list li');
	const listed = await page.locator('#list .badge').allTextContents();
	expect(new Set(listed.map((text) => text.trim()))).toEqual(new Set(['Sudah tersalurkan']));
	await page.getByRole('button', { name: /Hapus semua saringan/ }).click();
	await expect.poll(count, { timeout: 60_000 }).toBe(all);
	expect(page.url()).not.toContain('status');
	await context.close();
});

test('the page speaks English after one press and remembers it', async () => {
	const { page, context } = await visit(browser, '/');
	await drawn(page);
	await page.getByRole('button', { name: 'Switch to English' }).click();
	await page.getByText(/needs on screen/).first().waitFor();
	expect(await page.locator('html').getAttribute('lang')).toBe('en');
	expect(await page.locator('select').first().locator('option:checked').textContent()).toBe('Staple food package');
	await page.reload();
	await page.getByText(/needs on screen/).first().waitFor();
	await drawn(page);
	await accessible(page);
	await shoot(page, 'map-english');
	await context.close();
});

test('a phone shows all of it without scrolling sideways', async () => {
	const { page, context } = await visit(browser, '/#map=14.2/-6.135/106.905', PHONE);
	await drawn(page);
	await fits(page);
	await accessible(page);
	await shoot(page, 'map-phone');
	await page.locator('#list .place').first().click();
	await page.getByRole('button', { name: 'Lihat di peta' }).waitFor();
	await fits(page);
	await shoot(page, 'area-phone');
	await context.close();
});

test('where no map can be drawn the list does all of it', async () => {
	const plain = await launch(['--disable-3d-apis']);
	const { page } = await visit(plain, '/', DESK);
	await page.getByText('Peta tidak dapat ditampilkan. Gunakan daftar.').waitFor();
	await page.waitForSelector('#list li');
	await accessible(page);
	await shoot(page, 'no-map');
	await plain.close();
});
