// SPDX-License-Identifier: MIT
// Which of the files that were dropped make up one recording: a WFDB header, whatever it names and what is called like it; any other file
// stands alone.

const MOST_FILES = 5000;

async function namesIn(header) {
    const text = await header.slice(0, 65536).text();
    const names = [];
    for (const line of text.split("\n").slice(0, 2000)) {
        const word = line.trim().split(/\s+/)[0];
        if (word && !word.startsWith("#"))
            names.push(word, `${word}.hea`, `${word}.dat`); // a segment is named without extension
    }
    return names;
}

const folderOf = (file) => (file.path || file.webkitRelativePath || "").split("/").slice(0, -1).join("/");
const bare = (file) => file.file || file;

// -> [{name, files, bytes}]; files of one folder only belong together
export async function recordings(files) {
    const all = files.map((f) => ({file: bare(f), folder: folderOf(f)}));
    const at = new Map(all.map((f) => [`${f.folder}/${f.file.name}`, f]));
    const headers = all.filter((f) => /\.hea$/i.test(f.file.name));
    const owner = new Map();
    for (const h of headers)
        for (const name of await namesIn(h.file)) {
            const part = at.get(`${h.folder}/${name}`);
            if (part && part !== h && !owner.has(part))
                owner.set(part, h);
        }
    for (const f of all) {
        const h = at.get(`${f.folder}/${f.file.name.replace(/\.[^.]*$/, "")}.hea`);
        if (h && h !== f && !owner.has(f))
            owner.set(f, h);
    }
    const top = (f) => {
        const seen = new Set([f]);
        for (let up; (up = owner.get(f)) && !seen.has(up); f = up)
            seen.add(up);
        return f;
    };
    const groups = new Map();
    for (const f of all) {
        const head = top(f);
        if (!groups.has(head))
            groups.set(head, []);
        groups.get(head).push(f.file);
    }
    return [...groups].map(([head, parts]) => ({
        name: head.file.name,
        files: [head.file, ...parts.filter((p) => p !== head.file)],
        bytes: parts.reduce((sum, p) => sum + p.size, 0),
    }));
}

const read = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
const list = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));

async function walk(entry, path, found) {
    if (found.length >= MOST_FILES)
        return;
    if (entry.isFile) {
        found.push({file: await read(entry), path: path + entry.name});
        return;
    }
    const reader = entry.createReader();
    for (let some; (some = await list(reader)).length; )
        for (const inner of some)
            await walk(inner, `${path}${entry.name}/`, found);
}

// Files and folders of a drop. The list of items is emptied when the event ends, so entries are taken before the first wait.
export async function dropped(transfer) {
    const entries = [...transfer.items].filter((i) => i.kind === "file").map((i) => i.webkitGetAsEntry?.()).filter(Boolean);
    const plain = [...transfer.files], found = [];
    if (!entries.length)
        return plain;
    for (const entry of entries)
        await walk(entry, "", found);
    return found;
}
