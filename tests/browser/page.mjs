// What a person does with the status page, in Chromium: sees a break and a heal without a reload, by keyboard, on a phone, in the dark.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { launch, require } from "./chromium.mjs";
import { terminal } from "./terminal.mjs";

const { DAEMON, FIRST, SECOND, PICTURES, STATUS, COLUMNS } = process.env;
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await launch();
const reader = await browser.newContext({ viewport: { width: 1200, height: 900 }, colorScheme: "light" });
reader.setDefaultTimeout(40e3);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const stage = async wish => { console.log("@" + wish); await lines.next(); };

const faults = [];
let mayFail = false;
async function watched(page) {
  page.on("request", request => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== DAEMON) faults.push("a request to " + url);
  });
  page.on("console", message => { if (message.type() === "error" && !mayFail) faults.push("console: " + message.text()); });
  page.on("pageerror", error => faults.push("script: " + error));
  await page.exposeFunction("violated", text => faults.push("policy: " + text));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", event => window.violated(event.violatedDirective + " " + event.blockedURI)));
  return page;
}
const fresh = async () => watched(await reader.newPage());
const headline = (page, text) => page.locator("#headline", { hasText: text }).waitFor();
const live = (page, text) => page.locator("#live", { hasText: text }).waitFor();

let passed = 0;
async function test(name, run) {
  const before = Date.now();
  await run();
  assert.deepEqual(faults, []);
  passed += 1;
  console.log(`ok ${passed} - ${name} (${((Date.now() - before) / 1000).toFixed(1)} s)`);
}

/** What axe-core finds serious, in light and in dark, with everything opened. */
async function accessible(page) {
  await page.evaluate(() => { for (const one of document.querySelectorAll("details")) one.open = true; });
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate(`${axe}; axe.run(document)`);
    const bad = found.violations.filter(one => ["serious", "critical"].includes(one.impact));
    assert.deepEqual(bad.map(one => `${colorScheme}: ${one.id}: ${one.nodes.map(node => node.html + " " + node.failureSummary).slice(0, 3).join("; ")}`), []);
    assert.ok(found.passes.length > 10, "axe has looked");
  }
}

/** The keyboard gets to everything that can be used. */
async function keyboard(page) {
  const all = await page.evaluate(() => [...document.querySelectorAll("a[href], summary, [tabindex='0']")].filter(one => one.checkVisibility()).map(one => one.id));
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  const reached = new Set();
  for (let step = 0; step < all.length + 5; step += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const one = document.activeElement, style = getComputedStyle(one);
      return { id: one.id, shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
    });
    if (at.id) assert.ok(at.shown, `the focus on ${at.id} is visible`);
    reached.add(at.id);
  }
  assert.deepEqual(all.filter(id => !reached.has(id)), [], "not reached");
}

async function pictures() {
  const shot = (page, name) => page.screenshot({ path: join(PICTURES, name), animations: "disabled" });
  const page = await fresh();
  const goes = async (wish, text) => { await stage(wish); await headline(page, text); };
  mayFail = true;
  await page.goto(DAEMON + "/");
  await headline(page, "HEALTHY");
  await goes("break", "DEGRADED");
  // By then both ends have said so.
  await page.locator(".incident").first().waitFor();
  await goes("mend", "HEALTHY");
  await stage("remember");
  await live(page, ". Live");
  await headline(page, "HEALTHY");
  await goes("break", "DEGRADED");
  await page.locator(".incident").first().waitFor();
  await goes("break the other", "DOWN");
  await page.locator(".incident h3", { hasText: "outage" }).waitFor();
  await page.locator(".cause", { hasText: "Do first" }).first().waitFor();
  await page.locator(".strip .words", { hasText: "down since" }).nth(3).waitFor();
  const [connection, cause] = [`#${FIRST}`, `#${FIRST} .cause`];
  for (const [name, colorScheme, width, last] of [["light", "light", 1080, connection], ["dark", "dark", 1080, connection], ["phone", "light", 360, cause]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    // Nothing is cut in its middle.
    const height = await page.locator(last).first().evaluate(one => Math.ceil(one.getBoundingClientRect().bottom + scrollY) + 10);
    await page.setViewportSize({ width, height });
    await shot(page, `page-${name}.png`);
  }
  await stage("status");
  await terminal(browser, readFileSync(STATUS, "utf8"), Number(COLUMNS), join(PICTURES, "terminal.png"));
}

async function story() {
  const page = await fresh();
  await test("the page says that all is well", async () => {
    const answer = await page.goto(DAEMON + "/");
    assert.equal(answer.status(), 200);
    await headline(page, "HEALTHY: 2 connections, 4 tunnels");
    await live(page, "Live");
    assert.match(await page.title(), /^HEALTHY: milan-1/);
    assert.ok((await answer.body()).length <= 60_000);
  });
  await test("axe-core finds nothing serious while all is well", () => accessible(page));
  await test("a tunnel that is named like a script is shown and does nothing", async () => {
    await page.goto(`${DAEMON}/vpn/${SECOND}`);
    await page.locator("h4", { hasText: "<script>window.pwned=1</script>" }).waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    await accessible(page);
    await page.goto(DAEMON + "/");
  });
  await test("a break is shown without a reload, and the reader keeps his place", async () => {
    await headline(page, "HEALTHY");
    await page.evaluate(() => { window.mark = 1; });
    const open = page.locator(`#${SECOND} details`).first();
    await open.locator("summary").focus();
    await page.keyboard.press("Enter");
    const before = await page.evaluate(() => ({ id: document.activeElement.id, y: scrollY }));
    await stage("break");
    await headline(page, "DEGRADED: Milan DC, primary");
    await page.locator(".incident h3", { hasText: "redundancy lost" }).waitFor();
    await page.locator(".cause", { hasText: "Do first" }).first().waitFor();
    const after = await page.evaluate(() => ({ id: document.activeElement.id, y: scrollY }));
    assert.equal(after.id, before.id);
    assert.ok(await open.evaluate(one => one.open), "what was open is open");
    assert.equal(await page.evaluate(() => window.mark), 1, "no reload");
    assert.match(await page.title(), /^DEGRADED: milan-1/);
  });
  await test("the strips have the break at both ends", async () => {
    await page.goto(`${DAEMON}/vpn/${FIRST}`);
    await headline(page, "DEGRADED");
    await page.locator(".strip rect.down").nth(1).waitFor({ state: "attached" });
    assert.match(await page.locator(".strip .words").first().textContent(), /down/);
  });
  await test("axe-core finds nothing serious in trouble", async () => {
    await accessible(page);
    await page.goto(DAEMON + "/");
    await accessible(page);
  });
  await test("the keyboard reaches everything", async () => {
    await page.goto(DAEMON + "/");
    await keyboard(page);
    await page.goto(`${DAEMON}/vpn/${FIRST}`);
    await keyboard(page);
  });
  await test("at 360 pixels nothing is cut off", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const path of ["/", `/vpn/${FIRST}`]) {
      await page.goto(DAEMON + path);
      await page.evaluate(() => { for (const one of document.querySelectorAll("details")) one.open = true; });
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360, path);
    }
    await page.setViewportSize({ width: 1200, height: 900 });
  });
  await test("that nothing gets through any more is shown without a reload, and how it came about", async () => {
    await page.goto(DAEMON + "/");
    await headline(page, "DEGRADED");
    await page.evaluate(() => { window.mark = 2; });
    await stage("break the other");
    await headline(page, "DOWN: Milan DC, primary");
    await page.locator(".incident h3", { hasText: "outage" }).waitFor();
    assert.match(await page.title(), /^DOWN: milan-1/);
    assert.equal(await page.evaluate(() => window.mark), 2, "no reload");
    await accessible(page);
  });
  await test("a heal is shown without a reload", async () => {
    await stage("mend");
    await headline(page, "HEALTHY");
    assert.equal(await page.evaluate(() => window.mark), 2, "no reload");
  });
  await test("a lost connection is said, and found again", async () => {
    mayFail = true;
    await stage("stop");
    await live(page, "Not live since");
    await stage("start");
    await live(page, ". Live");
    await headline(page, "HEALTHY");
    assert.equal(await page.evaluate(() => window.mark), 2, "no reload");
    mayFail = false;
  });
  await test("without JavaScript the page can be read, and loads itself again", async () => {
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const bare = await plain.newPage();
    const answer = await bare.goto(DAEMON + "/");
    assert.match(await answer.text(), /<noscript><meta http-equiv="refresh" content="30"><\/noscript>/);
    await headline(bare, "HEALTHY");
    assert.match(await bare.locator("#live").innerText(), /loads itself again every 30 s/);
    await plain.close();
  });
}

try {
  await (PICTURES ? pictures() : story());
  if (!PICTURES) console.log(`${passed} passed, 0 failed`);
} catch (error) {
  console.log(`not ok - ${error.stack}`);
  for (const fault of faults) console.log("  " + fault);
  console.log(`${passed} passed, 1 failed`);
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
