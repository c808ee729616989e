// One MVPN at a moment: who is in it, what they want and send, what is wrong, and what ought to be.

import { get, of } from "./api.js";
import { changesCard } from "./changes.js";
import { card, h, severity, show, table, tag } from "./dom.js";
import { pairsCard } from "./pairs.js";
import { slider } from "./slider.js";
import { ago, exact, ms, words } from "./time.js";
import { treeCard } from "./tree.js";

export function mvpnView(main, mvpn, go) {
  const places = {};
  for (const name of ["head", "slider", "notice", "alarms", "pes", "groups", "tree", "pe", "mappings", "expected", "pairs", "changes"]) places[name] = h("div", {});
  main.replaceChildren(places.head, places.slider, places.notice, places.alarms,
    h("div", { class: "two pes" }, places.pes, places.groups), places.tree, places.pe, places.pairs,
    h("div", { class: "two" }, places.mappings, places.expected), places.changes);
  const history = slider(places.slider, mvpn, go);
  const pairs = pairsCard(places.pairs, mvpn);
  const changes = changesCard(places.changes, mvpn, go);
  let here = {};
  let asking = null;
  let last = null;

  async function load() {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    try {
      last = await get(of(mvpn), { at: here.at }, signal);
      draw(last);
      await Promise.all([loadTree(signal), loadPe(signal), pairs.load(here, signal), changes.load(here, last, signal)]);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status === 401) throw error;
      if (error.status === 404) {
        // It may be a task without an MVPN that is listened to.
        show(places.slider);
        show(places.notice, h("p", { class: "notice", role: "status" }, `Nobody ever listened to ${mvpn}, or it is not yours.`));
        await pairs.load(here, signal).catch(() => {});
        return;
      }
      show(places.notice, h("p", { class: "notice bad", role: "alert" }, error.message, ": ", error.remedy));
    }
  }

  const reference = () => here.at ? ms(here.at) : Date.now();

  function draw(found) {
    const heard = found.heard.listening === "yes";
    show(places.head, h("div", { class: "head" }, h("h1", {}, mvpn),
      heard ? tag("good", here.at ? "was listened to" : "listened to") : tag("", "nobody listened"),
      found.alarms.length ? tag("bad", `${found.alarms.length}${found.alarms_cut ? "+" : ""} alarms`) : null));
    show(places.notice, heard ? null : deaf(found.heard));
    show(places.alarms, alarmsCard(found));
    const blocks = { pes: pesCard(found), groups: groupsCard(found), mappings: mappingsCard(found), expected: expectedCard(found) };
    for (const [name, block] of Object.entries(blocks)) show(places[name], heard || name === "expected" ? block : null);
    if (!heard) show(places.tree), show(places.pe);
  }

  function deaf(heard) {
    const jump = (at, text) => at ? h("button", { "data-at": at, onclick: () => go({ at }) }, text, " ", words(at)) : null;
    return h("div", { class: "notice", role: "status", id: "nobody" },
      h("strong", {}, "Nobody listened then."), " Nothing is known of this moment, which is something else than that nothing was there.",
      h("div", { class: "row" }, jump(heard.last && new Date(ms(heard.last) - 1).toISOString(), "Last known:"), jump(heard.next, "Known again:")));
  }

  function alarmsCard(found) {
    if (!found.alarms.length) return null;
    return card("alarms", here.at ? "Alarms active then" : "Active alarms", { count: `${found.alarms.length}${found.alarms_cut ? "+" : ""}` },
      h("ul", { class: "alarms" }, bySeverity(found.alarms).map((alarm) => h("li", {}, h("span", {}, severity(alarm.severity)),
        h("div", {}, alarm.message, h("span", { class: "soft" }, `${alarm.kind} · since ${exact(alarm.since)}${alarm.flapping ? ` · comes and goes, ${alarm.count} times` : ""}`), h("span", { class: "soft" }, `→ ${alarm.remedy}`))))));
  }

  function pesCard(found) {
    const state = (pe) => !pe.neighbor ? (pe.expected === "required" ? tag("bad", "missing") : tag("", "absent")) : pe.expected === "unexpected" ? tag("bad", "unexpected") : tag("good", "here");
    const rows = found.pes.map((pe) => ({
      current: here.pe === pe.pe,
      cells: [h("button", { class: "text", "data-key": `pe ${pe.pe}`, "aria-pressed": null, onclick: () => go({ pe: here.pe === pe.pe ? null : pe.pe }) }, pe.name ?? pe.pe),
        [h("span", { class: "mono" }, pe.neighbor?.address ?? "–"), pe.name ? h("div", { class: "soft mono" }, pe.pe) : null],
        [state(pe), pe.neighbor?.designated_router ? [" ", tag("blue", "DR")] : null],
        pe.neighbor ? ago(pe.neighbor.since, reference()) : "–",
        pe.neighbor?.hold_time_s !== undefined ? `${pe.neighbor.hold_time_s} s` : "–",
        pe.neighbor?.generation_id !== undefined ? pe.neighbor.generation_id.toString(16).padStart(8, "0") : "–"],
    }));
    return card("pes", "PEs", { count: found.pes.filter((pe) => pe.neighbor).length }, rows.length
      ? table("PEs", [{ title: "PE" }, { title: "On the MDT" }, { title: "State" }, { title: "Here for", number: true }, { title: "Hold time", number: true }, { title: "Generation", mono: true }], rows)
      : h("p", { class: "empty" }, "No PE takes part."));
  }

  function groupsCard(found) {
    const rows = found.groups.map((group) => ({
      current: chosen() === group.group,
      cells: [h("button", { class: "text mono", "data-key": `group ${group.group}`, onclick: () => go({ group: group.group }) }, group.group),
        group.sources, group.wanted_by, group.data_mdts || "–", group.expected === false ? tag("bad", "unexpected") : ""],
    }));
    return card("groups", "Customer groups", { count: found.groups_total > found.groups.length ? `first ${found.groups.length} of ${found.groups_total}` : found.groups_total }, rows.length
      ? table("Customer groups", [{ title: "Group" }, { title: "Sources", number: true }, { title: "Wanted by", number: true }, { title: "Data MDTs", number: true }, { title: "Note" }], rows)
      : h("p", { class: "empty" }, "No group is wanted or sent on a data MDT."));
  }

  const chosen = () => here.group ?? last?.groups[0]?.group;
  const names = () => new Map(last.pes.filter((pe) => pe.name).map((pe) => [pe.pe, pe.name]));

  async function loadTree(signal) {
    const group = chosen();
    if (!group || last.heard.listening !== "yes") return show(places.tree);
    const tree = await get(of(mvpn, "groups", group), { at: here.at }, signal);
    show(places.tree, treeCard(group, tree, names()));
  }

  async function loadPe(signal) {
    if (!here.pe || last.heard.listening !== "yes") return show(places.pe);
    const found = await get(of(mvpn, "pes", here.pe), { at: here.at }, signal);
    const name = (pe) => pe === undefined ? tag("bad", "no neighbour") : names().get(pe) ?? pe;
    const legs = (legs) => legs.map((leg) => ({ cells: [route(leg), name(leg.pe), ago(leg.since, reference())] }));
    const columns = (other) => [{ title: "Route", mono: true }, { title: other }, { title: "For", number: true }];
    const part = (title, total, list, other) => h("div", {}, h("h3", {}, title, h("span", { class: "count" }, total)), list.length ? table(title, columns(other), legs(list)) : h("p", { class: "empty" }, "Nothing."));
    show(places.pe, card("pe", `What ${names().get(here.pe) ?? here.pe} asks for, and is asked for`, { tools: h("button", { onclick: () => go({ pe: null }) }, "Close") },
      h("div", { class: "two" }, part("Asks for", found.upstream_total, found.upstream, "From"), part("Is asked for", found.downstream_total, found.downstream, "By"))));
  }

  function mappingsCard(found) {
    if (!found.mappings.length) return card("mappings", "Data MDTs", {}, h("p", { class: "empty" }, "All streams are on the default MDT."));
    return card("mappings", "Data MDTs", { count: `${found.mappings.length}${found.mappings_cut ? "+" : ""}` }, table("Data MDTs",
      [{ title: "Stream", mono: true }, { title: "Sent by" }, { title: "On data MDT", mono: true }, { title: "For", number: true }],
      found.mappings.map((of) => ({ cells: [`(${of.source}, ${of.group})`, names().get(of.pe) ?? of.pe, of.data_mdt, ago(of.since, reference())] }))));
  }

  function expectedCard(found) {
    const ought = found.expected;
    if (!ought) return card("expected", "Expected", {}, h("p", { class: "empty" }, "Nobody said what this MVPN ought to be, so nothing of it is an alarm."));
    const lists = (list) => list === undefined ? "any" : list.length ? list.join(", ") : "none";
    const wanted = found.pes.filter((pe) => pe.expected === "required");
    const missing = wanted.filter((pe) => !pe.neighbor).length;
    const strange = found.groups.filter((group) => group.expected === false).length;
    const known = found.heard.listening === "yes";
    return card("expected", "Expected and found", { note: `As the monitor was told ${words(ought.since)}.` }, h("dl", { class: "facts" },
      h("dt", {}, "PEs"), h("dd", {}, `${wanted.length} required `, known ? (missing ? tag("bad", `${missing} missing`) : tag("good", "all here")) : null),
      h("dt", {}, "Groups"), h("dd", { class: "mono" }, lists(ought.groups), " ", known && strange ? tag("bad", `${strange} others`) : null),
      Object.entries(ought.sources ?? {}).map(([range, sources]) => [h("dt", {}, `Sources of ${range}`), h("dd", { class: "mono" }, lists(sources))]),
      Object.entries(ought.sites ?? {}).map(([pe, may]) => [h("dt", {}, `Sites behind ${pe}`), h("dd", { class: "mono" }, `send ${lists(may.send)}; receive ${lists(may.receive)}`)]),
      ought.data_mdt_pool ? [h("dt", {}, "Data MDTs"), h("dd", { class: "mono" }, lists(ought.data_mdt_pool))] : null,
      ought.data_mdt_groups ? [h("dt", {}, "Groups on them"), h("dd", { class: "mono" }, lists(ought.data_mdt_groups))] : null));
  }

  return {
    render(now) {
      here = now;
      history.render(here);
      return load();
    },
    news(heard) {
      const mine = ["hello", "time", `state ${mvpn}`, `alarms ${mvpn}`].some((topic) => heard.has(topic));
      if (heard.has(`state ${mvpn}`) || heard.has("hello") || heard.has("time")) history.news(here);
      // A moment of the past does not change.
      if (mine && !here.at) return load();
      if (heard.has(`results ${mvpn}`) && !here.at) return pairs.load(here);
    },
    stop() {
      asking?.abort();
      history.stop();
    },
  };
}

/** The worst first; those alike in the order in which they were raised. */
function bySeverity(alarms) {
  const order = ["critical", "major", "minor", "warning"];
  return [...alarms].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

/** A route as PIM writes it. */
export function route(of) {
  return of.route === "shared" ? `(*, ${of.group})` : of.route === "rpt" ? `(${of.source}, ${of.group}, rpt)` : `(${of.source}, ${of.group})`;
}
