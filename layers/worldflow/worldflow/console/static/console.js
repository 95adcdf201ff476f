// What the pages do without the server: times in the viewer's zone, keys, saved views, confirmations.
"use strict";
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
function ago(moment) {
  const seconds = (moment - Date.now()) / 1000;
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || units[3];
  return relative.format(Math.round(seconds / size), unit);
}
function localTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    element.textContent = ago(moment);
    element.title = moment.toLocaleString();
  }
}
function select() {
  const boxes = [...document.querySelectorAll("#many input[name=run]")];
  const chosen = boxes.filter((box) => box.checked).length;
  const said = document.getElementById("selected");
  if (said) said.textContent = chosen ? `${chosen} selected` : "";
}
const KEY = "worldflow-views";
function savedViews() {
  const list = document.getElementById("views"), save = document.getElementById("save-view");
  if (!list || !save) return;
  const views = JSON.parse(localStorage.getItem(KEY) || "{}");
  list.replaceChildren();
  for (const [name, query] of Object.entries(views)) {
    const item = document.createElement("li"), link = document.createElement("a"), drop = document.createElement("button");
    link.href = `?${query}`;
    link.textContent = name;
    drop.className = "plain";
    drop.textContent = "×";
    drop.setAttribute("aria-label", `Delete the view ${name}`);
    drop.onclick = () => { delete views[name]; localStorage.setItem(KEY, JSON.stringify(views)); savedViews(); };
    item.append(link, " ", drop);
    list.append(item);
  }
  list.hidden = !list.children.length;
  save.hidden = !location.search;
  save.onclick = () => {
    const name = prompt("Name of this view");
    if (name) { views[name] = location.search.slice(1); localStorage.setItem(KEY, JSON.stringify(views)); savedViews(); }
  };
}
document.addEventListener("change", (event) => {
  if (event.target.id === "all") for (const box of document.querySelectorAll("#many input[name=run]")) box.checked = event.target.checked;
  select();
});
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!found) return;
  event.preventDefault();
  found.tagName === "A" ? found.click() : found.focus();
});
function zoom(event) {
  const bars = event.target.closest(".bars");
  if (!bars || event.button) return;
  const box = bars.getBoundingClientRect(), { begin, end } = bars.closest(".timeline").dataset;
  const at = (x) => Number(begin) + ((x - box.left) / box.width) * (end - begin);
  const from = event.clientX;
  document.addEventListener("pointerup", (up) => {
    if (Math.abs(up.clientX - from) < 5) return;
    const [first, last] = [at(from), at(up.clientX)].sort((a, b) => a - b);
    location.search = `?zoom=${first.toFixed(6)}-${last.toFixed(6)}`;
  }, { once: true });
}
document.addEventListener("pointerdown", zoom);
// A page that refreshes itself leaves a form alone that is being filled in, and keeps what is open and has the focus.
function isBusy(target) {
  return target.querySelector("details.act[open]") || (target.contains(document.activeElement) && document.activeElement.matches("input, textarea, select"));
}
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target.id === "body" && isBusy(event.detail.target)) event.preventDefault();
});
function pathOf(element) {
  const href = element.getAttribute("href");
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (href) return `${element.tagName}[href="${CSS.escape(href)}"]`;
  return element.tagName === "SUMMARY" && element.closest("[id] > details") === element.parentElement ? `#${CSS.escape(element.parentElement.parentElement.id)} > details > summary` : null;
}
let opened = [], focused = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "body") return;
  if (isBusy(event.detail.target)) { event.detail.shouldSwap = false; return; }
  opened = [...event.detail.target.querySelectorAll("[id] > details[open]")].map((each) => each.parentElement.id);
  focused = event.detail.target.contains(document.activeElement) ? pathOf(document.activeElement) : null;
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened) { const found = document.querySelector(`#${CSS.escape(id)} > details`); if (found) found.open = true; }
  if (focused) document.querySelector(`#body ${focused}`)?.focus({ preventScroll: true });
  opened = []; focused = null;
});
// A browser has six connections to a host: a tab that nobody looks at gives up the one on which it hears of changes.
document.addEventListener("visibilitychange", () => {
  const run = document.querySelector("#run[sse-connect]"), body = document.querySelector("#body[hx-trigger]");
  if (!run || !body) return;
  htmx.trigger(run, document.hidden ? "htmx:beforeCleanupElement" : "htmx:afterProcessNode");
  if (!document.hidden) { htmx.trigger(body, "htmx:afterProcessNode"); htmx.trigger(body, "sse:changed"); }
});
// A page that follows a stream keeps its newest rows: the link above them leads to the rest.
function prune() {
  const stream = document.querySelector(".stream[data-rows]"), earlier = document.getElementById("earlier");
  const most = Number(stream?.dataset.rows), rows = stream ? [...stream.querySelectorAll("[data-offset]")] : [];
  if (!stream || rows.length <= most) return;
  for (const row of rows.slice(0, -most)) row.remove();
  const link = new URL(earlier.href);
  link.searchParams.set("after", Math.max(0, rows.at(-most).dataset.offset - 1 - most));
  earlier.href = link;
  earlier.hidden = false;
}
function ready(root) { localTimes(root); savedViews(); select(); }
document.addEventListener("DOMContentLoaded", () => ready(document));
document.addEventListener("htmx:afterSettle", () => { prune(); ready(document); });
setInterval(() => localTimes(document), 10000);
