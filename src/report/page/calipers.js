// SPDX-License-Identifier: MIT
// Calipers on a drawing of report/ecgplot: two points A and B, between them time, rate and voltage. All places are millimetres of the paper
// (the units of the drawing), so a measurement is the same at every zoom.
import {svgEl} from "./dom.js";

const STEP = {ms: 10, mv: 0.05}, FINE = {ms: 1, mv: 0.01}; // one press of an arrow key; with shift

// What the drawing says of itself.
export function scaleOf(svg) {
    const box = svg.viewBox.baseVal;
    return {
        speed: Number(svg.dataset.speed), gain: Number(svg.dataset.gain), time0: Number(svg.dataset.time0), width: box.width, height: box.height,
        strips: [...svg.querySelectorAll("[data-strip]")].map((g) => {
            const [from, to] = g.dataset.ms.split(" ").map(Number);
            return {lead: g.dataset.lead, from, to, level: Number(g.dataset.level)};
        }),
    };
}

// The strip whose middle line lies nearest.
export function stripAt(scale, x, y) {
    const ms = ((x - scale.time0) / scale.speed) * 1000;
    return scale.strips.filter((s) => ms >= s.from && ms < s.to).sort((a, b) => Math.abs(a.level - y) - Math.abs(b.level - y))[0] || null;
}

export function measure(scale, a, b) {
    const ms = (Math.abs(b.x - a.x) / scale.speed) * 1000, mv = (a.y - b.y) / scale.gain;
    const from = stripAt(scale, a.x, a.y), to = stripAt(scale, b.x, b.y);
    const lead = !from ? "" : to && to.from !== from.from ? `${from.lead} to ${to.lead}` : from.lead;
    return {ms, rate: ms > 0 ? 60000 / ms : null, mv, lead};
}

const rateWords = (rate) => (rate == null || rate > 999 ? "" : `${rate.toFixed(rate < 100 ? 1 : 0)}/min`);
const mvWords = (mv) => `${mv < 0 ? "−" : mv > 0 ? "+" : ""}${Math.abs(mv).toFixed(2)} mV`;

export function inWords(m) {
    return [`${Math.round(m.ms)} ms`, rateWords(m.rate), mvWords(m.mv)].filter(Boolean).join(" · ");
}

// report(measurement or null) on every change; back() gives the focus away when Escape puts the calipers away
export class Calipers {
    constructor(svg, frame, report, back) {
        Object.assign(this, {svg, frame, report, back, scale: scaleOf(svg), march: false, zoom: 1, on: false});
        this.a = this.b = {x: 0, y: 0};
        this.layer = svgEl("g", {class: "calipers", hidden: ""});
        this.area = svgEl("rect", {class: "cal-area"});
        this.lines = svgEl("path", {class: "cal-line"});
        this.beats = svgEl("path", {class: "cal-march"});
        this.words = svgEl("text", {class: "cal-words", "text-anchor": "middle"});
        this.handles = {a: this.handle("a", "Caliper A"), b: this.handle("b", "Caliper B"), both: this.handle("both", "Both calipers")};
        this.layer.append(this.area, this.beats, this.lines, this.words, this.handles.a, this.handles.b, this.handles.both);
        svg.append(this.layer);
        svg.addEventListener("pointerdown", (e) => this.press(e));
        this.show(false);
    }

    handle(which, label) {
        const g = svgEl("g", {class: `cal-handle cal-${which}`, tabindex: "0", role: "slider", "aria-label": label, "aria-orientation": "horizontal"});
        g.append(svgEl("circle", {class: "cal-reach"}), svgEl("circle", {class: "cal-knob"}));
        g.addEventListener("pointerdown", (e) => this.grab(e, which));
        g.addEventListener("keydown", (e) => this.key(e, which));
        return g;
    }

    show(on) {
        this.on = on;
        this.layer.toggleAttribute("hidden", !on);
        this.layer.style.display = on ? "" : "none";
        this.svg.classList.toggle("measuring", on);
        if (!on)
            return this.report(null);
        this.draw();
    }

    // Up to 800 ms and 1 mV in the middle of what can be seen, on the strip that is nearest to it and within its time.
    place() {
        const s = this.scale, seen = this.frame.getBoundingClientRect(), whole = this.svg.getBoundingClientRect();
        const left = Math.max(seen.left, whole.left), right = Math.min(seen.right, whole.right);
        const middle = this.point({clientX: (left + right) / 2, clientY: (whole.top + whole.bottom) / 2});
        const half = Math.min(0.4 * s.speed, ((right - left) / whole.width) * s.width * 0.3), strip = stripAt(s, middle.x, middle.y);
        const x = (ms) => s.time0 + (ms / 1000) * s.speed;
        const centre = strip ? Math.max(x(strip.from) + half, Math.min(x(strip.to) - half - 0.1, middle.x)) : middle.x;
        const level = strip ? strip.level : middle.y;
        this.a = this.held({x: centre - half, y: level});
        this.b = this.held({x: centre + half, y: level - s.gain});
        this.show(true);
        this.handles.a.focus({preventScroll: true});
    }

    held(p) {
        const s = this.scale;
        return {x: Math.min(s.width, Math.max(0, p.x)), y: Math.min(s.height, Math.max(0, p.y))};
    }

    point(e) {
        const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
        return {x: p.x, y: p.y};
    }

    // A mouse or a pen draws new calipers on the free paper; a finger moves the paper there.
    press(e) {
        if (!this.on || e.button !== 0 || e.pointerType === "touch" || e.target.closest(".cal-handle"))
            return;
        e.preventDefault();
        this.a = this.b = this.held(this.point(e));
        this.drag(e, (p) => (this.b = this.held(p)), this.handles.b);
    }

    grab(e, which) {
        if (e.button !== 0)
            return;
        e.preventDefault();
        e.stopPropagation();
        const start = this.point(e), a = this.a, b = this.b;
        this.drag(e, (p) => this.shift(which, p.x - start.x, p.y - start.y, a, b), this.handles[which]);
    }

    drag(e, move, handle) {
        handle.focus({preventScroll: true});
        handle.setPointerCapture(e.pointerId);
        const go = (f) => {
            move(this.point(f));
            this.draw();
        };
        const end = () => {
            handle.removeEventListener("pointermove", go);
            handle.removeEventListener("pointerup", end);
            handle.removeEventListener("pointercancel", end);
        };
        handle.addEventListener("pointermove", go);
        handle.addEventListener("pointerup", end);
        handle.addEventListener("pointercancel", end);
        this.draw();
    }

    // Moves from where A and B stood; both together keep what lies between them.
    shift(which, dx, dy, a = this.a, b = this.b) {
        if (which === "both") {
            const s = this.scale, low = Math.min(a.x, b.x), high = Math.max(a.x, b.x), top = Math.min(a.y, b.y), foot = Math.max(a.y, b.y);
            dx = Math.min(s.width - high, Math.max(-low, dx));
            dy = Math.min(s.height - foot, Math.max(-top, dy));
        }
        if (which !== "b")
            this.a = this.held({x: a.x + dx, y: a.y + dy});
        if (which !== "a")
            this.b = this.held({x: b.x + dx, y: b.y + dy});
    }

    key(e, which) {
        const step = e.shiftKey ? FINE : STEP, dx = (step.ms / 1000) * this.scale.speed, dy = step.mv * this.scale.gain;
        const moves = {ArrowLeft: [-dx, 0], ArrowRight: [dx, 0], ArrowUp: [0, -dy], ArrowDown: [0, dy]};
        if (e.ctrlKey || e.altKey || e.metaKey)
            return;
        if (moves[e.key]) {
            this.shift(which, ...moves[e.key]);
            this.draw();
            this.reveal(which);
        } else if (e.key === "Escape") {
            this.show(false);
            this.back();
        } else {
            return;
        }
        e.preventDefault();
        e.stopPropagation();
    }

    reveal(which) {
        const knob = this.handles[which].lastChild.getBoundingClientRect(), seen = this.frame.getBoundingClientRect();
        if (knob.left < seen.left)
            this.frame.scrollLeft -= seen.left - knob.left + 40;
        else if (knob.right > seen.right)
            this.frame.scrollLeft += knob.right - seen.right + 40;
    }

    setZoom(zoom) {
        this.zoom = zoom;
        if (this.on)
            this.draw();
    }

    draw() {
        const {a, b, scale, zoom} = this, k = 1 / zoom, m = measure(scale, a, b);
        const left = Math.min(a.x, b.x), right = Math.max(a.x, b.x), top = Math.min(a.y, b.y), foot = Math.max(a.y, b.y);
        for (const [name, value] of Object.entries({x: left, y: top, width: right - left, height: foot - top}))
            this.area.setAttribute(name, value);
        this.lines.setAttribute("d", `M${a.x} 0V${scale.height}M${b.x} 0V${scale.height}M${left} ${a.y}H${right}M${left} ${b.y}H${right}`);
        this.beats.setAttribute("d", this.march ? this.marches(left, right - left) : "");
        const label = inWords(m), wide = label.length * 0.9 * k + 2;
        this.words.textContent = label;
        this.words.setAttribute("x", Math.min(scale.width - wide, Math.max(wide, (left + right) / 2)));
        this.words.setAttribute("y", top > 9 * k ? top - 4.5 * k : Math.min(scale.height - k, foot + 7 * k));
        this.words.setAttribute("font-size", 3.4 * k);
        const at = {a, b, both: {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2}};
        for (const [which, g] of Object.entries(this.handles)) {
            g.setAttribute("transform", `translate(${at[which].x} ${at[which].y})`);
            g.firstChild.setAttribute("r", (which === "both" ? 4 : 5.8) * k); // 44 px across at 96 to the inch
            g.lastChild.setAttribute("r", (which === "both" ? 1.1 : 1.5) * k);
            const ms = ((at[which].x - scale.time0) / scale.speed) * 1000;
            g.setAttribute("aria-valuenow", Math.round(ms));
            g.setAttribute("aria-valuemin", Math.round((-scale.time0 / scale.speed) * 1000));
            g.setAttribute("aria-valuemax", Math.round(((scale.width - scale.time0) / scale.speed) * 1000));
            g.setAttribute("aria-valuetext", `at ${Math.round(ms)} ms, ${label}${m.lead ? ", " + m.lead : ""}`);
        }
        this.report(m);
    }

    // The interval again and again over the whole paper, to see whether the rhythm keeps it.
    marches(left, step) {
        let d = "";
        if (step < 1)
            return d;
        for (let x = left - Math.floor((left - this.scale.time0) / step) * step; x <= this.scale.width; x += step)
            if (Math.abs(x - left) > 0.01 && Math.abs(x - left - step) > 0.01)
                d += `M${x.toFixed(3)} 0V${this.scale.height}`;
        return d;
    }
}
