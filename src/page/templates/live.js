"use strict";
(() => {
const $ = id => document.getElementById(id);
const STALE = 45e3, FRESH = 25e3;
let shift = Date.parse($("main").dataset.now) - Date.now();
let lost = 0, heard = Date.now(), fetched = Date.now(), busy = false, again = false, source;

const now = () => Date.now() + shift;
const length = s => s < 60 ? s + " s" : s < 3600 ? (s / 60 | 0) + " min" : s < 172800 ? (s / 3600 | 0) + " h" : (s / 86400 | 0) + " days";
const ago = at => {
  const s = Math.floor((now() - at) / 1000);
  return s < 0 ? "in " + length(-s) : length(s) + " ago";
};
const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };

function tick() {
  for (const time of document.querySelectorAll("time"))
    set(time.querySelector(".ago"), "(" + ago(Date.parse(time.dateTime)) + ")");
  if (!lost && Date.now() - heard > STALE) lose();
  $("live").classList.toggle("lost", !!lost);
  set($("live").querySelector(".state"), lost ? ". Not live since " + new Date(lost + shift).toISOString().slice(11, 19) + " UTC (" + length((Date.now() - lost) / 1000 | 0) + ")" : ". Live");
}
function lose() { lost = lost || Math.min(heard, Date.now()); }
function alive() { heard = Date.now(); lost = 0; }

// Makes `old` like `fresh` and keeps what need not change: focus, selection, what the reader has opened.
function morph(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  const named = new Map();
  for (const child of old.children) if (child.id) named.set(child.id, child);
  const fits = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  let place = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const known = next.id && named.get(next.id);
    if (known && known !== place && fits(known, next)) old.insertBefore(known, place);
    const node = known && fits(known, next) ? known : place;
    if (node && fits(node, next)) {
      if (node === place) place = place.nextSibling;
      if (node.nodeType === 1) morph(node, next);
      else if (node.data !== next.data) node.data = next.data;
    } else old.insertBefore(next, place);
  }
  while (place) { const gone = place; place = place.nextSibling; gone.remove(); }
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(10e3) });
    if (answer.status === 404) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [x, y, focus] = [scrollX, scrollY, document.activeElement];
    document.title = page.title;
    for (const id of ["headline", "content"]) morph($(id), page.getElementById(id));
    const at = page.querySelector("#live time");
    $("live").querySelector("time").replaceWith(at);
    Object.assign($("main").dataset, page.getElementById("main").dataset);
    if (focus && focus !== document.activeElement && focus.isConnected) focus.focus({ preventScroll: true });
    if (scrollX !== x || scrollY !== y) scrollTo({ left: x, top: y, behavior: "instant" });
    fetched = Date.now();
    shift = Date.parse($("main").dataset.now) - Date.now();
    alive();
  } catch { lose(); }
  busy = false;
  tick();
  if (again) { again = false; refresh(); }
}

function connect() {
  source = new EventSource("/events");
  source.addEventListener("version", event => { alive(); if (event.data !== $("main").dataset.version) refresh(); });
  source.addEventListener("beat", () => { alive(); if (Date.now() - fetched > FRESH) refresh(); });
  source.onerror = () => { lose(); tick(); if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5e3); };
}

setInterval(tick, 1e3);
connect();
tick();
})();
