// Moments and lengths of time. Moments are texts of the interface, exact to the nanosecond; numbers are milliseconds.

/** Milliseconds since 1970 of a moment. */
export function ms(moment) {
  // Dates take no more than milliseconds.
  return Date.parse(moment.replace(/(\.\d{3})\d+/, "$1"));
}

/** A moment of so many milliseconds since 1970. */
export function moment(milliseconds) {
  return new Date(Math.round(milliseconds)).toISOString();
}

/** A moment for people: UTC, as routers' logs have it. */
export function words(at) {
  const text = new Date(ms(at)).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/** The same to the millisecond. */
export function exact(at) {
  const text = new Date(ms(at)).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 23)} UTC`;
}

/** A length of time for people. */
export function span(milliseconds) {
  const parts = [[86400e3, "d"], [3600e3, "h"], [60e3, "min"], [1e3, "s"]];
  const at = parts.findIndex(([unit]) => milliseconds >= unit);
  if (at < 0) return "0 s";
  const whole = Math.floor(milliseconds / parts[at][0]);
  const rest = at + 1 < parts.length ? Math.floor((milliseconds % parts[at][0]) / parts[at + 1][0]) : 0;
  return `${whole} ${parts[at][1]}${rest ? ` ${rest} ${parts[at + 1][1]}` : ""}`;
}

/** How long before another moment something was. */
export function ago(at, reference) {
  return span(Math.max(0, reference - ms(at)));
}

/** Ticks for an axis: a handful of round moments between two. */
export function ticks(from, until, count) {
  const steps = [1e3, 5e3, 15e3, 60e3, 300e3, 900e3, 3600e3, 3 * 3600e3, 6 * 3600e3, 12 * 3600e3, 86400e3, 7 * 86400e3, 30 * 86400e3, 90 * 86400e3];
  const step = steps.find((of) => (until - from) / of <= count) ?? 365 * 86400e3;
  const found = [];
  for (let at = Math.ceil(from / step) * step; at < until; at += step) {
    const text = new Date(at).toISOString();
    found.push({ at, label: step >= 86400e3 ? text.slice(0, 10) : step < 60e3 ? text.slice(11, 19) : at % 86400e3 === 0 ? text.slice(5, 10) : text.slice(11, 16) });
  }
  return found;
}

/** A share of packets, in percent. */
export function share(value) {
  const percent = value * 100;
  return `${percent === 0 ? "0" : percent < 0.1 ? percent.toPrecision(2) : percent.toFixed(2)} %`;
}
