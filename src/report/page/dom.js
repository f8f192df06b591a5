// SPDX-License-Identifier: MIT
// Elements, messages, numbers in words. Text from files and from the server only ever becomes text nodes and attributes.

// el("p", {class: "note", onclick: f, hidden: true}, "text", node, ...)
export function el(tag, props = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
        if (name.startsWith("on"))
            node.addEventListener(name.slice(2), value);
        else if (value === true)
            node.setAttribute(name, "");
        else if (value !== false && value != null)
            node.setAttribute(name, value);
    }
    node.append(...children.filter((c) => c != null));
    return node;
}

const SVG = "http://www.w3.org/2000/svg";
export function svgEl(tag, attributes = {}) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes))
        node.setAttribute(name, value);
    return node;
}

// options: [[value, words], ...]
export function choice(label, options, value, onchange) {
    const select = el("select", {onchange: () => onchange(select.value)}, ...options.map(([v, words]) => el("option", {value: v, selected: String(v) === String(value)}, words)));
    return el("label", {class: "choice"}, el("span", {}, label + " "), select);
}

// For those who listen: progress and results. The same words twice are said twice.
export function say(words) {
    const live = document.getElementById("live");
    live.textContent = "";
    setTimeout(() => (live.textContent = words), 50);
}

// For everybody: what went wrong, until it is put away or the view is left.
export function complain(words) {
    const note = el("p", {class: "note error"}, words + " ", el("button", {type: "button", onclick: () => note.remove()}, "Dismiss"));
    const errors = document.getElementById("errors");
    errors.append(note);
    while (errors.children.length > 4)
        errors.firstChild.remove();
}

export function forgive() {
    document.getElementById("errors").replaceChildren();
}

// As the server's limits count them: 1 MB is 1,048,576 bytes.
export function bytes(n) {
    const units = ["bytes", "kB", "MB", "GB"];
    let unit = 0;
    for (; n >= 1024 && unit < 3; unit++)
        n /= 1024;
    return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export function count(n, one, many) {
    return `${n} ${n === 1 ? one : many}`;
}

// As on the page: whole percents, tenths below 2, never 0 or 100 for what is only near.
export function percent(p) {
    if (p == null)
        return "–";
    const x = 100 * p;
    if (x > 0 && x < 0.1)
        return "<0.1 %";
    if (x < 2 && x > 0)
        return `${x.toFixed(1)} %`;
    return x < 100 && x > 99 ? ">99 %" : `${Math.round(x)} %`;
}

// I4891 is written I48.91
export function dotted(code) {
    return /^[A-Z][0-9][0-9A-Z]{2,5}$/.test(code) ? `${code.slice(0, 3)}.${code.slice(3)}` : code;
}

export const arrows = {high: "↑ high", low: "↓ low"};
export const states = {answered: "✓ ok", caution: "! caution", refused: "✕ refused"};
export const verdicts = {YES: "✓ YES", NO: "✕ NO", UNCERTAIN: "? UNCERTAIN"};
