/** Another city begins with its own files and an empty database; and somebody without an account takes the data home. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, DESK, drawn, fits, launch, PHONE, shoot, visit } from './browser';

let browser: Browser;
let home: string;
let server: ChildProcess | null = null;
beforeAll(async () => {
	browser = await launch();
	home = mkdtempSync(join(tmpdir(), 'salur-city-'));
});
afterAll(async () => {
	if (server && server.exitCode === null) {
		const gone = new Promise((ended) => server!.once('exit', ended));
		server.kill();
		await gone;
	}
	rmSync(home, { recursive: true });
	await browser.close();
});

const box = (west: number, south: number, size: number) =>
	`"POLYGON((${west} ${south},${west + size} ${south},${west + size} ${south + size},${west} ${south + size},${west} ${south}))"`;

/** Banjarmasin in miniature: one village of two RW, and what they need. */
const AREAS = [
	'code,name,level,lon,lat,wkt,households,poor_households',
	`63,Kalimantan Selatan,province,,,${box(114.5, -3.4, 0.2)},,`,
	`63.71,Banjarmasin,city,,,${box(114.5, -3.4, 0.2)},,`,
	`63.71.01,Banjarmasin Selatan,district,,,${box(114.5, -3.4, 0.1)},,`,
	`63.71.01.1001,Kelayan Barat,village,,,${box(114.5, -3.4, 0.04)},,`,
	`63.71.01.1001.001,RW 001,rw,,,${box(114.5, -3.4, 0.02)},120,40`,
	`63.71.01.1001.002,RW 002,rw,,,${box(114.52, -3.4, 0.02)},95,30`,
];
const PROGRAMS = [
	'program_key,program_name_id,program_name_en,item_key,item_name_id,item_name_en,unit,kind',
	'PANGAN,Pangan,Food,BERAS,Beras banjir,Flood rice,karung,FOOD',
];
const NEEDS = [
	'area_code,program,item,required,severity,period_start,period_end,allocated,delivered,external_id',
	'63.71.01.1001.001,PANGAN,BERAS,80,5,2026-01-01,2099-12-31,0,0,bjm-1',
	'63.71.01.1001.002,PANGAN,BERAS,45,3,2026-01-01,2099-12-31,0,0,bjm-2',
];

test('another city imports its own areas, programs and needs, is told of a wrong row, and sees them on the page', async () => {
	const database = `sqlite://${join(home, 'kota.db')}`;
	const file = (name: string, lines: string[]) => {
		const path = join(home, name);
		writeFileSync(path, `${lines.join('\n')}\n`);
		return path;
	};
	const salur = (...args: string[]) => execFileSync(inject('program'), [...args, '--database', database], { cwd: home, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
	salur('import', 'areas', file('wilayah.csv', AREAS));
	salur('import', 'programs', file('program.csv', PROGRAMS));
	// A need of an area that nobody knows: nothing of the file is published, and the row is named.
	const wrong = file('salah.csv', [...NEEDS, '63.71.01.1001.009,PANGAN,BERAS,10,3,2026-01-01,2099-12-31,0,0,bjm-9']);
	let told = '';
	try {
		salur('import', 'needs', wrong);
	} catch (failed) {
		told = String((failed as { stderr: string }).stderr);
	}
	expect(told).toContain('63.71.01.1001.009');
	salur('import', 'needs', file('kebutuhan.csv', NEEDS));

	server = spawn(inject('program'), ['serve', '--database', database, '--listen', '127.0.0.1:0'], { cwd: home, stdio: ['ignore', 'pipe', 'ignore'] });
	const address = await new Promise<string>((found, failed) => {
		let said = '';
		server!.stdout!.on('data', (bytes: Buffer) => {
			said += bytes.toString();
			const at = /listens on (http:\/\/\S+)/.exec(said);
			if (at) found(at[1]!);
		});
		server!.once('exit', (code) => failed(new Error(`the server ended with ${code}`)));
	});
	const { page, context, errors } = await visit(browser, '/', DESK);
	await page.goto(address);
	await drawn(page);
	await page.getByRole('heading', { name: '2 kebutuhan di layar' }).waitFor();
	await page.locator('#list').getByText('kurang 80 dari 80 karung').waitFor();
	expect(await page.locator('select').first().locator('option:checked').textContent()).toBe('Beras banjir');
	await accessible(page);
	await shoot(page, 'other-city');
	await page.fill('#search', 'kelayan');
	await page.getByRole('option').first().waitFor();
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'Kelayan Barat' }).waitFor();
	expect(errors).toEqual([]);
	await context.close();
});

test('a researcher without an account looks at an area on a phone and downloads what it needs', async () => {
	const { page, context } = await visit(browser, '/w/31.72.01.1003', PHONE);
	await page.getByRole('heading', { level: 1 }).waitFor();
	await page.getByText('Unduh data').click();
	await accessible(page);
	await fits(page);
	await shoot(page, 'downloads-phone');
	const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Kebutuhan, CSV' }).click()]);
	expect(await file.failure()).toBeNull();
	const stream = await file.createReadStream();
	let text = '';
	for await (const bytes of stream) text += String(bytes);
	expect(text.split('\n').length).toBeGreaterThan(5);
	expect(text).toContain('31.72.01.1003');
	for (const format of ['XLSX', 'GEOJSON']) {
		const [other] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: `Kebutuhan, ${format}` }).click()]);
		expect(await other.failure(), format).toBeNull();
	}
	await context.close();
});
