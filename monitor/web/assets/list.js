// All MVPNs, and how they are.

import { get } from "./api.js";
import { card, h, severity, show, table, tag } from "./dom.js";
import { askOneways, onewayCard } from "./oneway.js";
import { ago, words } from "./time.js";

export function listView(main, go, follow) {
  let stopped = false;

  async function load() {
    try {
      const [{ mvpns }, { tasks }, oneways] = await Promise.all([get("mvpns"), get("tasks"), askOneways()]);
      if (!stopped) draw(mvpns, tasks, oneways);
    } catch (error) {
      if (error.status === 401) throw error;
      if (!stopped) show(main, h("p", { class: "notice bad", role: "alert" }, error.message, ": ", error.remedy));
    }
  }

  function draw(mvpns, tasks, oneways) {
    const known = new Set(mvpns.map((of) => of.mvpn));
    const others = tasks.filter((task) => !known.has(task.task));
    show(main,
      h("h1", {}, "MVPNs"),
      mvpns.length
        ? h("ul", { class: "mvpns" }, mvpns.map((of) => h("li", {}, mvpnCard(of, follow))))
        : h("p", { class: "empty" }, "No MVPN is or was listened to: `vmscope mvpn add NAME --default-mdt GROUP --watch TUNNEL` begins."),
      others.length ? card("tasks", "Tasks of no MVPN", { count: others.length }, table("Tasks",
        [{ title: "Task" }, { title: "Group", mono: true }, { title: "Last started" }, { title: "State" }],
        others.map((task) => ({ cells: [h("a", { href: `/?mvpn=${encodeURIComponent(task.task)}`, onclick: follow }, task.task), task.group, words(task.latest), task.running ? tag("good", "running") : "over"] })))) : null,
      onewayCard(oneways));
  }

  return {
    render: load,
    news: load,
    stop() { stopped = true; },
  };
}

function mvpnCard(of, follow) {
  const alarms = Object.entries(of.alarms).filter(([, count]) => count > 0);
  const worst = alarms.some(([word]) => word === "critical" || word === "major") ? "bad" : alarms.length ? "warn" : "";
  const missing = of.pes_missing ? tag("bad", `${of.pes_missing} missing`) : null;
  return h("article", { class: `card ${of.watched ? worst : "unwatched"}` },
    h("a", { href: `/?mvpn=${encodeURIComponent(of.mvpn)}`, onclick: follow, "data-key": `mvpn ${of.mvpn}` }, of.mvpn),
    h("p", { class: "row" }, of.watched ? (alarms.length ? alarms.map(([word, count]) => severityCount(word, count)) : tag("good", "no alarms")) : tag("", "nobody listens now")),
    h("dl", { class: "facts" },
      h("dt", {}, "PEs"), h("dd", {}, of.watched ? [`${of.pes} `, missing] : "not known"),
      h("dt", {}, "Last change"), h("dd", {}, of.changed ? `${ago(of.changed, Date.now())} ago` : "none"),
      h("dt", {}, "Known since"), h("dd", {}, words(of.first)),
      of.watched ? null : [h("dt", {}, "Known until"), h("dd", {}, words(of.last))]));
}

function severityCount(word, count) {
  const shown = severity(word);
  shown.prepend(`${count} `);
  return shown;
}
