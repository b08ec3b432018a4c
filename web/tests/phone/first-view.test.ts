/**
 * How soon a plain phone shows the demo city: 1.6 Mbit/s, 150 ms to the server, a processor four times slower
 * than this one, nothing kept from before. Prints figures and asserts no time: `make phone` runs it.
 */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { launch, PHONE } from '../journeys/browser';

let browser: Browser;
beforeAll(async () => {
	browser = await launch();
});
afterAll(() => browser.close());

const ROUNDS = Number(process.env.ROUNDS ?? 5);

test('a plain phone shows where help lacks', async () => {
	const rounds: Record<string, number[]> = {};
	let bytes = 0;
	for (let round = 0; round < ROUNDS; round++) {
		const context = await browser.newContext({ viewport: PHONE, deviceScaleFactor: 2, isMobile: true, hasTouch: true, locale: 'id-ID' });
		const page = await context.newPage();
		page.setDefaultTimeout(120_000);
		const session = await context.newCDPSession(page);
		await session.send('Network.enable');
		await session.send('Network.emulateNetworkConditions', {
			offline: false,
			latency: 150,
			downloadThroughput: 1_600_000 / 8,
			uploadThroughput: 750_000 / 8,
		});
		await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
		bytes = 0;
		session.on('Network.loadingFinished', (event) => (bytes += event.encodedDataLength));
		const begun = Date.now();
		await page.goto(inject('address') + '/', { waitUntil: 'commit' });
		await page.waitForSelector('h1');
		await page.waitForSelector('#list li');
		const list = Date.now() - begun;
		const until = bytes;
		await page.waitForSelector('.holder[data-ready]');
		await page.waitForFunction(() => {
			type Held = { map: { areTilesLoaded(): boolean; queryRenderedFeatures(): unknown[] } };
			const { map } = document.querySelector('.holder') as unknown as Held;
			return map.areTilesLoaded() && map.queryRenderedFeatures().length > 0;
		});
		const drawn = Date.now() - begun;
		const paints = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0);
		const told = { 'first paint': paints, 'needs in words': list, 'map drawn': drawn, 'kB until words': until / 1024, 'kB in all': bytes / 1024 };
		for (const [name, value] of Object.entries(told)) (rounds[name] ??= []).push(value);
		await context.close();
	}
	for (const [name, values] of Object.entries(rounds)) {
		const sorted = values.toSorted((a, b) => a - b);
		const of = (at: number) => Math.round(sorted[at]!);
		console.log(`${name}: ${of(sorted.length >> 1)} (${of(0)}–${of(sorted.length - 1)})${name.startsWith('kB') ? '' : ' ms'}`);
	}
	expect(rounds['map drawn']).toHaveLength(ROUNDS);
}, 900_000);
