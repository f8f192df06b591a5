// SPDX-License-Identifier: MIT
// Two recordings of one patient: both drawings with the same layout, scale and zoom, and what the model says now and said then.
import {arrows, choice, complain, dotted, el, percent, say, states, verdicts} from "./dom.js";
import {drawingTools, viewChoices, viewQuery} from "./drawing.js";
import {getJson, getText, resultPath} from "./net.js";
import {sortable} from "./table.js";

const ALL = 10000; // labels asked for: those that are probable in one recording need not be so in the other
const SHOWN = 15;

function drawing(text) {
    const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    if (svg.nodeName !== "svg")
        throw new Error("the drawing cannot be read");
    return document.importNode(svg, true);
}

// Points of a hundred, with the sign that a reader looks for.
const points = (d) => (d == null ? "–" : `${d < 0 ? "−" : d > 0 ? "+" : ""}${(100 * Math.abs(d)).toFixed(1)}`);
const apart = (a, b) => a && b && (a[0] > b[1] || b[0] > a[1]);
const range = (d) => (d?.interval ? `${percent(d.probability)} [${percent(d.interval[0]).replace(" %", "")}–${percent(d.interval[1]).replace(" %", "")}]` : percent(d?.probability));

// -> [{code, words, base, a, b, change, apart}], the largest change first
export function differences(before, after) {
    const rows = new Map();
    for (const [side, list] of [["a", before], ["b", after]])
        for (const d of list || []) {
            const row = rows.get(d.code) || {code: d.code, words: d.test ? `${d.test} ${arrows[d.direction] || ""}`.trim() : d.title, name: d.test ? "" : d.text || dotted(d.code), base: d.prevalence};
            row[side] = d;
            rows.set(d.code, row);
        }
    for (const row of rows.values()) {
        row.change = row.a && row.b ? row.b.probability - row.a.probability : null;
        row.apart = Boolean(apart(row.a?.interval, row.b?.interval));
    }
    return [...rows.values()].sort((x, y) => Math.abs(y.change ?? 0) - Math.abs(x.change ?? 0) || (x.code < y.code ? -1 : 1));
}

function changeTable(caption, rows, head) {
    const order = {at: null, down: true};
    const table = sortable(caption, [
        {head, rowHead: true, key: (r) => r.name || r.words, cell: (r) => el("span", {}, r.name ? el("b", {}, r.name) : null, r.name ? " " : null, r.name ? r.words : el("b", {}, r.words)), class: "words"},
        {head: "Base rate", number: true, first: "descending", key: (r) => r.base, cell: (r) => percent(r.base)},
        {head: "A", number: true, first: "descending", key: (r) => r.a?.probability ?? null, cell: (r) => range(r.a)},
        {head: "B", number: true, first: "descending", key: (r) => r.b?.probability ?? null, cell: (r) => range(r.b)},
        {head: "B − A, points", number: true, first: "descending", key: (r) => r.change, cell: (r) => el(r.apart ? "b" : "span", {}, points(r.change), r.apart ? " *" : "")},
        {head: "Verdict A", key: (r) => r.a?.verdict ?? null, cell: (r) => verdicts[r.a?.verdict] || "–", class: "one"},
        {head: "Verdict B", key: (r) => r.b?.verdict ?? null, cell: (r) => verdicts[r.b?.verdict] || "–", class: "one"},
    ], order);
    const more = el("button", {type: "button", onclick: () => {
        table.show(rows);
        more.remove();
    }}, `Show all ${rows.length}`);
    table.show(rows.slice(0, SHOWN));
    return [table.node, rows.length > SHOWN ? more : ""];
}

const refused = (p) => p.input?.state === "refused";

function facts(letter, result, prediction) {
    const reasons = prediction.input?.reasons || [];
    return [
        el("h2", {}, `${letter}: `, el("a", {href: `#/result/${encodeURIComponent(result.id)}`}, result.name)),
        el("p", {class: "muted small"}, [result.recorded_at || "time not recorded", `input check: ${states[result.state] || result.state}`, ...reasons].join(" · ")),
    ];
}

function sayTables(a, b) {
    if (refused(a) || refused(b))
        return [el("p", {class: "note"}, "The model refuses one of the two, so there is nothing to compare but the drawings.")];
    const diagnoses = differences(a.diagnoses, b.diagnoses), labs = differences(a.labs, b.labs), far = diagnoses.filter((r) => r.apart).length;
    return [
        el("h2", {}, "What the model says"),
        el("p", {}, `Diagnoses whose two intervals do not meet (*): ${far} of ${diagnoses.length}. A difference is one between two ECGs as this model sees them; it is no course of a disease.`),
        ...changeTable("Diagnoses, the largest change first", diagnoses, "Diagnosis"),
        ...(labs.length ? changeTable("Predicted laboratory (not measured), the largest change first", labs, "Laboratory") : []),
    ];
}

export async function compareView(main, info, idA, idB, asked) {
    const view = {layout: asked.layout, speed: asked.speed, gain: asked.gain, how: asked.how};
    const ids = [idA, idB];
    const [list, ...both] = await Promise.all([getJson("/api/results"), ...ids.map((id) => getJson(resultPath(id, "json", {top: ALL})))]);
    const results = ids.map((id) => list.results.find((r) => r.id === id) || {id, name: id});
    const frames = results.map((r, i) => el("div", {class: "ecg", tabindex: "0", role: "region", "aria-label": `Electrocardiogram ${"AB"[i]} in true millimetres`}));
    const pair = el("div", {class: "pair"}, ...results.map((r, i) => el("section", {}, ...facts("AB"[i], r, both[i]), frames[i])));
    const place = el("div", {class: "toolplace"});
    let tools = null, turn = 0;

    async function draw() {
        const at = ++turn, texts = await Promise.all(ids.map((id) => getText(resultPath(id, "svg", view))));
        if (at !== turn)
            return;
        tools?.end();
        frames.forEach((f, i) => f.replaceChildren(drawing(texts[i])));
        tools = drawingTools(frames.map((frame, i) => ({svg: frame.firstChild, frame, name: "AB"[i]})));
        place.replaceChildren(tools.node);
    }
    function arrange() {
        pair.classList.toggle("side", view.how === "side");
    }
    async function change(next) {
        const redraw = ["layout", "speed", "gain"].some((key) => (next[key] || "") !== (view[key] || ""));
        Object.assign(view, next);
        history.replaceState(null, "", `#/compare/${ids.map(encodeURIComponent).join("/")}${viewQuery(view)}`);
        arrange();
        try {
            if (redraw)
                await draw();
            say("drawn again");
        } catch (e) {
            complain(e.message);
        }
    }
    // both papers show the same stretch of time
    frames.forEach((f, i) => f.addEventListener("scroll", () => {
        const other = frames[1 - i];
        if (Math.abs(other.scrollLeft - f.scrollLeft) > 1)
            other.scrollLeft = f.scrollLeft;
    }));
    arrange();
    await draw();
    main.replaceChildren(
        el("div", {class: "bar"}, el("a", {href: "#/"}, "← All recordings"), ...viewChoices(info, view, change),
            choice("Drawings", [["", "one above the other"], ["side", "side by side"]], view.how || "", (how) => change({...view, how})),
            el("a", {href: `#/compare/${encodeURIComponent(idB)}/${encodeURIComponent(idA)}${viewQuery(view)}`}, "Swap A and B")),
        el("h1", {}, "Comparison"),
        el("p", {class: "muted small"}, `Two recordings, A then B. Whether they are of one patient is for you to know: the program does not.`),
        place, pair, ...sayTables(both[0], both[1]));
    return () => tools?.end();
}
