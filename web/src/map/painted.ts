/** The style of a drawing whose colours are given: what the public map has of areas, names and borders, with its own fills. */
import type { LayerSpecification, StyleSpecification } from 'maplibre-gl';
import type { Ground } from '../lib/ground';
import { DRAWN_FROM, drawnUntil, LEVELS, type Level } from '../lib/levels';
import { layerOf, layers, source, SOURCE } from './style';

const BARE = '#f0f2f1';

function fills(level: Level): LayerSpecification[] {
	const base = { type: 'fill' as const, source: SOURCE, 'source-layer': layerOf(level), minzoom: DRAWN_FROM[level], maxzoom: drawnUntil(level) };
	return [
		{ ...base, id: `${level}-fill`, paint: { 'fill-color': ['to-color', ['coalesce', ['feature-state', 'colour'], BARE]], 'fill-antialias': false } },
		{ ...base, id: `${level}-cross`, paint: { 'fill-pattern': 'cross', 'fill-opacity': ['coalesce', ['feature-state', 'cross'], 0] } },
	];
}

export function painted(ground: Ground, font: string): StyleSpecification {
	// A basemap would hide where nothing was found; here it is the areas alone that matter.
	const kept = layers().filter(({ id }) => /-(border|chosen|name)$/.test(id));
	return {
		version: 8,
		'font-faces': { 'Noto Sans': font },
		sources: { [SOURCE]: source(ground) },
		layers: [{ id: 'ground', type: 'background', paint: { 'background-color': '#e3e9ea' } }, ...LEVELS.flatMap(fills), ...kept],
	} as StyleSpecification;
}

/** The pattern of what is open. */
export function crossed(): ImageData {
	const size = 16;
	const canvas = document.createElement('canvas');
	canvas.width = canvas.height = size;
	const pen = canvas.getContext('2d')!;
	pen.lineWidth = 1.6;
	pen.strokeStyle = 'rgba(80,10,0,0.7)';
	for (const shift of [-size, 0, size]) {
		for (const [from, to] of [
			[size + 2, -2],
			[-2, size + 2],
		] as const) {
			pen.beginPath();
			pen.moveTo(shift - 2, from);
			pen.lineTo(shift + size + 2, to);
			pen.stroke();
		}
	}
	return pen.getImageData(0, 0, size, size);
}
