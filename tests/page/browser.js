// A real browser for the stories told in this folder: what it must never do is watched throughout.
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { createInterface } = require("node:readline");
const { chromium } = require("playwright-core");

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const answers = createInterface({ input: process.stdin });
const lines = answers[Symbol.asyncIterator]();

/** Has whoever started this program do something to the bridge, and waits until that is done. */
async function ask(what) {
  console.log(what);
  assert.equal((await lines.next()).value, "done");
}

/** The sizes and schemes that the page has to be good at. */
const LOOKS = [
  { name: "desktop-light", width: 1280, height: 800, colorScheme: "light" },
  { name: "desktop-dark", width: 1280, height: 800, colorScheme: "dark" },
  { name: "phone-light", width: 360, height: 740, colorScheme: "light" },
  { name: "phone-dark", width: 360, height: 740, colorScheme: "dark" },
];

/** Tells `story(page, tools)` in a browser at `url`; arguments: executable, url, folder for screenshots, canaries … */
async function tell(story) {
  const [executablePath, url, screenshots, ...canaries] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath });
  const complaints = [];
  const tools = { url, canaries, browser, ask, offline: false };
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    // A bridge that is away is no fault of the page.
    const complain = (what) => tools.offline || complaints.push(what);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complain(message.text()));
    page.on("pageerror", (error) => complain(String(error)));
    page.on("request", (request) => new URL(request.url()).origin === new URL(url).origin || complain(`external: ${request.url()}`));

    tools.look = async (name) => {
      for (const { name: look, width, height, colorScheme } of LOOKS) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: `${screenshots}/${name}-${look}.png`, fullPage: width < 1000 });
        const { scrollWidth, clientWidth } = await page.evaluate(() => document.documentElement);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wide, 0, `${name} ${look}: scrolls sideways (${scrollWidth} of ${clientWidth})`);
        // Not by evaluating text in the page: its policy forbids that, as it should.
        const result = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
        assert.deepEqual(result.violations.map((v) => [v.id, v.nodes.map((n) => `${n.html} ${n.failureSummary}`)]), [], `${name} ${look}`);
        assert(result.passes.length > 15, "the rules were looked at");
      }
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.emulateMedia({ colorScheme: "light" });
      const markup = await page.content();
      for (const canary of canaries) assert(!markup.includes(canary), `${canary} is on the page`);
    };
    await page.addInitScript(axe);
    await story(page, tools);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
    answers.close();
  }
}

module.exports = { tell, assert };
