/** Every screen, in both languages, on a desk and on a phone: nothing for axe to find, nothing wider than the screen. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, DESK, fits, launch, PHONE, signIn, visit } from './browser';

let browser: Browser;
beforeAll(async () => {
	browser = await launch();
});
afterAll(() => browser.close());

/** By who is at home there; nobody stands for those without an account. */
const SCREENS: [string | null, string[]][] = [
	[null, ['/', '/w/31.72.01.1003.005', '/w/31.72.01', '/w/99', '/keranjang', '/masuk', '/daftar', '/sandi', '/undangan', '/penyaluran', '/rw', '/audit', '/admin']],
	['donor@demo.example', ['/keranjang', '/penyaluran', '/lembaga', '/akun']],
	['rw@demo.example', ['/rw', '/audit', '/akun']],
	['auditor@demo.example', ['/audit', '/audit/peta', '/audit/tanpa', '/audit/grafik', '/audit/riwayat']],
	['admin@demo.example', ['/admin', '/admin/petugas', '/audit']],
];

/** Waits until nothing is on its way any more. */
async function still(page: Page): Promise<void> {
	await page.locator('h1').first().waitFor();
	await page.waitForFunction(() => !/^(Memuat|Loading)/m.test(document.body.innerText));
}

async function look(page: Page, path: string, size: { width: number; height: number }, language: string) {
	await page.setViewportSize(size);
	await page.goto(inject('address') + path);
	await still(page);
	expect(await page.locator('html').getAttribute('lang'), path).toBe(language);
	try {
		await accessible(page);
		if (size === PHONE) await fits(page);
	} catch (error) {
		throw new Error(`${path}, ${language}, ${size.width} wide: ${String(error)}`);
	}
}

for (const [who, paths] of SCREENS) {
	for (const language of ['id', 'en']) {
		test(`${who ?? 'somebody without an account'} meets no obstacle in ${language}`, async () => {
			const { page, context, errors } = await visit(browser, who ? '/masuk' : '/', DESK);
			if (who) await signIn(page, who);
			await speak(context, language);
			for (const path of paths) {
				for (const size of [DESK, PHONE]) await look(page, path, size, language);
			}
			expect(errors).toEqual([]);
			await context.close();
		});
	}
}

/** As if it had been chosen before. */
async function speak(context: BrowserContext, language: string): Promise<void> {
	await context.addInitScript((language) => localStorage.setItem('salur.lang', language), language);
}
