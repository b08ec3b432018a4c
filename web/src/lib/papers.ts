/** Whether a paper is in force on a day, as it is told to people. */
export type Validity = 'good' | 'soon' | 'lapsed';

/** A month's notice: time enough to ask for a new permit. */
const NOTICE_DAYS = 30;

/** `until`: the last day it is good on; without one it has no end. Days are those of Jakarta. */
export function validity(until: string | null, now: Date): Validity {
	if (until === null) return 'good';
	const today = new Intl.DateTimeFormat('en-CA', { timeZone: 'Asia/Jakarta' }).format(now);
	if (until < today) return 'lapsed';
	return Date.parse(until) - Date.parse(today) <= NOTICE_DAYS * 86_400_000 ? 'soon' : 'good';
}
