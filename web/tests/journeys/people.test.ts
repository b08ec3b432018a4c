/** An organisation signs up and is approved; its manager invites a colleague and makes a key; an admin keeps officials. */
import { execFileSync } from 'node:child_process';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { accessible, DESK, fits, launch, PHONE, shoot, signedIn, signIn, visit } from './browser';

let browser: Browser;
beforeAll(async () => {
	browser = await launch();
});
afterAll(() => browser.close());

const PASSWORD = 'hujan sore di kebun teh';

/** The path of the link in the latest letter to an address, as an operator reads it. */
function letter(to: string): string {
	const printed = execFileSync(inject('program'), ['outbox', '--database', inject('database')], { encoding: 'utf8' });
	const about = printed.slice(printed.lastIndexOf(to));
	return /https?:\/\/[^/\s]+(\/\w+#\S+)/.exec(about)![1]!;
}

/** What somebody with a key is answered. */
async function viewerOf(key: string): Promise<string | null> {
	const answer = await fetch(`${inject('address')}/graphql`, {
		method: 'POST',
		headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
		body: JSON.stringify({ query: '{ viewer { email } }' }),
	});
	const { data } = (await answer.json()) as { data: { viewer: { email: string } | null } | null };
	return data?.viewer?.email ?? null;
}

test('an organisation signs up, waits, is approved, invites a colleague, and makes and revokes a key', async () => {
	const { page, context, errors } = await visit(browser, '/daftar', DESK);
	await page.getByLabel('Alamat surel').fill('rina@yayasan.example');
	await page.getByLabel('Nama lembaga').fill('Yayasan Rina');
	await page.getByLabel('Kategori').selectOption('CIVIL_SOCIETY');
	await page.getByLabel('Kami juga menyalurkan').check();
	await page.getByLabel('Nomor izin').fill('PUB-2026-17');
	await page.getByLabel('Penerbit izin').fill('Kemensos');
	await page.getByLabel('Berlaku sampai').fill('2099-12-31');
	await page.getByLabel('Kata sandi').fill(PASSWORD);
	await page.getByRole('button', { name: 'Daftar', exact: true }).click();
	await page.getByRole('status').filter({ hasText: 'Periksa surel Anda' }).waitFor();
	await page.goto('about:blank');
	await page.goto(inject('address') + letter('rina@yayasan.example'));
	await page.getByRole('button', { name: 'Konfirmasi dan masuk' }).click();

	// It is told that it waits: where it lands, and wherever it goes.
	await page.waitForURL('**/lembaga');
	await page.getByText('Menunggu persetujuan').waitFor();
	await page.getByText('PUB-2026-17').waitFor();
	await accessible(page);
	await shoot(page, 'organization-waiting');
	await page.getByRole('link', { name: 'Salur' }).click();
	await page.getByText('Yayasan Rina menunggu persetujuan pengelola.').waitFor();
	await shoot(page, 'map-waiting');

	const admin = await visit(browser, '/masuk', DESK);
	await signIn(admin.page, 'admin@demo.example');
	await admin.page.waitForURL('**/admin');
	const card = admin.page.locator('.card').filter({ hasText: 'Yayasan Rina' });
	await card.getByText('berlaku sampai 31 Desember 2099').waitFor();
	expect(await card.getByRole('checkbox').isChecked(), 'it named a permit, so it is offered to be a partner').toBe(true);
	await accessible(admin.page);
	await shoot(admin.page, 'admin-pending');
	await card.getByRole('button', { name: 'Setujui: Yayasan Rina' }).click();
	await admin.page.getByText('Yayasan Rina disetujui.').waitFor();
	await admin.page.getByLabel('Status').selectOption('VERIFIED');
	await admin.page.locator('.card').first().waitFor();
	await accessible(admin.page);
	await shoot(admin.page, 'admin-verified');
	await admin.context.close();

	await page.reload();
	await page.getByRole('link', { name: 'Lembaga' }).click();
	await page.getByText('Disetujui', { exact: true }).waitFor();
	await page.getByText('Undang anggota').click();
	await page.getByLabel('Alamat surel').fill('budi@yayasan.example');
	await page.getByRole('button', { name: 'Kirim undangan' }).click();
	await page.getByText('Undangan dikirim ke budi@yayasan.example').waitFor();
	const colleague = await visit(browser, letter('budi@yayasan.example'), PHONE);
	await colleague.page.getByLabel('Kata sandi').fill('empat ekor bebek berenang');
	await colleague.page.getByRole('button', { name: 'Terima dan masuk' }).click();
	await signedIn(colleague.page);

	await page.reload();
	await page.getByText('budi@yayasan.example').waitFor();
	await accessible(page);
	await shoot(page, 'organization-approved');

	await page.getByRole('link', { name: 'Akun' }).click();
	await page.getByText('perangkat ini').waitFor();
	await page.getByText('Buat kunci').first().click();
	await page.getByLabel('Untuk apa kunci ini').fill('Sistem gudang');
	await accessible(page);
	await page.getByRole('button', { name: 'Buat kunci' }).click();
	const key = await page.getByLabel('Kunci baru').inputValue();
	expect(await viewerOf(key)).toBe('rina@yayasan.example');
	await accessible(page);
	await shoot(page, 'account-new-key');
	await page.getByRole('button', { name: 'Sudah saya simpan' }).click();
	expect(await page.content(), 'the key is shown once').not.toContain(key);
	page.once('dialog', (asked) => void asked.accept());
	await page.getByRole('button', { name: 'Cabut: Sistem gudang' }).click();
	await page.getByText('Kunci dicabut.').waitFor();
	await expect.poll(() => viewerOf(key), { timeout: 30_000 }).toBeNull();

	// A suspended colleague is out within seconds.
	await page.getByRole('link', { name: 'Lembaga' }).click();
	page.once('dialog', (asked) => void asked.accept());
	await page.getByRole('button', { name: 'Tangguhkan: budi@yayasan.example' }).click();
	await page.getByRole('button', { name: 'Pulihkan: budi@yayasan.example' }).waitFor();
	await colleague.page.reload();
	await colleague.page.getByRole('link', { name: 'Masuk' }).waitFor();
	await colleague.context.close();
	expect(errors).toEqual([]);
	await context.close();
});

test('the account on a phone: another device is signed out, the password changed, the account erased', async () => {
	const { page, context } = await visit(browser, '/masuk', PHONE);
	await signIn(page, 'rina@yayasan.example', PASSWORD);
	const other = await visit(browser, '/masuk', DESK);
	await signIn(other.page, 'rina@yayasan.example', PASSWORD);
	await page.getByRole('button', { name: 'Menu' }).click();
	await page.getByRole('link', { name: 'Akun' }).click();
	await page.getByText('perangkat ini').waitFor();
	await fits(page);
	await accessible(page);
	await page.screenshot({ path: 'shots/account-phone.png', fullPage: true });
	const before = await page.getByRole('button', { name: /^Keluarkan: / }).count();
	await page.getByRole('button', { name: /^Keluarkan: / }).first().click();
	await page.getByText('Perangkat dikeluarkan.').waitFor();
	expect(await page.getByRole('button', { name: /^Keluarkan: / }).count()).toBe(before - 1);
	await page.getByLabel('Kata sandi sekarang').fill('bukan yang ini sama sekali');
	await page.getByLabel('Kata sandi baru').fill('sepeda tua di gudang kopi');
	await page.getByRole('button', { name: 'Simpan' }).click();
	await page.getByRole('alert').filter({ hasText: 'Kata sandi sekarang salah' }).waitFor();
	await page.getByLabel('Kata sandi sekarang').fill(PASSWORD);
	await page.getByRole('button', { name: 'Simpan' }).click();
	await page.getByText('Kata sandi diganti.').waitFor();
	await other.page.reload();
	await other.page.getByRole('link', { name: 'Masuk' }).waitFor();
	await page.locator('summary').filter({ hasText: 'Hapus akun' }).click();
	expect(await page.getByRole('button', { name: 'Hapus akun saya selamanya' }).isDisabled()).toBe(true);
	await page.getByLabel(/Ketik rina@yayasan.example/).fill('rina@yayasan.example');
	await page.getByRole('button', { name: 'Hapus akun saya selamanya' }).click();
	await page.getByText('Akun Anda sudah dihapus.').waitFor();
	await accessible(page);
	await Promise.all([context.close(), other.context.close()]);
});

test('an admin invites an official for an area, grants another role and takes it away, in both languages and on a phone', async () => {
	const { page, context, errors } = await visit(browser, '/masuk', DESK);
	await signIn(page, 'admin@demo.example');
	await page.getByRole('link', { name: 'Petugas' }).click();
	await page.getByText('auditor@demo.example').waitFor();
	await page.getByLabel('Alamat surel').fill('lurah@kota.example');
	await page.getByRole('button', { name: 'Kirim undangan' }).click();
	await page.getByText('Pilih wilayah tugasnya.').waitFor();
	await page.getByRole('combobox', { name: 'Wilayah tugas' }).fill('31.72.01.1003');
	await page.locator('#office-area-hits li').first().click();
	await page.getByText('Wilayah tugas: 31.72.01.1003').waitFor();
	await page.getByRole('button', { name: 'Kirim undangan' }).click();
	await page.getByText('Undangan dikirim ke lurah@kota.example').waitFor();
	const official = await visit(browser, letter('lurah@kota.example'), PHONE);
	await official.page.getByLabel('Kata sandi').fill('kapal kayu lewat muara');
	await official.page.getByRole('button', { name: 'Terima dan masuk' }).click();
	await signedIn(official.page);
	await fits(official.page);
	await official.context.close();

	await page.reload();
	const row = page.locator('li').filter({ hasText: 'lurah@kota.example' });
	await row.getByText('31.72.01.1003').waitFor();
	await row.getByRole('button', { name: /^Beri peran/ }).click();
	await page.locator('#granted').selectOption('AUDITOR');
	await accessible(page);
	await shoot(page, 'admin-officials');
	await row.getByRole('button', { name: 'Beri peran', exact: true }).click();
	await page.getByText('Peran diberikan.').waitFor();
	page.once('dialog', (asked) => void asked.accept());
	await row.getByRole('button', { name: /^Cabut peran Auditor/ }).click();
	await page.getByText('Peran dicabut.').waitFor();
	for (const path of ['/admin', '/admin/petugas', '/akun']) {
		await page.goto(inject('address') + path);
		await page.getByRole('heading').nth(1).waitFor();
		await page.getByRole('button', { name: 'Switch to English' }).click();
		await page.waitForFunction(() => document.documentElement.lang === 'en');
		await accessible(page);
		await page.setViewportSize(PHONE);
		await fits(page);
		await shoot(page, `phone-english${path.replaceAll('/', '-')}`);
		await page.setViewportSize(DESK);
		await page.getByRole('button', { name: 'Ganti ke Bahasa Indonesia' }).click();
		await page.waitForFunction(() => document.documentElement.lang === 'id');
	}
	expect(errors).toEqual([]);
	await context.close();
});

test('an organisation that is refused is told why', async () => {
	const { page, context } = await visit(browser, '/daftar', DESK);
	await page.getByLabel('Alamat surel').fill('joko@toko.example');
	await page.getByLabel('Nama lembaga').fill('Toko Joko');
	await page.getByLabel('Kata sandi').fill(PASSWORD);
	await page.getByRole('button', { name: 'Daftar', exact: true }).click();
	await page.getByRole('status').filter({ hasText: 'Periksa surel Anda' }).waitFor();
	await page.goto('about:blank');
	await page.goto(inject('address') + letter('joko@toko.example'));
	await page.getByRole('button', { name: 'Konfirmasi dan masuk' }).click();
	await page.getByText('Menunggu persetujuan').waitFor();
	const admin = await visit(browser, '/masuk', DESK);
	await signIn(admin.page, 'admin@demo.example');
	await admin.page.getByRole('button', { name: 'Tolak: Toko Joko' }).click();
	await admin.page.getByLabel(/^Alasan/).fill('Alamat usaha belum dapat diperiksa.');
	await accessible(admin.page);
	await admin.page.getByRole('button', { name: 'Tolak dengan alasan ini' }).click();
	await admin.page.getByText('Toko Joko ditolak.').waitFor();
	await admin.context.close();
	await page.reload();
	await page.getByText('Alamat usaha belum dapat diperiksa.').waitFor();
	await accessible(page);
	await shoot(page, 'organization-refused');
	await page.goto(inject('address') + '/');
	await page.getByText('Toko Joko ditangguhkan').waitFor();
	await context.close();
});
