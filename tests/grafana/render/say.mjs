// Bundles values.mjs and runs it: @grafana/data is made for bundlers, Node alone does not load it.

import { OUT, buildValues } from './build.mjs';

await buildValues();
await import(`${OUT}values.cjs`);
