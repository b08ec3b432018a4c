/** The released program on a demo city of its own, as anybody starts it. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
	interface ProvidedContext {
		address: string;
		program: string;
		database: string;
		keys: Record<string, string>;
	}
}

export default async function serve(project: TestProject) {
	const program = resolve(process.env.SALUR_BIN ?? '../target/release/salur');
	const home = mkdtempSync(join(tmpdir(), 'salur-journeys-'));
	const database = `sqlite://${join(home, 'demo.db')}`;
	execFileSync(program, ['demo', '--database', database], { stdio: 'ignore' });
	const keys = Object.fromEntries(
		readFileSync(join(home, 'demo-keys.txt'), 'utf8')
			.split('\n')
			.map((line) => line.trim().split(/\s+/))
			.filter(([user, key]) => user?.includes('@') && key)
			.map(([user, key]) => [user!, key!]),
	);
	const server = spawn(program, ['serve', '--database', database, '--listen', '127.0.0.1:0'], {
		stdio: ['ignore', 'pipe', 'ignore'],
	});
	const address = await new Promise<string>((told, failed) => {
		let said = '';
		server.stdout.on('data', (bytes: Buffer) => {
			said += bytes.toString();
			const found = /listens on (http:\/\/\S+)/.exec(said);
			if (found) told(found[1]!);
		});
		server.once('exit', (code) => failed(new Error(`the server ended with ${code}`)));
	});
	project.provide('address', address);
	project.provide('keys', keys);
	project.provide('program', program);
	project.provide('database', database);
	return async () => {
		const gone = new Promise((ended) => server.once('exit', ended));
		server.kill();
		await gone;
		rmSync(home, { recursive: true });
	};
}
