/** How records and amounts are put into words on the audit screens. */
import { catalogue } from './catalogue.svelte';
import { i18n } from './i18n.svelte';
import type { Finding } from './queue.svelte';

type Above = { name: string; parent?: Above | null };
type Named = Above & { code: string };

/** `RT 005 / RW 014`, or the area's name where it is neither. */
export function placeOf(area: Named): string {
	return area.code.split('.').length === 6 && area.parent ? `${area.name} / ${area.parent.name}` : area.name;
}

/** What the place lies in, from the village up to the city. */
export function aroundOf(area: Named): string {
	const names: string[] = [];
	const start = area.code.split('.').length === 6 ? area.parent?.parent : area.parent;
	for (let up: Above | null | undefined = start; up && names.length < 3; up = up.parent) names.push(up.name);
	return names.join(', ');
}

export function amountOf(quantity: number | null, key: string | undefined): string {
	if (quantity === null) return '';
	const item = key ? catalogue.itemOf(key) : undefined;
	return i18n.f.amount(quantity, item?.unit ?? '').trim();
}

/** The item, or the two programs, that a finding is about. */
export function aboutOf(finding: Pick<Finding, 'item' | 'programs'>): string {
	if (finding.item) return catalogue.itemOf(finding.item.key)?.name ?? finding.item.key;
	const name = (key: string) => catalogue.programs.find((program) => program.key === key)?.name ?? key;
	return finding.programs.map(({ key }) => name(key)).join(' + ');
}
