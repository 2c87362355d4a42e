// Draws dashboards in a headless Chromium: jobs as JSON in, what was seen of each as JSON out.
//
// A job is {name, dashboard, answers, range, variables, width, picture}; see page.jsx. `picture` is a file for
// the PNG, or null. The page is served from memory: nothing listens, and a request for anything else is an error.

import { readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';
import UPNG from 'upng-js';
import { OUT, buildPage } from './build.mjs';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
  '--force-color-profile=srgb',
];
const COLOURS = 96;
const HOST = 'http://dashboards.test';
const KINDS = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
const MODULES = new URL('node_modules/', import.meta.url).pathname;
const WEIGHTS = { Regular: 400, Medium: 500 };
const NOT_ON_NPM = {
  '/build/img/icons/unicons/angle-double-left.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
};

async function serve(route) {
  const path = new URL(route.request().url()).pathname;
  try {
    await route.fulfill({
      body: NOT_ON_NPM[path] ?? readFileSync(fileOf(path)),
      contentType: KINDS[extname(path)],
    });
  } catch {
    await route.abort();
  }
}

function fileOf(path) {
  if (path.startsWith('/build/img/')) {
    return join(MODULES, '@grafana/ui/dist/public', path.slice('/build/'.length));
  }
  const weight = WEIGHTS[path.match(/^\/fonts\/inter\/Inter-(\w+)\.woff2$/)?.[1]];
  return weight ? join(MODULES, `@fontsource/inter/files/inter-latin-${weight}-normal.woff2`) : join(OUT, path);
}

async function draw(page, job) {
  const complaints = [];
  const complain = (said) => complaints.push(said);
  const onError = (error) => complain(error.message);
  const onConsole = (message) =>
    message.type() === 'error' && complain(`${message.text()} ${message.location().url}`);
  page.on('pageerror', onError);
  page.on('console', onConsole);
  const rows = Math.max(...job.dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  await page.setViewportSize({ width: job.width, height: rows * 38 + 80 });
  await page.clock.setFixedTime(job.range.to);
  await page.evaluate((what) => window.draw(what), job);
  const panels = await settled(page);
  if (job.picture) {
    writeFileSync(job.picture, small(await page.screenshot()));
  }
  page.off('pageerror', onError);
  page.off('console', onConsole);
  return { name: job.name, panels, complaints };
}

/** Return a PNG with so few colours that it takes a quarter of the room. */
function small(picture) {
  const whole = UPNG.decode(picture);
  return Buffer.from(UPNG.encode(UPNG.toRGBA8(whole), whole.width, whole.height, COLOURS));
}

async function settled(page) {
  let before = '';
  for (let look = 0; look < 50; look += 1) {
    await page.waitForTimeout(100);
    const panels = await page.evaluate(() => document.fonts.ready.then(() => window.findings()));
    const now = JSON.stringify(panels);
    if (now === before && now !== '{}') {
      return panels;
    }
    before = now;
  }
  throw new Error('the page does not come to rest');
}

await buildPage();
const jobs = JSON.parse(readFileSync(0, 'utf8'));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
try {
  const page = await browser.newPage();
  await page.route('**', serve);
  await page.goto(`${HOST}/page.html`);
  await page.waitForFunction(() => window.ready);
  const seen = [];
  for (const job of jobs) {
    seen.push(await draw(page, job));
  }
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
