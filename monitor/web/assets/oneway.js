// One-way losses of the monitor's tunnels: each way with its estimate, its interval, and what is to be doubted.

import { get } from "./api.js";
import { card, h, table, tag } from "./dom.js";
import { share, words } from "./time.js";

const COLUMNS = [{ title: "Measurement" }, { title: "Way" }, { title: "Loss", number: true }, { title: "Interval", number: true }, { title: "Probes", number: true }, { title: "As of" }];
const RUNNING = "probing";

/** The measurements; nothing for whoever may not see them. */
export async function askOneways() {
  try {
    return (await get("oneway")).oneways;
  } catch (error) {
    if (error.status === 403) return [];
    throw error;
  }
}

export function onewayCard(oneways) {
  if (!oneways.length) return null;
  return card("oneway", "One-way loss", { count: oneways.length, note: "Of the monitor's own ways to and from routers, inferred from copies that part on the way. What measurements found last." },
    table("One-way loss", COLUMNS, oneways.flatMap(rows)), oneways.map(doubts));
}

function rows(of) {
  const state = of.state === RUNNING ? tag("good", of.state) : of.state === "failed" ? tag("bad", of.state) : tag("", of.state);
  const name = [of.name, " ", state, of.doubts.length ? [" ", tag("warn", "doubtful")] : null];
  if (!of.ways.length) return [{ cells: [name, h("span", { class: "soft" }, of.refused ?? "nothing is known yet"), "–", "–", "–", "–"] }];
  return ["up", "down", "leaf"].flatMap((direction) => of.ways.filter((way) => way.direction === direction)).map((way, place) => ({
    cells: [place ? null : name, `${way.direction} ${way.path}`, share(way.loss), `${share(way.low)} to ${share(way.high)}`, place ? null : of.probes, place ? null : words(of.at)],
  }));
}

function doubts(of) {
  const said = [...of.doubts, of.ways.length && of.refused].filter(Boolean);
  return said.length ? h("p", { class: "soft" }, h("strong", {}, of.name), ": ", said.join("; ")) : null;
}
