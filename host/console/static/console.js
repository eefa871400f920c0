// The console's behaviour. Pages work without it; nothing here is inline, so `script-src 'self'` holds.
const root = document.documentElement;
const EVERY_MS = 5000, OLD_MS = 15000, RETRY_MAX_MS = 30000;
const cookie = (name) => document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.split("=")[1];
const press = (selector, act) => document.querySelectorAll(selector).forEach((one) => one.addEventListener("click", (event) => act(one, event)));
const say = (text) => { const box = document.querySelector("#said"); if (box) box.textContent = text; };

press("[data-theme-switch]", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `cordbox-theme=${root.dataset.theme}; path=/console; max-age=31536000; samesite=lax; secure`;
});
press(".burger", (button) => {
  const open = document.querySelector(".side").classList.toggle("open");
  button.setAttribute("aria-expanded", String(open));
});
press("[data-opens]", (button) => document.getElementById(button.dataset.opens).showModal());
press("[data-closes]", (button) => button.closest("dialog").close());
document.querySelector("[data-first]")?.focus();
if (innerWidth < 640) document.querySelectorAll("details[data-narrow]").forEach((one) => { one.open = true; });

// Keys of one letter: only outside of fields, and they can be switched off
const off = document.querySelector("[data-keys-off]");
if (off) {
  off.checked = localStorage.getItem("cordbox-keys") === "off";
  off.addEventListener("change", () => localStorage.setItem("cordbox-keys", off.checked ? "off" : "on"));
}
let went = false;
addEventListener("keydown", (event) => {
  if (off?.checked || event.target.matches("input, textarea, select") || event.metaKey || event.ctrlKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "/") { event.preventDefault(); document.querySelector(".search input")?.focus(); return; }
  if (event.key === "?") { document.querySelector("#keys")?.showModal(); return; }
  const place = went && document.querySelector(`.side [data-key="${CSS.escape(event.key)}"]`);
  if (place) { location.href = place.href; return; }
  went = event.key === "g";
  const rows = [...document.querySelectorAll(".rows tbody .name a")];
  const at = rows.indexOf(document.activeElement);
  if (event.key === "j") rows[Math.min(at + 1, rows.length - 1)]?.focus();
  if (event.key === "x") document.activeElement.closest("tr")?.querySelector(".pick input")?.click();
  if (event.key === "k") rows[Math.max(at - 1, 0)]?.focus();
});

// Chosen rows: what is done with them shows itself once there are some
const picks = () => [...document.querySelectorAll(".pick input")];
function chosen() {
  const bar = document.querySelector("#chosen");
  if (!bar) return;
  const count = picks().filter((box) => box.checked).length;
  bar.hidden = count === 0;
  bar.querySelector("[data-chosen]").textContent = `${count} chosen`;
}
document.addEventListener("change", (event) => { if (event.target.matches(".pick input")) chosen(); });
addEventListener("pageshow", chosen);

// Live parts: each is asked again with its ETag. A list is not moved under the pointer: it says that it changed.
const parts = [...document.querySelectorAll("[data-part]")].map((box) => ({ box, tag: null, first: true }));
const mark = document.querySelector("[data-live]");
let heard = Date.now(), wait = EVERY_MS, lost = null, timer = null, asking = false;

function url(part) {
  const there = new URL(location.href);
  there.searchParams.set("part", part.box.dataset.part);
  there.searchParams.delete("done");
  there.searchParams.delete("undo");
  return there;
}
function isUsed(box) {
  return box.contains(document.activeElement) || box.matches(":hover") || !(getSelection()?.isCollapsed ?? true);
}
function take(part, html) {
  const picked = new Set(picks().filter((box) => box.checked).map((box) => box.value));
  const open = [...part.box.querySelectorAll("details")].map((one) => one.open);
  part.box.innerHTML = html;
  part.box.querySelectorAll("details").forEach((one, n) => { one.open = open[n] ?? one.open; });
  picks().forEach((box) => { box.checked = picked.has(box.value); });
  chosen();
}
function announce(part, html) {
  part.held = html;
  if (part.box.querySelector(".newer")) return;
  const line = document.createElement("p");
  line.className = "newer";
  line.append("The list has changed. ");
  const button = document.createElement("button");
  button.type = "button"; button.className = "btn small"; button.textContent = "Show the changes";
  button.addEventListener("click", () => { take(part, part.held); say("The list is current"); });
  line.append(button);
  part.box.prepend(line);
  say("The list has changed");
}
async function ask(part) {
  const headers = part.tag ? { "If-None-Match": part.tag } : {};
  const answer = await fetch(url(part), { headers, cache: "no-store", redirect: "error" });
  if (answer.status === 304) return;
  if (answer.status === 401) throw new Error("sign-in");
  if (!answer.ok) throw new Error("starting");
  const html = await answer.text();
  const first = part.first && part.box.hasAttribute("data-list");
  part.tag = answer.headers.get("ETag"); part.first = false;
  if (first) return;
  if (part.box.hasAttribute("data-list")) announce(part, html);
  else if (!isUsed(part.box)) take(part, html);
  else part.tag = null;
}
async function round() {
  clearTimeout(timer);
  if (document.hidden || asking || !parts.length) return;
  asking = true;
  try {
    for (const part of parts) await ask(part);
    heard = Date.now(); lost = null; wait = EVERY_MS;
  } catch (error) {
    lost = error.message;
    wait = wait === EVERY_MS ? 1000 : Math.min(wait * 2, RETRY_MAX_MS);
  }
  asking = false;
  show();
  timer = setTimeout(round, lost ? wait * (0.85 + Math.random() * 0.3) : EVERY_MS);
}
function show() {
  if (!mark || !parts.length) return;
  const age = Math.max(Math.round((Date.now() - heard) / 1000), 0);
  const old = Date.now() - heard > OLD_MS;
  mark.hidden = false;
  mark.classList.toggle("stale", lost !== null || old);
  root.classList.toggle("old", old);
  const why = lost === "sign-in" ? "Signed out: sign in again" : lost === "starting" ? `The host is starting, ${age} s old` : `Lost ${age} s ago`;
  mark.querySelector("span").textContent = lost === null ? `Live, ${age} s ago` : why;
  document.querySelectorAll("main form button").forEach((button) => { if (old) button.setAttribute("disabled", ""); });
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) round(); });
addEventListener("online", round);
if (parts.length) { show(); setInterval(show, 1000); timer = setTimeout(round, EVERY_MS); }
