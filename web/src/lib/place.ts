import type { Need } from './scene.svelte';

/** `RT 005 / RW 014`, or the area's name where it is neither. */
export function placeOf(area: Need['area']): string {
	return area.code.split('.').length === 6 && area.parent ? `${area.name} / ${area.parent.name}` : area.name;
}

/** What the place lies in: the village of an RT. */
export function aroundOf(area: Need['area']): string {
	const above = area.code.split('.').length === 6 ? area.parent?.parent : area.parent;
	return above?.name ?? '';
}
