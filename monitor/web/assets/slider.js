// The slider over the history: how much changed when, where nobody listened, and the moment that is looked at.

import { get, of } from "./api.js";
import { h, s, show } from "./dom.js";
import { exact, moment, ms, span, ticks } from "./time.js";

const RANGES = [["15 minutes", 900e3], ["1 hour", 3600e3], ["6 hours", 6 * 3600e3], ["1 day", 86400e3], ["7 days", 7 * 86400e3], ["30 days", 30 * 86400e3], ["1 year", 365 * 86400e3]];
const WIDTH = 1000, HEIGHT = 56, PLOT = 52, BUCKETS = 200, STEPS = 2000;
/** A hand that moves asks once it rests for so long. */
const REST_MS = 120;

export function slider(place, mvpn, go) {
  let here = {}, from = 0, until = 0, density = null, resting = null, asking = null;
  const when = h("span", { class: "when", id: "when", "aria-live": "polite" });
  const hand = h("input", { type: "range", id: "hand", min: 0, max: STEPS, "aria-label": "Moment", oninput: moved });
  const picture = h("div", {});
  const previous = h("button", { id: "previous", onclick: () => step("previous"), title: "To the change before" }, "← Previous change");
  const next = h("button", { id: "next", onclick: () => step("next"), title: "To the change after" }, "Next change →");
  const live = h("button", { id: "live", onclick: () => go({ at: null }) }, "Live");
  const range = h("select", { id: "range", "aria-label": "Length of the history that is shown", onchange: () => go({ range: range.value }) },
    RANGES.map(([words, length]) => h("option", { value: length }, words)));
  show(place, h("section", { class: "card slider", "aria-label": "History" },
    h("div", { class: "row" }, when, h("span", { class: "row" }, previous, next, live, range)), picture, hand,
    h("div", { class: "legend" }, legend("begun", "began"), legend("ended", "ended"), legend("listened", "listened, nothing changed"), legend("deaf", "nobody listened: nothing is known"))));

  const length = () => Number(here.range) > 0 ? Number(here.range) : 3600e3;
  const at = () => here.at ? ms(here.at) : Date.now();

  /** Keeps the window where it is while the hand moves in it. */
  function frame() {
    const now = Date.now(), wanted = length();
    if (!here.at) [from, until] = [now - wanted, now];
    else if (until - from !== wanted || at() < from || at() > until) {
      until = Math.min(now, at() + wanted / 2);
      if (until < at()) until = at();
      from = until - wanted;
    } else return false;
    return true;
  }

  function moved() {
    const chosen = from + (until - from) * Number(hand.value) / STEPS;
    when.textContent = exact(moment(chosen));
    drawHand(chosen);
    clearTimeout(resting);
    resting = setTimeout(() => go({ at: moment(chosen) }, { replace: Boolean(here.at) }), REST_MS);
  }

  async function step(which) {
    const found = await get(of(mvpn, "steps"), { at: here.at });
    if (found[which]) go({ at: found[which] });
    else if (which === "next") go({ at: null });
  }

  async function load() {
    asking?.abort();
    asking = new AbortController();
    try {
      density = await get(of(mvpn, "density"), { from: moment(from), until: moment(until), buckets: BUCKETS }, asking.signal);
      draw();
    } catch (error) {
      // What is wrong is said with the state itself.
      if (error.status === 401) throw error;
    }
  }

  const x = (time) => (time - from) / (until - from) * WIDTH;

  function drawHand(time) {
    picture.querySelector(".hand")?.setAttribute("transform", `translate(${Math.max(1, Math.min(WIDTH - 1, x(time)))} 0)`);
  }

  function draw() {
    const now = Date.now();
    const listened = density.watches.map((watch) => [Math.max(from, ms(watch.since)), Math.min(until, watch.until ? ms(watch.until) : now)]);
    const gaps = [];
    let end = from;
    for (const [begins, ends] of [...listened].sort((a, b) => a[0] - b[0])) {
      if (begins > end) gaps.push([end, begins]);
      end = Math.max(end, ends);
    }
    if (end < until) gaps.push([end, until]);
    const most = Math.max(1, ...density.buckets.map(([begun, ended]) => begun + ended));
    const width = WIDTH / density.buckets.length;
    const bars = density.buckets.flatMap(([begun, ended], at) => {
      if (begun + ended === 0) return [];
      const tall = Math.max(3, Math.log2(1 + begun + ended) / Math.log2(1 + most) * (PLOT - 6));
      const lower = tall * begun / (begun + ended);
      return [s("rect", { class: "begun", x: at * width, width: Math.max(1, width - 1), y: PLOT - lower, height: lower }),
        s("rect", { class: "ended", x: at * width, width: Math.max(1, width - 1), y: PLOT - tall, height: tall - lower })];
    });
    const changes = density.buckets.reduce((sum, [begun, ended]) => sum + begun + ended, 0);
    const block = (kind, [begins, ends]) => s("rect", { class: kind, x: x(begins), width: Math.max(1.5, x(ends) - x(begins)), y: 0, height: PLOT, fill: kind === "deaf" ? "url(#deaf)" : null });
    const narrow = place.clientWidth < 520;
    show(picture, s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
      "aria-label": `${changes} beginnings and ends within ${span(until - from)}; nobody listened in ${gaps.length} stretches` },
      s("defs", {}, s("pattern", { id: "deaf", width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("line", { class: "deaf-line", x1: 0, y1: 0, x2: 0, y2: 8 }))),
      listened.map((of) => block("listened", of)), gaps.map((of) => block("deaf", of)), bars,
      s("line", { class: "base", x1: 0, x2: WIDTH, y1: PLOT, y2: PLOT }),
      s("line", { class: "hand", x1: 0, x2: 0, y1: 0, y2: PLOT + 4 })),
    s("svg", { class: "axis", "aria-hidden": "true" }, ticks(from, until, narrow ? 4 : 8).map((tick) => axisLabel(tick, from, until))));
    drawHand(at());
  }

  return {
    render(now) {
      here = now;
      range.value = RANGES.some(([, of]) => String(of) === here.range) ? here.range : String(3600e3);
      const changed = frame();
      when.textContent = here.at ? exact(here.at) : "Now, live";
      live.setAttribute("aria-pressed", String(!here.at));
      next.disabled = !here.at;
      hand.value = String(Math.round((at() - from) / (until - from) * STEPS));
      hand.setAttribute("aria-valuetext", when.textContent);
      if (changed || !density) load();
      else drawHand(at());
    },
    news(now) {
      if (!now.at) this.render(now);
    },
    stop() {
      clearTimeout(resting);
      asking?.abort();
    },
  };
}

function legend(kind, words) {
  return h("span", {}, h("i", { class: kind }), words);
}

/** Labels are no part of the picture, which is stretched. */
function axisLabel({ at, label }, from, until) {
  const share = (at - from) / (until - from);
  return s("text", { x: `${share * 100}%`, y: 12, "text-anchor": share < 0.03 ? "start" : share > 0.97 ? "end" : "middle" }, label);
}
