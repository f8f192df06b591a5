// SPDX-License-Identifier: MIT
// Results as files: one as the server writes it, several as one table, one JSON array or one archive of pages.
import {el} from "./dom.js";
import {getBytes, getJson, getText, resultPath} from "./net.js";

const fileName = (name, kind) => `${String(name).replace(/\.[a-z0-9]{1,4}$/i, "").replace(/[^\w.-]+/g, "_").slice(0, 80) || "recording"}.${kind}`;

export function saveLink(result, kind, view = {}) {
    return el("a", {href: resultPath(result.id, kind, {...view, download: kind === "html" ? "1" : null}), download: fileName(result.name, kind),
                    "aria-label": `${kind.toUpperCase()} of ${result.name}`}, kind.toUpperCase());
}

function save(parts, type, name) {
    const url = URL.createObjectURL(new Blob(parts, {type}));
    el("a", {href: url, download: name}).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const crcTable = Uint32Array.from({length: 256}, (_, n) => {
    for (let k = 0; k < 8; k++)
        n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
});

function crc32(bytes) {
    let c = 0xffffffff;
    for (const b of bytes)
        c = crcTable[(c ^ b) & 255] ^ (c >>> 8);
    return (c ^ 0xffffffff) >>> 0;
}

// PKWARE APPNOTE 6.3: local header and bytes of each file, stored; then the directory. Names are ASCII, all dates 1 January 1980.
function zip(files) {
    const parts = [], directory = [];
    let at = 0;
    const header = (signature, before, f, after) => {
        const view = new DataView(new ArrayBuffer(before.length * 2 + 4 + 24 + after)), name = new TextEncoder().encode(f.name);
        let o = 0;
        const put16 = (x) => (view.setUint16(o, x, true), (o += 2)), put32 = (x) => (view.setUint32(o, x, true), (o += 4));
        put32(signature);
        [...before, 0, 0, 0, 0x21].forEach(put16); // flags, stored, time, date
        [f.crc, f.bytes.length, f.bytes.length].forEach(put32);
        [name.length, 0].forEach(put16);
        return {view, name, set32: (where, x) => view.setUint32(where, x, true)};
    };
    for (const f of files) {
        f.crc = crc32(f.bytes);
        const local = header(0x04034b50, [20], f, 0);
        const entry = header(0x02014b50, [20, 20], f, 14);
        entry.set32(42, at);
        parts.push(local.view.buffer, local.name, f.bytes);
        directory.push(entry.view.buffer, entry.name);
        at += local.view.byteLength + local.name.length + f.bytes.length;
    }
    const size = directory.reduce((sum, p) => sum + p.byteLength, 0), end = new DataView(new ArrayBuffer(22));
    end.setUint32(0, 0x06054b50, true);
    end.setUint16(8, files.length, true);
    end.setUint16(10, files.length, true);
    end.setUint32(12, size, true);
    end.setUint32(16, at, true);
    return [...parts, ...directory, end.buffer];
}

async function each(results, say, get) {
    const out = [], names = new Set();
    for (const r of results) {
        let name = fileName(r.name, "html");
        for (let k = 2; names.has(name); k++)
            name = fileName(r.name, `${k}.html`);
        names.add(name);
        out.push({name, bytes: await get(r)});
        say(`${out.length} of ${results.length} fetched`);
    }
    return out;
}

// kind: "csv" a row per result, "json" an array of predictions, "html" the pages in an archive
export async function saveAll(results, kind, say) {
    if (kind === "csv") {
        const lines = (await getText("/api/results.csv")).split("\n");
        return save([chosenLines(lines, results)], "text/csv", "results.csv");
    }
    if (kind === "json") {
        const all = await each(results, say, (r) => getJson(resultPath(r.id, "json")));
        return save([JSON.stringify(all.map((a) => a.bytes))], "application/json", "results.json");
    }
    const pages = await each(results, say, (r) => getBytes(resultPath(r.id, "html")));
    return save(zip(pages), "application/zip", "results.zip");
}

// The head, and the lines whose last field is the id of a result that is wanted. Fields with line breaks stay whole: a line that does not
// close its quotes takes the next one with it.
function chosenLines(lines, results) {
    const ids = new Set(results.map((r) => String(r.id))), out = [];
    for (let i = 0; i < lines.length; i++) {
        let line = lines[i];
        while ((line.split('"').length - 1) % 2 && i + 1 < lines.length)
            line += "\n" + lines[++i];
        if (out.length === 0 || ids.has(line.slice(line.lastIndexOf(",") + 1).trim()))
            out.push(line);
    }
    return out.join("\n") + "\n";
}
