// Stories of the console in a real browser: run by test_console_browser.py, one JSON line for each.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const given = JSON.parse(process.argv[2]);
const require = createRequire(`${given.modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const { base, node, request, checksum, newer } = given;

const browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const noise = [];

async function context(options = {}) {
  const made = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: base, viewport: { width: 1280, height: 900 }, ...options });
  made.on("console", (message) => { if (["error", "warning"].includes(message.type())) noise.push(`${message.page()?.url()}: ${message.text()}`); });
  made.setDefaultTimeout(15000);
  return made;
}
async function signedIn(options = {}) {
  const made = await context(options);
  const page = await made.newPage();
  page.on("pageerror", (error) => noise.push(String(error)));
  await page.goto("/console/sign-in");
  await page.getByLabel("Login name").fill(given.login);
  await page.getByLabel("Password").fill(given.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/console");
  return page;
}
function expect(condition, words) {
  if (!condition) throw new Error(words);
}
const PAGES = [
  "", "/nodes", `/nodes/${node}`, "/flows", `/flows/${node}/${request}`, "/dead-letters", "/dead-letters?discarded=true", "/log", "/packages",
  `/packages/${checksum}`, `/packages/${newer}?against=${checksum}`, "/networks", `/networks/${node}`, "/ledger", `/ledger/${node}`, `/search?q=${request}`,
  `/nodes/${node}/quota`, `/nodes/${node}/maintenance`, `/nodes/${node}/upgrade`, `/nodes/${node}/move`,
  "/people", "/people/admin", "/settings", "/settings/corda.rbac", "/nodes?q=no-such-node", "/nodes/0123456789AB",
];
let shared;

const STORIES = {
  async "sign-in is refused, then done"() {
    const made = await context();
    const page = await made.newPage();
    await page.goto("/console/flows");
    expect(page.url().includes("/sign-in?next="), page.url());
    await page.getByLabel("Login name").fill(given.login);
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("wrong").waitFor();
    await page.waitForTimeout(1100);
    await page.getByLabel("Login name").fill(given.login);
    await page.getByLabel("Password").fill(given.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL("**/console/flows");
    await made.close();
    noise.length = 0; // a browser reports the answer 401
  },
  async "no page scrolls sideways"() {
    const page = shared;
    const wide = [];
    for (const path of PAGES) {
      await page.goto(`/console${path}`);
      for (const width of [360, 860, 1280, 1920]) {
        await page.setViewportSize({ width, height: 900 });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) wide.push(`${path} at ${width}: ${over} px`);
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    expect(!wide.length, wide.join("; "));
  },
  async "axe finds nothing"() {
    const found = [];
    for (const [width, scheme] of [[1280, "light"], [390, "dark"]]) {
      const page = shared;
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: scheme });
      for (const path of PAGES) {
        await page.goto(`/console${path}`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
        for (const v of violations) found.push(`${path} at ${width}: ${v.id} ${v.nodes.slice(0, 2).map((n) => n.html.slice(0, 120)).join(" | ")}`);
      }
      await page.goto("/console");
      if (width > 860) {
        await page.getByRole("button", { name: "Keys" }).click();
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => axe.run(document.querySelector("#keys")));
        for (const v of violations) found.push(`keys: ${v.id}`);
      }
    }
    await shared.emulateMedia({ colorScheme: "light" });
    await shared.setViewportSize({ width: 1280, height: 900 });
    expect(!found.length, found.join("; "));
  },
  async "by keyboard alone"() {
    const page = shared;
    await page.goto("/console");
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement.className) === "skip", "the skip link comes first");
    await page.keyboard.press("?");
    expect(await page.locator("#keys").evaluate((d) => d.open), "? shows the keys");
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type(request);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/search?q=*");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/flows/${node}/${request}`);
    await page.keyboard.press("g");
    await page.keyboard.press("n");
    await page.waitForURL("**/console/nodes");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/nodes/*`);
    await page.goto(`/console/nodes/${node}/maintenance`);
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/nodes/${node}`);
    expect(await page.getByText("Active", { exact: true }).count() > 0, "Enter does not destroy");
  },
  async "each action, with its question"() {
    const page = shared;
    await page.goto(`/console/nodes/${node}`);
    await page.getByRole("link", { name: "Set quota" }).click();
    await page.getByLabel("flowsOpenMax").fill("55");
    await page.getByRole("button", { name: "Set quota" }).click();
    await page.getByText("The quota is set").waitFor();
    await page.getByRole("link", { name: "Start a flow" }).click();
    await page.getByLabel("Argument, JSON").fill('{"name": "x"}');
    const started = await page.getByLabel("Client request id").inputValue();
    await page.getByRole("button", { name: "Start 1 flow" }).click();
    await page.waitForURL(`**/${started}?done=started`);
    await page.goto(`/console/nodes/${node}`);
    await page.getByRole("link", { name: "Maintenance" }).click();
    await page.getByLabel(`Type ${node} to confirm`).fill(node);
    await page.getByRole("button", { name: "Put into maintenance" }).click();
    await page.getByText("The node is in maintenance.").waitFor();
    await page.getByRole("button", { name: "Make active" }).click();
    await page.getByText("The node is active.").waitFor();
    await page.goto(`/console/flows/${node}/${request}`);
    expect(await page.getByRole("button", { name: "Kill…" }).isDisabled(), "an ended flow is not killed");
    await page.getByRole("link", { name: "Show the result" }).click();
    await page.getByRole("heading", { name: "Result" }).waitFor();
  },
  async "all of it without a script"() {
    const page = await signedIn({ javaScriptEnabled: false });
    for (const path of PAGES) {
      const answer = await page.goto(`/console${path}`);
      expect([200, 404].includes(answer.status()), `${path}: ${answer.status()}`);
    }
    await page.goto(`/console/nodes/${node}/quota`);
    await page.getByLabel("flowsOpenMax").fill("");
    await page.getByRole("button", { name: "Set quota" }).click();
    await page.getByText("The quota is set").waitFor();
    await page.goto("/console/nodes");
    await page.getByPlaceholder("Name has").fill("Alice");
    await page.getByRole("button", { name: "Filter" }).click();
    await page.waitForURL("**/nodes?q=Alice");
    await page.locator(".who-menu summary").click();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.waitForURL("**/sign-in");
    await page.context().close();
  },
  async "live parts change, lists only say so, and a lost host is told"() {
    const page = await signedIn();
    await page.clock.install();
    await page.goto("/console/flows");
    await page.clock.runFor(6000);
    await page.waitForTimeout(600);
    const answer = await page.request.post(`/api/v5_3/flow/${node}`, {
      headers: { authorization: `Basic ${Buffer.from(`${given.login}:${given.password}`).toString("base64")}` },
      data: { clientRequestId: `live-${Date.now()}`, flowClassName: "demo.Any", requestBody: {} },
    });
    expect(answer.status() === 202, `start: ${answer.status()}`);
    await page.waitForTimeout(1500);
    const rows = await page.locator("tbody tr").count();
    await page.clock.runFor(6000);
    await page.getByText("The list has changed.").waitFor();
    expect(await page.locator("tbody tr").count() === rows, "the rows stay");
    await page.getByRole("button", { name: "Show the changes" }).click();
    expect(await page.locator("tbody tr").count() > rows, "the new row is there");
    await page.context().setOffline(true);
    await page.clock.runFor(6000);
    await page.locator(".live.stale").waitFor();
    await page.clock.runFor(20000);
    expect(await page.evaluate(() => document.documentElement.classList.contains("old")), "numbers are pale");
    await page.context().setOffline(false);
    await page.clock.runFor(31000);
    await page.waitForTimeout(600);
    await page.clock.runFor(6000);
    await page.locator(".live:not(.stale)").waitFor();
    await page.context().close();
    noise.length = 0; // a browser reports requests that fail
  },
  async "the browser has nothing to complain about"() {
    const page = shared;
    for (const path of PAGES.slice(0, -1)) await page.goto(`/console${path}`);
    expect(!noise.length, noise.slice(0, 5).join("; "));
  },
};

for (const [name, story] of Object.entries(STORIES)) {
  if (given.only && !name.includes(given.only)) continue;
  const begun = Date.now();
  let problem = "";
  try {
    shared ??= name.startsWith("sign-in") ? undefined : await signedIn();
    await story();
  } catch (error) {
    problem = String(error.stack ?? error).slice(0, 3000);
  }
  console.log(JSON.stringify({ name, problem, seconds: (Date.now() - begun) / 1000 }));
}
await browser.close();
