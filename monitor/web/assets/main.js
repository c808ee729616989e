// Which view is shown, who looks, and what is new. The address of the page holds all of it, so that it can be passed on.

import { get, logIn, logOut } from "./api.js";
import { h, show } from "./dom.js";
import { listView } from "./list.js";
import { mvpnView } from "./mvpn.js";

const main = document.getElementById("main");
const trail = document.getElementById("trail");
const link = document.getElementById("link");
const visitorPlace = document.getElementById("visitor");

/** News come in bursts: they are looked at together. */
const TOGETHER_MS = 250;
/** Even without news, things become older. */
const AGAIN_MS = 15_000;

let view = null;
let events = null;
let timer = null;
const waiting = new Set();

function place() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** Goes to another place: what is undefined in it stays, what is null goes. */
function go(changes, { replace = false } = {}) {
  const now = { ...place() };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete now[name];
    else if (value !== undefined) now[name] = value;
  }
  const text = new URLSearchParams(now).toString();
  const address = text ? `/?${text}` : "/";
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  render();
}

function render() {
  const here = place();
  const mvpn = here.mvpn;
  const wanted = mvpn ? `mvpn ${mvpn}` : "list";
  document.title = mvpn ? `${mvpn} · vmscope` : "vmscope";
  show(trail, mvpn ? [h("a", { href: "/", onclick: follow }, "MVPNs"), " / ", h("strong", {}, mvpn)] : [h("strong", {}, "MVPNs")]);
  if (view?.name !== wanted) {
    view?.stop();
    view = mvpn ? mvpnView(main, mvpn, go) : listView(main, go, follow);
    view.name = wanted;
    main.scrollIntoView?.({ block: "start" });
  }
  view.render(here);
}

/** A link within the page, without loading it anew. */
function follow(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const address = event.currentTarget.getAttribute("href");
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  render();
}

function listen() {
  events = new EventSource("/api/v1/events");
  const state = (word, text) => {
    link.dataset.state = word;
    link.textContent = text;
  };
  state("wait", "connecting");
  events.addEventListener("open", () => state("live", "connected"));
  events.addEventListener("error", () => {
    state("broken", "connection lost, tried again");
    // A browser gives up where it was refused: the session may be over.
    if (events.readyState === EventSource.CLOSED) setTimeout(begin, 3000);
  });
  events.addEventListener("hello", () => news({ topic: "hello" }));
  for (const topic of ["state", "alarms", "results"]) {
    events.addEventListener(topic, (event) => news({ topic, name: JSON.parse(event.data).name }));
  }
}

function news({ topic, name }) {
  waiting.add(name === undefined ? topic : `${topic} ${name}`);
  timer ??= setTimeout(() => {
    timer = null;
    const heard = new Set(waiting);
    waiting.clear();
    view?.news(heard);
  }, TOGETHER_MS);
}

function loginView(problem) {
  view?.stop();
  view = null;
  events?.close();
  link.textContent = "";
  show(trail);
  const field = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "login-problem" });
  const said = h("p", { id: "login-problem", class: "soft", role: "alert" }, problem ?? "");
  const submit = async (event) => {
    event.preventDefault();
    try {
      await logIn(field.value);
      await begin();
    } catch (error) {
      said.textContent = error.status === 401 ? "This token is not known here, or it has expired." : error.message;
      field.select();
    }
  };
  main.replaceChildren(h("form", { class: "card login", onsubmit: submit },
    h("h1", {}, "Log in"), h("p", { class: "soft" }, "Your provider has given you a token. It shows your MVPNs, and nobody else's."),
    h("label", { for: "token" }, "Token"), field, h("button", { class: "primary", type: "submit" }, "Log in"), said));
  field.focus();
}

async function begin() {
  events?.close();
  let visitor;
  try {
    visitor = await get("session");
  } catch (error) {
    show(main, h("p", { class: "notice bad", role: "alert" }, error.message, ": ", error.remedy));
    setTimeout(begin, 5000);
    return;
  }
  if (!visitor.known) {
    show(visitorPlace);
    loginView();
    return;
  }
  const leave = async () => {
    await logOut().catch(() => {});
    begin();
  };
  show(visitorPlace, visitor.needs_token ? [`${visitor.label} `, h("button", { class: "text", onclick: leave }, "Log out")] : null);
  listen();
  render();
}

addEventListener("popstate", render);
// A refused question means that the session is over.
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.status === 401) {
    event.preventDefault();
    begin();
  }
});
setInterval(() => {
  if (view && document.visibilityState === "visible") view.news(new Set(["time"]));
}, AGAIN_MS);
begin();
