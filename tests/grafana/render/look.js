// Looks at the page for what a person would complain of: errors, text that is cut off, text too small to read.

const SMALLEST = 9; // pixels; Grafana's own axes have 12, its smallest stat 10
// Grafana itself cuts off the last time of an axis.
const TIME = /^(\d\d:\d\d(:\d\d)?|\d\d\/\d\d( \d\d:\d\d)?|\d{4}-\d\d)$/;
let outside = [];
let written = [];

/** From now on take down what is written on a canvas, and what of it falls off its edge. */
export function watchCanvas() {
  outside = [];
  written = [];
}

const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
  const { width } = this.measureText(text);
  const left = x - { center: width / 2, right: width, end: width }[this.textAlign] || x;
  const { a, b, c, d, e, f } = this.getTransform();
  const ends = [left, left + width].map((at) => [a * at + c * y + e, b * at + d * y + f]);
  const inside = ends.every(
    ([px, py]) => px >= -1 && py >= -1 && px <= this.canvas.width + 1 && py <= this.canvas.height + 1,
  );
  written.push({ canvas: this.canvas, text });
  if (!inside && text !== '' && !TIME.test(text)) {
    outside.push({ canvas: this.canvas, text });
  }
  return fillText.call(this, text, x, y, ...rest);
};

/** Return what each panel shows and what is wrong with it, by the panel's id. */
export function findings() {
  return Object.fromEntries(
    [...document.querySelectorAll('[data-viz-panel-key]')].map((element) => [
      element.dataset.vizPanelKey.replace('panel-', ''),
      look(element),
    ]),
  );
}

function look(panel) {
  return {
    type: panel.dataset.pluginId,
    text: panel.innerText.replace(/\s+/g, ' ').trim(),
    sight: [...texts(panel)].filter(inSight).map(described).join(' '),
    axes: [...new Set(written.filter(({ canvas }) => panel.contains(canvas)).map(({ text }) => text))],
    spans: [...panel.querySelectorAll('[data-span]')].map(({ dataset }) => [dataset.row, dataset.span]),
    errors: [...panel.querySelectorAll('[role=alert], [data-testid="data-testid Panel status error"]')].map(
      (alert) => alert.innerText || 'error',
    ),
    sideways: [...panel.querySelectorAll('[role=grid]')].some((grid) => grid.scrollWidth > grid.clientWidth + 1),
    hidden: Number(panel.querySelector('[data-frames]')?.dataset.frames ?? 1) - 1,
    cut: [...texts(panel)].filter(cutOff).map(described),
    small: [...texts(panel)]
      .filter((element) => parseFloat(getComputedStyle(element).fontSize) < SMALLEST)
      .map(described),
    outside: [...new Set(outside.filter(({ canvas }) => panel.contains(canvas)).map(({ text }) => text))],
  };
}

function* texts(panel) {
  for (const element of panel.querySelectorAll('*')) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (own && element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) {
      yield element;
    }
  }
}

function cutOff(element) {
  const box = boxOf(element);
  for (let outer = element; outer && !outer.matches('[data-viz-panel-key]'); outer = outer.parentElement) {
    const { overflowX, overflowY } = getComputedStyle(outer);
    const frame = outer.getBoundingClientRect();
    if (
      overflowX !== 'visible' &&
      !scrolls(overflowX) &&
      (box.left < frame.left - 1 || box.right > frame.right + 1)
    ) {
      return true;
    }
    if (
      overflowY !== 'visible' &&
      !scrolls(overflowY) &&
      (box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
    ) {
      return true;
    }
    if (scrolls(overflowX) || scrolls(overflowY)) {
      return overflowsPanelSideways(outer, box);
    }
  }
  return false;
}

/** Whether a person sees it without scrolling. */
function inSight(element) {
  const box = boxOf(element);
  for (let outer = element; outer && !outer.matches('[data-viz-panel-key]'); outer = outer.parentElement) {
    const frame = outer.getBoundingClientRect();
    if (
      getComputedStyle(outer).overflowY !== 'visible' &&
      (box.bottom > frame.bottom + 1 || box.top < frame.top - 1)
    ) {
      return false;
    }
  }
  return true;
}

function overflowsPanelSideways(scroller, box) {
  return !scrolls(getComputedStyle(scroller).overflowX) && box.right > scroller.getBoundingClientRect().right + 1;
}

function scrolls(overflow) {
  return overflow === 'auto' || overflow === 'scroll';
}

function boxOf(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  return range.getBoundingClientRect();
}

function described(element) {
  return element.innerText.trim().slice(0, 80);
}
