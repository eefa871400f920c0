// Sign-in by an identity provider in a real browser: run by test_console_sign_in.py, one JSON line for each story.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const given = JSON.parse(process.argv[2]);
const require = createRequire(`${given.modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const complaints = [];

async function opened(options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: given.base, ...options });
  context.setDefaultTimeout(15000);
  const page = await context.newPage();
  // The answer 403 is reported, too; pages of the provider are not ours.
  page.on("console", (message) => { if (message.location().url.startsWith(given.base) && /Content Security|Mixed/.test(message.text())) complaints.push(message.text()); });
  return page;
}
function expect(condition, words) {
  if (!condition) throw new Error(words);
}
const provider = (page) => page.getByRole("link", { name: "Sign in by Example" });
const ours = (page) => page.waitForURL((url) => url.href.startsWith(given.base) && !url.pathname.endsWith("/sign-in/start"));
async function logIn(page, name) {
  await page.locator('input[name="login"]').fill(name);
  await page.locator('input[name="password"]').fill("any");
  await page.locator('button[type="submit"]').click();
}
const agree = (page) => page.locator('button[type="submit"]').click();
async function signedIn(page, name, path = "/console") {
  await page.goto(path);
  await provider(page).click();
  await logIn(page, name);
  await agree(page);
  await ours(page);
}
const cookies = async (page) => Object.fromEntries((await page.context().cookies(given.base)).map((each) => [each.name, each]));

const STORIES = {
  async "from a page to the provider and back to that page"() {
    const page = await opened();
    await signedIn(page, "olga", "/console/packages?after=");
    expect(page.url() === `${given.base}/console/packages?after=`, page.url());
    expect(await page.getByText("olga").count() > 0, "the name stands on the page");
    const kept = await cookies(page);
    expect(Object.keys(kept).join() === "__Host-cordbox", Object.keys(kept).join());
    const { httpOnly, secure, sameSite } = kept["__Host-cordbox"];
    expect(httpOnly && secure && sameSite === "Lax", JSON.stringify(kept));
    await page.goto("/console/people");
    expect(await page.getByText("Not shown to you").count() > 0, "the group's rights, and no more");
  },
  async "signed out here, and in again without a password, as the provider has it"() {
    const page = await opened();
    await signedIn(page, "olga");
    await page.locator(".who-menu summary").click();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.waitForURL("**/console/sign-in");
    await page.goBack();
    await page.waitForURL("**/console/sign-in*");
    await page.goto("/console/nodes?wanted=hurting");
    await provider(page).click();
    await page.waitForURL("**/console/nodes?wanted=hurting");
  },
  async "all of it without a script"() {
    const page = await opened({ javaScriptEnabled: false });
    await signedIn(page, "olga", "/console/flows");
    expect(page.url() === `${given.base}/console/flows`, page.url());
  },
  async "whoever turns back at the provider is told so, and may try again"() {
    const page = await opened();
    await page.goto("/console/sign-in");
    await provider(page).click();
    await page.getByText("Cancel").or(page.getByText("Abort")).click();
    await ours(page);
    await page.getByRole("alert").waitFor();
    expect(!(await cookies(page))["__Host-cordbox"], "nobody is signed in");
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run(document));
    expect(!violations.length, violations.map((each) => each.id).join());
    await provider(page).click();
    await logIn(page, "olga");
    await agree(page);
    await page.waitForURL("**/console");
  },
  async "a user whom the cluster does not know is told so"() {
    const page = await opened();
    await signedIn(page, "zoe");
    await page.getByRole("alert").getByText("does not exist").waitFor();
    expect(Object.keys(await cookies(page)).length === 0, "nothing is kept");
  },
  async "an answer serves in the browser that asked, once"() {
    const page = await opened(), thief = await opened();
    let answer = "";
    page.on("request", (request) => { if (request.url().includes("/sign-in/callback")) answer = request.url(); });
    await signedIn(page, "olga");
    const stolen = await thief.goto(answer);
    expect(stolen.status() === 403, `${stolen.status()}`);
    const again = await page.goto(answer);
    expect(again.status() === 403, `${again.status()}`);
  },
  async "the browser has nothing to complain about"() {
    expect(!complaints.length, complaints.join("; "));
  },
};

for (const [name, story] of Object.entries(STORIES)) {
  let problem = "";
  try {
    await story();
  } catch (error) {
    problem = String(error.stack ?? error).slice(0, 3000);
  }
  for (const context of browser.contexts()) await context.close();
  console.log(JSON.stringify({ name, problem }));
}
await browser.close();
