// SPDX-License-Identifier: MIT
// What is asked of the server that this page came from. No other host is ever asked.

export class Refusal extends Error {
    constructor(status, message, wait) {
        super(message);
        this.status = status;
        this.wait = wait; // seconds, where the server is busy
    }
}

const OWN = {"X-Ecgraft": "1"}; // a form on another site cannot send it

function refusal(status, text, retryAfter) {
    let message = "";
    try {
        message = JSON.parse(text).error;
    } catch {
        message = "";
    }
    return new Refusal(status, message || `the server answered with status ${status}`, Number(retryAfter) || 0);
}

async function ask(path, options = {}) {
    let answer;
    try {
        answer = await fetch(path, {credentials: "same-origin", ...options});
    } catch {
        throw new Refusal(0, "the server does not answer: has it been stopped?", 0);
    }
    if (!answer.ok)
        throw refusal(answer.status, await answer.text(), answer.headers.get("Retry-After"));
    return answer;
}

// A busy server names the time after which to come again; 5 times, then it is an error.
async function patiently(attempt) {
    for (let tries = 1; ; tries++)
        try {
            return await attempt();
        } catch (e) {
            if (!(e instanceof Refusal) || (e.status !== 429 && e.status !== 503) || tries === 5)
                throw e;
            await new Promise((done) => setTimeout(done, 1000 * Math.min(30, e.wait || tries)));
        }
}

export const getJson = (path) => patiently(async () => (await ask(path)).json());
export const getText = (path) => patiently(async () => (await ask(path)).text());
export const getBytes = (path) => patiently(async () => new Uint8Array(await (await ask(path)).arrayBuffer()));
export const remove = (id) => ask(`/api/results/${encodeURIComponent(id)}`, {method: "DELETE", headers: OWN});
export const openRecord = (name) =>
    patiently(async () => (await ask(`/api/open?record=${encodeURIComponent(name)}`, {method: "POST", headers: OWN})).json());

// One recording's files. progress(sent, of) while they go; signal ends it.
function sendOnce(files, progress, signal) {
    return new Promise((resolve, reject) => {
        const form = new FormData(), request = new XMLHttpRequest(); // fetch tells nothing of what has been sent
        for (const file of files)
            form.append("file", file, file.name);
        request.open("POST", "/api/predict");
        request.setRequestHeader("X-Ecgraft", "1");
        request.upload.onprogress = (e) => progress(e.loaded, e.total);
        request.onload = () => {
            if (request.status !== 200)
                return reject(refusal(request.status, request.responseText, request.getResponseHeader("Retry-After")));
            try {
                resolve(JSON.parse(request.responseText));
            } catch {
                reject(new Refusal(request.status, "the server's answer cannot be read", 0));
            }
        };
        request.onerror = () => reject(new Refusal(0, "the upload broke off: the server is gone, or it refused the rest", 0));
        request.onabort = () => reject(new Refusal(0, "cancelled", 0));
        signal.addEventListener("abort", () => request.abort());
        if (signal.aborted)
            request.onabort();
        else
            request.send(form);
    });
}

export const send = (files, progress, signal) => patiently(() => sendOnce(files, progress, signal));

export function resultPath(id, kind, view = {}) {
    const query = new URLSearchParams();
    for (const key of ["layout", "speed", "gain", "top", "download"])
        if (view[key])
            query.set(key, view[key]);
    const asked = query.toString();
    return `/api/results/${encodeURIComponent(id)}.${kind}${asked ? "?" + asked : ""}`;
}
