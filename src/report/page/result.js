// SPDX-License-Identifier: MIT
// One result: the page that `ecgraft predict --html` writes, as it is, in a tree of its own so that its style and that of this page do not
// meet; with zoom and calipers on its drawing.
import {complain, el, say} from "./dom.js";
import {drawingTools, viewChoices, viewQuery} from "./drawing.js";
import {getJson, getText, remove, resultPath} from "./net.js";
import {saveLink} from "./save.js";

// A page of ours has no scripts. Should one ever get in by way of a file, it is left out here, and the policy of the server forbids it to run.
function harmless(root) {
    for (const node of root.querySelectorAll("script,iframe,object,embed,link,meta,base,foreignObject"))
        node.remove();
    for (const node of root.querySelectorAll("*"))
        for (const {name, value} of [...node.attributes])
            if (/^on/i.test(name) || (/href|src|action/i.test(name) && !value.startsWith("#")))
                node.removeAttribute(name);
    return root;
}

// The whole <html> of the page goes into the shadow tree, so the rules for html and body find what they mean; :root is ours (app.css).
function adopt(place, text) {
    const page = harmless(new DOMParser().parseFromString(text, "text/html").documentElement);
    page.querySelector("body").className = "sheet-page"; // the statement stands above it on the screen, and in it on paper
    place.shadowRoot.replaceChildren(document.importNode(page, true), el("link", {rel: "stylesheet", href: "/ecg.css"}));
    return place.shadowRoot;
}

function addTools(shadow) {
    const frame = shadow.querySelector(".ecg"), svg = frame?.querySelector("svg[data-speed]");
    if (!svg)
        return null;
    const tools = drawingTools([{svg, frame, name: ""}]);
    frame.before(tools.node);
    return tools;
}

export async function resultView(main, info, id, asked) {
    const view = {layout: asked.layout, speed: asked.speed, gain: asked.gain};
    const [text, list] = await Promise.all([getText(resultPath(id, "html", view)), getJson("/api/results")]);
    const mine = list.results.find((r) => r.id === id) || {id, name: id};
    const place = el("article", {class: "sheet", "data-title": mine.name});
    place.attachShadow({mode: "open"});
    let tools = addTools(adopt(place, text)), turn = 0;

    async function change(next) {
        const at = ++turn;
        Object.assign(view, next);
        history.replaceState(null, "", `#/result/${encodeURIComponent(id)}${viewQuery(view)}`);
        try {
            const again = await getText(resultPath(id, "html", view));
            if (at !== turn)
                return;
            tools?.end();
            tools = addTools(adopt(place, again));
            links.replaceChildren(...files());
            say("drawn again");
        } catch (e) {
            complain(e.message);
        }
    }
    const files = () => [...["html", "json", "csv"].map((kind) => saveLink(mine, kind, kind === "html" ? view : {})), saveLink(mine, "svg", view)];
    const links = el("span", {class: "acts"}, ...files());
    const others = list.results.filter((r) => r.id !== id);
    const compare = el("select", {disabled: !others.length, onchange: () => (go.disabled = !compare.value)}, el("option", {value: ""}, others.length ? "choose a recording" : "no other recording"), ...others.map((r) => el("option", {value: r.id}, [r.name, r.recorded_at].filter(Boolean).join(", "))));
    const go = el("button", {type: "button", disabled: true, onclick: () => (location.hash = `#/compare/${encodeURIComponent(compare.value)}/${encodeURIComponent(id)}`)}, "Compare");
    main.replaceChildren(
        el("div", {class: "bar"}, el("a", {href: "#/"}, "← All recordings"), ...viewChoices(info, view, change),
            el("label", {class: "choice long"}, el("span", {}, "Compare with "), compare), go, el("span", {class: "row"}, el("span", {class: "muted"}, "Save"), links),
            el("button", {type: "button", onclick: () => print()}, "Print"),
            el("button", {type: "button", onclick: async () => {
                try {
                    await remove(id);
                    location.hash = "#/";
                } catch (e) {
                    complain(e.message);
                }
            }}, "Delete")),
        place);
    return () => tools?.end();
}
