// Building the page. Text only ever enters it as text, whatever it says.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** An element of HTML. */
export function h(name, properties, ...children) {
  return fill(document.createElement(name), properties, children);
}

/** An element of SVG. */
export function s(name, properties, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

/**
 * Puts these in place of what an element holds, unless they are the same: what has not changed must not be taken away under
 * a pointer that is about to click. So whatever a listener of theirs does must follow from what they show. Keeps the focus
 * where it was, if its element has come again.
 */
export function show(element, ...children) {
  const next = element.cloneNode(false);
  next.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (next.isEqualNode(element)) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset?.key : undefined;
  element.replaceChildren(...next.childNodes);
  if (focused) [...element.querySelectorAll("[data-key]")].find((of) => of.dataset.key === focused)?.focus({ preventScroll: true });
}

/** A card with a heading. */
export function card(id, title, { count, tools, note } = {}, ...body) {
  return h("section", { class: "card", id, "aria-labelledby": `${id}-title` },
    h("header", {}, h("h2", { id: `${id}-title` }, title, count === undefined ? null : h("span", { class: "count" }, count)), tools),
    note ? h("p", { class: "soft" }, note) : null, body);
}

/** A table; cells are text or nodes, columns `{title, number, mono}`. */
export function table(caption, columns, rows) {
  const kind = (column) => [column.number && "number", column.mono && "mono"].filter(Boolean).join(" ") || null;
  return h("div", { class: "scroll" }, h("table", { "aria-label": caption },
    h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "number" : null }, column.title)))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.pick ? "pick" : null, "aria-current": row.current ? "true" : null, onclick: row.pick },
      row.cells.map((cell, place) => h("td", { class: kind(columns[place]) }, cell)))))));
}

/** A word with a colour that says how it is. */
export function tag(kind, ...words) {
  return h("span", { class: `tag ${kind}` }, words);
}

const SEVERITIES = { critical: "bad", major: "bad", minor: "warn", warning: "warn" };

/** How bad an alarm is. */
export function severity(word) {
  return tag(SEVERITIES[word] ?? "", word);
}
