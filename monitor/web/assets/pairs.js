// The matrix of pairs: loss or delay from every PE to every other, with its figures.

import { get } from "./api.js";
import { card, h, show, tag } from "./dom.js";
import { exact, moment, ms, share } from "./time.js";

const WINDOW_MS = 300e3;
const METRICS = {
  loss: { title: "Loss", value: (pair) => pair.loss, text: share, levels: [1e-5, 1e-3, 1e-2, 5e-2] },
  delay: { title: "Mean delay", value: (pair) => pair.delay_mean_ms, text: time, levels: [10, 30, 80, 150] },
};

export function pairsCard(place, mvpn) {
  let metric = "loss", chosen = null, last = null, by = new Map();

  async function load(here, signal) {
    const at = here.at ? ms(here.at) : Date.now();
    try {
      last = await get(`tasks/${encodeURIComponent(mvpn)}/pairs`, { from: moment(at - WINDOW_MS), until: here.at ?? undefined }, signal);
      draw();
    } catch (error) {
      if (error.status !== 404) throw error;
      show(place);
    }
  }

  function draw() {
    const { pairs } = last;
    if (!pairs.length) {
      show(place, card("pairs", "Loss and delay between PEs", {}, h("p", { class: "empty" }, "Nothing was measured in the five minutes before this moment.")));
      return;
    }
    const names = [...new Set(pairs.flatMap((pair) => [pair.sender, pair.receiver]))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    by = new Map(pairs.map((pair) => [`${pair.sender}\n${pair.receiver}`, pair]));
    const drops = Math.max(...pairs.map((pair) => pair.capture_drops));
    const choose = Object.entries(METRICS).map(([word, of]) => h("button", { "data-key": `metric ${word}`, "aria-pressed": String(metric === word), onclick: () => { metric = word; draw(); } }, of.title));
    show(place, card("pairs", "Loss and delay between PEs", { tools: h("span", { class: "row", role: "group", "aria-label": "What is shown" }, choose), note: `From the monitor's probes, ${exact(last.from)} until ${exact(last.until)}, the monitor's own tunnels included.` },
      drops > 0 ? h("p", { class: "notice" }, tag("warn", "doubtful"), ` The monitor's own capture dropped ${drops} packets in this time: losses may be its own.`) : null,
      last.cut ? h("p", { class: "soft" }, "There is more than could be looked at: only the latest counts.") : null,
      h("div", { class: "scroll" }, matrix(names)), h("div", { id: "pair", "aria-live": "polite" }, chosen && by.get(chosen) ? facts(by.get(chosen)) : h("p", { class: "soft" }, "Choose a pair for its figures."))));
  }

  function matrix(names) {
    const of = METRICS[metric];
    const cell = (sender, receiver) => {
      const key = `${sender}\n${receiver}`, pair = by.get(key);
      if (!pair) return h("td", {}, h("span", { class: "self", "aria-label": "not measured" }, "·"));
      const value = of.value(pair);
      const look = () => { chosen = key; show(document.getElementById("pair"), facts(by.get(key))); };
      return h("td", {}, h("button", { class: value === null ? "none" : `h${of.levels.filter((level) => value > level).length}`, "data-key": `pair ${key}`, "aria-pressed": String(chosen === key), title: `${sender} → ${receiver}`, "aria-label": `${sender} to ${receiver}: ${value === null ? "nothing arrived" : of.text(value)}${pair.capture_drops ? ", doubtful" : ""}`, onfocus: look, onmouseenter: look, onclick: () => { look(); draw(); } }, value === null ? "–" : of.text(value), pair.capture_drops ? " ?" : ""));
    };
    return h("table", { class: "matrix", "aria-label": `${of.title} from each sender (rows) to each receiver (columns)` },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "from \\ to"), names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, names.map((sender) => h("tr", {}, h("th", { scope: "row" }, sender), names.map((receiver) => cell(sender, receiver))))));
  }

  return { load };
}

function facts(pair) {
  const range = (low, high, text) => low === null ? "not known: nothing came back through a tunnel" : `${text(low)} to ${text(high)}`;
  const rows = [
    ["Probes", `${pair.sent} sent, ${pair.lost} lost, ${pair.duplicates} duplicated, ${pair.reordered} reordered`],
    ["Loss", pair.loss === null ? "nothing was sent" : share(pair.loss)],
    ["Loss between the PEs", range(pair.path_loss_low, pair.path_loss_high, share)],
    ["Delay", pair.delay_mean_ms === null ? "nothing arrived" : `${time(pair.delay_mean_ms)} mean, ${time(pair.delay_min_ms)} least, ${time(pair.delay_p99_max_ms)} 99th percentile at worst, ${time(pair.delay_max_ms)} greatest`],
    ["Delay between the PEs", range(pair.path_delay_low_ms, pair.path_delay_high_ms, time)],
    ["Doubts", pair.capture_drops ? `the monitor's capture dropped ${pair.capture_drops} packets` : "none"],
  ];
  return [h("h3", {}, `${pair.sender} → ${pair.receiver}`), h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))];
}

function time(milliseconds) {
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 1)} ms`;
}
