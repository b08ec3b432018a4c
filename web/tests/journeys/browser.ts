import AxeBuilder from '@axe-core/playwright';
import { mkdirSync } from 'node:fs';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { expect, inject } from 'vitest';

const SHOTS = new URL('../../shots/', import.meta.url).pathname;
export const DESK = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

export function launch(args: string[] = []): Promise<Browser> {
	return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', chromiumSandbox: false, args });
}

export type Visit = { page: Page; context: BrowserContext; asked: string[]; errors: string[] };

/** A browser of its own, with what it asked for and what went wrong written down. */
export async function visit(browser: Browser, path: string, size = DESK, key?: string): Promise<Visit> {
	const context = await browser.newContext({ viewport: size, locale: 'id-ID' });
	context.setDefaultTimeout(120_000);
	if (key) await context.addInitScript((key) => sessionStorage.setItem('salur.key', key), key);
	const page = await context.newPage();
	const [asked, errors]: [string[], string[]] = [[], []];
	page.on('request', (request) => asked.push(request.url()));
	page.on('pageerror', (error) => errors.push(error.message));
	await page.goto(inject('address') + path);
	return { page, context, asked, errors };
}

/** As the demo's guide says: the last 12 letters of the key. */
export function passwordOf(email: string): string {
	return inject('keys')[email]!.slice(-12);
}

/** From the sign-in's form; waits until somebody is signed in. */
export async function signIn(page: Page, email: string, password = passwordOf(email)): Promise<void> {
	await page.getByLabel('Alamat surel').fill(email);
	await page.getByLabel('Kata sandi').fill(password);
	await page.getByRole('button', { name: 'Masuk', exact: true }).click();
	await signedIn(page);
}

/** A desk shows the way out, a phone the menu that it stands in. */
export async function signedIn(page: Page): Promise<void> {
	await page.locator('nav button:visible', { hasText: /^(Keluar|☰)$/ }).first().waitFor();
}

export async function signOut(page: Page): Promise<void> {
	const menu = page.getByRole('button', { name: 'Menu' });
	if (await menu.isVisible()) await menu.click();
	await page.getByRole('button', { name: 'Keluar', exact: true }).click();
}

/** Waits until the map is drawn and the list is there. */
export async function drawn(page: Page): Promise<void> {
	await page.waitForSelector('.holder[data-ready]');
	await page.waitForSelector('#list li');
	await page.waitForFunction(() => {
		const { map } = document.querySelector('.holder') as unknown as { map: { loaded(): boolean; areTilesLoaded(): boolean } };
		return map.loaded() && map.areTilesLoaded();
	});
}

/** What the map draws of an area, as it was told. */
export function stateOf(page: Page, layer: string, code: string): Promise<Record<string, unknown>> {
	return page.evaluate(
		([layer, code]) => {
			type Held = { map: { getFeatureState(what: object): Record<string, unknown> } };
			return (document.querySelector('.holder') as unknown as Held).map.getFeatureState({ source: 'areas', sourceLayer: layer, id: code });
		},
		[layer, code] as const,
	);
}

export async function shoot(page: Page, name: string): Promise<void> {
	mkdirSync(SHOTS, { recursive: true });
	await page.screenshot({ path: `${SHOTS}${name}.png` });
}

/** No finding of axe; what it cannot judge, such as contrast over a picture, is for eyes. */
export async function accessible(page: Page): Promise<void> {
	const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze();
	expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`)).toEqual([]);
}

export async function fits(page: Page): Promise<void> {
	const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
	expect(wide, 'the page is wider than the screen').toBeLessThanOrEqual(room!);
}
