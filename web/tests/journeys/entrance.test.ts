/** An organisation signs up, reads its letter, and comes back by password; a phone in the other language. */
import { execFileSync } from 'node:child_process';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, DESK, fits, launch, PHONE, shoot, signedIn, signOut, visit } from './browser';

let browser: Browser;
beforeAll(async () => {
	browser = await launch();
});
afterAll(() => browser.close());

/** The path of the link in the latest letter to an address, as an operator reads it. */
function letter(to: string): string {
	const printed = execFileSync(inject('program'), ['outbox', '--database', inject('database')], { encoding: 'utf8' });
	const about = printed.slice(printed.lastIndexOf(to));
	const link = /https?:\/\/[^/\s]+(\/\w+#\S+)/.exec(about);
	return link![1]!;
}

const PASSWORD = 'hujan sore di kebun teh';

test('an organisation signs up on a phone, opens its letter, and signs in again by password', async () => {
	const { page, errors } = await visit(browser, '/daftar', PHONE);
	await page.getByLabel('Alamat surel').fill('dian@toko.example');
	await page.getByLabel('Nama lembaga').fill('Toko Dian');
	await page.getByLabel('Kami juga menyalurkan').check();
	await page.getByLabel('Nomor izin').fill('P-17');
	await page.getByLabel('Penerbit izin').fill('Kemensos');
	await page.getByLabel('Berlaku sampai').fill('2099-12-31');
	await page.getByLabel('Kata sandi').fill('1234567890');
	await accessible(page);
	await fits(page);
	await shoot(page, 'sign-up-phone');
	await page.getByRole('button', { name: 'Daftar', exact: true }).click();
	await page.getByRole('alert').filter({ hasText: 'Ada isian yang belum benar' }).waitFor();
	await page.getByLabel('Kata sandi').fill(PASSWORD);
	await page.getByRole('button', { name: 'Daftar', exact: true }).click();
	await page.getByRole('status').filter({ hasText: 'Periksa surel Anda' }).waitFor();
	await accessible(page);

	const link = letter('dian@toko.example');
	await page.goto('about:blank');
	await page.goto(inject('address') + link);
	const confirm = page.getByRole('button', { name: 'Konfirmasi dan masuk' });
	await confirm.waitFor();
	expect(page.url(), 'nobody reads the token over a shoulder').not.toContain('#');
	await confirm.click();
	await signedIn(page);
	await signOut(page);
	await page.getByRole('link', { name: 'Masuk' }).click();
	await page.getByLabel('Alamat surel').fill('dian@toko.example');
	await page.getByLabel('Kata sandi').fill('salah sekali');
	await page.getByRole('button', { name: 'Masuk', exact: true }).click();
	await page.getByRole('alert').filter({ hasText: 'Alamat atau kata sandi salah.' }).waitFor();
	await page.getByLabel('Kata sandi').fill(PASSWORD);
	await page.getByRole('button', { name: 'Masuk', exact: true }).click();
	await signedIn(page);
	expect(errors).toEqual([]);
});

// Of somebody who signs in nowhere else: their password is another one afterwards.
const FORGETFUL = 'kelurahan@demo.example';

test('a forgotten password is replaced by letter', async () => {
	const { page } = await visit(browser, '/masuk', DESK);
	await page.getByRole('link', { name: 'Lupa kata sandi?' }).click();
	await page.getByLabel('Alamat surel').fill(FORGETFUL);
	await accessible(page);
	await page.getByRole('button', { name: 'Kirim tautan' }).click();
	await page.getByRole('status').filter({ hasText: 'Periksa surel Anda' }).waitFor();
	await page.goto('about:blank');
	await page.goto(inject('address') + letter(FORGETFUL));
	await page.getByLabel('Kata sandi').fill(PASSWORD);
	await accessible(page);
	await shoot(page, 'new-password');
	await page.getByRole('button', { name: 'Simpan dan masuk' }).click();
	await signedIn(page);
});
