/** Numbers, days and times as people write them in Indonesia; in English with the same order of day and month. */
import type { Lang } from './i18n.svelte';

const LOCALES: Record<Lang, string> = { id: 'id-ID', en: 'en-GB' };
const ZONE = 'Asia/Jakarta';

export function formats(lang: Lang) {
	const locale = LOCALES[lang];
	const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
	const short = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
	const share = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 });
	const rupiah = new Intl.NumberFormat(locale, { style: 'currency', currency: 'IDR', maximumFractionDigits: 0 });
	const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
	const moment = new Intl.DateTimeFormat(locale, {
		day: 'numeric',
		month: 'short',
		year: 'numeric',
		hour: '2-digit',
		minute: '2-digit',
		timeZone: ZONE,
	});
	const time = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', timeZone: ZONE });
	return {
		number: (n: number) => whole.format(n),
		decimal: (n: number) => short.format(n),
		/** 99.6 % is not all: only what is whole is called so. */
		percent: (part: number, of: number) => share.format(of === 0 ? 0 : part === of ? 1 : Math.min(part / of, 0.99)),
		amount: (n: number, unit: string) => (unit === 'rupiah' ? rupiah.format(n) : `${whole.format(n)} ${unit}`),
		/** A calendar day, written YYYY-MM-DD. */
		day: (text: string) => day.format(new Date(`${text}T00:00:00Z`)),
		moment: (at: string | Date) => `${moment.format(new Date(at))} WIB`,
		time: (at: string | Date) => `${time.format(new Date(at))} WIB`,
	};
}

/** 65 is 01:05; an hour and more is 1:01:01. */
export function clock(seconds: number): string {
	const left = Math.max(0, Math.floor(seconds));
	const parts = [Math.floor(left / 3600), Math.floor((left % 3600) / 60), left % 60];
	const shown = parts[0] === 0 ? parts.slice(1) : parts;
	return shown.map((part, i) => (i === 0 && shown.length === 3 ? String(part) : String(part).padStart(2, '0'))).join(':');
}
