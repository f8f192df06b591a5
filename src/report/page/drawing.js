// SPDX-License-Identifier: MIT
// What is done to a drawing on the screen: zoom that says what it is, calipers, and the row of buttons for both.
import {Calipers, inWords} from "./calipers.js";
import {choice, el, say} from "./dom.js";

const ZOOMS = [0.25, 0.35, 0.5, 0.7, 0.85, 1, 1.25, 1.5, 2, 3, 4, 6];
const PX_PER_MM = 96 / 25.4;
const CARD_MM = 85.6; // ISO/IEC 7810, ID-1
const STORED = "screen"; // what a millimetre of the system has to be multiplied by on this screen, found with a card

function screenScale() {
    try {
        const stored = Number(localStorage.getItem(STORED));
        return stored >= 0.5 && stored <= 2 ? stored : 1;
    } catch {
        return 1;
    }
}

// A bar as wide as a bank card, once its owner has made it so: then 100 % are millimetres of this very screen.
function ruler(change) {
    const bar = el("div", {class: "card", "aria-hidden": "true"}), range = el("input", {type: "range", min: 50, max: 200, step: 0.5});
    const set = (scale) => {
        bar.style.width = `${CARD_MM * scale}mm`;
        range.value = 100 * scale;
    };
    const keep = (scale) => {
        set(scale);
        try {
            localStorage.setItem(STORED, scale);
        } catch {
            say("kept until the page is left"); // a private window
        }
        change(scale);
    };
    range.addEventListener("input", () => keep(range.value / 100));
    set(screenScale());
    return el("div", {}, el("label", {}, "Make the bar as wide as a bank card (85.6 mm) ", range), " ", el("button", {type: "button", onclick: () => keep(1)}, "As the system says"), bar);
}

// drawings: [{svg, frame, name}], all zoomed together; -> {node, end()}
export function drawingTools(drawings) {
    const zoomWords = el("output", {class: "zoom"}), reading = el("output", {class: "reading-out", "aria-label": "Calipers"});
    const measured = new Map();
    let zoom = 1, fitted = false, screen = screenScale();

    for (const d of drawings) {
        d.svg.style.setProperty("--mm", d.svg.viewBox.baseVal.width);
        d.calipers = new Calipers(d.svg, d.frame, (m) => tell(d, m), () => settle(d));
    }

    function setZoom(to, held = null) {
        const before = zoom;
        zoom = Math.min(6, Math.max(0.2, to));
        for (const d of drawings) {
            const middle = held ? held.clientX - d.frame.getBoundingClientRect().left : d.frame.clientWidth / 2, at = (d.frame.scrollLeft + middle) / before;
            d.svg.style.setProperty("--zoom", zoom * screen);
            d.frame.scrollLeft = at * zoom - middle;
            d.calipers.setZoom(zoom * screen);
        }
        zoomWords.textContent = Math.abs(zoom - 1) < 0.005 ? "100 %, true millimetres" : `${Math.round(zoom * 100)} % of true size`;
    }
    const stepped = (way) => {
        fitted = false;
        setZoom(way > 0 ? ZOOMS.find((z) => z > zoom * 1.01) || 6 : ZOOMS.findLast((z) => z < zoom * 0.99) || 0.2);
    };
    const fit = () => {
        fitted = true;
        setZoom(Math.min(...drawings.map((d) => (d.frame.clientWidth - 1) / (d.svg.viewBox.baseVal.width * PX_PER_MM * screen))));
    };

    function tell(d, m) {
        if (m)
            measured.set(d, m);
        else
            measured.delete(d);
        reading.textContent = drawings.filter((of) => measured.has(of)).map((of) => {
            const x = measured.get(of);
            return `${of.name ? of.name + ": " : ""}${inWords(x)}${x.lead ? " in " + x.lead : ""}`;
        }).join("; ");
    }
    const press = (button, on) => button.setAttribute("aria-pressed", String(on));
    const anyOn = () => drawings.some((d) => d.calipers.on);

    function settle(d) {
        press(caliper, anyOn());
        (drawings.find((other) => other !== d && other.calipers.on)?.calipers.handles.a || caliper).focus();
    }
    const caliper = el("button", {type: "button", "aria-pressed": "false", onclick: () => {
        const on = !anyOn();
        for (const d of [...drawings].reverse()) // the first gets the focus
            if (on)
                d.calipers.place();
            else
                d.calipers.show(false);
        press(caliper, on);
    }}, "Calipers");
    const march = el("button", {type: "button", "aria-pressed": "false", title: "The interval again and again over the whole paper", onclick: () => {
        const on = march.getAttribute("aria-pressed") !== "true";
        press(march, on);
        for (const d of drawings) {
            d.calipers.march = on;
            if (d.calipers.on)
                d.calipers.draw();
        }
    }}, "March");

    const listeners = new AbortController();
    for (const d of drawings) {
        d.frame.addEventListener("keydown", (e) => {
            const act = {"+": () => stepped(1), "=": () => stepped(1), "-": () => stepped(-1), 0: () => setZoom(1)}[e.key];
            if (!act || e.ctrlKey || e.altKey || e.metaKey)
                return;
            e.preventDefault();
            act();
        }, {signal: listeners.signal});
        d.frame.addEventListener("wheel", (e) => {
            if (!e.ctrlKey)
                return;
            e.preventDefault();
            fitted = false;
            setZoom(zoom * Math.exp(-e.deltaY / 300), e);
        }, {signal: listeners.signal, passive: false});
    }
    window.addEventListener("resize", () => fitted && fit(), {signal: listeners.signal});
    setZoom(1);
    const button = (words, label, f) => el("button", {type: "button", "aria-label": label, title: label, onclick: f}, words);
    const node = el("div", {class: "tools", role: "group", "aria-label": "Zoom and calipers"},
        el("span", {class: "row"}, button("−", "Zoom out", () => stepped(-1)), button("+", "Zoom in", () => stepped(1)),
            button("1:1", "True size", () => { fitted = false; setZoom(1); }), button("Fit", "Fit to the width", fit), zoomWords),
        el("span", {class: "row"}, caliper, march, reading),
        el("details", {class: "small"}, el("summary", {}, "How to measure"),
            el("p", {}, "Calipers: drag on the paper with the mouse, or move the handles A and B; the dot between them moves both. Keys on a handle: arrows 10 ms and 0.05 mV, with Shift 1 ms and 0.01 mV, Escape puts them away. " +
                "The rate is 60,000 divided by the milliseconds. Keys on the drawing: + and - zoom, 0 is true size. A screen's millimetre is 3.78 pixels as its system counts them, which is not always so."),
            ruler((scale) => {
                screen = scale;
                setZoom(zoom);
            })));
    return {node, end: () => listeners.abort()};
}

// The choices of the drawing; change({layout, speed, gain}) with what is not the usual.
export function viewChoices(info, view, change) {
    const set = (key) => (value) => change({...view, [key]: value});
    return [
        choice("Layout", info.layouts.map((l) => [l, l === "cabrera" ? "Cabrera" : l.replace("x", " × ")]), view.layout || "3x4", set("layout")),
        choice("Speed", info.speeds.map((s) => [s, `${s} mm/s`]), view.speed || 25, set("speed")),
        choice("Gain", [["", "10, or 5 to fit"], ...info.gains.map((g) => [g, `${g} mm/mV`])], view.gain || "", set("gain")),
    ];
}

export function viewQuery(view) {
    const query = new URLSearchParams(Object.entries(view).filter(([, value]) => value)).toString();
    return query ? "?" + query : "";
}
