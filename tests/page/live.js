// The page of a bridge at work: it follows events, trouble, a filter, the keyboard, and a restart.
const { tell, assert } = require("./browser.js");

tell(async (page, tools) => {
  const { url, canaries, browser, ask, look } = tools;
  const [first, second] = ["1101000001", "1101000002"];
  const row = (instance) => page.locator(`tbody[data-instance="${instance}"]`);
  const cell = (instance, name) => row(instance).locator(`td[data-name="${name}"]`);
  const shows = (locator, text) => locator.filter({ hasText: text }).first().waitFor();

  const plain = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await plain.goto(url);
  assert.match(await plain.locator("main").innerText(), /needs JavaScript/);
  assert.equal(await plain.getByRole("link", { name: "/status" }).first().getAttribute("href"), "status");

  const answer = await page.goto(url);
  assert.equal(answer.status(), 200);
  await shows(page.locator("#verdict"), "All 2 instances are well.");
  assert.equal(await page.title(), "chatbridge");

  // Events flow: the page follows without being loaded again.
  await page.evaluate(() => (window.unharmed = true));
  await ask("events");
  await shows(cell(second, "Settled"), /^20$/);
  await shows(cell(second, "Last event"), "ago");
  await page.waitForFunction(() => parseFloat(document.getElementById("rate").textContent) > 0);

  // Trouble: told in words, with its fix, above everything else.
  await ask("misconfigure");
  await shows(row(first), "clear webhookUrl");
  await shows(page.locator("#verdict"), "1 instance needs somebody now.");
  assert.equal(await page.locator("#verdict").getAttribute("role"), "status");
  assert.equal(await row(first).getAttribute("data-level"), "alarm");
  assert.equal(await page.locator("tbody").first().getAttribute("data-instance"), first);
  assert.equal(await page.title(), "(1!) chatbridge");
  await look("live");

  // An instance that is called has its own words.
  await ask("push");
  await shows(cell(first, "State"), "Listening");
  await shows(cell(first, "Oldest in queue"), "not known");
  await shows(cell(first, "Waiting"), /^2$/);
  await ask("poll");
  await shows(cell(first, "State"), "Misconfigured");

  // A person without a mouse: past everything to the instances, then to a level.
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  const focus = () => page.evaluate(() => document.activeElement.textContent);
  assert.equal(await focus(), "Instances");
  await page.keyboard.press("Tab");
  assert.match(await focus(), /^All/);
  assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "solid");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await row(second).waitFor({ state: "detached" });
  assert.match(await focus(), /^Act now/, "the next seconds leave the focus alone");
  assert.equal(await page.getByRole("button", { pressed: true }).innerText(), "Act now 1");
  assert.match(page.url(), /level=alarm/);
  for (let presses = 0; presses < 3; presses += 1) await page.keyboard.press("Tab");
  await page.keyboard.type("no such thing");
  await shows(page.locator("#count"), "0 shown");
  await page.getByRole("button", { name: "All" }).click();
  await page.getByLabel("Search").fill(second);
  await row(second).waitFor();
  await row(first).waitFor({ state: "detached" });
  await page.getByLabel("Search").fill("webhook");
  await row(first).waitFor();
  await row(second).waitFor({ state: "detached" });
  await page.getByLabel("Search").fill("");
  await row(second).waitFor();

  // Mended, it is well again, and what it was is there for who asks.
  await ask("mend");
  await shows(page.locator("#verdict"), "All 2 instances are well.");
  const details = row(first).locator("summary");
  await details.focus();
  await page.keyboard.press("Enter");
  await row(first).locator("details p").filter({ hasText: "clear webhookUrl" }).waitFor();
  const heard = await page.locator("#about").innerText();
  await page.waitForFunction((heard) => document.getElementById("about").innerText !== heard, heard);
  assert.equal(await row(first).locator("details").evaluate((details) => details.open), true, "it stays open");

  // The bridge goes and comes again.
  assert.equal(await page.evaluate(() => window.unharmed), true, "never loaded again");
  assert.equal(await page.locator("#connection").innerText(), "live");
  tools.offline = true;
  await ask("stop");
  await shows(page.locator("#connection"), /connection lost since \d\d:\d\d:\d\d/);
  await shows(page.locator("#verdict"), "When last heard: All 2 instances are well.");
  await look("lost");
  await ask("start");
  await shows(page.locator("#connection"), /^live$/);
  tools.offline = false;
  await shows(page.locator("#verdict"), /^All 2 instances are well.$/);
  await shows(cell(second, "Settled"), /^0$/);

  for (const path of ["status", "status/stream"]) {
    const told = await fetch(new URL(path, url));
    const { value } = await told.body.getReader().read();
    const text = Buffer.from(value).toString();
    assert(text.includes(first) && text.includes("uptime_seconds"), path);
    for (const canary of canaries) assert(!text.includes(canary), `${canary} is in ${path}`);
  }
}).catch((error) => {
  console.error(error);
  process.exit(1);
});
