// Asking the server.

/** What the server said was wrong, with its remedy. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "the server cannot be reached");
    this.status = status;
    this.remedy = problem.remedy ?? "check that `vmscope serve` runs; this page tries again";
  }
}

async function asked(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, {});
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  throw new Refused(response.status, await response.json().catch(() => ({})));
}

/** GET with a query; what is undefined is left out. */
export function get(path, query = {}, signal) {
  const said = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(said).toString();
  return asked(`/api/v1/${path}${text ? `?${text}` : ""}`, { signal });
}

/** The path of an MVPN, or of something of it. */
export function of(mvpn, ...more) {
  return ["mvpns", mvpn, ...more].map(encodeURIComponent).join("/");
}

export const logIn = (token) => asked("/api/v1/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
export const logOut = () => asked("/api/v1/session", { method: "DELETE" });
