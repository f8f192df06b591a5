// SPDX-License-Identifier: MIT
// A table that sorts by any column. Heads are buttons, so the keyboard sorts as the mouse does; aria-sort says how it stands.
import {el} from "./dom.js";

// columns: {head, key(row) to sort by (none: not sortable), cell(row) -> text or node, number, rowHead, first: "descending" where the high comes first}
// -> {node, show(rows)}; order is {at, down}, kept by the caller so that it outlives a redraw; unseen: the caption only for those who listen
export function sortable(caption, columns, order, unseen = false) {
    const body = el("tbody");
    const heads = columns.map((c, i) => {
        const inside = c.key ? el("button", {type: "button", class: "sort", onclick: () => sortBy(i)}, c.head) : c.unseen ? el("span", {class: "unseen"}, c.head) : c.head;
        return el("th", {scope: "col", class: c.number ? "n" : null}, inside);
    });
    const table = el("table", {}, el("caption", {class: unseen ? "unseen" : null}, caption), el("thead", {}, el("tr", {}, ...heads)), body);
    let rows = [];

    function sortBy(at) {
        order.down = order.at === at ? !order.down : columns[at].first === "descending";
        order.at = at;
        draw();
    }

    function compare(a, b) {
        const key = columns[order.at].key, x = key(a), y = key(b);
        if (x == null || y == null)
            return (x == null) - (y == null); // what is not known comes last either way
        const sign = typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", {numeric: true});
        return order.down ? -sign : sign;
    }

    function draw() {
        heads.forEach((th, i) => {
            if (columns[i].key)
                th.setAttribute("aria-sort", order.at === i ? (order.down ? "descending" : "ascending") : "none");
        });
        const sorted = order.at == null ? rows : rows.map((r, i) => [r, i]).sort((a, b) => compare(a[0], b[0]) || a[1] - b[1]).map(([r]) => r);
        body.replaceChildren(...sorted.map((row) => el("tr", {"data-id": row.id},
            ...columns.map((c) => el(c.rowHead ? "th" : "td", {scope: c.rowHead ? "row" : null, class: c.number ? "n" : c.class}, c.cell(row))))));
    }

    return {
        node: el("div", {class: "wide", tabindex: "0", role: "region", "aria-label": caption}, table),
        show(some) {
            rows = some;
            draw();
        },
    };
}
