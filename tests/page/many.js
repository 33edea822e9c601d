// The page of ten thousand instances: the worst first, the rest to be found, and never more than can be read.
const { tell, assert } = require("./browser.js");

tell(async (page, { url, look }) => {
  await page.goto(url);
  const bodies = page.locator("tbody");
  const count = (number) => page.waitForFunction((number) => document.querySelectorAll("tbody").length === number, number);
  await count(50);
  await page.locator("#count").filter({ hasText: "50 of 10,000 shown, the worst first" }).waitFor();
  const levels = await bodies.evaluateAll((bodies) => bodies.map((body) => body.dataset.level));
  assert.deepEqual(levels, [...levels].sort((a, b) => ["alarm", "warn", "ok"].indexOf(a) - ["alarm", "warn", "ok"].indexOf(b)));
  assert.equal(levels[0], "alarm");
  await look("many");

  await page.getByRole("button", { name: "Show 50 more" }).click();
  await count(100);
  const begun = Date.now();
  await page.getByLabel("Search").fill("1101009876");
  await count(1);
  console.error(`found among ten thousand in ${Date.now() - begun} ms`);
  assert(Date.now() - begun < 3000);
  assert.equal(await bodies.first().getAttribute("data-instance"), "1101009876");
  await page.getByLabel("Search").fill("MISCONF");
  await page.waitForFunction(() => [...document.querySelectorAll("tbody")].every((body) => body.dataset.level === "alarm"));
  await page.reload();
  await page.waitForFunction(() => document.getElementById("search").value === "MISCONF");
}).catch((error) => {
  console.error(error);
  process.exit(1);
});
