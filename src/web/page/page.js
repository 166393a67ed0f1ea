"use strict";
// Asks for status.json and shows it. What it says is text from elsewhere and never becomes HTML.

const EVERY_MS = 2000, MOST_ROWS = 200, MOST_CHANGES = 100;
const $ = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function duration(ms) {
  if (ms === null || ms === undefined) return "";
  const s = ms / 1000;
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  if (s < 172800) return (s / 3600).toFixed(1) + " h";
  return Math.round(s / 86400) + " days";
}

// Cells are texts or elements.
function fill(table, rows) {
  const body = table.tBodies[0];
  body.replaceChildren(...rows.slice(0, MOST_ROWS).map((cells) => {
    const row = element("tr");
    for (const cell of cells) {
      const td = element("td");
      td.append(cell);
      row.append(td);
    }
    return row;
  }));
  if (rows.length > MOST_ROWS) {
    const td = element("td", `and ${rows.length - MOST_ROWS} more; carpctl status shows all`);
    td.colSpan = table.tHead.rows[0].cells.length;
    const row = element("tr");
    row.append(td);
    body.append(row);
  }
}

const state = (name) => element("span", name.toUpperCase(), "state " + name);

function demotion(group) {
  const reasons = Object.entries(group.demotion_reasons).map(([name, amount]) => `${name} ${amount}`);
  return group.demotion + (reasons.length ? ` (${reasons.join(", ")})` : "");
}

function heard(group) {
  if (!group.last_heard) return "never";
  return `${group.last_heard.source}, ${duration(group.last_heard.age_ms)} ago`;
}

function showGroups(groups) {
  fill($("groups"), groups.map((g) => [g.name, state(g.state), duration(g.since_ms), g.reason,
    g.addresses.join(" "), `${g.interface}, vhid ${g.vhid}`, heard(g), demotion(g)]));
}

function showPools(pools) {
  $("pools-section").hidden = pools.length === 0;
  fill($("pools"), pools.flatMap((pool) => pool.hosts.map((host) => [pool.name,
    host.host === "self" ? "this host" : host.host === null ? "nobody" : host.host,
    (host.share * 100).toFixed(1) + " %", host.carpnodes.join(", ")])));
}

function showTracks(tracks) {
  $("tracks-section").hidden = tracks.length === 0;
  fill($("tracks"), tracks.map((t) => [t.name, t.known ? (t.passed ? "passes" : "fails") : "no result yet",
    duration(t.since_ms), t.why]));
}

function showSync(sync) {
  $("sync-section").hidden = sync === null;
  if (sync === null) return;
  const copy = sync.incomplete === "no" ? "this host has all flows of its peers"
    : `this host lacks flows of its peers (${sync.incomplete})`;
  $("sync").textContent = `${sync.peers_up} of ${sync.peers} peers are up; ${copy}.`;
}

// [{state, from, until}] of a group, times in ms since 1970. Before the first change that is known its state
// was what that change began with; while an engine ran no longer than that, nothing is known.
function segments(group, changes, now) {
  const own = changes.filter((c) => c.event === "transition" && c.group === group.name);
  const found = [];
  let from = 0, before = own.length ? own[0].from : group.state;
  for (const change of own) {
    const at = Date.parse(change.time);
    found.push({state: change.cause === "started" ? "unknown" : before, from, until: at});
    from = at;
    before = change.to;
  }
  found.push({state: own.length ? group.state : before, from: own.length ? from : now - group.since_ms, until: now});
  if (!own.length) found.unshift({state: "unknown", from: 0, until: now - group.since_ms});
  return found;
}

const isSilent = (host) => host.left || host.trouble.includes("silent");
const hostName = (host) => host.name || host.addresses[0] || host.id;

// [{state, from}] of each other host of a group: what it said last of itself, and before that what this page has
// seen since it was opened.
const seen = new Map();
function remember(groups, now) {
  for (const group of groups) for (const host of group.hosts ?? []) {
    const key = `${group.interface} ${group.vhid} ${hostName(host)} ${host.addresses[0]}`;
    const known = seen.get(key) ?? [];
    const state = isSilent(host) ? "unknown" : host.state;
    if (known.at(-1)?.state !== state)
      known.push({state, from: state === "unknown" ? now - host.beacon_age_ms : now - host.since_ms});
    seen.set(key, known.slice(-MOST_CHANGES));
    host.seen = seen.get(key);
  }
}

function segmentsOfHost(host, now) {
  const until = (i) => i + 1 < host.seen.length ? host.seen[i + 1].from : now;
  const found = host.seen.map((part, i) => ({...part, until: until(i)}));
  return [{state: "unknown", from: 0, until: found[0].from}, ...found];
}

function lane(name, all, begin, now, className) {
  const made = element("div", undefined, "lane" + (className ? " " + className : ""));
  const label = element("span", name);
  label.title = name;
  const svgName = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(svgName, "svg");
  svg.setAttribute("viewBox", "0 0 1000 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const parts = all.filter((s) => s.until > begin);
  for (const part of parts) {
    const x = Math.max(0, (part.from - begin) / (now - begin) * 1000);
    const end = (part.until - begin) / (now - begin) * 1000;
    const rect = document.createElementNS(svgName, "rect");
    rect.setAttribute("x", x.toFixed(2));
    rect.setAttribute("width", Math.max(end - x, 0.5).toFixed(2));
    rect.setAttribute("height", "20");
    rect.setAttribute("class", part.state);
    const title = document.createElementNS(svgName, "title");
    const since = part.from > 0 ? " since " + new Date(part.from).toLocaleString() : "";
    title.textContent = (part.state === "unknown" ? "not known" : part.state.toUpperCase()) + since;
    rect.append(title);
    svg.append(rect);
  }
  svg.setAttribute("aria-label", `${name}: ` + parts.map((p) => p.state).join(", "));
  made.append(label, svg);
  return made;
}

function showLanes(groups, changes, now) {
  const span = Number($("span").value) * 1000;
  const axis = element("div", undefined, "axis");
  axis.append(element("span", new Date(now - span).toLocaleTimeString()), element("span", "now"));
  const lanes = groups.slice(0, MOST_ROWS).flatMap((g) => [lane(g.name, segments(g, changes, now), now - span, now),
    ...(g.hosts ?? []).map((h) => lane(hostName(h), segmentsOfHost(h, now), now - span, now, "other"))]);
  $("lanes").replaceChildren(...lanes, axis);
}

const TROUBLES = {silent: "isn't heard any more", deaf: "doesn't hear this host",
  unadvertised: "its advertisements don't come", addresses_differ: "has other addresses"};

function showHosts(groups) {
  const rows = groups.flatMap((g) => (g.hosts ?? []).map((h) => [g.name, hostName(h),
    h.left ? "left" : isSilent(h) ? "silent" : state(h.state), duration(isSilent(h) ? h.beacon_age_ms : h.since_ms),
    h.addresses.join(" "), h.hears_us === null ? "not known yet" : h.hears_us ? "yes" : "NO",
    h.trouble.map((t) => TROUBLES[t] ?? t).join("; ")]));
  $("hosts-section").hidden = rows.length === 0;
  fill($("hosts"), rows);
}

function showChanges(changes) {
  const last = changes.slice(-MOST_CHANGES).reverse();
  $("changes").replaceChildren(...last.map((change) => {
    const item = element("li");
    item.append(element("time", new Date(change.time).toLocaleString()), change.text);
    return item;
  }));
  if (!last.length) $("changes").replaceChildren(element("li", "none yet"));
}

function trouble(text) {
  $("trouble").hidden = text === null;
  $("trouble").textContent = text ?? "";
}

function show(data) {
  const now = Date.parse(data.time);
  trouble(data.error === null ? null : `carpd does not answer: ${data.error}. What stands below is old.`);
  showChanges(data.changes);
  if (data.status === null) return;
  const {groups, pools, tracks, sync, running_ms, restarts} = data.status;
  const masters = groups.filter((g) => g.state === "master").length;
  $("summary").textContent = `MASTER of ${masters} of ${groups.length} groups, runs for ${duration(running_ms)}` +
    (restarts ? `, restarted ${restarts === 1 ? "once" : restarts + " times"}` : "");
  document.title = `${masters}/${groups.length} MASTER – carpd`;
  showGroups(groups);
  remember(groups, now);
  showHosts(groups);
  showLanes(groups, data.changes, now);
  showPools(pools);
  showTracks(tracks);
  showSync(sync);
}

let last = null;
async function update() {
  try {
    const response = await fetch("status.json", {cache: "no-store"});
    if (!response.ok) throw new Error("HTTP " + response.status);
    show(last = await response.json());
  } catch (error) {
    trouble(`the status page's server does not answer: ${error.message}. What stands below is old.`);
  }
  setTimeout(update, EVERY_MS);
}
$("span").addEventListener("change", () => last && show(last));
update();
