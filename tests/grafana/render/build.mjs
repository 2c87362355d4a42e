// Bundles the page and the script that needs no page; what it makes stands in node_modules, which git ignores.

import { copyFile, mkdir } from 'node:fs/promises';
import { build } from 'esbuild';

export const OUT = new URL('node_modules/.drawn/', import.meta.url).pathname;

// What @grafana/data reads of a browser, and Node 20 does not have.
const BROWSER = `
globalThis.navigator ??= { language: 'en-US', languages: ['en-US'] };
globalThis.window = { __grafanaSceneContext: {} };
`;

const COMMON = {
  absWorkingDir: new URL('.', import.meta.url).pathname,
  bundle: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  logLevel: 'error',
};

/** Bundle what runs in Node: the values, their text and colours. */
export function buildValues() {
  return build({
    ...COMMON,
    entryPoints: ['values.mjs'],
    outfile: `${OUT}values.cjs`,
    platform: 'node',
    format: 'cjs',
    banner: { js: BROWSER },
    alias: { '@grafana/runtime': './runtime.mjs', 'react-router-dom-v5-compat': 'react-router-dom' },
  });
}

/** Bundle the page that draws. */
export async function buildPage() {
  await mkdir(OUT, { recursive: true });
  await copyFile(new URL('page.html', import.meta.url), `${OUT}page.html`);
  return build({
    ...COMMON,
    entryPoints: ['page.jsx'],
    outfile: `${OUT}page.js`,
    format: 'iife',
    jsx: 'automatic',
    define: { ...COMMON.define, global: 'window' },
    alias: { 'react-router-dom-v5-compat': 'react-router-dom' },
    loader: Object.fromEntries(['svg', 'woff', 'woff2', 'ttf', 'png'].map((kind) => [`.${kind}`, 'dataurl'])),
  });
}
