// SPDX-License-Identifier: MIT
// The page of `ecgraft serve`: which view the address asks for, and the colours.
import {compareView} from "./compare.js";
import {complain, el, forgive} from "./dom.js";
import {getJson} from "./net.js";
import {resultView} from "./result.js";
import {startView} from "./start.js";

const main = document.getElementById("main");
let info, leave = null, turn = 0;

// "#/result/r7?layout=6x2" -> ["result", "r7"], {layout: "6x2"}
function address() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    return [path.split("/").filter(Boolean).map(decodeURIComponent), Object.fromEntries(new URLSearchParams(query || ""))];
}

async function show(first) {
    const mine = ++turn, [path, view] = address();
    leave?.();
    leave = null;
    if (!first)
        forgive();
    main.setAttribute("aria-busy", "true");
    try {
        const open = path[0] === "result" ? resultView(main, info, path[1], view) : path[0] === "compare" ? compareView(main, info, path[1], path[2], view) : startView(main, info);
        const end = await open;
        if (mine !== turn)
            end?.();
        else
            leave = end;
    } catch (e) {
        if (mine === turn)
            main.replaceChildren(el("h1", {}, "Nothing to show"), el("p", {class: "note error"}, e.message), el("p", {}, el("a", {href: "#/"}, "All recordings")));
    }
    if (mine !== turn)
        return;
    main.removeAttribute("aria-busy");
    const name = main.querySelector("h1")?.textContent || main.querySelector("[data-title]")?.dataset.title;
    document.title = name && path[0] ? `${name} - ecgraft` : "ecgraft";
    if (!first) {
        main.focus({preventScroll: true});
        scrollTo(0, 0);
    }
}

// What was chosen stays for the next visit, where the browser remembers anything at all.
function colours() {
    const select = document.getElementById("theme");
    const set = (value) => {
        if (value)
            document.documentElement.dataset.theme = value;
        else
            delete document.documentElement.dataset.theme;
    };
    try {
        select.value = localStorage.getItem("theme") || "";
    } catch {
        select.value = "";
    }
    set(select.value);
    select.addEventListener("change", () => {
        set(select.value);
        try {
            localStorage.setItem("theme", select.value);
        } catch {
            return; // a private window: until it is closed
        }
    });
}

async function begin() {
    colours();
    document.querySelector(".skip").addEventListener("click", (e) => {
        e.preventDefault(); // the address names the view
        main.focus();
        main.scrollIntoView();
    });
    try {
        info = await getJson("/api/info");
    } catch (e) {
        return complain(`${e.message} Reload the page to try again.`);
    }
    document.getElementById("synthetic").hidden = !info.synthetic;
    window.addEventListener("hashchange", () => show(false));
    await show(true);
}

begin();
