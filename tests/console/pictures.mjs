// Takes pictures of the console, and compares each with the one that is kept: run by appearance.py, one JSON line each.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, writeFileSync, existsSync } from "node:fs";

const given = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${given.modules}/`);
const { chromium } = require("playwright-core");
// Of a picture the mean colour of each square is compared: how a machine smooths the edges of letters does not count.
const SIDE = 8;

const fonts = {};
for (const [name, path] of Object.entries(given.fonts)) fonts[name] = readFileSync(require.resolve(path)).toString("base64");
const browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage", ...given.flags] });
const context = await browser.newContext({ bypassCSP: true, reducedMotion: "reduce", locale: "en-GB", timezoneId: "UTC" });
const page = await context.newPage();
await page.clock.setFixedTime(given.now);
const workshop = await context.newPage();
await workshop.evaluate(() => {
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  window.pixels = async (text) => {
    const image = await createImageBitmap(new Blob([bytes(text)], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height), drawn = canvas.getContext("2d");
    drawn.drawImage(image, 0, 0);
    return drawn.getImageData(0, 0, image.width, image.height);
  };
  // The picture with one pixel for each square, of the mean colour.
  window.means = ({ data, width, height }, side) => {
    const wide = Math.ceil(width / side), high = Math.ceil(height / side), found = new ImageData(wide, high);
    for (let y = 0; y < high; y++) for (let x = 0; x < wide; x++) {
      const sums = [0, 0, 0, 0];
      let count = 0;
      for (let v = y * side; v < Math.min((y + 1) * side, height); v++) for (let u = x * side; u < Math.min((x + 1) * side, width); u++, count++)
        for (let c = 0; c < 4; c++) sums[c] += data[4 * (v * width + u) + c];
      for (let c = 0; c < 4; c++) found.data[4 * (y * wide + x) + c] = sums[c] / count;
    }
    return found;
  };
  window.png = async (image) => {
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").putImageData(image, 0, 0);
    const whole = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
    return btoa(Array.from(whole, (one) => String.fromCharCode(one)).join(""));
  };
});
const small = (picture) => workshop.evaluate(async ([text, side]) => png(means(await pixels(text), side)), [picture.toString("base64"), SIDE]);
const difference = (one, other) => workshop.evaluate(async ([a, b, most]) => {
  const [one, other] = [await pixels(a), await pixels(b)];
  if (one.width !== other.width || one.height !== other.height) return { share: 1, furthest: 255, rows: [] };
  let count = 0, furthest = 0;
  const rows = new Set();
  for (let at = 0; at < one.data.length; at += 4) {
    const far = Math.max(...[0, 1, 2].map((c) => Math.abs(one.data[at + c] - other.data[at + c])));
    furthest = Math.max(furthest, far);
    if (far > most) { count++; rows.add(Math.floor(at / 4 / one.width)); }
  }
  return { share: count / (one.width * one.height), furthest, rows: [...rows].slice(0, 8) };
}, [one, other, far]);
const none = { share: 1, furthest: 255, rows: [] };
const kept = (name) => `${given.kept}/${name}.png`;
const besides = async (means, name) => (existsSync(kept(name)) ? difference(means, readFileSync(kept(name)).toString("base64")) : none);

// Another release of the browser may draw edges and letters a little otherwise.
const release = browser.version().split(".")[0], noted = `${given.kept}/chromium.txt`;
if (given.keeps) writeFileSync(noted, `${release}\n`);
const { far, shareMax } = existsSync(noted) && readFileSync(noted, "utf8").trim() === release ? given.same : given.other;

for (const { name, path, width, scheme } of given.shots) {
  await page.setViewportSize({ width, height: 860 });
  await page.emulateMedia({ colorScheme: scheme });
  await page.goto(`${given.base}/console${path}`);
  await page.evaluate(async (fonts) => {
    for (const [name, text] of Object.entries(fonts)) {
      const face = new FontFace(`Of ${name}`, Uint8Array.from(atob(text), (one) => one.charCodeAt(0)), { weight: name === "sans" ? "100 900" : "400" });
      document.fonts.add(await face.load());
      document.documentElement.style.setProperty(`--${name}`, `"Of ${name}"`);
    }
  }, fonts);
  await page.evaluate(() => document.fonts.ready);
  const taken = await page.screenshot({ animations: "disabled" });
  const means = await small(taken);
  if (given.documents?.[name]) writeFileSync(given.documents[name], taken);
  if (given.keeps) writeFileSync(kept(name), Buffer.from(means, "base64"));
  const found = await besides(means, name);
  if (found.share > shareMax && given.failures) {
    mkdirSync(given.failures, { recursive: true });
    writeFileSync(`${given.failures}/${name}.png`, taken);
  }
  console.log(JSON.stringify({ name, shareMax, ...found }));
  for (const [change, content] of Object.entries(given.changes?.[name] ?? {})) {
    const style = await page.addStyleTag({ content });
    const changed = await difference(await small(await page.screenshot({ animations: "disabled" })), means);
    await style.evaluate((element) => element.remove());
    console.log(JSON.stringify({ name: change, shareMax, ...changed }));
  }
}
for (const [name, path] of Object.entries(given.files ?? {})) {
  console.log(JSON.stringify({ name: path, shareMax, ...(await besides(await small(readFileSync(path)), name)) }));
}
await browser.close();
