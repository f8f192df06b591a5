// SPDX-License-Identifier: MIT
// The first view: recordings in, the table of results out.
import {arrows, bytes, complain, count, dotted, el, forgive, percent, say, states, verdicts} from "./dom.js";
import {dropped, recordings} from "./files.js";
import {getJson, openRecord, remove, resultPath, send} from "./net.js";
import {saveAll, saveLink} from "./save.js";
import {sortable} from "./table.js";

const order = {at: null, down: false}; // as the server gives them: newest first
const chosen = new Set();
const wanted = {text: "", state: ""};
const AT_ONCE = 2;

const jobs = el("ol", {class: "jobs", "aria-label": "Uploads"}); // outlives the view, as uploads do
const waiting = [];

let info, table, summary, tools, results = [], batch = null;

// ---- recordings in --------------------------------------------------------------------------------------------------------------

function job(name, run) {
    const bar = el("progress", {max: 1, value: 0, "aria-label": `upload of ${name}`});
    const words = el("span", {}, "waiting");
    const stop = new AbortController();
    const cancel = el("button", {type: "button", "aria-label": `Cancel ${name}`, onclick: () => stop.abort()}, "Cancel");
    const line = el("li", {}, el("b", {}, name), " ", bar, " ", words, " ", cancel);
    jobs.append(line);
    const tell = (sent, of) => {
        bar.value = of ? sent / of : 0;
        words.textContent = sent < of ? `${bytes(sent)} of ${bytes(of)}` : "sent, the model reads it";
    };
    waiting.push({name, line, run: () => run(tell, stop.signal), stop, end(text, bad) {
        bar.remove();
        cancel.remove();
        words.textContent = text;
        line.classList.toggle("bad", bad);
        if (bad)
            line.append(" ", el("button", {type: "button", "aria-label": `Dismiss the message on ${name}`, onclick: () => line.remove()}, "Dismiss"));
        else
            line.remove();
    }});
}

async function work() {
    while (waiting.length) {
        const next = waiting.shift();
        try {
            if (next.stop.signal.aborted)
                throw new Error("cancelled");
            const answer = await next.run();
            const failed = answer.results.filter((r) => !r.id); // one that the model refuses is a result: its drawing and the reason
            batch.ids.push(...answer.results.filter((r) => r.id).map((r) => r.id));
            batch.bad += failed.length;
            next.end(failed.map((r) => r.error).join("; "), failed.length > 0);
        } catch (e) {
            batch.bad++;
            next.end(e.message, true);
        }
        batch.done++;
        say(`${batch.done} of ${batch.done + waiting.length} done`);
    }
}

// Opens the result when there is but one.
async function runJobs() {
    if (batch || !waiting.length)
        return; // those at work take the new ones too
    batch = {ids: [], bad: 0, done: 0};
    await Promise.all(Array.from({length: AT_ONCE}, work));
    const {ids, bad} = batch;
    batch = null;
    if (!jobs.isConnected)
        return;
    if (ids.length === 1 && !bad) {
        location.hash = `#/result/${encodeURIComponent(ids[0])}`;
        return;
    }
    await refresh();
    say(`${count(ids.length, "recording", "recordings")} answered, ${bad} not readable`);
}

async function take(files) {
    forgive();
    const groups = await recordings(files);
    if (!groups.length)
        return complain("No file was in what was dropped.");
    for (const g of groups) {
        if (g.bytes > info.limits.upload_bytes) {
            complain(`${g.name} is not sent: ${bytes(g.bytes)}, and this server takes ${bytes(info.limits.upload_bytes)} at most.`);
            continue;
        }
        job(g.name, (tell, signal) => send(g.files, tell, signal));
    }
    await runJobs();
}

function takeRecords(names) {
    forgive();
    for (const name of names)
        job(name, () => openRecord(name));
    return runJobs();
}

function dropPlace() {
    const input = el("input", {type: "file", id: "files", multiple: true, onchange: async () => {
        await take([...input.files]);
        input.value = "";
    }});
    const place = el("div", {class: "drop"}, el("label", {for: "files"}, el("b", {}, "Drop recordings here"), " or"), input,
        el("p", {class: "muted small"}, `A WFDB header goes with its signal file (.hea and .dat); several recordings and folders at once are welcome. At most ${bytes(info.limits.upload_bytes)} a recording.`));
    return place;
}

// Dropping works anywhere in the window while this view is there.
function onWindow() {
    const over = (e) => {
        e.preventDefault();
        document.querySelector(".drop")?.classList.toggle("over", e.type === "dragover");
    };
    const drop = async (e) => {
        over(e);
        try {
            await take(await dropped(e.dataTransfer));
        } catch (x) {
            complain(`What was dropped cannot be read: ${x.message}`);
        }
    };
    const events = {dragover: over, dragleave: over, drop};
    for (const [name, f] of Object.entries(events))
        window.addEventListener(name, f);
    return () => {
        for (const [name, f] of Object.entries(events))
            window.removeEventListener(name, f);
    };
}

function folderPicker() {
    const names = el("select", {multiple: true, size: 6, id: "records"});
    const open = el("button", {type: "button", onclick: () => takeRecords([...names.selectedOptions].map((o) => o.value))}, "Open the chosen");
    const note = el("p", {class: "muted small"}, "");
    let all = [];
    const show = (text) => {
        const found = all.filter((n) => n.toLowerCase().includes(text.toLowerCase()));
        names.replaceChildren(...found.slice(0, 500).map((n) => el("option", {value: n}, n)));
        note.textContent = found.length > 500 ? `The first 500 of ${found.length}: type a part of the name.` : "";
    };
    const part = el("input", {type: "search", oninput: () => show(part.value)});
    names.addEventListener("dblclick", () => open.click());
    names.addEventListener("keydown", (e) => e.key === "Enter" && open.click());
    getJson("/api/records").then((answer) => {
        all = answer.records.map((r) => r.name);
        show("");
        if (answer.truncated)
            note.textContent = "The folder holds more recordings than are listed.";
    }).catch((e) => complain(e.message));
    return el("details", {}, el("summary", {}, "From the folder of the server"),
        el("div", {class: "picker"}, el("label", {}, "Part of the name ", part), el("label", {for: "records"}, "Recordings"), names, open, note));
}

// ---- results out ----------------------------------------------------------------------------------------------------------------

const columns = [
    {head: "Choose", unseen: true, cell: (r) => {
        const box = el("input", {type: "checkbox", "aria-label": `Choose ${r.name}`, checked: chosen.has(r.id), onchange: () => {
            chosen[box.checked ? "add" : "delete"](r.id);
            showTools();
        }});
        return box;
    }},
    {head: "Recording", rowHead: true, key: (r) => r.name, cell: (r) => el("a", {href: `#/result/${encodeURIComponent(r.id)}`}, r.name)},
    {head: "Recorded", key: (r) => r.recorded_at || null, cell: (r) => r.recorded_at || "–", class: "one"},
    {head: "Input check", key: (r) => r.state, cell: (r) => el("span", {title: r.error}, states[r.state] || r.state), class: "one"},
    {head: "Most probable", key: (r) => r.top?.code ?? null, cell: (r) => (r.top ? el("span", {}, el("b", {}, dotted(r.top.code)), " ", r.top.title || "") : r.error || "–"), class: "words"},
    {head: "Probability", number: true, first: "descending", key: (r) => r.top?.probability ?? null, cell: (r) => percent(r.top?.probability)},
    {head: "Verdict", key: (r) => r.top?.verdict ?? null, cell: (r) => verdicts[r.top?.verdict] || "–", class: "one"},
    {head: "YES", number: true, first: "descending", key: (r) => r.n_yes ?? null, cell: (r) => String(r.n_yes ?? "–")},
    {head: "Laboratory", key: (r) => r.lab?.name ?? null, cell: (r) => (r.lab ? `${r.lab.name} ${arrows[r.lab.direction] || ""}` : "–")},
    {head: "Laboratory probability", number: true, first: "descending", key: (r) => r.lab?.probability ?? null, cell: (r) => percent(r.lab?.probability)},
    {head: "Files", unseen: true, class: "one", cell: (r) => el("span", {class: "acts"},
        ...["html", "json", "csv"].map((kind) => saveLink(r, kind)),
        el("button", {type: "button", "aria-label": `Delete ${r.name}`, onclick: () => drop([r.id])}, "Delete"))},
];

function shown() {
    const text = wanted.text.toLowerCase();
    const words = (r) => [r.name, r.recorded_at, r.top?.code, r.top && dotted(r.top.code), r.top?.title, r.lab?.name, r.error].join(" ").toLowerCase();
    return results.filter((r) => (!wanted.state || r.state === wanted.state) && (!text || words(r).includes(text)));
}

function showTable() {
    const rows = shown();
    table.show(rows);
    summary.textContent = results.length ? `${rows.length} of ${count(results.length, "result", "results")}; the server keeps the last ${info.limits.results}, in memory only.` : "No results yet.";
    table.node.hidden = !results.length;
    showTools();
}

async function drop(ids) {
    for (const id of ids)
        try {
            await remove(id);
            chosen.delete(id);
        } catch (e) {
            complain(e.message);
        }
    await refresh();
    document.getElementById("find").focus(); // the row that had the focus is gone
    say(`${count(ids.length, "result", "results")} deleted`);
}

function showTools() {
    const ids = [...chosen].filter((id) => results.some((r) => r.id === id));
    const some = ids.length ? results.filter((r) => chosen.has(r.id)) : results;
    const [compare, remover, ...savers] = tools.children;
    compare.disabled = ids.length !== 2;
    remover.disabled = !ids.length;
    remover.textContent = ids.length ? `Delete ${ids.length} chosen` : "Delete chosen";
    for (const s of savers)
        s.disabled = !some.length;
    tools.querySelector("span").textContent = ids.length ? `${ids.length} chosen` : "all";
}

function toolRow() {
    const picked = () => (chosen.size ? results.filter((r) => chosen.has(r.id)) : results);
    const saver = (kind, words) => el("button", {type: "button", onclick: async () => {
        try {
            await saveAll(picked(), kind, say);
        } catch (e) {
            complain(e.message);
        }
    }}, words);
    return el("div", {class: "row", role: "group", "aria-label": "With the chosen results"},
        el("button", {type: "button", onclick: () => {
            const [a, b] = results.filter((r) => chosen.has(r.id)).reverse().map((r) => encodeURIComponent(r.id)); // the older first
            location.hash = `#/compare/${a}/${b}`;
        }}, "Compare two"),
        el("button", {type: "button", onclick: () => drop(results.filter((r) => chosen.has(r.id)).map((r) => r.id))}, "Delete chosen"),
        saver("csv", "CSV"), saver("json", "JSON"), saver("html", "Pages (zip)"), el("span", {class: "muted small"}, "all"));
}

async function refresh() {
    try {
        results = (await getJson("/api/results")).results;
    } catch (e) {
        complain(e.message);
    }
    for (const id of [...chosen])
        if (!results.some((r) => r.id === id))
            chosen.delete(id);
    showTable();
}

export async function startView(main, about) {
    info = about;
    summary = el("p", {class: "muted small"});
    table = sortable("Results", columns, order, true);
    tools = toolRow();
    const find = el("input", {type: "search", id: "find", value: wanted.text, oninput: () => {
        wanted.text = find.value;
        showTable();
    }});
    const state = el("select", {onchange: () => {
        wanted.state = state.value;
        showTable();
    }}, ...[["", "any"], ...Object.entries(states)].map(([v, words]) => el("option", {value: v, selected: wanted.state === v}, words)));
    main.replaceChildren(
        el("h1", {}, "Recordings"), dropPlace(), info.folder ? folderPicker() : "", jobs,
        el("h2", {}, "Results"),
        el("div", {class: "finds"}, el("span", {class: "row"}, el("label", {}, "Find ", find), el("label", {}, "Input check ", state)), tools), summary, table.node, model());
    const leave = onWindow();
    await refresh();
    return leave;
}

function model() {
    const m = info.model || {};
    return el("p", {class: "muted small about"}, `Model ${m.file || ""}: ${m.diagnoses ?? "–"} diagnoses, ${m.labs ?? "–"} laboratory values; ecgraft ${info.version}. `,
        el("span", {class: "hash"}, m.sha256 ? `#${m.sha256.slice(0, 12)}` : ""));
}
