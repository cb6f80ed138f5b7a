// A browser for the tests: reads commands as lines of JSON, prints the result of each as one.
//
//   {"op": "open", "url": ..., "width": ..., "scheme": ...}   a new page, the only one
//   {"op": "wait", "selector": ..., "text": ..., "ms": ...}   until an element contains the text
//   {"op": "sleep"}, {"op": "wake", "ms": ...}                timers stop, and the clock jumps
//   {"op": "report"}                                          what the page has logged and asked for

const readline = require("node:readline");
const { chromium } = require("playwright-core");

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];

let browser;
let page;
let seen;

const operations = {
  async open({ url, width = 1280, height = 860, scheme = "light", motion = "no-preference", sleeps = false }) {
    await page?.close();
    page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme, reducedMotion: motion });
    if (sleeps) await page.clock.install();
    seen = { console: [], requests: [] };
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.console.push(message.text()));
    page.on("pageerror", (error) => seen.console.push(String(error)));
    page.on("request", (request) => seen.requests.push(request.url()));
    const response = await page.goto(url);
    return response.status();
  },
  async wait({ selector, text = "", ms = 5000 }) {
    await page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: ms });
  },
  async click({ selector, nth = 0 }) {
    await page.locator(selector).nth(nth).click({ timeout: 5000 });
  },
  async fill({ selector, value }) {
    await page.locator(selector).fill(value);
  },
  async press({ key }) {
    await page.keyboard.press(key);
  },
  // The lid is closed: no timer runs. When it is opened, the time has jumped.
  async sleep() {
    await page.clock.pauseAt(await page.evaluate("Date.now() + 1000"));
  },
  async wake({ ms }) {
    await page.clock.fastForward(ms);
    await page.clock.resume();
  },
  async text({ selector }) {
    return page.locator(selector).first().textContent();
  },
  async count({ selector }) {
    return page.locator(selector).count();
  },
  async evaluate({ code }) {
    return page.evaluate(code);
  },
  async screenshot({ path, whole = false }) {
    await page.screenshot({ path, fullPage: whole });
  },
  async report() {
    return seen;
  },
};

async function main() {
  browser = await chromium.launch({ executablePath: process.argv[2], args: FLAGS });
  console.log(JSON.stringify({ result: "ready" }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { op, ...options } = JSON.parse(line);
    try {
      console.log(JSON.stringify({ result: (await operations[op](options)) ?? null }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
  await browser.close();
}

main();
