// The tree of a customer's group: who sends, on which MDT, and who wants it.

import { card, h, s, table, tag } from "./dom.js";
import { route } from "./mvpn.js";
import { words } from "./time.js";

const BOX_W = 190, BOX_H = 46, GAP = 14, WIDTH = 860, ROWS_MAX = 24;

export function treeCard(group, tree, names) {
  const name = (pe) => pe === undefined ? "not a neighbour" : names.get(pe) ?? pe;
  const rows = tree.wanters.map((wanter) => ({ cells: [name(wanter.pe), route({ ...wanter, group }), wanter.upstream_pe === undefined ? [wanter.upstream, " ", tag("bad", "no neighbour")] : name(wanter.upstream_pe), words(wanter.since)] }));
  const few = tree.senders.length <= ROWS_MAX && receivers(tree).length <= ROWS_MAX;
  return card("tree", `Tree of ${group}`, { count: `${tree.wanters_total} wanted` },
    tree.senders.length === 0 ? h("p", { class: "empty" }, "Nobody sends or wants this group.")
      : few ? h("div", { class: "tree scroll" }, picture(group, tree, name))
        : h("p", { class: "empty" }, "Too many PEs for a picture: the table has them."),
    rows.length ? h("details", {}, h("summary", {}, "As a table"), table(`Who wants ${group}`, [{ title: "PE" }, { title: "Wants", mono: true }, { title: "From" }, { title: "Since" }], rows)) : null);
}

function receivers(tree) {
  return [...new Set(tree.wanters.map((wanter) => wanter.pe))];
}

/** Senders at the left, the MDTs that they use in the middle, who wants it at the right. */
function picture(group, tree, name) {
  const mdts = [...new Set(tree.senders.map((sender) => sender.data_mdt ?? ""))].sort();
  const wanting = receivers(tree);
  const most = Math.max(tree.senders.length, mdts.length, wanting.length, 1);
  const height = most * (BOX_H + GAP) + GAP;
  const y = (at, count) => (height - count * (BOX_H + GAP) + GAP) / 2 + at * (BOX_H + GAP);
  const columns = [0, (WIDTH - BOX_W) / 2, WIDTH - BOX_W].map((x) => x + (x === 0 ? 1 : x > WIDTH / 2 ? -1 : 0));
  const edges = [], boxes = [];
  const edge = (x1, y1, x2, y2, data) => edges.push(s("path", { class: data ? "edge data" : "edge", d: `M${x1} ${y1}C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}` }));
  const box = (x, top, kind, first, second) => boxes.push(s("g", {}, s("rect", { class: kind, x, y: top, width: BOX_W, height: BOX_H, rx: 8 }),
    s("text", { x: x + BOX_W / 2, y: top + 19, "text-anchor": "middle" }, first), s("text", { class: "small", x: x + BOX_W / 2, y: top + 35, "text-anchor": "middle" }, second)));
  tree.senders.forEach((sender, at) => {
    const top = y(at, tree.senders.length);
    box(columns[0], top, sender.pe === undefined ? "lost" : "sender", name(sender.pe), sender.source ? `source ${sender.source}` : "shared tree, RP behind it");
    const mdt = mdts.indexOf(sender.data_mdt ?? "");
    edge(columns[0] + BOX_W, top + BOX_H / 2, columns[1], y(mdt, mdts.length) + BOX_H / 2, sender.data_mdt);
  });
  mdts.forEach((mdt, at) => box(columns[1], y(at, mdts.length), "mdt", mdt ? "data MDT" : "default MDT", mdt || group));
  wanting.forEach((pe, at) => {
    const top = y(at, wanting.length);
    const wants = tree.wanters.filter((wanter) => wanter.pe === pe);
    box(columns[2], top, "wanter", name(pe), wants.length === 1 ? (wants[0].source ? `wants (${wants[0].source}, G)` : "wants (*, G)") : `wants ${wants.length} routes`);
    const used = new Set(wants.flatMap((wanter) => tree.senders.filter((sender) => sender.pe === wanter.upstream_pe && sender.source === wanter.source).map((sender) => sender.data_mdt ?? "")));
    for (const mdt of used) edge(columns[1] + BOX_W, y(mdts.indexOf(mdt), mdts.length) + BOX_H / 2, columns[2], top + BOX_H / 2, mdt);
  });
  return s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `${tree.senders.length} senders of ${group}, ${wanting.length} PEs that want it` }, edges, boxes);
}
