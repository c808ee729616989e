// What changed: of late, or between a moment that was marked and the one that is looked at.

import { get, of } from "./api.js";
import { card, h, show } from "./dom.js";
import { route } from "./mvpn.js";
import { exact, moment, ms } from "./time.js";

const SHOWN_MAX = 60;

export function changesCard(place, mvpn, go) {
  async function load(here, found, signal) {
    const names = new Map(found.pes.filter((pe) => pe.name).map((pe) => [pe.pe, pe.name]));
    if (here.mark) return difference(here, names, signal);
    const until = here.at ? ms(here.at) + 1 : Date.now();
    const length = Number(here.range) > 0 ? Number(here.range) : 3600e3;
    const step = await get(of(mvpn, "steps"), { at: moment(until) }, signal);
    const from = Math.max(until - length, 0);
    // The latest are wanted, and the interface begins with the first: so it looks at less and less.
    const page = await latest(from, until, signal);
    const shown = page.changes.slice(-SHOWN_MAX).reverse();
    const mark = h("button", { id: "mark", "data-at": here.at ?? "now", onclick: () => go({ mark: here.at ?? moment(Date.now()) }) }, "Compare from here");
    show(place, card("changes", "Changes", { count: shown.length ? `the last ${shown.length}` : undefined, tools: mark, note: "Mark a moment, then move on: what changed in between is shown." },
      shown.length ? list(shown, names, go) : h("p", { class: "empty" }, "Nothing changed in the stretch that the slider shows.", step.previous ? h("button", { class: "text", "data-at": step.previous, onclick: () => go({ at: step.previous }) }, ` The last change: ${exact(step.previous)}`) : null)));
  }

  async function latest(from, until, signal) {
    let begin = from;
    for (;;) {
      const page = await get(of(mvpn, "changes"), { from: moment(begin), until: moment(until), limit: 500 }, signal);
      if (!page.next || until - begin < 2) return page;
      begin = until - (until - begin) / 4;
    }
  }

  async function difference(here, names, signal) {
    const now = here.at ?? moment(Date.now());
    const [from, to] = ms(here.mark) <= ms(now) ? [here.mark, now] : [now, here.mark];
    const found = await get(of(mvpn, "difference"), { from, to }, signal);
    const deaf = [["first", found.before], ["second", found.after]].filter(([, heard]) => heard.listening !== "yes").map(([which]) => which);
    const tools = h("button", { id: "unmark", onclick: () => go({ mark: null }) }, "Stop comparing");
    show(place, card("changes", "What these two moments differ in", { count: found.total, tools, note: `${exact(from)} and ${exact(to)}` },
      deaf.length ? h("p", { class: "notice" }, `Nobody listened at the ${deaf.join(" and the ")} moment: what they differ in is not known.`)
        : found.differences.length ? h("ul", { class: "changes" }, found.differences.map((change) => h("li", {}, line(change, names)))) : h("p", { class: "empty" }, "Nothing.")));
  }

  return { load };
}

function list(changes, names, go) {
  return h("ul", { class: "changes" }, changes.map((change) => h("li", {},
    h("button", { class: "text mono", "data-at": change.at, onclick: () => go({ at: change.at }) }, exact(change.at)), " ", line(change, names),
    change.cause === "said" ? null : h("span", { class: "soft" }, ` (${CAUSES[change.cause] ?? change.cause})`))));
}

const CAUSES = { "taken-back": "taken back", expired: "not repeated in time", restarted: "the PE restarted", unwatched: "nobody listened any longer" };

function line({ before, after }, names) {
  const [sign, kind] = before ? (after ? ["~", "other"] : ["−", "gone"]) : ["+", "come"];
  const now = after ?? before;
  return [h("span", { class: `sign ${kind}`, "aria-label": { come: "began", gone: "ended", other: "became another" }[kind] }, sign),
    `${names.get(now.pe) ?? now.pe} ${said(now, kind === "gone")}`, before && after ? h("span", { class: "soft" }, `, before: ${said(before)}`) : null];
}

/** What a PE says, or says no longer, in words. */
function said(of, gone = false) {
  const no = gone ? "no longer " : "";
  switch (of.kind) {
    case "neighbor": return `is ${no}here, ${of.address} on the MDT${of.designated_router ? ", DR" : ""}`;
    case "join": return of.route === "rpt" ? `${no}leaves out ${route(of)} of what it wants from ${of.upstream}` : `${no}wants ${route(of)} from ${of.upstream}`;
    case "mapping": return `${no}sends (${of.source}, ${of.group}) on data MDT ${of.data_mdt}`;
    case "assert": return `${no}asserts itself for ${route(of)}, preference ${of.preference}, metric ${of.metric}`;
    case "rp": return `${no}names RP ${of.rp} for ${of.group}/${of.prefix}`;
    case "forwarder": return `is ${no}designated forwarder for RP ${of.rp}`;
    default: return of.kind;
  }
}
