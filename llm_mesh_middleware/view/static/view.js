// The page of the view. It holds one state, the snapshot with every diff applied, and draws it.
//
//   events ──> state ──> draw, at most once a frame, and not at all while nobody can see it
//
// Text of the mesh reaches the page as text nodes alone. Nothing is asked of another origin.

const SEPARATOR = "\x1f";
const TABLES = ["hosts", "rules", "edges", "providers", "policies", "servers", "mirrors"];
const MAX_CALLS = 500;
const MAX_SECONDS = 300;
const MAX_RULES = 40; // in the graph; the table has more
const MAX_ROWS = 500;
const STALE_MS = 4000;
const STATES = {
  healthy: { mark: "●", word: "healthy" },
  failing: { mark: "▲", word: "failing" },
  half_open: { mark: "◐", word: "being probed" },
  rate_limited: { mark: "‖", word: "rate-limited" },
  ejected: { mark: "✕", word: "ejected" },
  unknown: { mark: "○", word: "not called yet" },
};
const NOTHING = { rate: 0, error_rate: 0, token_rate: 0, calls: 0, errors: 0, in_flight: 0, open_streams: 0, costs: {} };

const $ = (id) => document.getElementById(id);
const state = { snapshot: null, screen: "mesh", isTable: false, lit: null, pausedCalls: null, call: null, explained: null };

// Text and elements

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawing(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Redraws must not take the focus or a selection away: only what differs is touched.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// The same for a text with names, which are best broken after a dot, a dash or a low line.
function sayName(node, name) {
  if (node.textContent !== name) node.replaceChildren(...name.split(/(?<=[-._])/).flatMap((part) => [part, element("wbr")]).slice(0, -1));
}

// Keep one child of `parent` for each item, in order; `fill` writes an item into its child.
function keep(parent, items, key, make, fill) {
  const old = new Map();
  for (const child of [...parent.children]) if (child.dataset.key !== undefined) old.set(child.dataset.key, child);
  let place = [...parent.children].find((child) => child.dataset.key !== undefined) ?? null;
  for (const item of items) {
    const name = key(item);
    let child = old.get(name);
    if (child) old.delete(name);
    else {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    fill(child, item);
  }
  for (const child of old.values()) child.remove();
}

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const number = (value) => (value >= 100 ? whole : plain).format(value);
const counted = (count, noun) => `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;
const percent = (part) => (part === null || part === undefined ? "–" : `${whole.format(part * 100)}\u00a0%`);
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

const moment = (seconds) => new Date(seconds * 1000).toLocaleString([], { hour12: false, dateStyle: "medium", timeStyle: "medium" });

function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${ms < 10 ? plain.format(ms) : whole.format(ms)}\u00a0ms`;
  return ms < 60_000 ? `${plain.format(ms / 1000)}\u00a0s` : `${whole.format(ms / 60_000)}\u00a0min`;
}

const quantiles = ({ p50_ms, p99_ms }) => `p50\u00a0${duration(p50_ms)} · p99\u00a0${duration(p99_ms)}`;

const money = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const costText = (costs) => Object.entries(costs).map(([currency, amount]) => `${money.format(amount)} ${currency}`).join(", ");

function costOf(edges) {
  const sums = {};
  for (const edge of edges) for (const [currency, amount] of Object.entries(edge.costs)) sums[currency] = (sums[currency] ?? 0) + amount;
  return costText(sums);
}

function age(seconds) {
  if (seconds < 90) return `${whole.format(seconds)} s`;
  if (seconds < 5400) return `${whole.format(seconds / 60)} min`;
  return seconds < 129_600 ? `${whole.format(seconds / 3600)} h` : `${whole.format(seconds / 86_400)} days`;
}

// The state, and the events that change it

function applyDiff(snapshot, diff) {
  for (const table of TABLES) {
    Object.assign(snapshot[table], diff[table]);
    for (const key of diff.gone?.[table] ?? []) delete snapshot[table][key];
  }
  if (diff.hosts || diff.gone?.hosts) snapshot.version = (snapshot.version ?? 0) + 1;
  if (diff.config) snapshot.config = diff.config;
  snapshot.at = diff.at;
  snapshot.second = diff.second;
  snapshot.workers = diff.workers;
  snapshot.skipped = diff.skipped ?? 0;
  if (diff.seconds) {
    const fresh = new Set(diff.seconds.map((row) => row[0]));
    snapshot.seconds = [...snapshot.seconds.filter((row) => !fresh.has(row[0])), ...diff.seconds].slice(-MAX_SECONDS);
  }
  if (diff.calls) snapshot.calls = [...snapshot.calls, ...diff.calls].slice(-MAX_CALLS);
}

let source = null;
let lastEventAt = 0;
let retryMs = 1000;
let openedAt = Date.now();

function connect() {
  source?.close();
  source = new EventSource("events");
  source.addEventListener("snapshot", (event) => {
    state.snapshot = JSON.parse(event.data);
    received();
  });
  source.addEventListener("diff", (event) => {
    if (state.snapshot) applyDiff(state.snapshot, JSON.parse(event.data));
    received();
  });
}

function received() {
  lastEventAt = Date.now();
  retryMs = 1000;
  schedule();
}

// The browser comes back by itself when a stream ends; not after a refusal, nor after a sleep in
// which the connection has died without a word.
function watchConnection() {
  const isStale = Date.now() - lastEventAt > STALE_MS;
  const isLost = isStale && (lastEventAt > 0 || Date.now() - openedAt > STALE_MS);
  document.body.classList.toggle("is-old", isLost);
  $("link").classList.toggle("is-lost", isLost);
  const old = lastEventAt ? `no news since ${clock(lastEventAt / 1000)}` : "connecting";
  say($("link-text"), isStale ? old : "live");
  if (isStale && Date.now() - openedAt > retryMs) {
    retryMs = Math.min(retryMs * 2, 10_000);
    openedAt = Date.now();
    connect();
  }
}

let isScheduled = false;
function schedule() {
  if (isScheduled || document.hidden) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    draw();
  });
}

function draw() {
  if (!state.snapshot) return;
  const problems = state.snapshot.config.problems.length;
  $("problem-count").hidden = problems === 0;
  say($("problem-count"), String(problems));
  if (state.screen === "mesh") drawMesh();
  if (state.screen === "calls") drawCalls();
  if (state.screen === "explain") drawHostNames();
  if (state.screen === "config") drawConfig();
}

// The mesh

const edgeKey = (host, rule, provider) => [host, rule, provider].join(SEPARATOR);
const edgeOf = (key) => state.snapshot.edges[key] ?? NOTHING;
const ruleOf = (host, rule) => state.snapshot.rules[[host, rule].join(SEPARATOR)] ?? NOTHING;
const providerOf = (host) => state.snapshot.providers[host] ?? { state: "unknown", ejected_for_s: 0, in_flight: 0 };

// A provider that is in service but fails now is worth a colour before it is ejected.
function stateOf(providerHost, edge) {
  const found = providerOf(providerHost).state;
  if ((found === "healthy" || found === "unknown") && edge.error_rate > 0.2 * edge.rate) return "failing";
  return found;
}

function stateText(providerHost, name) {
  const provider = providerOf(providerHost);
  const left = Math.max(0, provider.ejected_for_s);
  const some = state.snapshot.workers > 1 && provider.ejected_in ? ` in ${provider.ejected_in} of ${state.snapshot.workers} workers` : "";
  if (name === "ejected") return `ejected${some}, probe in ${Math.ceil(left)} s`;
  if (name === "rate_limited") return `rate-limited until ${clock(state.snapshot.at + left)}`;
  return STATES[name].word;
}

// Every backend of every rule that the filter lets through.
function rows() {
  const wanted = $("mesh-filter").value.trim().toLowerCase();
  const found = [];
  for (const host of Object.values(state.snapshot.hosts)) {
    for (const rule of host.rules) {
      for (const backend of rule.backends) {
        const text = `${host.name}\n${rule.name}\n${backend.provider}\n${backend.host}`.toLowerCase();
        if (wanted && !text.includes(wanted)) continue;
        const key = edgeKey(host.name, rule.name, backend.provider);
        const edge = edgeOf(key);
        found.push({ key, host, rule, backend, edge, state: stateOf(backend.host, edge) });
      }
    }
  }
  return found;
}

// The rules that the graph has room for: while there are too many, the busiest.
function inGraph(all) {
  const rules = new Map();
  for (const row of all) {
    const key = [row.host.name, row.rule.name].join(SEPARATOR);
    if (!rules.has(key)) rules.set(key, ruleOf(row.host.name, row.rule.name).calls ?? 0);
  }
  if (rules.size <= MAX_RULES) return { shown: all, rules: rules.size };
  const busiest = [...rules].sort((a, b) => b[1] - a[1]).slice(0, MAX_RULES);
  const kept = new Set(busiest.map(([key]) => key));
  return { shown: all.filter((row) => kept.has([row.host.name, row.rule.name].join(SEPARATOR))), rules: rules.size };
}

function drawMesh() {
  drawTotals();
  const all = rows();
  const { shown, rules: count } = inGraph(all);
  $("graph").hidden = state.isTable || all.length === 0;
  $("legend").hidden = state.isTable || all.length === 0;
  $("table-box").classList.toggle("quiet", !state.isTable);
  $("mesh-none").hidden = all.length > 0;
  say($("mesh-none"), Object.keys(state.snapshot.hosts).length ? "No host, rule or provider matches." : "No route is configured: an LLMRoute names a host and its rules.");
  const isCut = count > MAX_RULES || all.length > MAX_ROWS;
  $("cut").hidden = !isCut;
  if (isCut) say($("cut"), `${whole.format(count)} rules; ${state.isTable ? `the first ${MAX_ROWS} backends are` : `the ${MAX_RULES} busiest rules are`} shown. Filter for others.`);
  $("lit").hidden = state.lit === null;
  if (state.lit) say($("lit").firstElementChild, `Lit: what takes the explained request to ${state.lit.host}.`);
  drawTable(state.isTable ? all.slice(0, MAX_ROWS) : shown.slice(0, 100));
  if (!state.isTable) drawGraph(shown);
  drawServers();
  drawMirrors();
}

function fillTable(box, heads, rows) {
  const drawn = JSON.stringify(rows);
  if (box.dataset.drawn === drawn) return;
  box.dataset.drawn = drawn;
  box.hidden = rows.length === 0;
  const head = element("tr", {}, ...heads.map((name, at) => element("th", at > 1 ? { scope: "col", class: "num" } : { scope: "col" }, name)));
  const lines = rows.map((cells) => element("tr", {}, ...cells.map((text, at) => element(at ? "td" : "th", at > 1 ? { class: "num" } : at ? {} : { scope: "row" }, text))));
  const table = box.firstElementChild;
  table.replaceChildren(table.caption, element("thead", {}, head), element("tbody", {}, ...lines));
}

const shownFilter = () => $("mesh-filter").value.trim().toLowerCase();

function drawServers() {
  const wanted = shownFilter();
  const rows = Object.entries(state.snapshot.servers).filter(([name]) => name.toLowerCase().includes(wanted)).slice(0, MAX_ROWS);
  const known = (value, text) => (value === null || value === undefined ? "–" : text(value));
  fillTable($("servers"), ["Server", "State", "Under way", "Waiting", "Running", "Cache", "Adapters"], rows.map(([name, each]) => [
    name, `${STATES[each.state].mark} ${STATES[each.state].word}`, whole.format(each.in_flight),
    known(each.waiting, whole.format), known(each.running, whole.format), known(each.cache_used, percent), each.adapters.join(", ") || "–",
  ]));
}

function drawMirrors() {
  const wanted = shownFilter();
  const rows = Object.entries(state.snapshot.mirrors).map(([key, each]) => [...key.split(SEPARATOR), each.counts])
    .filter(([host, rule, provider]) => `${host} ${rule} ${provider}`.toLowerCase().includes(wanted)).slice(0, MAX_ROWS);
  const sum = (counts, test) => Object.entries(counts).reduce((total, [name, count]) => total + (test(name) ? count : 0), 0);
  const agreed = (counts, what) => {
    const all = (counts[`same_${what}`] ?? 0) + (counts[`other_${what}`] ?? 0);
    return all ? percent((counts[`same_${what}`] ?? 0) / all) : "–";
  };
  fillTable($("mirrors"), ["Mirror", "Rule", "Copies", "Failed", "Skipped", "Same end", "Same content"], rows.map(([host, rule, provider, counts]) => [
    provider, `${host}: ${rule}`, whole.format(counts.success ?? 0), whole.format(sum(counts, (name) => ["error", "timeout", "cancelled"].includes(name))),
    whole.format(sum(counts, (name) => name.startsWith("skipped_"))), agreed(counts, "finish"), agreed(counts, "content"),
  ]));
}

function drawTotals() {
  const { seconds, edges, second } = state.snapshot;
  const recent = seconds.filter((row) => row[0] >= second - 5);
  const rate = (column) => recent.reduce((sum, row) => sum + row[column], 0) / 5;
  say($("total-rate"), number(rate(1)));
  say($("total-errors"), number(rate(2)));
  say($("total-tokens"), number(rate(3)));
  say($("total-flight"), whole.format(Object.values(edges).reduce((sum, edge) => sum + edge.in_flight, 0)));
  const cost = costOf(Object.values(edges));
  $("total-cost").parentElement.hidden = !cost;
  say($("total-cost"), cost);
  drawChart($("chart"), seconds, second);
}

function drawChart(canvas, seconds, now) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const colours = getComputedStyle(document.documentElement);
  const most = Math.max(0, ...seconds.map((row) => row[1]));
  const top = Math.max(4, most);
  say($("chart-most"), most ? `at most ${counted(most, "request")} in a second` : "");
  const x = (second) => width - ((now - second) / MAX_SECONDS) * width;
  const y = (value) => height - 1 - (value / top) * (height - 4);
  context.strokeStyle = colours.getPropertyValue("--line");
  context.beginPath();
  context.moveTo(0, height - 0.5);
  context.lineTo(width, height - 0.5);
  context.stroke();
  context.fillStyle = colours.getPropertyValue("--red");
  for (const row of seconds) if (row[2]) context.fillRect(x(row[0]), y(row[2]), Math.max(1.5, width / MAX_SECONDS), height - y(row[2]));
  context.strokeStyle = colours.getPropertyValue("--blue");
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  for (const row of seconds) context.lineTo(x(row[0]), y(row[1]));
  context.stroke();
}

function drawTable(shown) {
  const body = $("edges").tBodies[0];
  const heads = [...$("edges").tHead.rows[0].cells].map((cell) => cell.textContent);
  const cells = (row) => [
    row.host.name, row.rule.name, row.backend.provider, `${STATES[row.state].mark} ${stateText(row.backend.host, row.state)}`,
    number(row.edge.rate), wantedText(row.backend), percent(row.edge.seen_share), duration(row.edge.p50_ms), duration(row.edge.p99_ms),
    duration(row.edge.first_p50_ms), number(row.edge.token_rate), costText(row.edge.costs) || "–", whole.format(row.edge.errors), whole.format(row.edge.open_streams),
  ];
  const make = () => {
    const row = element("tr");
    heads.forEach((head, at) => row.append(element(at === 0 ? "th" : "td", { "data-head": head, ...(at === 0 ? { scope: "row" } : at > 3 ? { class: "num" } : {}) })));
    return row;
  };
  keep(body, shown, (row) => row.key, make, (line, row) => {
    cells(row).forEach((text, at) => (at < 3 ? sayName : say)(line.children[at], text));
    line.children[3].className = `state is-${row.state}`;
  });
}

function wantedText(backend) {
  return backend.priority > 0 ? `fallback ${backend.priority}` : percent(backend.share);
}

function unique(items, key) {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

function nodeButton(kind) {
  const node = element("button", { type: "button", class: `node is-${kind}`, title: "Show its calls", onclick: () => callsOf(node.children[1].textContent) });
  node.append(element("span", { class: "rate" }), element("b"));
  if (kind === "rule") node.append(element("small", { class: "of" })); // where there is no column of hosts
  return node;
}

function callsOf(name) {
  $("calls-filter").value = name;
  $("calls-kind").value = "all";
  location.hash = "calls";
}

function lines(node, texts) {
  const wanted = texts.filter(Boolean);
  keep(node, wanted.map((text, at) => ({ text, at })), (line) => String(line.at), () => element("small"), (small, line) => sayName(small, line.text));
}

function drawGraph(shown) {
  const hosts = unique(shown.map((row) => row.host), (host) => host.name);
  const rules = unique(shown, (row) => [row.host.name, row.rule.name].join(SEPARATOR));
  const providers = unique(shown, (row) => row.backend.host);
  const focusOn = (rowsOf) => ({ rows: new Set(shown.filter(rowsOf).map((row) => row.key)) });
  keep($("hosts"), hosts, (host) => host.name, () => nodeButton("host"), (node, host) => {
    const rate = host.rules.reduce((sum, rule) => sum + ruleOf(host.name, rule.name).rate, 0);
    say(node.children[0], `${number(rate)}/s`);
    sayName(node.children[1], host.name);
    lines(node, [host.route === host.name ? "" : `route ${host.route}`]);
    node.focusOn = focusOn((row) => row.host.name === host.name);
  });
  keep($("rules"), rules, (row) => [row.host.name, row.rule.name].join(SEPARATOR), () => nodeButton("rule"), (node, row) => {
    const traffic = ruleOf(row.host.name, row.rule.name);
    say(node.children[0], `${number(traffic.rate)}/s`);
    sayName(node.children[1], row.rule.name);
    sayName(node.querySelector(".of"), `of ${row.host.name}`);
    lines(node, [
      row.rule.matches.join(" or "),
      row.rule.sticky ? `sticky by ${row.rule.sticky}` : "",
      ...(hasLabels(shown) ? [] : sharesOf(row)),
      traffic.sticky_missing ? `${whole.format(traffic.sticky_missing)} calls without the sticky key` : "",
      traffic.calls ? quantiles(traffic) : "",
    ]);
    node.focusOn = focusOn((each) => each.host.name === row.host.name && each.rule.name === row.rule.name);
    node.classList.toggle("is-lit", isLit(row));
  });
  keep($("providers"), providers, (row) => row.backend.host, () => {
    const node = nodeButton("provider");
    node.append(element("span", { class: "state" }, element("span", { class: "mark", "aria-hidden": "true" }), element("span")));
    return node;
  }, (node, row) => drawProvider(node, row.backend, shown, focusOn));
  drawWires(shown);
  applyFocus();
}

// Wires have labels where there is room; else each rule says what goes where.
const isNarrow = () => $("hosts").offsetParent === null;
const hasLabels = (shown) => shown.length <= 14 && !isNarrow();

function sharesOf({ host, rule }) {
  const backends = rule.backends.filter((each) => rule.backends.length > 1 && each.priority === 0 && each.share < 1);
  return backends.map((each) => `${each.provider}: wanted ${percent(each.share)}, seen ${percent(edgeOf(edgeKey(host.name, rule.name, each.provider)).seen_share)}`);
}

function drawProvider(node, backend, shown, focusOn) {
  const own = shown.filter((row) => row.backend.host === backend.host);
  const sum = (field) => own.reduce((total, row) => total + row.edge[field], 0);
  const busiest = own.reduce((best, row) => (row.edge.rate > best.edge.rate ? row : best), own[0]);
  const name = own.some((row) => row.state === "failing") ? "failing" : busiest.state;
  node.className = `node is-provider is-${name}`;
  say(node.children[0], `${number(sum("rate"))}/s`);
  sayName(node.children[1], backend.host);
  say(node.querySelector(".mark"), STATES[name].mark);
  say(node.querySelector(".state").lastElementChild, stateText(backend.host, name));
  const edge = busiest.edge;
  const errors = sum("errors");
  const cost = costOf(own.map((row) => row.edge));
  lines(node, [
    edge.calls ? quantiles(edge) : "",
    edge.first_p50_ms ? `first token ${duration(edge.first_p50_ms)}` : "",
    [sum("token_rate") ? `${number(sum("token_rate"))} tokens/s` : "", cost ? `${cost} in 5 min` : ""].filter(Boolean).join(" · "),
    sum("open_streams") || sum("in_flight") ? `${whole.format(sum("in_flight"))} under way, ${whole.format(sum("open_streams"))} streaming` : "",
    errors ? `${counted(errors, "error")} in 5 min, the last: ${providerOf(backend.host).last_failure ?? "–"}` : "",
  ]);
  node.focusOn = focusOn((row) => row.backend.host === backend.host);
}

const wires = new Map();

function drawWires(shown) {
  const board = $("graph");
  const svg = board.querySelector(".wires");
  const frame = board.getBoundingClientRect();
  const boxes = new Map();
  for (const column of ["hosts", "rules", "providers"]) {
    for (const node of $(column).children) if (node.dataset.key !== undefined) boxes.set(column + node.dataset.key, node.getBoundingClientRect());
  }
  const seen = new Set();
  const isRoomy = hasLabels(shown);
  const slots = new Map(); // wires that end at one node, side by side
  for (const row of shown) slots.set(row.backend.host, (slots.get(row.backend.host) ?? 0) + 1);
  const used = new Map();
  for (const row of shown) {
    const rule = [row.host.name, row.rule.name].join(SEPARATOR);
    const from = boxes.get("rules" + rule);
    const to = boxes.get("providers" + row.backend.host);
    if (!from || !to) continue;
    const nth = (used.get(row.backend.host) ?? 0) + 1;
    used.set(row.backend.host, nth);
    const end = to.top + (to.height * nth) / (slots.get(row.backend.host) + 1);
    const path = curve(from.right - frame.left, from.top + from.height / 2 - frame.top, to.left - frame.left, end - frame.top);
    wire(svg, `e${row.key}`, path, { state: row.state, rate: row.edge.rate, rows: [row.key], label: isRoomy ? edgeLabel(row) : "", to: [to.left - frame.left, end - frame.top] });
    seen.add(`e${row.key}`);
    const host = boxes.get("hosts" + row.host.name);
    if (host && !isNarrow() && !seen.has(`h${rule}`)) {
      const inner = curve(host.right - frame.left, host.top + host.height / 2 - frame.top, from.left - frame.left, from.top + from.height / 2 - frame.top);
      const rows = shown.filter((each) => each.host === row.host && each.rule === row.rule).map((each) => each.key);
      wire(svg, `h${rule}`, inner, { state: "inner", rate: ruleOf(row.host.name, row.rule.name).rate, rows, label: "", to: [0, 0] });
      seen.add(`h${rule}`);
    }
  }
  for (const [key, { group, labels }] of wires) if (!seen.has(key)) {
    group.remove();
    labels.remove();
    wires.delete(key);
  }
}

function curve(x1, y1, x2, y2) {
  const bend = (x2 - x1) * 0.5;
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

function edgeLabel(row) {
  if (row.backend.priority > 0) return `fallback${row.edge.rate ? ` · ${number(row.edge.rate)}/s` : ""}`;
  if (row.backend.share === 1) return row.edge.rate ? `${number(row.edge.rate)}/s` : "";
  return `wanted ${percent(row.backend.share)} · seen ${percent(row.edge.seen_share)}`;
}

function wire(svg, key, path, { state: name, rate, rows, label, to }) {
  let made = wires.get(key);
  if (!made) {
    made = { group: drawing("g", {}), labels: drawing("g", {}), width: 0 }; // labels lie above every wire
    made.group.append(drawing("path", {}), drawing("path", { class: "flow" }));
    made.labels.append(drawing("rect", { class: "wire-ground", rx: 4, width: 0, height: 18 }), drawing("text", { class: "wire-label" }), drawing("text", { class: "wire-mark" }));
    svg.children[0].append(made.group);
    svg.children[1].append(made.labels);
    wires.set(key, made);
  }
  const [line, flow] = made.group.children;
  const [ground, text, mark] = made.labels.children;
  made.rows = rows;
  line.setAttribute("class", `wire is-${name}${rate ? "" : " is-idle"}`);
  for (const each of [line, flow]) if (each.getAttribute("d") !== path) each.setAttribute("d", path);
  line.style.strokeWidth = rate ? `${Math.min(14, 2 + 2 * Math.log2(1 + rate))}px` : "";
  const isFlowing = rate > 0 && name !== "ejected" && name !== "rate_limited";
  flow.style.display = isFlowing ? "" : "none";
  const pace = isFlowing ? `${Math.max(0.35, 2 - Math.log10(1 + rate) * 0.7).toFixed(1)}s` : "";
  if (flow.style.animationDuration !== pace) flow.style.animationDuration = pace;
  text.setAttribute("x", to[0] - 12);
  text.setAttribute("y", to[1] - 11);
  if (text.textContent !== label) {
    say(text, label);
    made.width = label ? text.getComputedTextLength() + 8 : 0;
    ground.setAttribute("width", made.width);
  }
  ground.setAttribute("x", to[0] - 8 - made.width);
  ground.setAttribute("y", to[1] - 25);
  mark.setAttribute("x", to[0] - 26);
  mark.setAttribute("y", to[1]);
  say(mark, name === "ejected" ? STATES.ejected.mark : "");
}

const isLit = (row) => state.lit !== null && row.host.name === state.lit.host && row.rule.name === state.lit.rule;

// What belongs to the node under the pointer or with the focus, or to the explained request.
let pointed = null;
function applyFocus() {
  const lit = state.lit === null ? null : { rows: new Set(rows().filter(isLit).map((row) => row.key)) };
  const on = pointed?.isConnected ? pointed.focusOn : lit;
  $("graph").classList.toggle("has-focus", Boolean(on));
  const isOn = (keys) => !on || [...keys].some((key) => on.rows.has(key));
  for (const { group, labels, rows: own } of wires.values()) for (const each of [group, labels]) each.classList.toggle("is-dim", !isOn(own));
  for (const node of $("graph").querySelectorAll(".node")) node.classList.toggle("is-dim", !isOn(node.focusOn.rows));
}

// The calls

const servedBy = (call) => call.attempts?.find((each) => each.is_served) ?? call.attempts?.at(-1);

function callMatches(call) {
  const kind = $("calls-kind").value;
  if (kind === "failed" && (!call.error || call.is_abandoned)) return false;
  if (kind === "retried" && (call.attempts?.length ?? 0) < 2) return false;
  if (kind === "streams" && !call.is_stream) return false;
  const wanted = $("calls-filter").value.trim().toLowerCase();
  if (!wanted) return true;
  const texts = [call.host, call.rule, call.model, call.consumer, call.error, call.operation, String(call.status), ...(call.attempts ?? []).flatMap((each) => [each.provider, each.host])];
  return texts.some((text) => text?.toLowerCase().includes(wanted));
}

const currentCalls = () => (state.pausedCalls ?? state.snapshot?.calls ?? []).filter(callMatches);

function drawCalls() {
  const calls = currentCalls().slice(-200).reverse();
  const { skipped } = state.snapshot;
  $("calls-skipped").hidden = !skipped || state.pausedCalls !== null;
  say($("calls-skipped"), `${counted(skipped, "more call")} in the last second`);
  $("calls-none").hidden = calls.length > 0;
  say($("calls-none"), state.snapshot.calls.length ? "No call matches." : "No calls yet.");
  const make = () => {
    const classes = ["", "result", "wide", "", "", "wide spare", "wider", "num", "num wide spare", "num wide spare", "num wide"];
    const row = element("tr", { tabindex: "-1", "aria-selected": "false" }, ...classes.map((name) => element("td", { class: name })));
    row.addEventListener("click", () => openCall(row.dataset.key));
    return row;
  };
  keep($("call-table").tBodies[0], calls, (call) => call.id, make, (row, call) => {
    const tokens = call.input_tokens || call.output_tokens ? `${whole.format(call.input_tokens ?? 0)} → ${whole.format(call.output_tokens ?? 0)}` : "–";
    const texts = [clock(call.at + call.duration_ms / 1000), resultText(call), call.host, call.rule ?? "–", servedBy(call)?.provider ?? "–", call.model ?? "–", call.consumer ?? "–",
      duration(call.duration_ms), duration(call.first_ms), tokens, String(call.attempts?.length ?? 0)];
    texts.forEach((text, at) => say(row.children[at], text));
    row.children[1].className = `result ${resultClass(call)}`;
    row.setAttribute("aria-selected", String(call.id === state.call?.id));
  });
  holdPlace();
}

// Tab stops once in the table, at the open call, the last one that had the focus, or the newest.
function holdPlace(wanted = document.activeElement?.closest("#call-table tbody tr")) {
  const rows = [...$("call-table").tBodies[0].rows];
  const place = wanted ?? rows.find((row) => row.dataset.key === state.call?.id) ?? rows.find((row) => row.tabIndex === 0) ?? rows[0];
  for (const row of rows) row.tabIndex = row === place ? 0 : -1;
  return place;
}

function moveInCalls(event) {
  const row = event.target.closest("tbody tr");
  if (!row) return;
  const rows = row.parentElement.rows;
  const to = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: rows[0], End: rows[rows.length - 1] }[event.key];
  if (to) holdPlace(to).focus();
  else if (event.key === "Enter" || event.key === " ") openCall(row.dataset.key);
  else if (!event.key.startsWith("Arrow")) return;
  event.preventDefault();
}

function resultText(call) {
  if (!call.error) return `✓ ${call.status}`;
  const mark = call.is_abandoned ? "◌" : "✕";
  const code = call.error === String(call.status) ? "" : call.error;
  return `${mark} ${call.status ?? ""} ${code}`.replace(/\s+/g, " ").trim();
}

const resultClass = (call) => (call.is_abandoned ? "is-left" : call.error ? "is-bad" : "");

function openCall(id) {
  const call = currentCalls().find((each) => each.id === id);
  if (!call) return;
  state.call = call;
  drawCall(call);
  drawCalls();
  const isBeside = getComputedStyle($("call")).position === "sticky";
  if (!isBeside) $("call").scrollIntoView({ block: "nearest" }); // it is above the table
}

function closeCall() {
  const id = state.call?.id;
  state.call = null;
  $("call").hidden = true;
  drawCalls();
  [...$("call-table").tBodies[0].rows].find((row) => row.dataset.key === id)?.focus();
}

function rhythm(call) {
  if (!call.is_stream) return null;
  const ms = call.duration_ms - (call.first_ms ?? 0);
  const each = call.events > 1 ? `, one every ${duration(ms / (call.events - 1))}` : "";
  return `${counted(call.events ?? 0, "event")} in ${duration(ms)}${each}`;
}

const spokenText = (each) => `${each.decision.replaceAll("_", " ")}${each.entity ? `: ${each.entity}` : ""} (policy ${each.policy})`;

function drawCall(call) {
  const box = $("call");
  const facts = [
    ["Result", resultText(call)],
    ["Began", moment(call.at)],
    ["Took", duration(call.duration_ms)],
    ["Host", call.host],
    ["Route, rule", call.route ? `${call.route}, ${call.rule}` : "none was chosen"],
    ["Operation", call.operation ? `${call.operation} (${call.dialect})` : null],
    ["Model", call.model],
    ["Tokens", call.input_tokens || call.output_tokens ? `${whole.format(call.input_tokens ?? 0)} in, ${whole.format(call.output_tokens ?? 0)} out` : null],
    ["Cost", call.cost],
    ["First token", call.is_stream ? duration(call.first_ms) : null],
    ["Rhythm", rhythm(call)],
    ["Broke off", call.is_stream && call.error ? `after ${counted(call.events ?? 0, "event")}, ${duration(call.duration_ms)} after it began` : null],
    ["Sticky key", call.lacks_sticky_key ? "missing: the backend was drawn at random" : null],
    ["Consumer", call.consumer],
    ...(call.policies ?? []).map((each) => [itemName(each), spokenText(each)]),
    ...(call.facts ?? []).map(([kind, name, value]) => [`${kind} ${name}`, value]),
  ];
  const list = element("dl", { class: "facts" });
  for (const [name, value] of facts) if (value) list.append(element("dt", {}, name), element("dd", {}, value));
  const link = traceLink(call);
  if (link) list.append(element("dt", {}, "Trace"), element("dd", {}, link));
  box.replaceChildren(
    element("h3", {}, element("span", {}, `Call ${call.id}`), element("button", { type: "button", onclick: closeCall, "aria-label": "Close the call" }, "✕")),
    list,
    element("h3", {}, call.attempts?.length ? "Attempts" : "No attempt was made"),
    element("ol", { class: "attempts" }, ...(call.attempts ?? []).map((attempt) => attemptItem(call, attempt))),
    element("button", { type: "button", onclick: () => likeCall(call) }, "Explain a call like this"),
  );
  box.hidden = false;
}

function attemptItem(call, attempt) {
  const ending = attempt.is_cancelled ? "cancelled" : attempt.error ?? String(attempt.status ?? "");
  const kind = attempt.is_cancelled ? "is-left" : attempt.error ? "is-bad" : "";
  const bar = element("span", { class: `span ${kind}` });
  const whole_ms = Math.max(call.duration_ms, 0.1);
  bar.style.left = `${(100 * attempt.begun_ms) / whole_ms}%`;
  bar.style.width = `${Math.max(0.5, (100 * attempt.took_ms) / whole_ms)}%`;
  const track = element("div", { class: "track", role: "img", "aria-label": `from ${duration(attempt.begun_ms)}, for ${duration(attempt.took_ms)}` }, bar);
  if (attempt.is_served && call.first_ms) {
    const first = element("span", { class: "first", title: `first token after ${duration(call.first_ms)}` });
    first.style.left = `${(100 * call.first_ms) / whole_ms}%`;
    track.append(first);
  }
  const mark = attempt.is_cancelled ? "◌" : attempt.error ? "✕" : "✓";
  return element("li", {},
    element("p", {}, element("b", {}, `${attempt.number}. ${attempt.kind}: ${attempt.host}`), [attempt.model, attempt.dialect].filter(Boolean).map((text) => `, ${text}`).join("")),
    track,
    ...(attempt.rhythm?.length ? rhythmStrip(attempt) : []),
    element("p", {}, element("span", { class: `result ${kind}` }, `${mark} ${ending}`), ` after ${duration(attempt.took_ms)}. Why: ${attempt.why}.`),
    attempt.dropped ? element("p", { class: "hint" }, `Left out, as its dialect has no place for it: ${attempt.dropped.join(", ")}`) : "");
}

// When the events of a stream came: a bar for each bin, and the same as a table.
function rhythmStrip({ rhythm: bins, bin_ms: width, error }) {
  const most = Math.max(...bins);
  const span = bins.length * width;
  let pause = 0;
  let silent = 0;
  for (const count of bins) {
    silent = count ? 0 : silent + width;
    pause = Math.max(pause, silent);
  }
  const told = `Rhythm of the stream: at most ${counted(most, "event")} in ${duration(width)}${pause ? `, the longest pause about ${duration(pause)}` : ""}`;
  const strip = drawing("svg", { class: `rhythm ${error ? "is-bad" : ""}`, viewBox: `0 0 ${Math.max(bins.length, 8)} 20`, preserveAspectRatio: "none", role: "img", "aria-label": told });
  bins.forEach((count, at) => {
    const height = count ? 2 + (18 * count) / most : 0;
    strip.append(drawing("rect", { x: at + 0.08, y: 20 - height, width: 0.84, height }));
  });
  if (error) strip.append(drawing("rect", { class: "end", x: bins.length - 0.2, y: 0, width: 0.2, height: 20 }));
  const line = (at) => element("tr", {}, element("th", { scope: "row" }, `${duration(at * width)} – ${duration((at + 1) * width)}`), element("td", { class: "num" }, whole.format(bins[at])));
  const head = element("tr", {}, element("th", { scope: "col" }, "After the first bytes"), element("th", { scope: "col", class: "num" }, "Events"));
  const filled = [...bins.keys()].filter((at) => bins[at]);
  return [
    strip,
    element("p", { class: "hint" }, `${told}; ${duration(span)} in all.`),
    element("details", { class: "hint" }, element("summary", {}, "The rhythm as a table"), element("table", {}, element("thead", {}, head), element("tbody", {}, ...filled.map(line)))),
  ];
}

function traceLink(call) {
  const template = state.snapshot.trace_url;
  if (!call.trace_id) return null;
  if (!template) return call.trace_id;
  const url = template.replaceAll("{trace_id}", call.trace_id);
  return /^https?:\/\//.test(url) ? element("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, call.trace_id) : call.trace_id;
}

function togglePause() {
  state.pausedCalls = state.pausedCalls ? null : [...(state.snapshot?.calls ?? [])];
  $("pause").setAttribute("aria-pressed", String(state.pausedCalls !== null));
  say($("pause"), state.pausedCalls ? "Resume" : "Pause");
  schedule();
}

// Explain

function drawHostNames() {
  const names = Object.keys(state.snapshot.hosts).slice(0, 1000);
  keep($("host-names"), names, (name) => name, (name) => element("option", { value: name }), () => {});
  if (!$("form").elements.host.value && names.length) $("form").elements.host.value = names[0];
}

const formLines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

function readForm() {
  const { host, path, headers, attributes, body } = $("form").elements;
  const split = (mark, what) => (line) => {
    const at = line.indexOf(mark);
    if (at < 1) throw new Error(`${what}, not: ${line}`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  };
  return {
    host: host.value.trim(),
    path: path.value.trim() || "/",
    headers: formLines(headers.value).map(split(":", "a header is written name: value")),
    attributes: Object.fromEntries(formLines(attributes.value).map(split("=", "an attribute is written name=value"))),
    body: body.value,
  };
}

async function ask(event) {
  event?.preventDefault();
  try {
    const asked = readForm();
    const response = await fetch("explain", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked) });
    if (!response.ok) throw new Error(await response.text());
    $("form-error").hidden = true;
    drawExplained(asked, await response.json());
  } catch (error) {
    say($("form-error"), error.message);
    $("form-error").hidden = false;
  }
}

function drawExplained(asked, told) {
  const { explanation, copies } = told;
  const box = $("explained");
  const isServed = explanation.refusal === null;
  const verdict = isServed ? `Rule ${explanation.rule} takes it` : `Refused: ${explanation.refusal.status} ${explanation.refusal.code}`;
  const items = explanation.rules.map((rule) => element("li", { class: rule.outcome === "selected" ? "is-selected" : "" },
    element("b", {}, `${rule.outcome === "selected" ? "✓ selected" : "– skipped"} ${rule.name}`), rule.reasons.join("; ")));
  const isSticky = explanation.backends.some((each) => each.is_sticky_choice);
  const backends = explanation.backends.map((each) => element("tr", {},
    element("td", { class: "num" }, String(each.priority)), element("td", { class: "num" }, percent(each.share)), element("td", {}, each.provider), element("td", {}, each.model ?? "–"),
    isSticky ? element("td", {}, each.is_sticky_choice ? "by its sticky key" : "") : null));
  const heads = ["Priority", "Share", "Provider", "Model", ...(isSticky ? ["Chosen"] : [])];
  box.replaceChildren(
    element("h3", {}, verdict),
    isServed ? "" : element("p", {}, explanation.refusal.message),
    element("ul", { class: "rules" }, ...items),
    isServed ? element("button", { type: "button", onclick: () => light(explanation) }, "Show it in the graph") : "",
    backends.length ? element("table", {}, element("caption", {}, "Backends"), element("thead", {}, element("tr", {}, ...heads.map((name, at) => element("th", { scope: "col", class: at < 2 ? "num" : "" }, name)))), element("tbody", {}, ...backends)) : "",
    element("pre", { id: "explained-text", tabindex: "0", "aria-label": "The explanation as text" }, told.text),
    element("div", { class: "bar" }, element("span", { class: "hint" }, "Copy as"),
      ...[["curl", "curl"], ["command", "llm-mesh explain"], ["pytest", "pytest test"]].map(([name, label]) =>
        element("button", { type: "button", "data-copy": name, onclick: () => copy(copies[name]) }, label))),
    element("pre", { id: "copied", tabindex: "0", hidden: "", "aria-label": "What was copied" }),
  );
}

async function copy(text) {
  const box = $("copied");
  box.hidden = false;
  say(box, text);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(box); // without a secure context: Ctrl+C does the rest
  }
}

function light(explanation) {
  state.lit = { host: explanation.virtual_host, rule: explanation.rule };
  $("mesh-filter").value = "";
  location.hash = "mesh";
}

function likeCall(call) {
  const form = $("form").elements;
  form.host.value = call.host;
  form.path.value = call.path || "/v1/chat/completions";
  const of = (kind, mark) => (call.facts ?? []).filter(([each]) => each === kind).map(([, name, value]) => `${name}${mark}${value}`).join("\n");
  form.headers.value = of("header", ": ");
  form.attributes.value = [of("attribute", "="), call.consumer ? `consumer=${call.consumer}` : ""].filter(Boolean).join("\n");
  form.body.value = call.model ? JSON.stringify({ model: call.model }) : "{}";
  location.hash = "explain";
  ask();
}

// The configuration

function drawConfig() {
  const { config, at, workers, hosts } = state.snapshot;
  say($("config-state"), config.state === "ok" ? "✓ in use" : "▲ stale");
  say($("config-generation"), whole.format(config.generation));
  say($("config-age"), age(Math.max(0, at - config.loaded_at)));
  say($("config-workers"), whole.format(workers));
  drawPolicies();
  const drawn = JSON.stringify([config, snapshotVersion()]);
  if ($("routes").dataset.drawn === drawn) return; // a selection in it must last
  $("routes").dataset.drawn = drawn;
  const stale = config.state === "ok" ? [] : [element("p", { class: "bad" }, "The newest configuration cannot be used; the last good one is.")];
  const problems = config.problems.map((each) => element("p", { class: "problem" },
    element("b", { class: each.severity === "error" ? "bad" : "" }, each.severity === "error" ? "✕ error " : "▲ warning "), element("code", {}, each.place), element("br"), each.text));
  $("problems").replaceChildren(...stale, ...(problems.length ? problems : [element("p", { class: "hint" }, "None.")]));
  const changes = config.changes.map((each) => element("p", { class: "change" }, element("b", {}, `Generation ${each.generation}, ${clock(each.at)}`),
    ...[["added", each.added], ["removed", each.removed], ["changed", each.changed]].filter(([, names]) => names.length).flatMap(([word, names]) => [element("br"), `${word}: ${names.join(", ")}`])));
  $("changes").replaceChildren(...(changes.length ? changes : [element("p", { class: "hint" }, "Nothing since this view began.")]));
  const lines = Object.values(hosts).slice(0, MAX_ROWS).flatMap(routeRows);
  $("routes").replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...["Host", "Route", "Rule", "Backends"].map((name) => element("th", { scope: "col" }, name)))), element("tbody", {}, ...lines)));
}

// A row for each rule; host and route stand beside all of theirs.
function routeRows(host) {
  const spans = { rowspan: String(host.rules.length) };
  return host.rules.map((rule, at) => element("tr", {},
    at ? null : element("th", { scope: "rowgroup", ...spans }, host.name),
    at ? null : element("td", { "data-head": "Route", ...spans }, host.route),
    element("td", { "data-head": "Rule" }, `${rule.name}: ${rule.matches.join(" or ")}`),
    element("td", { "data-head": "Backends" }, rule.backends.map((each) => `${each.provider}\u00a0${wantedText(each)}`).join(", "))));
}

// Every configured item, with the levels at which it was asked the last time; untouched, all is left.
function drawPolicies() {
  const { policies, second } = state.snapshot;
  const drawn = JSON.stringify([policies, second - (second % 10)]);
  if ($("policies").dataset.drawn === drawn) return;
  $("policies").dataset.drawn = drawn;
  const rows = Object.values(policies).slice(0, MAX_ROWS).map((each) => element("tr", {},
    element("th", { scope: "row" }, itemName(each), element("small", {}, each.policy), each.says ? element("small", {}, each.says) : ""),
    element("td", {}, countsText(each)),
    element("td", {}, ...levelsOf(each).map((level) => levelBar(each, level, second)))));
  const head = ["Item", "Decided in 5 min", "Levels, the fullest first"].map((name) => element("th", { scope: "col" }, name));
  $("policies").replaceChildren(rows.length
    ? element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows))
    : element("p", { class: "hint" }, "No policy is configured."));
}

// Nobody has asked yet: all of it is left for everyone.
function levelsOf({ levels, full }) {
  return levels.length || !full ? levels : [{ by: [], of: full, left: full, second: null }];
}

const itemName = ({ kind, item }) => (kind === item ? kind : `${kind} ${item}`);

function countsText({ kind, counts }) {
  const told = Object.entries(counts).map(([decision, count]) => `${whole.format(count)} ${decision.replaceAll("_", " ")}`).join(", ") || "nothing";
  const hits = (counts.hit ?? 0) + (counts.shadow_hit ?? 0);
  const asked = hits + (counts.miss ?? 0);
  return ["cache", "semantic"].includes(kind) && asked ? `hit rate ${percent(hits / asked)}: ${told}` : told;
}

function levelBar({ currency, kind }, level, second) {
  const used = Math.min(1, Math.max(0, 1 - level.left / level.of));
  const unit = currency || (kind === "concurrency" ? "slots" : kind);
  const format = currency ? money : whole;
  const text = `${percent(used)} used: ${format.format(level.left)} of ${format.format(level.of)} ${unit} left, ${level.second === null ? "not asked yet" : `${age(Math.max(0, second - level.second))} ago`}`;
  const bar = element("span", { class: `span ${used > 0.9 ? "is-bad" : ""}` });
  bar.style.width = `${100 * used}%`;
  return element("div", { class: "level" }, level.by.length ? element("b", {}, `${level.by.join(", ")}: `) : "", text,
    element("div", { class: "track", role: "img", "aria-label": `${percent(used)} used` }, bar));
}

const snapshotVersion = () => [state.snapshot.version ?? 0, Object.keys(state.snapshot.hosts).length];

// Screens, keys, and the beginning

function show() {
  const wanted = location.hash.slice(1);
  state.screen = ["mesh", "calls", "explain", "config"].includes(wanted) ? wanted : "mesh";
  for (const name of ["mesh", "calls", "explain", "config"]) {
    $(name).hidden = name !== state.screen;
    const link = document.querySelector(`nav a[data-screen="${name}"]`);
    if (name === state.screen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  pointed = null;
  schedule();
}

function toggleTable(isTable) {
  state.isTable = isTable;
  $("as-graph").setAttribute("aria-pressed", String(!isTable));
  $("as-table").setAttribute("aria-pressed", String(isTable));
  schedule();
}

function step(by) {
  const calls = currentCalls().slice(-200).reverse();
  const at = calls.findIndex((call) => call.id === state.call?.id);
  const next = calls[Math.max(0, Math.min(calls.length - 1, at < 0 ? 0 : at + by))];
  if (next) openCall(next.id);
}

function pressed(event) {
  if (event.key === "Escape" && state.call && !$("keys").open) return closeCall();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return undefined;
  const screen = { 1: "mesh", 2: "calls", 3: "explain", 4: "config" }[event.key];
  if (screen) location.hash = screen;
  else if (event.key === "?") $("keys").showModal();
  else if (event.key === "t" && state.screen === "mesh") toggleTable(!state.isTable);
  else if (event.key === "p" && state.screen === "calls") togglePause();
  else if (event.key === "j" && state.screen === "calls") step(1);
  else if (event.key === "k" && state.screen === "calls") step(-1);
  else if (event.key === "/") {
    const filter = { mesh: "mesh-filter", calls: "calls-filter" }[state.screen];
    if (!filter) return undefined;
    event.preventDefault();
    $(filter).focus();
  }
  return undefined;
}

function begin() {
  for (const id of ["mesh-filter", "calls-filter", "calls-kind"]) $(id).addEventListener("input", schedule);
  $("as-graph").addEventListener("click", () => toggleTable(false));
  $("as-table").addEventListener("click", () => toggleTable(true));
  $("pause").addEventListener("click", togglePause);
  $("call-table").addEventListener("keydown", moveInCalls);
  $("form").addEventListener("submit", ask);
  $("like-last").addEventListener("click", () => {
    const last = state.snapshot?.calls.at(-1);
    if (last) likeCall(last);
  });
  $("lit").querySelector("button").addEventListener("click", () => {
    state.lit = null;
    schedule();
  });
  $("show-keys").addEventListener("click", () => $("keys").showModal());
  const point = (event) => {
    pointed = event.type === "mouseout" || event.type === "focusout" ? null : event.target.closest(".node");
    applyFocus();
  };
  for (const kind of ["mouseover", "mouseout", "focusin", "focusout"]) $("graph").addEventListener(kind, point);
  document.addEventListener("keydown", pressed);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    watchConnection();
    schedule();
  });
  new ResizeObserver(schedule).observe($("main"));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule);
  window.addEventListener("hashchange", show);
  setInterval(watchConnection, 1000);
  show();
  connect();
}

begin();
