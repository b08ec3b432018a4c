type Area = { code: string; name: string; parent: { name: string; parent: { name: string } | null } | null };

/** `RT 005 / RW 014`, or the area's name where it is neither. */
export function placeOf(area: Area): string {
	return area.code.split('.').length === 6 && area.parent ? `${area.name} / ${area.parent.name}` : area.name;
}

/** What the place lies in: the village of an RT. */
export function aroundOf(area: Area): string {
	const above = area.code.split('.').length === 6 ? area.parent?.parent : area.parent;
	return above?.name ?? '';
}
