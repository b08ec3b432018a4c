import type { ExpressionSpecification, LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import type { Ground } from '../lib/ground';
import { DRAWN_FROM, drawnUntil, LEVELS, type Level } from '../lib/levels';
import { NOTHING } from '../lib/status';

export const SOURCE = 'areas';
export const INK = '#10343c';
/** Water and whatever lies beyond our areas. */
const GROUND = '#eef2f1';

/** The layer of the tiles that holds a level's shapes. */
export const layerOf = (level: Level): string => level.toLowerCase();

const state = (name: string): ExpressionSpecification => ['coalesce', ['feature-state', name], 0];

/** Fills of the level that is drawn at a zoom: colour, and patterns over it for those who do not see colours. */
function fills(level: Level): LayerSpecification[] {
	const base = {
		type: 'fill' as const,
		source: SOURCE,
		'source-layer': layerOf(level),
		minzoom: DRAWN_FROM[level],
		maxzoom: drawnUntil(level),
	};
	return [
		{
			...base,
			id: `${level}-fill`,
			paint: {
				'fill-color': ['to-color', ['coalesce', ['feature-state', 'colour'], NOTHING]],
				'fill-antialias': false,
			},
		},
		{ ...base, id: `${level}-hatch`, paint: { 'fill-pattern': 'hatch', 'fill-opacity': state('hatch') } },
		{ ...base, id: `${level}-dots`, paint: { 'fill-pattern': 'dots', 'fill-opacity': state('dots') } },
	];
}

/** Borders: the larger the area, the stronger. They go on two levels down, as far as tiles have them. */
function borders(level: Level): LayerSpecification {
	const from = DRAWN_FROM[level];
	const below = LEVELS[LEVELS.indexOf(level) + 1];
	const own = drawnUntil(level);
	// One more than any zoom, so that the steps ascend where no level is below.
	const last = below ? drawnUntil(below) : own + 1;
	const width: ExpressionSpecification = ['step', ['zoom'], 0.6, own, 1.6, last, 2.6];
	return {
		id: `${level}-border`,
		type: 'line',
		source: SOURCE,
		'source-layer': layerOf(level),
		minzoom: from,
		paint: {
			'line-color': INK,
			'line-opacity': ['step', ['zoom'], 0.45, own, 0.7, last, 0.8],
			'line-width': width,
		},
		layout: { 'line-join': 'round' },
	};
}

/** What is chosen or in the basket: an outline, never a fill. */
function outlines(level: Level): LayerSpecification[] {
	const base = {
		type: 'line' as const,
		source: SOURCE,
		'source-layer': layerOf(level),
		minzoom: DRAWN_FROM[level],
		layout: { 'line-join': 'round' as const },
	};
	const maxzoom = drawnUntil(level);
	return [
		{
			...base,
			id: `${level}-changed`,
			maxzoom,
			paint: { 'line-color': '#c2185b', 'line-width': 5, 'line-opacity': state('fresh'), 'line-offset': 2 },
		},
		{
			...base,
			id: `${level}-basket`,
			maxzoom,
			paint: { 'line-color': '#8a1253', 'line-width': 3, 'line-opacity': state('basket'), 'line-offset': 1 },
		},
		{
			...base,
			id: `${level}-hover`,
			maxzoom,
			paint: { 'line-color': INK, 'line-width': 2.5, 'line-opacity': state('hover') },
		},
		{
			...base,
			id: `${level}-chosen`,
			filter: ['==', ['get', 'code'], ''],
			paint: { 'line-color': '#c2185b', 'line-width': 4 },
		},
	];
}

function names(level: Level): LayerSpecification {
	const from = DRAWN_FROM[level];
	const fine = level === 'RT' ? 15.3 : level === 'RW' ? 13.4 : level === 'VILLAGE' ? 11.6 : from;
	const until = drawnUntil(level);
	return {
		id: `${level}-name`,
		type: 'symbol',
		source: SOURCE,
		'source-layer': `${layerOf(level)}_name`,
		minzoom: fine,
		// A name stays for one level more, while its area is still seen as one.
		maxzoom: level === 'RT' ? 24 : Math.min(until + (level === 'RW' ? 1.6 : 1), 24),
		layout: {
			'text-field': ['get', 'name'],
			'text-font': ['Noto Sans'],
			'text-size': ['interpolate', ['linear'], ['zoom'], from, level === 'RT' ? 11 : 12.5, until, 16],
			'text-max-width': 7,
			'text-padding': 4,
			'symbol-sort-key': LEVELS.indexOf(level),
		},
		paint: { 'text-color': INK, 'text-halo-color': 'rgba(255,255,255,0.92)', 'text-halo-width': 1.8 },
	};
}

/** Areas that have a point and no shape. */
function points(level: Level): LayerSpecification {
	return {
		id: `${level}-point`,
		type: 'circle',
		source: SOURCE,
		'source-layer': `${layerOf(level)}_name`,
		minzoom: DRAWN_FROM[level],
		maxzoom: drawnUntil(level),
		filter: ['==', ['get', 'shaped'], false],
		paint: {
			'circle-radius': 7,
			'circle-color': ['to-color', ['coalesce', ['feature-state', 'colour'], NOTHING]],
			'circle-stroke-color': INK,
			'circle-stroke-width': 1.2,
		},
	};
}

export function source(ground: Ground): SourceSpecification {
	return {
		type: 'vector',
		tiles: ground.tiles.map((tile) => location.origin + tile),
		maxzoom: ground.maxzoom,
		promoteId: 'code',
		...(ground.bounds ? { bounds: ground.bounds } : {}),
	};
}

/** The layers that lie over a basemap, or over nothing. */
export function layers(): LayerSpecification[] {
	const down = [...LEVELS];
	return [
		...down.flatMap(fills),
		...down.map(points),
		...down.toReversed().map(borders),
		...down.flatMap(outlines),
		...down.toReversed().map(names),
	];
}

export function style(ground: Ground, font: string): StyleSpecification {
	return {
		version: 8,
		'font-faces': { 'Noto Sans': font },
		sources: { [SOURCE]: source(ground) },
		layers: [{ id: 'ground', type: 'background', paint: { 'background-color': GROUND } }, ...layers()],
	} as StyleSpecification;
}

/** Patterns are drawn here: no picture is fetched for them. */
export function pattern(kind: 'hatch' | 'dots'): ImageData {
	const size = 16;
	const canvas = document.createElement('canvas');
	canvas.width = canvas.height = size;
	const pen = canvas.getContext('2d')!;
	if (kind === 'hatch') {
		pen.lineWidth = 3.4;
		pen.strokeStyle = 'rgba(255,255,255,0.85)';
		for (const shift of [-size, 0, size]) {
			pen.beginPath();
			pen.moveTo(shift - 2, size + 2);
			pen.lineTo(shift + size + 2, -2);
			pen.stroke();
		}
	} else {
		pen.fillStyle = INK;
		for (const [x, y] of [
			[4, 4],
			[12, 12],
		] as const) {
			pen.beginPath();
			pen.arc(x, y, 2, 0, Math.PI * 2);
			pen.fill();
		}
	}
	return pen.getImageData(0, 0, size, size);
}
