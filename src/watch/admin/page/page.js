// Hears /status/stream and draws it. Every word goes in as text, never as markup. A row that stays keeps its elements, so
// that focus, selection and an open <details> outlive the next second.
"use strict";

const STEP = 50;
const SHOWN_MAX = 500;
/** The stream speaks once a second. */
const SILENCE_MAX_MS = 6000;
const RETRY_MS = 2000;
const TYPING_MS = 200;

const LEVELS = { alarm: "Act now", warn: "Look", ok: "Well" };
const PHASES = {
  starting: "Starting",
  polling: "Polling",
  listening: "Listening",
  delivering: "Delivering",
  backing_off: "Trying again",
  waiting: "Not ready",
  misconfigured: "Misconfigured",
  parked: "Dead letters refused",
  stopped: "Stopped",
};
const FORECASTS = {
  uncertain: "may not be reached in time",
  too_late: "will not all be reached in time",
};

const $ = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");
const rate = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
const clock = (date) => date.toLocaleTimeString("en-GB");
const capital = (text) => text && text[0].toUpperCase() + text.slice(1);
const kinds = (text) => text.replaceAll("_", " ");

/** "45 s", "12 min", "3 h 20 min", "2 d 3 h" */
function span(seconds) {
  const [s, m, h, d] = [seconds, seconds / 60, seconds / 3600, seconds / 86400].map((x) => Math.max(0, Math.floor(x)));
  if (m < 1) return `${s} s`;
  if (h < 1) return `${m} min`;
  if (d < 1 || h === 24) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
  return h % 24 ? `${d} d ${h % 24} h` : `${d} d`;
}

// --- Drawing: an element is touched only where it changes, or screen readers and selections would never rest. ---

function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A line through the counts, scaled to the largest, over its area. */
function spark(holder, counts) {
  const [step, height] = [2, 20];
  const most = Math.max(1, ...counts);
  const line = `M${counts.map((count, at) => `${at * step} ${(height - (count / most) * height).toFixed(1)}`).join("L")}`;
  const width = (counts.length - 1) * step;
  if (!holder.firstChild) {
    const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
    const svg = make("svg");
    svg.setAttribute("viewBox", `0 -1 ${width} ${height + 2}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(make("path"), make("path"));
    holder.append(svg);
  }
  const [area, edge] = holder.firstChild.children;
  if (edge.getAttribute("d") === line) return;
  area.setAttribute("d", `${line}L${width} ${height}L0 ${height}Z`);
  edge.setAttribute("d", line);
}

/** How much of the 24 hours is used up. The words beside it say the same. */
function bar(holder, age, level, limits) {
  const percent = (seconds) => `${Math.min(100, (seconds / limits.retention_seconds) * 100)}%`;
  if (!holder.firstChild) {
    holder.className = "bar";
    holder.setAttribute("aria-hidden", "true");
    holder.append(make("i"), make("u"), make("u"));
  }
  const [fill, warn, alarm] = holder.children;
  mark(holder, "level", level);
  fill.style.width = age > 0 ? `max(3px, ${percent(age)})` : "0";
  warn.style.left = percent(limits.warn_seconds);
  alarm.style.left = percent(limits.alarm_seconds);
}

function lossLevel(age, limits) {
  return age >= limits.alarm_seconds ? "alarm" : age >= limits.warn_seconds ? "warn" : "ok";
}

// --- The instances ---

const rows = new Map();
const COLUMNS = ["State", "Events a second", "Oldest in queue", "Waiting", "Settled", "Last event", "Last error"];

function newRow(instance) {
  const cell = (name) => make("td", { role: "cell", "data-name": name });
  const [state, rates, age, waiting, settled, event, error] = COLUMNS.map(cell);
  const row = { state, rates, age, waiting, settled, event, error };
  row.badge = make("span", { class: "badge" });
  row.phase = make("div", { class: "more" });
  state.append(row.badge, row.phase);
  row.rate = make("span", { class: "rate" });
  row.spark = make("span", { class: "spark" });
  rates.append(row.rate, row.spark);
  row.ageText = make("span");
  row.bar = make("span");
  age.append(row.ageText, row.bar);
  row.waitingText = make("span");
  row.waitingMore = make("div", { class: "more" });
  waiting.append(row.waitingText, row.waitingMore);
  row.eventText = make("span");
  row.eventMore = make("div", { class: "more" });
  event.append(row.eventText, row.eventMore);
  // In trouble the error stands below, at full width; otherwise it is there for who asks.
  row.errorText = make("span");
  row.summary = make("summary");
  row.errorPast = make("p");
  row.details = make("details", { class: "more" }, row.summary, row.errorPast);
  error.append(row.errorText, row.details);
  waiting.className = settled.className = "number";
  const name = make("th", { role: "rowheader", scope: "row" }, String(instance));
  const main = make("tr", { role: "row", class: "main" }, name, state, rates, age, waiting, settled, event, error);
  row.message = make("p");
  row.advice = make("p");
  const td = make("td", { role: "cell", colspan: "8" }, row.message, row.advice);
  row.fix = make("tr", { role: "row", class: "fix" }, td);
  row.body = make("tbody", { role: "rowgroup", "data-instance": instance }, main, row.fix);
  return row;
}

function drawRow(row, view, now, limits) {
  const ago = (time) => `${span((now - Date.parse(time)) / 1000)} ago`;
  const well = view.level === "ok";
  const { last_error: error, last_event: event } = view;
  mark(row.body, "level", view.level);
  mark(row.badge, "level", view.level);
  text(row.badge, LEVELS[view.level]);
  text(row.phase, PHASES[view.phase] + (view.state && view.state !== "authorized" ? `, ${view.state}` : ""));
  text(row.rate, rate(view.drain_rate_per_second));
  spark(row.spark, view.deleted_lately);
  const age = view.head_age_seconds;
  const left = view.loss_level === "ok" ? "" : `, ${span(view.seconds_until_loss)} left`;
  // Who is called cannot ask for the oldest: it shows when it comes.
  const none = view.phase === "listening" && view.waiting !== 0 ? "not known" : "none";
  text(row.ageText, age === 0 ? none : span(age) + left);
  bar(row.bar, age, view.loss_level, limits);
  text(row.waitingText, view.waiting === undefined ? "unknown" : number(view.waiting));
  const draining = ["polling", "listening", "delivering"].includes(view.phase) && view.drain_seconds > 0;
  const drains = draining ? `done in ${span(view.drain_seconds)}` : "";
  text(row.waitingMore, view.waiting ? (FORECASTS[view.drain_forecast] ?? drains) : "");
  text(row.settled, number(view.deleted));
  text(row.eventText, event ? ago(event.received_at) : "none yet");
  text(row.eventMore, event ? kinds(event.kind) : "");
  text(row.errorText, error ? (well ? "" : `${kinds(error.class)}, ${ago(error.at)}`) : "none");
  row.details.hidden = !(error && well);
  text(row.summary, error ? `${kinds(error.class)}, ${ago(error.at)}` : "");
  text(row.errorPast, capital(error?.message ?? ""));
  text(row.message, !well && error ? capital(error.message) : "");
  text(row.advice, capital(view.advice ?? ""));
  row.message.hidden = row.message.textContent === "";
  row.advice.hidden = row.advice.textContent === "" || row.message.textContent.includes(view.advice);
  row.fix.hidden = row.message.hidden && row.advice.hidden;
}

function drawRows(status) {
  const table = document.querySelector("table");
  const focused = document.activeElement;
  const now = Date.parse(status.now);
  let before = table.tHead;
  const shown = new Set();
  for (const view of status.instances) {
    let row = rows.get(view.instance);
    if (!row) rows.set(view.instance, (row = newRow(view.instance)));
    drawRow(row, view, now, status.limits);
    if (before.nextElementSibling !== row.body) before.after(row.body);
    before = row.body;
    shown.add(view.instance);
  }
  for (const [instance, row] of rows) {
    if (shown.has(instance)) continue;
    row.body.remove();
    rows.delete(instance);
  }
  // A row that moved has lost it.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  const count = status.instances.length;
  const all = status.matched === count;
  text($("count"), all ? `${number(count)} shown` : `${number(count)} of ${number(status.matched)} shown, the worst first`);
  $("more").hidden = all || wanted.limit >= SHOWN_MAX;
  text($("more"), `Show ${Math.min(STEP, status.matched - count)} more`);
}

// --- ChatApp ---

const channels = new Map();
const CHANNEL_COLUMNS = ["State", "Last event", "Published", "Gaps", "Fetched", "Last error"];
const CHANNEL_STATES = { waiting: ["Not subscribed", "warn"], subscribed: ["Subscribed", "ok"], refused: ["Refused", "alarm"] };

function newChannel(channel) {
  const [state, event, published, gaps, fetched, error] = CHANNEL_COLUMNS.map((name) => make("td", { role: "cell", "data-name": name }));
  const badge = make("span", { class: "badge" });
  const since = make("div", { class: "more" });
  state.append(badge, since);
  published.className = fetched.className = "number";
  const name = make("th", { role: "rowheader", scope: "row" }, channel);
  const main = make("tr", { role: "row", class: "main" }, name, state, event, published, gaps, fetched, error);
  return { badge, since, event, published, gaps, fetched, error, body: make("tbody", { role: "rowgroup" }, main) };
}

function drawChannel(row, view, ago) {
  const [words, level] = CHANNEL_STATES[view.state];
  mark(row.body, "level", level);
  mark(row.badge, "level", level);
  text(row.badge, words);
  text(row.since, `for ${ago(view.since).replace(" ago", "")}`);
  const { last_event: event, last_gap: gap, last_error: error } = view;
  text(row.event, event ? `${kinds(event.kind)}, ${ago(event.received_at)}` : "none yet");
  text(row.published, number(view.published));
  text(row.gaps, gap ? `${number(view.gaps)}, the last ${ago(gap.to)} (${kinds(gap.reason)})` : "none");
  text(row.fetched, number(view.backfilled + view.reconciled) + (view.backfill_pending ? ", more to come" : ""));
  text(row.error, error ? `${capital(error.message)} (${ago(error.at)})` : "none");
}

function drawChatApp({ chatapp, now }) {
  $("chatapp").hidden = !chatapp;
  if (!chatapp) return;
  const ago = (time) => `${span((Date.parse(now) - Date.parse(time)) / 1000)} ago`;
  const { connected_since: since, spool } = chatapp;
  const connected = since ? `Connected for ${ago(since).replace(" ago", "")}.` : `Not connected${chatapp.connection_trouble ? `: ${chatapp.connection_trouble}` : " yet"}.`;
  const waiting = spool.frames ? ` ${number(spool.frames)} on disk wait for Kafka, the oldest received ${ago(spool.oldest)}.` : " Nothing waits on disk.";
  text($("chatapp-about"), connected + waiting);
  for (const view of chatapp.channels) {
    let row = channels.get(view.channel);
    if (!row) {
      channels.set(view.channel, (row = newChannel(view.channel)));
      $("channels").append(row.body);
    }
    drawChannel(row, view, ago);
  }
}

/** What of ChatApp somebody has to know, the worst first; and how bad it is. */
function chatAppTroubles(chatapp) {
  if (!chatapp) return [[], "ok"];
  const alarms = [];
  if (chatapp.spool.condition !== "well") {
    const why = chatapp.spool.condition === "full" ? `the spool is full; mend Kafka, make room, or raise chatapp.spool_bytes_max: ${chatapp.spool.trouble}` : `the disk takes nothing: ${chatapp.spool.trouble}`;
    alarms.push(`ChatApp: nothing more is received, ${why}`);
  }
  if (chatapp.connection_trouble) alarms.push(`ChatApp: ${chatapp.connection_trouble}`);
  if (chatapp.tokens.trouble) alarms.push(`ChatApp: ${chatapp.tokens.trouble}`);
  const refused = chatapp.channels.filter(({ state }) => state === "refused").map(({ channel }) => channel);
  if (refused.length) alarms.push(`ChatApp refuses the channel ${refused.join(", ")}`);
  const waits = !chatapp.connected_since || chatapp.channels.some(({ state, backfill_pending }) => state !== "subscribed" || backfill_pending);
  return [alarms, alarms.length ? "alarm" : waits ? "warn" : "ok"];
}

// --- Everything above the instances ---

function draw(status) {
  const { totals, limits, kafka, config, schema_registry: registry } = status;
  const now = Date.parse(status.now);
  const all = totals.alarm + totals.warn + totals.ok;
  text($("about"), `${status.version}, up ${span(status.uptime_seconds)}`);
  drawVerdict(status, all);

  text($("rate"), rate(totals.drain_rate_per_second));
  spark($("rates"), totals.deleted_lately);
  const oldest = totals.oldest_head_age_seconds;
  text($("oldest"), oldest === 0 ? "none" : span(oldest));
  mark($("oldest"), "level", lossLevel(oldest, limits));
  bar($("oldest-bar"), oldest, lossLevel(oldest, limits), limits);
  text($("waiting"), totals.waiting_unknown === all && all > 0 ? "unknown" : number(totals.waiting));
  const unknown = totals.waiting_unknown;
  text($("waiting-more"), `${number(totals.deleted)} settled since the start` + (unknown && unknown < all ? `; unknown for ${number(unknown)}` : ""));
  text($("kafka"), kafka.usable ? "takes records" : kafka.away_seconds === undefined ? "takes nothing" : "away");
  mark($("kafka"), "level", kafka.usable ? "ok" : "alarm");
  text($("kafka-more"), kafka.away_seconds === undefined ? "" : `for ${span(kafka.away_seconds)}`);
  $("registry-tile").hidden = !registry;
  if (registry) {
    text($("registry"), registry.registered ? "schemas registered" : "not yet");
    mark($("registry"), "level", registry.registered ? "ok" : "alarm");
  }
  text($("config"), config.refused ? "new one refused" : `no. ${config.generation}`);
  mark($("config"), "level", config.refused ? "warn" : "ok");
  text($("config-more"), `${config.refused ? `no. ${config.generation}, ` : ""}read ${span((now - Date.parse(config.read_at)) / 1000)} ago`);

  const counts = { "": all, ...totals };
  for (const button of document.querySelectorAll("[data-level] > b")) {
    text(button, number(counts[button.parentElement.dataset.level]));
  }
  drawRows(status);
  $("instances-part").hidden = all === 0 && Boolean(status.chatapp);
  drawChatApp(status);
  $("page").hidden = false;
}

/** The one sentence to read, and one more for each thing that concerns all instances. */
function drawVerdict({ totals, kafka, config, ready, schema_registry: registry, file_descriptors: files, chatapp }, all) {
  const troubles = [];
  if (files.exhausted) troubles.push(`File descriptors have run out, first ${span(files.exhausted_seconds)} ago: ${files.fix}.`);
  if (!kafka.usable) {
    const held = kafka.waiting_instances ? ` ${number(kafka.waiting_instances)} instances hold a notification for it.` : "";
    const heard = kafka.last_error ? ` It said: ${kafka.last_error}` : "";
    const onDisk = chatapp ? " ChatApp's events wait on disk." : "";
    troubles.push(`Kafka takes no records; nothing is lost, notifications wait at GREEN-API for up to 24 hours.${onDisk}${held}${heard}`);
  }
  if (registry?.last_error) troubles.push(`Schema registry: ${registry.last_error}`);
  if (config.refused) troubles.push(`The new configuration is refused as a whole and the one before lives on. Mend it, then reload.\n${config.refused}`);
  if (config.needs_restart_for.length) troubles.push(`Changed in the configuration, in effect after a restart: ${config.needs_restart_for.join(", ")}`);
  const [chatAppAlarms, chatAppLevel] = chatAppTroubles(chatapp);
  troubles.push(...chatAppAlarms);
  const be = (count, one, more) => `${number(count)} ${count === 1 ? one : more}`;
  const parts = [];
  if (totals.alarm) parts.push(`${be(totals.alarm, "instance needs", "instances need")} somebody now`);
  if (totals.warn) parts.push(`${be(totals.warn, "instance is", "instances are")} worth a look`);
  let sentence = parts.length ? `${parts.join(", ")}.` : all === 1 ? "The instance is well." : `All ${number(all)} instances are well.`;
  if (all === 0) sentence = chatapp ? "" : "No instances are configured.";
  if (chatapp) sentence += { ok: " ChatApp is well.", warn: " ChatApp is not complete yet.", alarm: " ChatApp needs somebody." }[chatAppLevel];
  if (!ready) sentence = `Not ready: starting, waiting for Kafka or the schema registry, or stopping. ${sentence}`;
  const bad = totals.alarm || chatAppLevel === "alarm" || !kafka.usable || registry?.registered === false || files.exhausted;
  const level = bad ? "alarm" : totals.warn || chatAppLevel === "warn" || !ready || config.refused ? "warn" : "ok";
  text($("verdict"), `${kafka.usable ? "" : "Kafka takes no records. "}${sentence}`);
  mark($("verdict"), "level", level);
  const list = $("troubles");
  while (list.children.length > troubles.length) list.lastChild.remove();
  while (list.children.length < troubles.length) list.append(make("li"));
  troubles.forEach((trouble, at) => text(list.children[at], trouble));
  document.title = totals.alarm || !kafka.usable ? `(${number(totals.alarm)}!) chatbridge` : "chatbridge";
}

// --- What is wanted, and the stream of it ---

const asked = new URLSearchParams(location.search);
const wanted = { q: asked.get("q") ?? "", level: LEVELS[asked.get("level")] ? asked.get("level") : "", limit: STEP };
let stream, retry, heardAt, lostAt, version;

function connect() {
  clearTimeout(retry);
  stream?.close();
  heardAt = Date.now();
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== ""));
  stream = new EventSource(`status/stream?${query}`);
  stream.onmessage = ({ data }) => {
    heardAt = Date.now();
    const status = JSON.parse(data);
    // Another version serves another page.
    if ((version ??= status.version) !== status.version) return location.reload();
    lostAt = undefined;
    connection("live", "live");
    draw(status);
  };
  // Not left to the browser, which gives up after some errors.
  stream.onerror = lost;
}

function lost() {
  stream.close();
  if (!lostAt && version) text($("verdict"), `When last heard: ${$("verdict").textContent}`);
  lostAt ??= new Date();
  connection("lost", `connection lost since ${clock(lostAt)}, trying again`);
  clearTimeout(retry);
  retry = setTimeout(connect, RETRY_MS);
}

function connection(is, words) {
  mark($("connection"), "is", is);
  text($("connection"), words);
  document.body.classList.toggle("lost", is === "lost");
}

function want(change) {
  Object.assign(wanted, { limit: STEP }, change);
  for (const button of document.querySelectorAll(".levels button")) {
    button.setAttribute("aria-pressed", String(button.dataset.level === wanted.level));
  }
  const query = new URLSearchParams(["q", "level"].map((key) => [key, wanted[key]]).filter(([, value]) => value !== ""));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  if (!document.hidden) connect();
}

let typing;
$("search").value = wanted.q;
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => want({ q: $("search").value.trim() }), TYPING_MS);
});
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button) want({ level: button.dataset.level });
});
$("more").addEventListener("click", () => want({ limit: Math.min(SHOWN_MAX, wanted.limit + STEP) }));
// A page that nobody looks at takes no place from one that somebody does.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(retry);
    stream?.close();
  } else connect();
});
setInterval(() => {
  if (!document.hidden && stream.readyState !== EventSource.CLOSED && Date.now() - heardAt > SILENCE_MAX_MS) lost();
}, 1000);

connection("waiting", "connecting");
want({});
